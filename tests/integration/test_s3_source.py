"""Objects of a bucket into PostgreSQL, against a real S3 server."""

from __future__ import annotations

import contextlib
import gzip
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.endpoints import PostgresEndpoint
from engine import ids
from engine.config import Connection, StreamConfig
from engine.connectors.s3.client import open_client
from engine.connectors.s3.source import open_source
from engine.streams.job import StreamJob
from tests import running
from tests.integration.file_sources import files_connection, job, printed, types_of

pytestmark = pytest.mark.integration
MANY = [f"many/{number:05}.csv" for number in range(1050)]
ANEW = {"schemaPolicy": "drop_and_recreate"}
NOWHERE = PostgresEndpoint("127.0.0.1", 1, "nobody", "")


KEY, SECRET = "test-key", "test-secret"


class Bucket:
    """A bucket called `bucket`, the folder its objects lie in, and the server that shows them."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "bucket"
        self.folder.mkdir()
        # Before the server starts: it remembers what is in its folders.
        (self.folder / "many").mkdir()
        for key in MANY:
            (self.folder / key).write_bytes(b"n\n1\n")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        program = str(Path(sys.executable).with_name("rclone"))
        command = [
            program,
            "serve",
            "s3",
            "--auth-key",
            f"{KEY},{SECRET}",
            "--addr",
            f"127.0.0.1:{self.port}",
        ]
        command += ["--config", "/dev/null", str(root)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while self._process.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.02)
        raise RuntimeError("rclone did not start")

    def connection(self, **changes: Any) -> Connection:
        spec = {
            "region": "us-east-1",
            "endpoint": f"http://127.0.0.1:{self.port}",
            "credentials": {"accessKey": KEY, "secretKey": SECRET},
            **changes,
        }
        return Connection.parse({"name": "s3", "type": "s3", "spec": {"s3": spec}})

    def put(self, objects: Mapping[str, bytes]) -> None:
        with open_client(self.connection()) as client:
            for key, data in objects.items():
                client.put_object(Bucket="bucket", Key=key, Body=data)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    found = Bucket(tmp_path_factory.mktemp("s3"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def database(postgres: PostgresEndpoint) -> str:
    return str(postgres.database())


def parquet(rows: int) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"n": pa.array(range(rows), pa.int64())}), sink, row_group_size=1000)
    return bytes(sink.getvalue())


def test_every_format(bucket: Bucket, postgres: PostgresEndpoint, database: str) -> None:
    """s3-choice, csv-packed: by prefix and by key, packed or not."""
    bucket.put(
        {
            "all/c.csv": b"n,s\n007,\n1,x\n",
            "all/z.csv.gz": gzip.compress(b"n\n" + b"12345678901234567890\n" * 50_000),
            "all/j.jsonl": b'{"p": 1.10}\n{"p": 2.00}\n',
            "all/p.parquet": parquet(5000),
            "other/q.csv": b"n\n1\n",
        },
    )
    stream = job(
        bucket.connection(),
        postgres,
        database,
        db=ANEW,
        bucket="bucket",
        prefixes=["all/"],
        objects=["other/q.csv"],
    )
    running.finish(stream)
    assert printed(postgres, database, "c") == [("007", None), ("1", "x")]
    assert types_of(postgres, database, "z") == {"n": "numeric(38,0)"}
    assert postgres.scalar("SELECT count(*) FROM z", database=database) == 50_000
    assert printed(postgres, database, "j") == [("1.10",), ("2.00",)]
    assert postgres.scalar("SELECT sum(n) FROM p", database=database) == 4999 * 2500
    assert printed(postgres, database, "q") == [("1",)]


def test_a_prefix_is_the_beginning_of_a_key(bucket: Bucket) -> None:
    """s3-choice: not a folder."""
    bucket.put({"d/2024-01.csv": b"n\n1\n", "d/2024-02.csv": b"n\n1\n", "d/2025-01.csv": b"n\n1\n"})
    part = job(
        bucket.connection(), NOWHERE, "x", bucket="bucket", prefixes=["d/2024"]
    ).config.source.connections[0]
    source = open_source(bucket.connection(), part)
    assert sorted(source.tables()) == ["2024-01", "2024-02"]
    source.close()


def test_more_objects_than_a_page_lists(bucket: Bucket) -> None:
    """s3-pages: a listing of several pages."""
    part = job(
        bucket.connection(), NOWHERE, "x", bucket="bucket", prefixes=["many/"], tables="folder"
    ).config.source.connections[0]
    source = open_source(bucket.connection(), part)
    assert [file.path for file in source.tables()["many"].files] == MANY
    source.close()


def test_many_objects_as_one_table(bucket: Bucket, postgres: PostgresEndpoint, database: str) -> None:
    """s3-pages, files-one-shape: each row once."""
    bucket.put({f"some/{number:05}.csv": f"n\n{number}\n".encode() for number in range(50)})
    stream = job(
        bucket.connection(), postgres, database, db=ANEW, bucket="bucket", prefixes=["some/"], tables="folder"
    )
    running.finish(stream)
    rows = postgres.query('SELECT count(*), count(DISTINCT n), sum(n) FROM "some"', database=database)
    assert [tuple(int(value) for value in row) for row in rows] == [(50, 50, 49 * 25)]


@pytest.mark.parametrize(
    ("scope", "reading", "code"),
    [
        ({"bucket": "bucket", "prefix": "all"}, {"objects": ["other/q.csv"]}, "PATH_NOT_ALLOWED"),
        ({"bucket": "bucket", "prefix": "all"}, {"prefixes": ["al"]}, "PATH_NOT_ALLOWED"),
        ({"bucket": "bucket", "prefix": "all"}, {"prefixes": ["all/../other"]}, "PATH_NOT_ALLOWED"),
        ({"bucket": "elsewhere"}, {}, "PATH_NOT_ALLOWED"),
        ({}, {"objects": ["no/such.csv"]}, "VALIDATION_FAILED"),
        ({}, {"prefixes": ["no/such/"]}, "VALIDATION_FAILED"),
        ({}, {"manifestPath": "no/_dbstreams_manifest.json"}, "VALIDATION_FAILED"),
        ({}, {"manifestPath": "m.json", "objects": ["a"]}, "VALIDATION_FAILED"),
    ],
)
def test_what_is_refused(
    bucket: Bucket, postgres: PostgresEndpoint, database: str, scope: Any, reading: Any, code: str
) -> None:
    """s3-scope."""
    bucket.put({"all/c.csv": b"n\n1\n", "other/q.csv": b"n\n1\n"})
    stream = job(bucket.connection(scope=scope), postgres, database, bucket="bucket", **reading)
    outcome, _ = running.run(stream)
    assert outcome.error is not None
    assert outcome.error["code"] == code
    assert "test-secret" not in str(outcome.error)


def test_wrong_credentials(bucket: Bucket, postgres: PostgresEndpoint, database: str) -> None:
    """s3-credentials: said as such, and never shown."""
    wrong = bucket.connection(credentials={"accessKey": "test-key", "secretKey": "not-the-one"})
    outcome, _ = running.run(job(wrong, postgres, database, bucket="bucket"))
    assert outcome.error is not None
    assert outcome.error["code"] in ("PERMISSION_DENIED", "CONNECTION_FAILED")
    assert "not-the-one" not in str(outcome.error)


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_by_manifest_without_listing(
    bucket: Bucket, postgres: PostgresEndpoint, database: str, tmp_path: Path, form: str, monkeypatch: Any
) -> None:
    """s3-manifest: what the manifest lists is read, nothing is listed, and another object in the place of a
    listed one is refused."""
    (tmp_path / "t.csv").write_bytes(b"id,code,d\n1,007,1.10\n2,,2.00\n")
    config = StreamConfig.parse(
        {
            "name": "out",
            "mode": "convert",
            "source": {"connections": [{"connectionId": "s"}]},
            "target": {
                "id": "t",
                "spec": {"s3": {"fileFormat": form, "upload": {"bucket": "bucket", "prefix": f"out/{form}"}}},
            },
        }
    )
    ends = {"s": files_connection(tmp_path), "t": bucket.connection()}
    running.finish(StreamJob(ids.new("stream"), config, ends, False))

    def never(*_: object) -> None:
        raise AssertionError("nothing may be listed")

    monkeypatch.setattr("engine.connectors.s3.storage.S3Storage.list", never)
    manifest = f"out/{form}/_dbstreams_manifest.json"
    stream = job(bucket.connection(), postgres, database, db=ANEW, bucket="bucket", manifestPath=manifest)
    running.finish(stream)
    assert types_of(postgres, database, "t") == {"id": "bigint", "code": "text", "d": "numeric(18,2)"}
    assert printed(postgres, database, "t") == [("1", "007", "1.10"), ("2", None, "2.00")]
    part = next((bucket.folder / "out" / form / "t").iterdir())
    bucket.put({f"out/{form}/t/{part.name}": part.read_bytes().replace(b"7", b"8")})
    outcome, _ = running.run(
        job(bucket.connection(), postgres, database, db=ANEW, bucket="bucket", manifestPath=manifest)
    )
    assert outcome.error is not None
    assert outcome.error["code"] == "FILE_CHANGED"
