"""The statement of a federated source: which tables of which sources it names, and how it reads where they
are staged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from engine.config import SourceConnection
from engine.errors import Code, EngineError

_LONGEST = 250_000  # characters of a statement


@dataclass(frozen=True, slots=True)
class Reference:
    """A table as the statement names it: `alias.schema.table`, `alias.database.table` or `alias.table`."""

    alias: str
    space: str | None
    table: str

    @property
    def staged_schema(self) -> str:
        return f"{self.alias}.{self.space}" if self.space else self.alias


def resolved(
    query: str, parts: Mapping[str, SourceConnection], name: str
) -> tuple[str, tuple[Reference, ...]]:
    """The statement over the staged schemas, and what it names. What it may call is checked where it runs."""
    if len(query) > _LONGEST:
        raise _unusable(f"it has more than {_LONGEST:,} characters")
    try:
        statements = [found for found in sqlglot.parse(query, dialect="duckdb") if found is not None]
    except (SqlglotError, RecursionError) as error:
        raise _unusable(str(error).splitlines()[0] if str(error) else "it is nested too deep") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise _unusable("it is not one SELECT")
    statement = statements[0]
    local = {cte.alias_or_name.casefold() for cte in statement.find_all(exp.CTE)}
    found: dict[Reference, None] = {}
    for table in statement.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            raise EngineError(
                Code.QUERY_NOT_ALLOWED,
                f"the query {name} selects from {table.this.sql(dialect='duckdb')[:100]}: a federated stream"
                " reads tables of its sources only",
                query=name,
            )
        if not table.db and table.name.casefold() in local:
            continue
        reference = _reference(table, parts)
        found[reference] = None
        alias = table.alias or table.name
        table.set("catalog", None)
        table.set("db", exp.to_identifier(reference.staged_schema, quoted=True))
        table.set("this", exp.to_identifier(reference.table, quoted=True))
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    if not found:
        raise _unusable("it names no table of a source")
    for column in statement.find_all(exp.Column):
        # `alias.schema.table.column` means the table that now goes by its own name.
        if column.args.get("db") is not None:
            column.set("catalog", None)
            column.set("db", None)
    return statement.sql(dialect="duckdb"), tuple(found)


def _reference(table: exp.Table, parts: Mapping[str, SourceConnection]) -> Reference:
    names = [part.name for part in table.parts]
    if names[0] not in parts or not 2 <= len(names) <= 3:
        known = ", ".join(sorted(parts))
        raise EngineError(
            Code.UNKNOWN_ALIAS,
            f"{'.'.join(names)} is no table of a source: write alias.schema.table or alias.database.table"
            f" with an alias out of {known}",
            alias=names[0],
            known=sorted(parts),
        )
    return Reference(names[0], names[1] if len(names) == 3 else None, names[-1])


def _unusable(problem: str) -> EngineError:
    return EngineError(Code.QUERY_FAILED, f"source.query cannot be a source: {problem}", field="source.query")
