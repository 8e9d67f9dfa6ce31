"""Streams into S3: `rclone serve s3`, with the faults of a network and of a provider in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint
from engine.connectors import registry
from engine.connectors.s3.storage import S3Storage
from engine.errors import Code, EngineError
from engine.formats.storage import ABSENT, Conflict
from tests.integration import file_targets as files
from tests.integration import s3_server as s3
from tests.integration.s3_server import Request, S3Proxy, S3Server, bucket, s3_proxy, s3_server
from tests.running import cleanup, finish, run

pytestmark = pytest.mark.integration
__all__ = ["bucket", "s3_proxy", "s3_server"]  # fixtures

ROWS = 2_000


@pytest.fixture
def table(mariadb: MysqlEndpoint, mariadb_database: str) -> str:
    """`t` of 2,000 rows in several chunks, `wide` of 30 MB in one, `empty`."""
    mariadb.execute(
        "CREATE TABLE t (id int PRIMARY KEY, body varchar(400), amount decimal(10,2));"
        f"INSERT INTO t SELECT seq, REPEAT(CONCAT('row ', seq, ' '), 20), seq / 4 FROM seq_1_to_{ROWS};"
        "CREATE TABLE wide (id int PRIMARY KEY, body longblob);"
        "INSERT INTO wide SELECT seq, REPEAT(SHA2(seq, 512), 8192) FROM seq_1_to_30;"
        "CREATE TABLE empty (id int PRIMARY KEY, note text);",
        database=mariadb_database,
    )
    mariadb.query("ANALYZE TABLE t, wide", database=mariadb_database)
    return mariadb_database


CHUNKS = {"workers": 2, "chunkBytes": 65_536, "dataBundleSize": 200}


def into(
    source: MysqlEndpoint, database: str, endpoint: str, bucket: str, prefix: str = "out/here", **spec: Any
) -> Any:
    upload = {"bucket": bucket, "prefix": prefix, **spec.pop("upload", {})}
    options = spec.pop("options", CHUNKS)
    tables = spec.pop("tables", ["t"])
    stream_id = spec.pop("stream_id", None)
    target = s3.connection(endpoint, **spec.pop("connection", {}))
    return files.job(
        source,
        database,
        target,
        tables=tables,
        options=options,
        stream_id=stream_id,
        upload=upload,
        fileFormat=spec.pop("fileFormat", "parquet"),
        **spec,
    )


def expected(source: MysqlEndpoint, database: str) -> list[tuple[Any, ...]]:
    rows = source.query("SELECT id, body, amount FROM t ORDER BY id", database=database)
    return [(str(row[0]), row[1], str(row[2])) for row in rows]


def stored(folder: Path) -> list[tuple[Any, ...]]:
    return files.duck(folder, "t", order="id::int")


def parts(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def only_listed(folder: Path) -> None:
    """Nothing lies there but the manifest and what it lists: no journal, no part of a dead attempt."""
    listed = {file.path for table in files.manifest(folder).tables for file in table.files}
    assert parts(folder) == listed | {"_dbstreams_manifest.json"}


@pytest.mark.parametrize("file_format", ["parquet", "csv", "json", "jsonl"])
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_every_format(
    mariadb: MysqlEndpoint,
    table: str,
    s3_server: S3Server,
    bucket: str,
    file_format: str,
    compression: str,
) -> None:
    """s3-manifest-last"""
    stream = into(
        mariadb,
        table,
        s3_server.endpoint,
        bucket,
        tables=["t", "empty"],
        fileFormat=file_format,
        format={"compression": compression},
        path="data/set",
    )
    outcome, report = finish(stream)
    cleanup(stream)
    folder = s3_server.root / bucket / "out/here/data/set"
    assert (outcome.rows, stored(folder)) == (ROWS, expected(mariadb, table))
    assert files.duck(folder, "empty") == []
    assert len(files.paths(folder, "t")) > 1
    assert all(file.etag and not file.sha256 for t in files.manifest(folder).tables for file in t.files)
    assert "s3-no-conditions" in {fields.get("slug") for _, _, fields in report.logs}
    only_listed(folder)


@pytest.mark.parametrize(
    ("name", "compression"), [("one.parquet", "snappy"), ("one.csv.gz", "gzip"), ("one.json", "none")]
)
def test_a_single_object(
    mariadb: MysqlEndpoint, table: str, s3_server: S3Server, bucket: str, name: str, compression: str
) -> None:
    """file-single"""
    format_ = name.split(".")[1]
    stream = into(
        mariadb,
        table,
        s3_server.endpoint,
        bucket,
        fileFormat=format_,
        path=name,
        format={"compression": compression},
    )
    finish(stream)
    cleanup(stream)
    folder = s3_server.root / bucket / "out/here"
    assert stored(folder) == expected(mariadb, table)
    assert parts(folder) == {name, "_dbstreams_manifest.json"}


def is_data(request: Request) -> bool:
    return "/part-" in request.path and request.method == "PUT"


def is_journal(request: Request) -> bool:
    return (
        request.method == "PUT" and "_dbstreams_checkpoint/" in request.path and ".probe" not in request.path
    )


def is_manifest(request: Request) -> bool:
    return request.method == "PUT" and request.path.endswith("_dbstreams_manifest.json")


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(
    ("kind", "when", "times"),
    [
        ("503", is_data, 2),
        ("reset", is_data, 1),
        ("lost", is_data, 1),
        ("lost", is_journal, 1),
        ("503", is_journal, 2),
        ("500", is_manifest, 1),
        ("lost", is_manifest, 1),
        ("slow", is_data, 3),
    ],
)
def test_faults_on_the_way(
    mariadb: MysqlEndpoint,
    table: str,
    s3_server: S3Server,
    bucket: str,
    conditional: bool,
    kind: str,
    when: Callable[[Request], bool],
    times: int,
) -> None:
    """s3-faults"""
    with S3Proxy(s3_server, conditional=conditional) as proxy:
        fault = proxy.fault(
            kind, when=when, times=times, skip=1 if when is not is_manifest else 0, seconds=0.2
        )
        stream = into(mariadb, table, proxy.endpoint, bucket)
        finish(stream)
        cleanup(stream)
    assert fault.seen > fault.skip
    folder = s3_server.root / bucket / "out/here"
    assert stored(folder) == expected(mariadb, table)
    only_listed(folder)


def test_a_token_that_expires_ends_the_stream_and_a_new_one_resumes_it(
    mariadb: MysqlEndpoint, table: str, s3_proxy: S3Proxy, bucket: str
) -> None:
    """s3-expired-token"""
    s3_proxy.fault("expired", when=is_data, skip=3, times=10_000)
    stream = into(mariadb, table, s3_proxy.endpoint, bucket, stream_id="stream_token")
    outcome, _ = run(stream)
    assert outcome.error is not None
    assert (outcome.error["code"], outcome.error["details"]["reason"]) == (
        Code.PERMISSION_DENIED,
        "expired_token",
    )
    folder = s3_proxy.server.root / bucket / "out/here"
    assert not (folder / "_dbstreams_manifest.json").exists()
    s3_proxy.clear()
    again = into(mariadb, table, s3_proxy.endpoint, bucket, stream_id="stream_token")
    finish(again)
    cleanup(again)
    assert stored(folder) == expected(mariadb, table)
    only_listed(folder)


# ---------------------------------------------------------------- multipart


def test_large_parts_go_up_in_pieces(
    mariadb: MysqlEndpoint, table: str, s3_proxy: S3Proxy, bucket: str
) -> None:
    """s3-multipart"""
    stream = into(
        mariadb,
        table,
        s3_proxy.endpoint,
        bucket,
        tables=["wide"],
        options={"workers": 1, "dataBundleSize": 2},
        upload={"storageClass": "STANDARD_IA", "serverSideEnc": "aws:kms", "kmsKeyId": "a-key"},
    )
    finish(stream)
    cleanup(stream)
    sizes = [len(request.body) for request in s3_proxy.requests if request.action == "part"]
    assert len(sizes) > 2
    assert all(5 << 20 <= size <= 8 << 20 for size in sizes[:-1])
    began = next(request for request in s3_proxy.requests if request.action == "begin").headers
    assert began["x-amz-storage-class"] == "STANDARD_IA"
    assert began["x-amz-server-side-encryption"] == "aws:kms"
    assert began["x-amz-server-side-encryption-aws-kms-key-id"] == "a-key"
    manifest = [request for request in s3_proxy.requests if is_manifest(request)][-1].headers
    assert manifest["x-amz-server-side-encryption"] == "aws:kms"
    assert "x-amz-storage-class" not in manifest
    folder = s3_proxy.server.root / bucket / "out/here"
    want = mariadb.query("SELECT id, MD5(body) FROM wide ORDER BY id", database=table)
    assert [tuple(row) for row in want] == files.duck(folder, "wide", "id, md5(body)", "id")


@pytest.mark.parametrize("kind", ["denied", "expired"])
def test_a_failed_upload_leaves_nothing_behind(
    mariadb: MysqlEndpoint, table: str, s3_proxy: S3Proxy, bucket: str, kind: str
) -> None:
    """s3-abort-multipart"""
    s3_proxy.fault(kind, when=lambda request: request.action == "part", skip=1, times=10_000)
    s3_proxy.fault("expired", when=lambda request: request.action == "begin", skip=1, times=10_000)
    stream = into(
        mariadb,
        table,
        s3_proxy.endpoint,
        bucket,
        tables=["wide"],
        options={"workers": 1, "dataBundleSize": 2},
    )
    outcome, _ = run(stream)
    assert outcome.status == "FAILED"
    assert [request.action for request in s3_proxy.requests].count("abort") >= 1
    storage = S3Storage(s3.connection(s3_proxy.server.endpoint), bucket)
    assert storage.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []
    cleanup(stream)
    storage.close()
    assert parts(s3_proxy.server.root / bucket) == set()


def test_uploads_of_a_dead_attempt_are_aborted(
    mariadb: MysqlEndpoint, table: str, s3_server: S3Server, bucket: str
) -> None:
    """s3-abort-multipart"""
    first = into(mariadb, table, s3_server.endpoint, bucket, stream_id="stream_dead")
    storage = S3Storage(s3.connection(s3_server.endpoint), bucket, "out/here")
    storage.put("_dbstreams_checkpoint/dead.json", b'{"version":1,"stream":"stream_dead","epoch":1,'
                b'"state":"running","detail":{},"tables":{}}')  # fmt: skip
    for stream, kept in (("dead", False), ("other", True)):
        upload = storage.client.create_multipart_upload(
            Bucket=bucket, Key=f"out/here/t/part-{stream}-00000-000-00000000.parquet"
        )
        storage.client.upload_part(
            Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"], PartNumber=1, Body=b"x" * 100
        )
        storage.put(f"t/part-{stream}-00001-000-00000000.parquet", b"left" if not kept else b"kept")
    finish(first)
    uploads = storage.client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [upload["Key"].split("-")[1] for upload in uploads] == ["other"]
    assert storage.stat("t/part-dead-00001-000-00000000.parquet") is None
    assert storage.stat("t/part-other-00001-000-00000000.parquet") is not None
    assert stored(s3_server.root / bucket / "out/here") == expected(mariadb, table)
    storage.client.abort_multipart_upload(
        Bucket=bucket, Key=uploads[0]["Key"], UploadId=uploads[0]["UploadId"]
    )
    storage.close()


def test_local_copies_are_kept_on_request(
    mariadb: MysqlEndpoint,
    table: str,
    s3_server: S3Server,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """s3-keep-local"""
    monkeypatch.setenv("DBSTREAMS_EXPORT_DIR", str(tmp_path / "kept"))
    stream = into(mariadb, table, s3_server.endpoint, bucket, upload={"keepLocalFiles": True})
    finish(stream)
    cleanup(stream)
    local, remote = tmp_path / "kept" / bucket / "out/here", s3_server.root / bucket / "out/here"
    assert parts(local) == parts(remote)
    assert all((local / name).read_bytes() == (remote / name).read_bytes() for name in parts(remote))


# ---------------------------------------------------------------- conditions and scopes


@pytest.mark.parametrize("conditional", [False, True])
def test_replacing_compares(s3_server: S3Server, bucket: str, conditional: bool) -> None:
    """s3-conditions"""
    with S3Proxy(s3_server, conditional=conditional) as proxy:
        storage = S3Storage(s3.connection(proxy.endpoint), bucket)
        assert storage.conditional is conditional
        tag = storage.put("a.json", b"1", ABSENT)
        with pytest.raises(Conflict):
            storage.put("a.json", b"2", ABSENT)
        newer = storage.put("a.json", b"2", tag)
        with pytest.raises(Conflict):
            storage.put("a.json", b"3", tag)
        assert storage.get("a.json") == (b"2", newer)
        storage.close()


def test_two_attempts_at_one_stream(
    mariadb: MysqlEndpoint, table: str, s3_server: S3Server, bucket: str
) -> None:
    """s3-epoch"""
    with S3Proxy(s3_server, conditional=True) as proxy:
        stream = into(mariadb, table, proxy.endpoint, bucket, stream_id="stream_two")
        target, spec = stream.connections["target"], stream.config.target.spec
        old, new = (registry.open_target(target, spec, "stream_two") for _ in range(2))
        assert (old.claim(), new.claim()) == (False, True)
        with pytest.raises(EngineError) as refused:
            old.put_stream("running", {})
        assert refused.value.code is Code.EPOCH_SUPERSEDED
        new.put_stream("running", {})
        old.close()
        new.close()


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ({"bucket": "another-bucket"}, Code.PATH_NOT_ALLOWED),
        ({"prefix": "elsewhere"}, Code.PATH_NOT_ALLOWED),
        ({"prefix": "out"}, None),
    ],
)
def test_the_scope_of_the_connection_holds(
    mariadb: MysqlEndpoint,
    table: str,
    s3_server: S3Server,
    bucket: str,
    scope: dict[str, str],
    code: Code | None,
) -> None:
    """s3-scope"""
    stream = into(mariadb, table, s3_server.endpoint, bucket, connection={"scope": scope})
    outcome, _ = run(stream)
    assert (outcome.error or {}).get("code") == code


# ---------------------------------------------------------------- the connection itself


@pytest.mark.parametrize(
    ("change", "fault", "reason"),
    [
        ({}, None, None),
        ({"scope": {"bucket": "no-such-bucket"}}, None, "unknown_bucket"),
        ({"credentials": {"accessKey": s3.KEY, "secretKey": "wrong"}}, None, "auth"),
        ({"credentials": {"accessKey": "wrong", "secretKey": s3.SECRET}}, None, "auth"),
        ({"endpoint": "http://127.0.0.1:1"}, None, "refused"),
        ({"endpoint": "http://no-such-host.invalid"}, None, "dns"),
        ({"endpoint": "tls"}, None, "tls"),
        ({}, "expired", "expired_token"),
        ({}, "denied", "denied"),
        ({}, "region", "region"),
    ],
)
def test_why_a_connection_fails(
    s3_proxy: S3Proxy, change: dict[str, Any], fault: str | None, reason: str | None
) -> None:
    """s3-connection-reasons"""
    if fault:
        s3_proxy.fault(fault, times=100)
    if change.get("endpoint") == "tls":
        change = {"endpoint": s3_proxy.endpoint.replace("http:", "https:")}
    server = registry.server(s3.connection(**{"endpoint": s3_proxy.endpoint, **change}))
    if reason is None:
        assert server.test()["ping"] == "ok"
        return
    with pytest.raises(EngineError) as failed:
        server.test()
    assert (failed.value.code, failed.value.details["reason"]) == (Code.CONNECTION_FAILED, reason)
    assert s3.SECRET not in failed.value.message


def test_buckets_are_listed(s3_server: S3Server, bucket: str) -> None:
    listed = registry.server(s3.connection(s3_server.endpoint)).databases()
    assert {"name": bucket, "isSystem": False, "schemas": []} in listed
