"""One peer a file; the names by which `--peers` asks for them."""

from __future__ import annotations

from benchmarks.peers.base import Peer
from benchmarks.peers.duckdb import DuckDB
from benchmarks.peers.floor import LoadFloor, ReadFloor
from benchmarks.peers.ours import Ours
from benchmarks.peers.pgloader import Pgloader
from benchmarks.peers.pipe import Pipe
from benchmarks.peers.sling import Sling


def peers_of(names: list[str]) -> list[Peer]:
    """The peers of the given names; `ours` and `floor` are two each. Raises KeyError for an unknown one."""
    return [peer for name in names for peer in PEERS[name]]


PEERS: dict[str, tuple[Peer, ...]] = {
    "ours": (Ours("native"), Ours("connectorx")),
    "native": (Ours("native"),),
    "connectorx": (Ours("connectorx"),),
    "duckdb": (DuckDB(),),
    "pgloader": (Pgloader(),),
    "sling": (Sling(),),
    "pipe": (Pipe(),),
    "floor": (LoadFloor(), ReadFloor()),
}
