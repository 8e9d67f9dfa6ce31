"""Many small cases in one real stream: each has tables of its own, what the plan must say of them, and what
the target must show afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from tests import running

# What a stream says of nearly every table here, and what other tests are about.
_QUIET = frozenset({"no-primary-key"})

Note = tuple[str, str, str | None, int | None]  # severity, slug, column, count


@dataclass(frozen=True)
class Case:
    """ddl: statements on the source, whose sql_mode lets everything through. notes: exactly those of the plan
    for `tables`. asks: statements on the target with the rows they must give; they run in order, in one
    session, and may change rows. only: the flavor of a case the other server does not have."""

    slug: str
    tables: tuple[str, ...]
    ddl: tuple[str, ...]
    notes: tuple[Note, ...] = ()
    asks: tuple[tuple[str, list[tuple[Any, ...]]], ...] = ()
    only: str | None = None

    def __str__(self) -> str:
        return self.slug


@dataclass
class Ran:
    """A finished stream. plan, end: notes of the plan, and all notes; equal: tables by verify's verdict."""

    flavor: str
    target: PostgresEndpoint
    database: str
    plan: list[dict[str, Any]]
    end: list[dict[str, Any]]
    equal: dict[str, bool] = field(default_factory=dict)

    def of(self, tables: Sequence[str]) -> list[Note]:
        found = {
            (note["severity"], note["slug"], note["column"], note["count"])
            for note in self.plan
            if note["table"] in tables and note["slug"] not in _QUIET
        }
        return sorted(found, key=str)

    def said(self, slug: str) -> list[str]:
        return [note["message"] for note in self.end if note["slug"] == slug]

    def compared(self, case: Case) -> Iterator[tuple[str, Any, Any]]:
        """What was looked at, what it is, what it has to be."""
        yield "notes", self.of(case.tables), sorted(case.notes, key=str)
        with self.target.connect(self.database, options="-c timezone=UTC") as session:
            for statement, expected in case.asks:
                cursor = session.execute(statement.encode())
                yield statement, cursor.fetchall() if cursor.description else [], expected
        for table in case.tables:
            yield f"verify of {table}", self.equal[table], True


def make(server: MysqlEndpoint, database: str, statements: Sequence[str]) -> None:
    """Run the statements one by one: a routine's body has semicolons."""
    with closing(server.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'")
        if server.kind == "mysql":
            cursor.execute("SET SESSION restrict_fk_on_non_standard_key = OFF")
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def ran(
    source: MysqlEndpoint, target: PostgresEndpoint, cases: Sequence[Case], **options: Any
) -> Iterator[Ran]:
    """All cases of this flavor in one stream, which must finish; its databases are dropped at the end."""
    mine = [case for case in cases if case.only in (None, source.kind)]
    source_database, target_database = source.database(), target.database()
    try:
        make(source, source_database, [statement for case in mine for statement in case.ddl])
        stream = running.job(source, source_database, target, target_database, **options)
        outcome, report = running.finish(stream)
        verdict = running.verify(stream)
        equal = {table["table"]: bool(table["equal"]) for table in verdict["tables"]}
        notes = [full(note) for note in report.plans[-1]["notes"]]
        yield Ran(source.kind, target, target_database, notes, [full(n) for n in outcome.notes], equal)
    finally:
        source.drop_database(source_database)
        target.drop_database(target_database)


def full(note: dict[str, Any]) -> dict[str, Any]:
    """The note with the fields it leaves out."""
    return {"table": None, "column": None, "policy": None, "count": None, **note}


def index(table: str, *definitions: str) -> tuple[str, list[tuple[str]]]:
    """The table's secondary indexes, from USING on, unique ones marked."""
    query = (
        "SELECT CASE WHEN indexdef LIKE 'CREATE UNIQUE%' THEN 'unique ' ELSE '' END"
        " || split_part(indexdef, ' USING ', 2) FROM pg_indexes"
        f" WHERE schemaname = 'public' AND tablename = '{table}' AND indexname NOT LIKE '%pkey' ORDER BY 1"
    )
    return query, [(definition,) for definition in sorted(definitions)]
