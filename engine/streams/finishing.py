"""What comes after the data: keys, indexes, constraints, one phase after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from engine.connectors.base import Finisher, Note, Phase, SqlLog, Statement, Target
from engine.streams.job import Control

# A foreign key locks both tables, in an order the server chooses: one at a time cannot deadlock.
_IN_TURN = (Phase.FOREIGN_KEY, Phase.SEQUENCE)


def finish(
    target: Target,
    phases: Mapping[Phase, Sequence[Statement]],
    workers: int,
    control: Control,
    log: SqlLog,
) -> Iterator[Note]:
    """Run all statements of one phase, then those of the next, and give what is to be told of each phase.
    Several tables go at a time, the statements of one table in turn, since they wait for each other's lock
    anyway. Raises what a statement raised; every session is closed then."""
    sessions: list[_Session] = []
    try:
        with ThreadPoolExecutor(max(1, workers), thread_name_prefix="finish") as pool:
            for phase, statements in phases.items():
                control.check()
                shares = _shares(statements, 1 if phase in _IN_TURN else workers)
                while len(sessions) < len(shares):
                    sessions.append(_Session(target, control, log))
                for notes in pool.map(_Session.run, sessions, shares):
                    yield from notes
    finally:
        for session in sessions:
            session.close()


def _shares(statements: Sequence[Statement], count: int) -> list[list[Statement]]:
    """The statements dealt out to `count` sessions at most, those of one table to the same one."""
    by_table: dict[str | None, list[Statement]] = {}
    for statement in statements:
        by_table.setdefault(statement.table, []).append(statement)
    shares: list[list[Statement]] = [[] for _ in range(min(count, len(by_table)))]
    for number, group in enumerate(by_table.values()):
        shares[number % len(shares)] += group
    return shares


class _Session:
    """A finisher that is opened with its first statement and kept for all phases: a connection costs more
    than most of its statements."""

    def __init__(self, target: Target, control: Control, log: SqlLog) -> None:
        self._target = target
        self._control = control
        self._log = log
        self._finisher: Finisher | None = None

    def run(self, statements: Sequence[Statement]) -> list[Note]:
        if self._finisher is None:
            self._finisher = self._target.finisher()
        notes = []
        for statement in statements:
            self._control.check()
            note = self._finisher.run(statement, self._log)
            if note is not None:
                notes.append(note)
        return notes

    def close(self) -> None:
        if self._finisher is not None:
            self._finisher.close()
