"""Foreign keys that were left NOT VALID: validated, or the rows without a parent counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

from engine.config import Connection
from engine.connectors.postgres import session as sessions
from engine.connectors.postgres.identifiers import qualified, quote
from engine.connectors.postgres.loader import explain
from engine.connectors.postgres.session import PgConnection
from engine.errors import Code, EngineError

LOCK_SECONDS = 30
_ATTEMPTS = 3  # rows without a parent may go between the check and the count

# The operators are the constraint's own, child's value on the right; casts where a column is not of the very
# type its operator takes; the parent's collation decides. Constraints of partitions follow those of the whole
# table, and what is NOT ENFORCED (PostgreSQL 18) cannot be validated.
_LEFT_OPEN = """
SELECT n.nspname::text AS schema, c.relname::text AS table, k.conname::text AS name,
       c.relkind = 'p' AS partitioned,
       pn.nspname::text AS parent_schema, p.relname::text AS parent, p.relkind = 'p' AS parent_partitioned,
       k.confmatchtype = 'f' AS match_full,
       coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false) AS period,
       (SELECT jsonb_agg(jsonb_build_object(
            'mine', a.attname, 'theirs', b.attname,
            'operator', format('OPERATOR(%%I.%%s)', s.nspname, o.oprname),
            'cast_mine', CASE WHEN a.atttypid <> o.oprright AND r.typtype <> 'p'
                              THEN format_type(o.oprright, NULL) END,
            'cast_theirs', CASE WHEN b.atttypid <> o.oprleft AND l.typtype <> 'p'
                                THEN format_type(o.oprleft, NULL) END,
            'collation', CASE WHEN a.attcollation <> b.attcollation AND b.attcollation <> 0
                              THEN (SELECT format('%%I.%%I', cs.nspname, co.collname) FROM pg_collation co
                                    JOIN pg_namespace cs ON cs.oid = co.collnamespace
                                    WHERE co.oid = b.attcollation) END)
            ORDER BY u.position)
        FROM unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY AS u(mine, theirs, operator, position)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.mine
        JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.theirs
        JOIN pg_operator o ON o.oid = u.operator JOIN pg_namespace s ON s.oid = o.oprnamespace
        JOIN pg_type l ON l.oid = o.oprleft JOIN pg_type r ON r.oid = o.oprright) AS columns
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND NOT k.convalidated AND k.conparentid = 0 AND n.nspname = %s
  AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
ORDER BY c.relname, k.conname"""


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A foreign key that is NOT VALID, as `pg_constraint` has it."""

    schema: str
    table: str
    name: str
    partitioned: bool
    parent_schema: str
    parent: str
    parent_partitioned: bool
    match_full: bool
    period: bool
    columns: list[dict[str, str | None]]

    def to_json(self) -> dict[str, Any]:
        return {"schemaName": self.schema, "tableName": self.table, "constraintName": self.name}


def validate_foreign_keys(connection: Connection, database: str | None, schema: str | None) -> dict[str, Any]:
    """Validate each foreign key of a schema (default `public`) that is NOT VALID; it stays so when rows have
    no parent. Each is a transaction of its own.

    Gives `{engine, action, validatedCount, validatedConstraints, totalOrphanRows, violations}`. Raises
    DATABASE_NOT_FOUND (no such schema), CONNECTION_FAILED, PERMISSION_DENIED, QUERY_TIMEOUT (a table is
    locked for 30 seconds), QUERY_FAILED, CONSTRAINT_VIOLATION (a key over periods is broken: not counted).
    """
    schema = schema or "public"
    validated, violations = [], []
    with sessions.connect(connection, database) as session:
        try:
            for key in _left_open(session, schema):
                orphans = _validate(session, key)
                if orphans:
                    violations.append({**key.to_json(), "orphanCount": orphans})
                else:
                    validated.append(key.to_json())
        except psycopg.errors.LockNotAvailable as error:
            raise EngineError(
                Code.QUERY_TIMEOUT, f"a table is locked by another session: {error}", sqlstate=error.sqlstate
            ) from None
        except psycopg.Error as error:
            raise explain(error) from None
    return {
        "engine": "postgresql",
        "action": "validated",
        "validatedCount": len(validated),
        "validatedConstraints": validated,
        "totalOrphanRows": sum(violation["orphanCount"] for violation in violations),
        "violations": violations,
    }


def _left_open(session: PgConnection, schema: str) -> list[OpenKey]:
    known = session.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone()
    if known is None:
        raise EngineError(
            Code.DATABASE_NOT_FOUND, f'there is no schema "{schema}" on the target', schema=schema
        )
    session.execute("SELECT set_config('lock_timeout', %s, false)", (f"{LOCK_SECONDS}s",))
    # Rows that a policy hides would be missing from the count: an error is better than a wrong number.
    session.execute("SET row_security = off")
    with session.cursor(row_factory=class_row(OpenKey)) as cursor:
        return cursor.execute(_LEFT_OPEN, (schema,)).fetchall()


def _validate(session: PgConnection, key: OpenKey) -> int:
    """0 when the constraint is valid now, else how many rows break it."""
    statement = f"ALTER TABLE {qualified(key.schema, key.table)} VALIDATE CONSTRAINT {quote(key.name)}"
    for attempt in range(_ATTEMPTS):
        try:
            session.execute(statement)
        except psycopg.errors.ForeignKeyViolation:
            if key.period or attempt == _ATTEMPTS - 1:  # a period has no single parent to look for
                raise
            row = session.execute(orphans_query(key)).fetchone()
            if row is not None and row[0]:
                return int(row[0])
        else:
            return 0
    raise AssertionError("the last attempt returns or raises")


def orphans_query(key: OpenKey) -> str:
    """One statement giving the number of rows that break the constraint.

    MATCH SIMPLE asks only for parents of rows whose columns are all given; MATCH FULL also forbids rows that
    give some and not others.
    """
    child = f"{'' if key.partitioned else 'ONLY '}{qualified(key.schema, key.table)}"
    parent = f"{'' if key.parent_partitioned else 'ONLY '}{qualified(key.parent_schema, key.parent)}"
    mine = [f"f.{quote(str(column['mine']))}" for column in key.columns]
    given = " AND ".join(f"{column} IS NOT NULL" for column in mine)
    equal = " AND ".join(_equal(column) for column in key.columns)
    query = (
        f"SELECT count(*) FROM {child} AS f WHERE {given}"
        f" AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {equal})"
    )
    if not key.match_full or len(mine) == 1:
        return query
    some = " OR ".join(f"{column} IS NOT NULL" for column in mine)
    return f"SELECT ({query}) + (SELECT count(*) FROM {child} AS f WHERE ({some}) AND NOT ({given}))"


def _equal(column: dict[str, str | None]) -> str:
    theirs, mine = f"p.{quote(str(column['theirs']))}", f"f.{quote(str(column['mine']))}"
    if column["cast_theirs"]:
        theirs = f"({theirs})::{column['cast_theirs']}"
    if column["cast_mine"]:
        mine = f"({mine})::{column['cast_mine']}"
    if column["collation"]:
        mine = f"{mine} COLLATE {column['collation']}"
    return f"{theirs} {column['operator']} {mine}"
