"""What goes over the wire to S3, seen by a proxy: tokens, addresses, encryption, classes, rights."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.certificates import Certificates
from engine import ids
from engine.config import Connection, StreamConfig
from engine.connectors import registry
from engine.connectors.s3 import client as s3_client
from engine.connectors.s3.client import open_client
from engine.connectors.s3.storage import S3Storage
from engine.errors import Code, EngineError
from engine.streams.job import StreamJob
from tests.integration import file_targets as files
from tests.integration import s3_server as s3
from tests.integration.s3_server import Request, S3Proxy, S3Server, bucket, s3_proxy, s3_server
from tests.running import cleanup, finish, run

pytestmark = pytest.mark.integration
__all__ = ["bucket", "s3_proxy", "s3_server"]  # fixtures

ROWS = 2_000
TEXT = b"n,s\n" + b"".join(b"%d,row %d of the object\n" % (n, n) for n in range(ROWS))
TOKEN = "a-session/token+that=is=long"
WITH_TOKEN = {"accessKey": s3.KEY, "secretKey": s3.SECRET, "sessionToken": TOKEN}


def put(connection: Connection, bucket: str, key: str, data: bytes = TEXT) -> None:
    with open_client(connection) as client:
        client.put_object(Bucket=bucket, Key=key, Body=data)


def job(
    source: Connection,
    target: Connection,
    bucket: str,
    reading: dict[str, Any],
    upload: dict[str, Any] | None = None,
    file_format: str = "parquet",
) -> StreamJob:
    """From objects of the bucket to `out/` of the same one."""
    config = StreamConfig.parse(
        {
            "name": "test",
            "mode": "convert",
            "source": {"connections": [{"connectionId": "s", "s3": {"bucket": bucket, **reading}}]},
            "target": {
                "id": "t",
                "spec": {
                    "s3": {
                        "fileFormat": file_format,
                        "upload": {"bucket": bucket, "prefix": "out", **(upload or {})},
                    }
                },
            },
        }
    )
    return StreamJob(ids.new("stream"), config, {"s": source, "t": target}, False)


def rows_in(folder: Path, table: str = "t") -> list[tuple[Any, ...]]:
    return files.duck(folder / "out", table, "count(*), count(DISTINCT n), sum(n::int)", "1")


EVERY = [(ROWS, ROWS, ROWS * (ROWS - 1) // 2)]


# ---------------------------------------------------------------- addresses and tokens


@pytest.fixture(scope="module")
def virtual_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Takes `virtual-bucket.localhost` for its bucket, and no path for one."""
    root = tmp_path_factory.mktemp("virtual")
    (root / "virtual-bucket" / "in").mkdir(parents=True)
    (root / "virtual-bucket" / "in" / "t.csv").write_bytes(TEXT)
    server = S3Server(root, virtual=True)
    yield server
    server.close()


