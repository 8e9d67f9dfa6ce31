"""The ends of a copy as a person writes them: URLs and paths → connections and parts of a stream config."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from engine.errors import Code, EngineError

_SCHEMES = {"mysql": "mysql", "mariadb": "mariadb", "postgresql": "postgresql", "postgres": "postgresql"}
_PORTS = {"mysql": 3306, "mariadb": 3306, "postgresql": 5432}
_KNOWN = "mysql://, mariadb://, postgresql://, s3://bucket/key, duckdb:///path, or a path"
# Both dialects' words for the same five modes.
_TLS = {
    "disable": "disable",
    "disabled": "disable",
    "prefer": "prefer",
    "preferred": "prefer",
    "require": "require",
    "required": "require",
    "verify-ca": "verify-ca",
    "verify_ca": "verify-ca",
    "verify-full": "verify-full",
    "verify-identity": "verify-full",
    "verify_identity": "verify-full",
}
_TLS_MODE = ("ssl-mode", "sslmode")
_TLS_FILES = {
    "ssl-ca": "ca",
    "sslrootcert": "ca",
    "ssl-cert": "client_cert",
    "sslcert": "client_cert",
    "ssl-key": "client_key",
    "sslkey": "client_key",
}
_FORMATS = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_DUCKDB = (".duckdb", ".ddb")
_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A parsed URL or path. `body` is a connection's JSON with its secrets; `label` names it without them.

    database, schema: of a server or an embedded database. path: of files, under the connection's base path
    or in the bucket; "" is all of it. file_format and compression: by the path's suffix.
    """

    body: dict[str, Any] = field(repr=False)
    type: str
    label: str
    database: str | None = None
    schema: str | None = None
    path: str = ""
    bucket: str | None = None
    file_format: str | None = None
    compression: str | None = None

    @property
    def name(self) -> str:
        """One word for people: the database, the file, the bucket."""
        return self.database or self.path or self.bucket or self.label

    @property
    def holds_files(self) -> bool:
        return self.type in ("files", "s3")


def parse_location(text: str) -> Endpoint:
    """VALIDATION_FAILED says what is wrong without echoing the URL, which may hold a password."""
    scheme, separator, _ = text.partition("://")
    scheme = scheme.lower() if separator else ""
    if scheme in _SCHEMES:
        return _server(text, _SCHEMES[scheme])
    if scheme == "s3":
        return _bucket(text)
    if scheme in ("file", "duckdb", ""):
        return _local(text, scheme)
    raise invalid("url", f"starts with {_KNOWN}")


def parse_target(text: str) -> Endpoint:
    """As `parse_location`; a folder is a path under its parent, so that it need not be there yet."""
    end = parse_location(text)
    if end.type != "files" or end.path:
        return end
    folder = Path(end.body["spec"]["files"]["basePath"])
    return _files(folder.parent, folder.name, None, None)


def _split(url: str) -> tuple[Any, int | None, dict[str, str]]:
    try:
        parts = urlsplit(url)
        return parts, parts.port, dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        raise invalid("url", "not a URL; percent-encode special characters of the password") from None


def _server(url: str, kind: str) -> Endpoint:
    parts, port, options = _split(url)
    if not parts.hostname:
        raise invalid("url", "a host is missing")
    if not parts.username:
        raise invalid("url", "a user name is missing: scheme://user:password@host:port/database")
    schema: str | None = None
    ssl: dict[str, str] = {}
    for name, value in options.items():
        option = name.lower()
        if option in _TLS_MODE:
            if value.lower() not in _TLS:
                raise invalid(name, "one of disable, prefer, require, verify-ca, verify-full")
            ssl["mode"] = _TLS[value.lower()]
        elif option in _TLS_FILES:
            try:
                ssl[_TLS_FILES[option]] = Path(value).read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise invalid(name, f"{value} cannot be read: {error}") from None
        elif option == "schema" and kind == "postgresql":
            schema = value
        else:
            raise invalid(name, "unknown option of a URL")
    database = unquote(parts.path.removeprefix("/")) or None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    label = f"{kind}://{unquote(parts.username)}@{host}:{port or _PORTS[kind]}"
    spec = {
        "host": parts.hostname,
        "port": port or _PORTS[kind],
        "username": unquote(parts.username),
        "password": unquote(parts.password or ""),
        **({"database": database} if database else {}),
    }
    body = {"name": label, "type": kind, "spec": {"database": spec}, "ssl": ssl}
    return Endpoint(body, kind, label, database, schema)


# ---------------------------------------------------------------- files


def _local(text: str, scheme: str) -> Endpoint:
    options: dict[str, str] = {}
    if scheme:
        parts, _, options = _split(text)
        if parts.netloc not in ("", "localhost"):
            raise invalid("url", f"{scheme}:///absolute/path has three slashes")
        text = unquote(parts.path)
    path = Path(text).expanduser()
    if not text or "\0" in text:
        raise invalid("path", "a path has at least one character and no NUL")
    if scheme == "duckdb" or path.suffix.lower() in _DUCKDB:
        return _embedded(path.absolute(), options)
    if options:
        raise invalid(next(iter(options)), "unknown option of a file URL")
    absolute = path.absolute()
    file_format, compression = format_of(absolute.name)
    globbed = next((n for n, part in enumerate(absolute.parts) if _GLOB & set(part)), None)
    if globbed is not None:
        base, inside = Path(*absolute.parts[:globbed]), "/".join(absolute.parts[globbed:])
    elif file_format is not None or absolute.is_file():
        base, inside = absolute.parent, absolute.name
    else:
        base, inside = absolute, ""
    return _files(base, inside, file_format, compression)


