"""Every kind of source and of target, its worker killed between chunks: resumed, all rows are there once."""

from __future__ import annotations

import pytest

from engine.config import ConnectionType
from tests import running
from tests.faults.workers import in_a_worker
from tests.integration.route_ends import Ends, Row, ends, folder, stream_between
from tests.integration.s3_server import bucket, s3_server

pytestmark = [pytest.mark.integration, pytest.mark.fault]
__all__ = ["bucket", "ends", "folder", "s3_server"]  # fixtures

KINDS = [
    ConnectionType.MARIADB,
    ConnectionType.POSTGRESQL,
    ConnectionType.FILES,
    ConnectionType.S3,
    ConnectionType.DUCKDB,
]
ROWS: list[Row] = [(i, f"name {i}", f"{i % 997}.{i % 100:02}") for i in range(1, 20_001)]
SMALL = {"chunkBytes": 131_072, "workers": 1}
# Each kind is a source to two others and a target of two others.
PAIRS = [
    (source, KINDS[(place + step) % len(KINDS)], point)
    for step, point in ((1, "before_chunk_commit:2"), (2, "after_chunk_commit:2"))
    for place, source in enumerate(KINDS)
]


@pytest.mark.parametrize(
    ("source", "target", "point"), PAIRS, ids=[f"{a.value}-{b.value}-{point}" for a, b, point in PAIRS]
)
def test_a_killed_worker_is_resumed_to_the_same_rows(
    ends: Ends, source: ConnectionType, target: ConnectionType, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slug: crash-every-route"""
    name = f"{source.value}-{target.value}"
    one, other = ends.make(source, f"{name}-from", ROWS), ends.make(target, f"{name}-to")
    stream = stream_between(one, other, **SMALL)
    monkeypatch.setenv("DBSTREAMS_FAILPOINT", point)
    assert in_a_worker(stream).code == -9
    monkeypatch.delenv("DBSTREAMS_FAILPOINT")
    resumed = in_a_worker(stream).result
    assert (resumed["status"], resumed["error"]) == ("FINISHED", None)
    running.cleanup(stream)
    assert other.rows() == ROWS
