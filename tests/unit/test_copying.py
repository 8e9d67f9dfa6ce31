from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.config import Connection
from engine.copying import CopyRequest
from engine.errors import Code, EngineError
from engine.locations import parse_location, source_part, target_spec

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://root:pw@db:3307/shop", ("mysql", "db", 3307, "root", "pw", "shop", None)),
        ("mariadb://u@h/x", ("mariadb", "h", 3306, "u", "", "x", None)),
        ("postgres://u:pass@h/x?schema=app", ("postgresql", "h", 5432, "u", "pass", "x", "app")),
        (
            "postgresql://u%40corp:p%2F%3A%40@h/my%20db",
            ("postgresql", "h", 5432, "u@corp", "p/:@", "my db", None),
        ),
        ("mysql://u:pass@[::1]:3306/x", ("mysql", "::1", 3306, "u", "pass", "x", None)),
        ("mysql://u:pass@h", ("mysql", "h", 3306, "u", "pass", None, None)),
    ],
)
def test_urls(url: str, expected: tuple[Any, ...]) -> None:
    """slug: copy-urls"""
    endpoint = parse_location(url)
    model = Connection.parse(endpoint.body)
    server = model.database
    assert (
        model.type.value, server.host, server.port, server.username,
        server.password.get_secret_value(), endpoint.database, endpoint.schema,
    ) == expected  # fmt: skip
    password = server.password.get_secret_value()
    assert not password or password not in endpoint.label
    assert not password or password not in repr(endpoint)


@pytest.mark.parametrize(
    ("option", "mode"),
    [
        ("ssl-mode=DISABLED", "disable"),
        ("ssl-mode=VERIFY_IDENTITY&ssl-ca={ca}", "verify-full"),
        ("ssl-mode=verify-ca&ssl-ca={ca}", "verify-ca"),
        ("sslmode=require", "require"),
        ("sslmode=verify-full&sslrootcert={ca}", "verify-full"),
    ],
)
def test_tls_options_of_both_dialects(tmp_path: Path, option: str, mode: str) -> None:
    """slug: copy-urls"""
    ca = tmp_path / "ca.pem"
    ca.write_text(PEM)
    ssl = Connection.parse(parse_location("mysql://u:p@h/x?" + option.format(ca=ca)).body).ssl
    assert ssl.mode.value == mode
    assert ssl.ca == (PEM if "{ca}" in option else None)


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("oracle://u:sesame@h/x", "url"),
        ("mysql://h/x", "url"),
        ("mysql:///x", "url"),
        ("mysql://u:sesame@h:port/x", "url"),
        ("mysql://u:ses/ame@h:1/x", "url"),
        ("mysql://u:sesame@h/x?charset=latin1", "charset"),
        ("mysql://u:sesame@h/x?schema=a", "schema"),
        ("mysql://u:sesame@h/x?ssl-mode=maybe", "ssl-mode"),
        ("mysql://u:sesame@h/x?ssl-ca=/no/such/file", "ssl-ca"),
    ],
)
def test_what_is_wrong_with_a_url_is_said_without_the_url(url: str, field: str) -> None:
    """slug: copy-urls"""
    with pytest.raises(EngineError) as caught:
        parse_location(url)
    assert caught.value.code is Code.VALIDATION_FAILED
    assert caught.value.details["fields"][0]["field"] == field
    assert "ses" not in caught.value.message


def test_a_request_does_not_show_its_urls() -> None:
    assert "sesame" not in repr(CopyRequest("mysql://u:sesame@h/x", "postgresql://u:sesame@h/x"))


@pytest.mark.parametrize(
    ("text", "base", "path", "format_", "compression"),
    [
        ("{tmp}/out.parquet", "{tmp}", "out.parquet", "parquet", None),
        ("{tmp}/a.csv.gz", "{tmp}", "a.csv.gz", "csv", "gzip"),
        ("{tmp}/a.NDJSON.zst", "{tmp}", "a.NDJSON.zst", "jsonl", "zstd"),
        ("{tmp}/folder", "{tmp}/folder", "", None, None),
        ("{tmp}/d/*/x*.json", "{tmp}/d", "*/x*.json", "json", None),
        ("file://{tmp}/with%20blank.csv", "{tmp}", "with blank.csv", "csv", None),
    ],
)
def test_paths(
    tmp_path: Path, text: str, base: str, path: str, format_: str | None, compression: str | None
) -> None:
    """slug: copy-urls"""
    end = parse_location(text.format(tmp=tmp_path))
    spec = Connection.parse(end.body).spec.files
    assert spec is not None
    assert (spec.base_path, end.path) == (base.format(tmp=tmp_path), path)
    assert (end.file_format, end.compression) == (format_, compression)


def test_embedded_databases_and_buckets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """slug: copy-urls"""
    for text in (f"{tmp_path}/shop.duckdb", f"duckdb://{tmp_path}/shop.duckdb?schema=a"):
        end = parse_location(text)
        assert (end.type, end.database) == ("duckdb", "shop")
        assert Connection.parse(end.body).spec.duckdb is not None
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(EngineError, match="AWS_ACCESS_KEY_ID"):
        parse_location("s3://bucket/x.csv")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sesame")
    end = parse_location("s3://bucket/a/x.csv?endpoint=http://127.0.0.1:9000&style=path")
    assert "sesame" not in repr(end)
    assert source_part(end, "c") == {"connectionId": "c", "s3": {"bucket": "bucket", "objects": ["a/x.csv"]}}
    spec = Connection.parse(end.body).spec.s3
    assert spec is not None
    assert (spec.use_ssl, spec.url_style, spec.endpoint) == (False, "path", "http://127.0.0.1:9000")


def test_options_that_mean_nothing_for_an_end(tmp_path: Path) -> None:
    """slug: copy-urls"""
    plain: dict[str, Any] = {
        "schemaPolicy": "create_missing_only", "writeMode": "append", "skipData": False, "policies": {},
    }  # fmt: skip
    files = parse_location(str(tmp_path))
    server = parse_location("postgresql://u:p@h/x")
    assert target_spec(files, dict(plain))["files"]["fileFormat"] == "parquet"
    assert target_spec(server, dict(plain))["db"]["database"] == "x"
    for end, changes in (
        (files, {"skipData": True}),
        (files, {"schemaPolicy": "fail_if_exists"}),
        (server, {"fileFormat": "csv"}),
        (parse_location("postgresql://u:p@h"), {}),
    ):
        with pytest.raises(EngineError) as caught:
            target_spec(end, {**plain, **changes})
        assert caught.value.code is Code.VALIDATION_FAILED
