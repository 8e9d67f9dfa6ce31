"""Every pair of the README's table, run: the rows arrive, by the target's own word, and verify agrees."""

from __future__ import annotations

import pytest

from engine.config import ConnectionType
from engine.connectors.registry import SOURCES, TARGETS
from tests import running
from tests.integration.route_ends import Ends, Row, ends, folder, stream_between
from tests.integration.s3_server import bucket, s3_server

pytestmark = pytest.mark.integration
__all__ = ["bucket", "ends", "folder", "s3_server"]  # fixtures

ROWS: list[Row] = [(1, "é\n", "1.50"), (2, "", "-0.25"), (3, None, None)]


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_a_route(ends: Ends, source: ConnectionType, target: ConnectionType) -> None:
    """slug: every-route"""
    name = f"{source.value}-{target.value}"
    one, other = ends.make(source, f"{name}-from", ROWS), ends.make(target, f"{name}-to")
    stream = stream_between(one, other)
    outcome, _ = running.finish(stream)
    running.cleanup(stream)
    assert outcome.rows == len(ROWS)
    assert other.rows() == ROWS
    assert running.verify(stream)["equal"] is True