@pytest.fixture
def wildcard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver to which every name under `localhost` is this machine."""
    resolve = socket.getaddrinfo

    def resolved(host: Any, *arguments: Any, **named: Any) -> Any:
        here = isinstance(host, str) and (host == "localhost" or host.endswith(".localhost"))
        return resolve("127.0.0.1" if here else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)


@pytest.mark.parametrize(("style", "token"), [("auto", None), ("path", TOKEN), ("virtual", TOKEN)])
def test_how_the_bucket_is_addressed_and_the_token_sent(
    s3_server: S3Server,
    virtual_server: S3Server,
    bucket: str,
    wildcard: None,
    style: str,
    token: str | None,
) -> None:
    """slugs: s3-url-style, s3-session-token"""
    server = virtual_server if style == "virtual" else s3_server
    name = "virtual-bucket" if style == "virtual" else bucket
    if style != "virtual":
        put(s3.connection(server.endpoint), name, "in/t.csv")
    credentials = WITH_TOKEN if token else {"accessKey": s3.KEY, "secretKey": s3.SECRET}
    with S3Proxy(server) as proxy:
        port = proxy.endpoint.rpartition(":")[2]
        end = s3.connection(f"http://localhost:{port}", urlStyle=style, credentials=credentials)
        stream = job(end, end, name, {"prefixes": ["in/"]})
        finish(stream)
        cleanup(stream)
        sent = list(proxy.requests)
    assert rows_in(server.root / name) == EVERY
    hosts = {f"{name}.localhost:{port}" if style == "virtual" else f"localhost:{port}"}
    assert {request.headers["host"] for request in sent} == hosts
    assert all(request.path.startswith(f"/{name}") for request in sent) is (style != "virtual")
    assert {request.action for request in sent} >= {"GET", "PUT", "DELETE"}
    assert {request.headers.get("x-amz-security-token") for request in sent} == {token}
    if token:  # signed as well: nobody on the way can take it off
        assert all("x-amz-security-token" in request.headers["authorization"] for request in sent)


def test_the_command_takes_its_token_from_the_environment(
    s3_proxy: S3Proxy, bucket: str, tmp_path: Path
) -> None:
    """slugs: s3-session-token, copy-urls"""
    put(s3.connection(s3_proxy.server.endpoint), bucket, "in/t.csv")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBSTREAMS_", "AWS_"))}
    environment = {
        **kept,
        "HOME": str(tmp_path),
        "DBSTREAMS_DATA_DIR": str(tmp_path / "data"),
        "AWS_ACCESS_KEY_ID": s3.KEY,
        "AWS_SECRET_ACCESS_KEY": s3.SECRET,
        "AWS_SESSION_TOKEN": TOKEN,
        "AWS_ENDPOINT_URL": s3_proxy.endpoint,
    }
    command = [str(Path(sys.executable).with_name("dbstreams")), "copy"]
    ends = [f"s3://{bucket}/in/t.csv", f"s3://{bucket}/out?style=path"]
    done = subprocess.run([*command, *ends], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert rows_in(s3_proxy.server.root / bucket) == EVERY
    assert {request.action for request in s3_proxy.requests} >= {"GET", "PUT"}
    assert {request.headers.get("x-amz-security-token") for request in s3_proxy.requests} == {TOKEN}
    kept_files = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    for secret in (TOKEN, s3.SECRET):
        assert secret not in done.stdout + done.stderr
        assert secret.encode() not in kept_files


# ---------------------------------------------------------------- encryption and classes

_SSE, _KEY = "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"
_CLASS = "x-amz-storage-class"
ARN = "arn:aws:kms:eu-west-1:1:key/k"


@pytest.mark.parametrize("pieces", ["single", "multipart"])
@pytest.mark.parametrize(
    ("upload", "headers"),
    [
        ({}, {}),
        ({"storageClass": "STANDARD_IA"}, {_CLASS: "STANDARD_IA"}),
        ({"serverSideEnc": "AES256"}, {_SSE: "AES256"}),
        ({"serverSideEnc": "aws:kms"}, {_SSE: "aws:kms"}),
        (
            {"serverSideEnc": "aws:kms", "kmsKeyId": ARN, "storageClass": "GLACIER_IR"},
            {_SSE: "aws:kms", _KEY: ARN, _CLASS: "GLACIER_IR"},
        ),
    ],
    ids=["nothing", "class", "aes256", "kms", "kms-key-class"],
)
def test_encryption_and_class_of_what_is_written(
    s3_proxy: S3Proxy,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    upload: dict[str, str],
    headers: dict[str, str],
    pieces: str,
) -> None:
    """slug: s3-encryption. What makes an object says it; the parts of an upload do not; our own small objects
    are encrypted as the data are, in the standard class."""
    if pieces == "multipart":
        monkeypatch.setattr("engine.connectors.s3.upload.PART_BYTES", 16_384)
    put(s3.connection(s3_proxy.server.endpoint), bucket, "in/t.csv")
    end = s3.connection(s3_proxy.endpoint)
    stream = job(end, end, bucket, {"prefixes": ["in/"]}, upload, "csv")
    finish(stream)
    cleanup(stream)
    assert rows_in(s3_proxy.server.root / bucket) == EVERY
    made = {"data": list[Request](), "part": list[Request](), "own": list[Request]()}
    for request in s3_proxy.requests:
        if request.action == "part":
            made["part"].append(request)
        elif request.action in ("PUT", "begin"):
            made["data" if "/part-" in request.path else "own"].append(request)

    def said(request: Request) -> dict[str, str]:
        return {name: request.headers[name] for name in (_SSE, _KEY, _CLASS) if name in request.headers}

    assert [said(request) for request in made["data"]] == [headers]
    assert {request.action for request in made["data"]} == {"begin" if pieces == "multipart" else "PUT"}
    assert (len(made["part"]) > 2) is (pieces == "multipart")
    assert all(said(request) == {} for request in made["part"])
    own = {name: value for name, value in headers.items() if name != _CLASS}
    assert made["own"]
    assert all(said(request) == own for request in made["own"])


@pytest.mark.parametrize(
    ("kind", "action", "attempts"),
    [
        ("lost", "begin", 5),
        ("lost", "part", 5),
        ("503", "part", 5),
        ("reset", "part", 5),
        ("lost", "complete", 5),
        ("reset", "complete", 5),
        ("503", "complete", 5),
        # No second request: the whole chunk is written again, under another name.
        ("lost", "begin", 1),
        ("lost", "complete", 1),
        ("lost", "PUT", 1),
    ],
)
def test_faults_of_an_upload(
    s3_proxy: S3Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch, kind: str, action: str, attempts: int
) -> None:
    """slugs: s3-faults, s3-abort-multipart. Nothing lies there in the end but what the manifest lists."""
    if action != "PUT":
        monkeypatch.setattr("engine.connectors.s3.upload.PART_BYTES", 16_384)
    monkeypatch.setattr(
        "engine.connectors.s3.client.make_client", partial(s3_client.make_client, attempts=attempts)
    )
    plain = s3.connection(s3_proxy.server.endpoint)
    put(plain, bucket, "in/t.csv")
    fault = s3_proxy.fault(kind, when=lambda request: request.action == action and "/part-" in request.path)
    stream = job(plain, s3.connection(s3_proxy.endpoint), bucket, {"prefixes": ["in/"]}, None, "csv")
    finish(stream)
    cleanup(stream)
    assert fault.seen > 1
    folder = s3_proxy.server.root / bucket / "out"
    assert rows_in(folder.parent) == EVERY
    listed = {file.path for table in files.manifest(folder).tables for file in table.files}
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == listed | {"_dbstreams_manifest.json"}
    with open_client(plain) as client, contextlib.suppress(client.exceptions.NoSuchUpload):
        # That is how rclone says that there never were any.
        assert client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


# ---------------------------------------------------------------- rights


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_by_manifest_where_nothing_may_be_listed(s3_server: S3Server, bucket: str, form: str) -> None:
    """slugs: s3-manifest, s3-rights"""
    plain = s3.connection(s3_server.endpoint)
    put(plain, bucket, "in/t.csv")
    first = job(plain, plain, bucket, {"prefixes": ["in/"]}, {"prefix": "first"}, form)
    finish(first)
    cleanup(first)
    with S3Proxy(s3_server, listing=False) as proxy:
        manifest = {"manifestPath": "first/_dbstreams_manifest.json"}
        second = job(s3.connection(proxy.endpoint), plain, bucket, manifest)
        finish(second)
        cleanup(second)
        assert not [request for request in proxy.requests if request.is_listing]
    assert rows_in(s3_server.root / bucket) == EVERY


def test_a_prefix_is_asked_of_the_server(s3_proxy: S3Proxy, bucket: str) -> None:
    """slugs: s3-choice, s3-rights. Nothing beside it is listed, which the rights may not cover."""
    plain = s3.connection(s3_proxy.server.endpoint)
    for key in ("in/2024/t.csv", "in/2025/u.csv", "in/2024.csv"):
        put(plain, bucket, key)
    stream = job(s3.connection(s3_proxy.endpoint), plain, bucket, {"prefixes": ["in/2024/"]})
    finish(stream)
    cleanup(stream)
    assert [file.path for file in files.manifest(s3_proxy.server.root / bucket / "out").tables[0].files]
    asked = [request.query["prefix"][0] for request in s3_proxy.requests if request.is_listing]
    assert set(asked) == {"in/2024/"}
    s3_proxy.clear()
    storage = S3Storage(s3.connection(s3_proxy.endpoint), bucket)
    assert [file.path for file in storage.list("in", "2024")] == ["in/2024.csv", "in/2024/t.csv"]
    storage.close()
    assert [request.query["prefix"] for request in s3_proxy.requests] == [["in/2024"]]


def test_by_keys_where_nothing_may_be_listed(s3_server: S3Server, bucket: str) -> None:
    """slug: s3-rights. Whether a manifest lies beside the object cannot be told from a refusal."""
    plain = s3.connection(s3_server.endpoint)
    put(plain, bucket, "in/t.csv")
    with S3Proxy(s3_server, listing=False) as proxy:
        stream = job(s3.connection(proxy.endpoint), plain, bucket, {"objects": ["in/t.csv"]})
        _, report = finish(stream)
        cleanup(stream)
    assert rows_in(s3_server.root / bucket) == EVERY
    assert "may not be read" in str(report.plans)


def _puts(request: Request) -> bool:
    return request.action in ("PUT", "part", "complete", "begin")


def _reads(request: Request) -> bool:
    return request.method == "GET" and not request.is_listing and "/in/" in request.path


@pytest.mark.parametrize(
    ("when", "right"),
    [
        (lambda request: "list-type" in request.query and "in/" in request.query["prefix"], "s3:ListBucket"),
        (_reads, "s3:GetObject"),
        (_puts, "s3:PutObject"),
        (lambda request: _puts(request) and "/part-" in request.path, "s3:PutObject"),
        (lambda request: request.action == "begin", "s3:PutObject"),
        (lambda request: request.action == "complete", "s3:PutObject"),
    ],
    ids=["list", "read", "write", "write-data", "begin-upload", "complete-upload"],
)
def test_the_right_that_is_missing_is_named(
    s3_proxy: S3Proxy,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    when: Callable[[Request], bool],
    right: str,
) -> None:
    """slug: s3-rights"""
    monkeypatch.setattr("engine.connectors.s3.upload.PART_BYTES", 16_384)
    put(s3.connection(s3_proxy.server.endpoint), bucket, "in/t.csv")
    s3_proxy.fault("denied", when=when, times=10_000)
    end = s3.connection(s3_proxy.endpoint)
    stream = job(end, end, bucket, {"prefixes": ["in/"]}, file_format="csv")
    outcome, _ = run(stream)
    assert outcome.error is not None
    assert outcome.error["code"] == Code.PERMISSION_DENIED
    assert outcome.error["details"]["right"] == right
    assert right in outcome.error["error"]


@pytest.mark.parametrize(
    ("scope", "right"), [(None, "s3:ListAllMyBuckets"), ("bucket", "s3:ListBucket")], ids=["all", "one"]
)
def test_a_connection_says_what_it_may_not_list(
    s3_proxy: S3Proxy, bucket: str, scope: str | None, right: str
) -> None:
    """slugs: s3-rights, s3-connection-reasons"""
    s3_proxy.fault("denied", times=100)
    spec = {"scope": {"bucket": bucket}} if scope else {}
    with pytest.raises(EngineError) as failed:
        registry.server(s3.connection(s3_proxy.endpoint, **spec)).test()
    assert (failed.value.details["reason"], failed.value.details["right"]) == ("denied", right)


# ---------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def tls_servers(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, S3Server]]:
    """`plain` asks for nothing, `misnamed` has the certificate of another host, `mutual` wants one of the
    client too. Each has the bucket `kept`."""
    root = tmp_path_factory.mktemp("tls")
    (root / "kept").mkdir()
    own = certificates.server_cert, certificates.server_key
    servers = {
        "plain": S3Server(root, tls=own),
        "misnamed": S3Server(root, tls=(certificates.misnamed_cert, certificates.misnamed_key)),
        "mutual": S3Server(root, tls=own, clients=certificates.ca),
    }
    yield servers
    for server in servers.values():
        server.close()


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")  # that is what `require` asks for
@pytest.mark.parametrize(
    ("server", "mode", "ca", "pair", "works"),
    [
        ("plain", "verify-full", "ca", False, True),
        ("plain", "prefer", "ca", False, True),
        ("plain", "prefer", "", False, False),  # without a CA the system's are asked, which do not know it
        ("plain", "require", "", False, True),
        ("plain", "verify-full", "foreign_ca", False, False),
        ("plain", "require", "foreign_ca", False, False),
        ("misnamed", "verify-full", "ca", False, False),
        ("mutual", "verify-full", "ca", False, False),
        ("mutual", "verify-full", "ca", True, True),
    ],
)
def test_certificates_of_an_endpoint(
    tls_servers: dict[str, S3Server],
    certificates: Certificates,
    server: str,
    mode: str,
    ca: str,
    pair: bool,
    works: bool,
) -> None:
    """slugs: s3-tls, s3-connection-reasons"""
    ssl = {"mode": mode}
    if ca:
        ssl["ca"] = getattr(certificates, ca).read_text()
    if pair:
        ssl["client_cert"] = certificates.client_cert.read_text()
        ssl["client_key"] = certificates.client_key.read_text()
    asked = registry.server(s3.connection(tls_servers[server].endpoint, ssl=ssl, scope={"bucket": "kept"}))
    if works:
        assert asked.test()["bucket"] == "kept"
        return
    with pytest.raises(EngineError) as failed:
        asked.test()
    assert (failed.value.code, failed.value.details["reason"]) == (Code.CONNECTION_FAILED, "tls")