def _files(base: Path, inside: str, file_format: str | None, compression: str | None) -> Endpoint:
    label = f"files {base}"[-255:]
    body = {"name": label, "type": "files", "spec": {"files": {"basePath": str(base)}}}
    return Endpoint(body, "files", label, None, None, inside, None, file_format, compression)


def _embedded(path: Path, options: dict[str, str]) -> Endpoint:
    schema = options.pop("schema", None)
    if options:
        raise invalid(next(iter(options)), "unknown option of a duckdb URL")
    label = f"duckdb {path}"[-255:]
    body = {"name": label, "type": "duckdb", "spec": {"duckdb": {"path": str(path)}}}
    return Endpoint(body, "duckdb", label, path.stem, schema)


def format_of(name: str) -> tuple[str | None, str | None]:
    """Format and compression by a file's suffixes; None for what they do not tell."""
    path = Path(name.lower())
    compression = _COMPRESSIONS.get(path.suffix)
    if compression is not None:
        path = path.with_suffix("")
    return _FORMATS.get(path.suffix), compression


# ---------------------------------------------------------------- buckets


def _bucket(url: str) -> Endpoint:
    """s3://bucket/key?endpoint=…&region=…&style=path; credentials from the environment, as other tools of
    S3 take them."""
    parts, _, options = _split(url)
    if not parts.hostname or parts.username:
        raise invalid(
            "url", "s3://bucket/key; credentials are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not os.environ.get(name)]
    if missing:
        raise invalid("url", f"the environment lacks {' and '.join(missing)}")
    endpoint = options.pop("endpoint", os.environ.get("AWS_ENDPOINT_URL"))
    region = options.pop("region", os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"))
    style = options.pop("style", "auto")
    if options:
        raise invalid(next(iter(options)), "unknown option of an S3 URL: endpoint, region or style")
    if style not in ("auto", "path", "virtual"):
        raise invalid("style", "auto, path or virtual")
    bucket, key = parts.netloc, unquote(parts.path.removeprefix("/"))
    session_token = os.environ.get("AWS_SESSION_TOKEN")
    spec: dict[str, Any] = {
        "region": region or "us-east-1",
        "credentials": {
            "accessKey": os.environ["AWS_ACCESS_KEY_ID"],
            "secretKey": os.environ["AWS_SECRET_ACCESS_KEY"],
            **({"sessionToken": session_token} if session_token else {}),
        },
        "scope": {"bucket": bucket},
        "urlStyle": style,
        "useSSL": not (endpoint or "").startswith("http://"),
        **({"endpoint": endpoint} if endpoint else {}),
    }
    label = f"s3://{bucket}" + (f" at {endpoint}" if endpoint else "")
    file_format, compression = format_of(key)
    body = {"name": label[-255:], "type": "s3", "spec": {"s3": spec}}
    return Endpoint(body, "s3", label[-255:], None, None, key, bucket, file_format, compression)


# ---------------------------------------------------------------- parts of a config


def source_part(end: Endpoint, connection_id: str) -> dict[str, Any]:
    """`source.connections[0]` without tables."""
    part: dict[str, Any] = {"connectionId": connection_id}
    if end.type == "files":
        part["files"] = {"paths": [end.path] if end.path else []}
    elif end.type == "s3":
        assert end.bucket is not None
        part["s3"] = {"bucket": end.bucket, **_objects(end)}
    else:
        if end.database is None:
            raise invalid(
                "source", f"the URL of the source names a database: {end.type}://user@host/DATABASE"
            )
        part.update(database=end.database, **({"schema": end.schema} if end.schema else {}))
    return part


def _objects(end: Endpoint) -> dict[str, Any]:
    if _GLOB & set(end.path):
        raise invalid("source", "S3 has no patterns: name an object or a prefix that ends in /")
    if end.path.endswith("_dbstreams_manifest.json"):
        return {"manifestPath": end.path}
    if end.file_format is not None:
        return {"objects": [end.path]}
    return {"prefixes": [end.path]} if end.path else {}


def target_spec(end: Endpoint, options: dict[str, Any]) -> dict[str, Any]:
    """`target.spec`. options: schemaPolicy, writeMode, skipData, policies, fileFormat and compression; what a
    kind of target has no meaning for is refused by name."""
    files = {name: options.pop(name) for name in ("fileFormat", "compression") if name in options}
    if not end.holds_files:
        given = next((name for name, value in files.items() if value is not None), None)
        if given is not None:
            raise invalid(given, "means something for files and buckets only")
        if end.database is None:
            raise invalid(
                "target", f"the URL of the target names a database: {end.type}://user@host/DATABASE"
            )
        named = {} if end.type == "duckdb" else {"database": end.database}
        return {"db": {**named, **options, **({"schema": end.schema} if end.schema else {})}}
    if options["skipData"] or options["schemaPolicy"] != "create_missing_only":
        raise invalid("target", "files have no structure of their own: no schema policy, no --skip-data")
    file_format = files.get("fileFormat") or end.file_format or "parquet"
    compression = files.get("compression") or end.compression or _usual(file_format)
    if _GLOB & set(end.path):
        raise invalid("target", "a path without patterns")
    spec: dict[str, Any] = {
        "fileFormat": file_format,
        "format": {"compression": compression},
        "path": end.path.strip("/"),
        "writeMode": options["writeMode"],
        "policies": options["policies"],
    }
    if end.type == "files":
        return {"files": spec}
    return {"s3": {**spec, "upload": {"bucket": end.bucket}}}


def _usual(file_format: str) -> str:
    return "zstd" if file_format == "parquet" else "none"


def invalid(name: str, problem: str) -> EngineError:
    return EngineError(
        Code.VALIDATION_FAILED, f"{name}: {problem}", fields=[{"field": name, "problem": problem}]
    )
