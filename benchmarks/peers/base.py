"""What the runner asks of a peer, and what it gives it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.measure import Usage
from benchmarks.servers import MariaDB, Postgres


@dataclass(frozen=True, slots=True)
class Workload:
    """One table to move. The target database is new and empty before every run."""

    source: MariaDB
    target: Postgres
    source_database: str
    target_database: str
    table: str
    columns: tuple[str, ...]
    create: str  # CREATE TABLE on the target, without keys, for peers that do not make it themselves
    add_key: str  # the primary key, likewise
    rows: int
    scratch: Path

    @property
    def pids(self) -> tuple[int | None, int | None]:
        """Of the two servers."""
        return self.source.pid, self.target.pid


@dataclass(frozen=True, slots=True)
class Run:
    """data_seconds: the rows alone, by the peer's own clock where it has one, else the command's.
    keyed: the peer has made the primary key itself; otherwise the runner makes and times it."""

    usage: Usage
    data_seconds: float
    keyed: bool = False
    notes: str = ""


class PeerMissing(RuntimeError):
    """A peer is not installed here; the message says how it would be."""


class Peer(Protocol):
    name: str
    moves_rows: bool  # False: it only reads, so nothing is there to check

    def version(self) -> str:
        """As printed by the peer. Raises PeerMissing."""

    def prepare(self, work: Workload) -> None:
        """What is made once and not timed."""

    def run(self, work: Workload) -> Run:
        """Raises CommandFailed."""


def program(name: str, how: str) -> str:
    """The path of a program. Raises PeerMissing."""
    found = shutil.which(name)
    if found is None:
        raise PeerMissing(f"{name} is not installed ({how})")
    return found
