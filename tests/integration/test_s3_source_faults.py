"""Reading a bucket through the faults of a network and of a provider: each row once, or a clear end."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.endpoints import PostgresEndpoint
from engine.connectors.s3 import client as s3_client
from engine.connectors.s3.client import open_client
from engine.connectors.s3.storage import S3Storage
from engine.errors import Code
from tests import running
from tests.integration import s3_server as s3
from tests.integration.file_sources import job
from tests.integration.s3_server import Request, S3Proxy, S3Server, bucket, s3_proxy, s3_server

pytestmark = pytest.mark.integration
__all__ = ["bucket", "s3_proxy", "s3_server"]  # fixtures

ROWS = 3_000
ANEW = {"schemaPolicy": "drop_and_recreate"}


def row(number: int, word: str = "row") -> tuple[int, str]:
    return number, f"{word} {number} " * 12


def written(form: str, word: str = "row") -> bytes:
    """The rows as one object of that format, of several hundred kilobytes or packed."""
    rows = [row(number, word) for number in range(ROWS)]
    if form == "parquet":
        sink = pa.BufferOutputStream()
        table = pa.table({"n": [n for n, _ in rows], "s": [s for _, s in rows]})
        pq.write_table(table, sink, row_group_size=500, compression="none", use_dictionary=False)
        return bytes(sink.getvalue())
    if form == "jsonl":
        return "".join(json.dumps({"n": n, "s": s}) + "\n" for n, s in rows).encode()
    text = ("n,s\n" + "".join(f"{n},{s}\n" for n, s in rows)).encode()
    return gzip.compress(text) if form == "csv.gz" else text


DIGEST = hashlib.md5(",".join(f"{n}:{s}" for n, s in map(row, range(ROWS))).encode()).hexdigest()
ASKED = "SELECT count(*)::text, md5(string_agg(n || ':' || s, ',' ORDER BY n)) FROM t"


@pytest.fixture(scope="module")
def database(postgres: PostgresEndpoint) -> str:
    return str(postgres.database())


def put(server: S3Server, bucket: str, objects: Mapping[str, bytes]) -> None:
    with open_client(s3.connection(server.endpoint)) as client:
        for key, data in objects.items():
            client.put_object(Bucket=bucket, Key=key, Body=data)


def is_read(request: Request) -> bool:
    return request.method == "GET" and "/d/t." in request.path


def is_look(request: Request) -> bool:
    return request.method == "HEAD" and "/d/t." in request.path


def is_listing(request: Request) -> bool:
    return request.is_listing


def copied(postgres: PostgresEndpoint, database: str) -> list[tuple[Any, ...]]:
    return [tuple(found) for found in postgres.query(ASKED, database=database)]


@pytest.mark.parametrize(
    ("form", "kind", "when", "skip", "times"),
    [
        ("csv", "503", is_read, 1, 2),
        ("csv", "500", is_read, 0, 1),
        ("csv", "reset", is_read, 1, 1),
        ("csv", "lost", is_read, 1, 1),
        ("csv", "cut", is_read, 0, 4),
        ("csv", "stall", is_read, 1, 1),
        ("csv", "slow", is_read, 0, 2),
        ("csv", "503", is_listing, 0, 1),
        ("csv", "cut", is_listing, 0, 1),
        ("csv", "reset", is_look, 0, 1),
        ("csv.gz", "cut", is_read, 0, 4),
        ("jsonl", "cut", is_read, 0, 4),
        ("parquet", "cut", is_read, 0, 8),
        ("parquet", "stall", is_read, 3, 1),
        ("parquet", "503", is_read, 4, 2),
        ("parquet", "reset", is_read, 5, 1),
    ],
)
def test_every_row_once(
    s3_proxy: S3Proxy,
    bucket: str,
    postgres: PostgresEndpoint,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    kind: str,
    when: Callable[[Request], bool],
    skip: int,
    times: int,
) -> None:
    """s3-read-faults: what is cut is taken up where it broke off."""
    monkeypatch.setattr(s3_client, "READ_SECONDS", 0.5 if kind == "stall" else 60)
    put(s3_proxy.server, bucket, {f"d/t.{form}": written(form)})
    fault = s3_proxy.fault(kind, when=when, skip=skip, times=times, seconds=0.1)
    reads: dict[str, Any] = {"objects": [f"d/t.{form}"]} if when is is_look else {"prefixes": ["d/"]}
    stream = job(s3.connection(s3_proxy.endpoint), postgres, database, db=ANEW, bucket=bucket, **reads)
    outcome, _ = running.finish(stream)
    assert fault.seen > fault.skip
    assert outcome.rows == ROWS
    assert copied(postgres, database) == [(str(ROWS), DIGEST)]


def test_a_manifest_cut_short_is_read_again(s3_proxy: S3Proxy, bucket: str) -> None:
    """s3-read-faults: small objects too."""
    put(s3_proxy.server, bucket, {"m.json": b'{"some": "manifest"}'})
    storage = S3Storage(s3.connection(s3_proxy.endpoint), bucket)
    s3_proxy.fault("cut", times=3)
    found = storage.get("m.json")
    storage.close()
    assert found is not None
    assert found[0] == b'{"some": "manifest"}'


@pytest.mark.parametrize(
    ("kind", "when", "code", "reason"),
    [
        ("expired", is_read, Code.PERMISSION_DENIED, "expired_token"),
        ("expired", is_listing, Code.PERMISSION_DENIED, "expired_token"),
        ("denied", is_read, Code.PERMISSION_DENIED, "denied"),
        ("region", is_read, Code.PERMISSION_DENIED, "region"),
        ("503", is_read, Code.CONNECTION_LOST, "other"),
    ],
)
def test_what_does_not_pass_ends_the_stream(
    s3_proxy: S3Proxy,
    bucket: str,
    postgres: PostgresEndpoint,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    when: Callable[[Request], bool],
    code: Code,
    reason: str,
) -> None:
    """s3-credentials, s3-read-faults: one code and reason each, and no secret."""
    monkeypatch.setattr("engine.connectors.s3.client.make_client", partial(s3_client.make_client, attempts=1))
    monkeypatch.setattr("engine.streams.run.ATTEMPTS", 2)
    put(s3_proxy.server, bucket, {"d/t.csv": written("csv")})
    s3_proxy.fault(kind, when=when, times=10_000)
    connection = s3.connection(
        s3_proxy.endpoint,
        credentials={"accessKey": s3.KEY, "secretKey": s3.SECRET, "sessionToken": "a-session-token"},
    )
    outcome, report = running.run(
        job(connection, postgres, database, db=ANEW, bucket=bucket, prefixes=["d/"])
    )
    assert outcome.error is not None
    assert (outcome.error["code"], outcome.error["details"]["reason"]) == (code, reason)
    for secret in (s3.SECRET, "a-session-token"):
        assert secret not in str(outcome.error) + str(report.logs)


def test_a_token_that_expires_while_reading_is_renewed_and_resumed(
    s3_proxy: S3Proxy, bucket: str, postgres: PostgresEndpoint, database: str
) -> None:
    """s3-expired-token: what was loaded stays, and is not loaded twice."""
    each = 400
    objects = {
        f"d/t/{number:02}.csv": ("n,s\n" + "".join(f"{n},{s}\n" for n, s in map(row, numbers))).encode()
        for number in range(12)
        for numbers in [range(number * each, (number + 1) * each)]
    }
    put(s3_proxy.server, bucket, objects)
    reads: dict[str, Any] = {"bucket": bucket, "prefixes": ["d/t/"], "tables": "folder"}

    def stream(**more: Any) -> Any:
        connection = s3.connection(s3_proxy.endpoint)
        options = {"workers": 1, "chunkBytes": 65_536}
        return job(
            connection, postgres, database, stream_id="stream_renewed", options=options, **more, **reads
        )

    def is_part(request: Request) -> bool:
        return request.method == "GET" and "/d/t/" in request.path

    # Each object is looked at once, then read once.
    s3_proxy.fault("expired", when=is_part, skip=2 * len(objects) - 3, times=10_000)
    outcome, _ = running.run(stream(db=ANEW))
    assert outcome.error is not None
    assert outcome.error["details"]["reason"] == "expired_token"
    before = int(postgres.scalar("SELECT count(*) FROM t", database=database))
    assert 0 < before < len(objects) * each
    s3_proxy.clear()
    running.finish(stream(db=ANEW, resume=True))
    rows = postgres.query("SELECT count(*), count(DISTINCT n), sum(n::int) FROM t", database=database)
    total = len(objects) * each
    assert [tuple(int(value) for value in found) for found in rows] == [
        (total, total, total * (total - 1) // 2)
    ]


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("at", ["between", "inside"])
def test_an_object_replaced_while_it_is_read(
    s3_server: S3Server,
    bucket: str,
    postgres: PostgresEndpoint,
    database: str,
    form: str,
    conditional: bool,
    at: str,
) -> None:
    """s3-changed: If-Match asks for the version that was planned, and an ETag is compared where the server
    takes no notice of it; what the object was is never mixed with what it is."""
    put(s3_server, bucket, {f"d/t.{form}": written(form)})
    with S3Proxy(s3_server, conditional=conditional) as proxy:

        def replace() -> None:
            put(s3_server, bucket, {f"d/t.{form}": written(form, "new")})

        # Read once to infer, once to copy; "inside", the copy has half of the object when it is replaced.
        last = len(_reads(proxy, bucket, postgres, database)) - 1
        if at == "inside":
            proxy.fault("cut", when=is_read, skip=last, times=1)
        proxy.fault("then", when=is_read, skip=last, do=replace)
        stream = job(
            s3.connection(proxy.endpoint), postgres, database, db=ANEW, bucket=bucket, prefixes=["d/"]
        )
        outcome, _ = running.run(stream)
    assert outcome.error is not None
    assert outcome.error["code"] == Code.FILE_CHANGED
    sent = [request.headers.get("if-match") for request in proxy.requests if is_read(request)]
    assert sent
    assert all(sent)


def _reads(proxy: S3Proxy, bucket: str, postgres: PostgresEndpoint, database: str) -> list[Request]:
    """The reads of a stream that nothing disturbs."""
    stream = job(s3.connection(proxy.endpoint), postgres, database, db=ANEW, bucket=bucket, prefixes=["d/"])
    running.finish(stream)
    found = [request for request in proxy.requests if is_read(request)]
    proxy.clear()
    return found
