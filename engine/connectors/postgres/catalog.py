"""What a PostgreSQL target holds right now: tables with their live column types, keys, triggers and keys
that point at them. The encoder is chosen by what is found here, never by what was planned."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from engine.connectors.postgres.session import PgConnection


@dataclass(frozen=True, slots=True)
class LiveColumn:
    """A column as pg_attribute has it. `base` is the type's name under any domain, or `enum`."""

    name: str
    type: str  # format_type with typmod, of the base type under a domain
    base: str
    not_null: bool
    has_default: bool
    identity: str  # '', 'a' (always), 'd' (by default)
    generated: str  # '', 's' (stored), 'v' (virtual, from PostgreSQL 18 on)
    labels: tuple[str, ...] = ()

    @property
    def must_be_given(self) -> bool:
        """An INSERT that leaves the column out fails."""
        return self.not_null and not self.has_default and not self.identity and not self.generated


@dataclass(frozen=True, slots=True)
class LiveTable:
    schema: str
    name: str
    kind: str  # pg_class.relkind: r table, p partitioned, v view, S sequence, i index …
    columns: tuple[LiveColumn, ...]
    primary_key: tuple[str, ...]
    triggers: tuple[str, ...]  # enabled user triggers
    references: tuple[tuple[str, str], ...]  # (schema, table) its foreign keys point at
    referenced_by: tuple[tuple[str, str], ...]

    def column(self, name: str) -> LiveColumn | None:
        return next((column for column in self.columns if column.name == name), None)


_COLUMNS = """
SELECT a.attname::text AS name,
       format_type(b.oid, b.typmod) AS type,
       CASE WHEN b.typtype = 'e' THEN 'enum' ELSE b.typname::text END AS base,
       a.attnotnull AS not_null,
       a.atthasdef AND a.attgenerated = '' AS has_default,
       a.attidentity::text AS identity,
       a.attgenerated::text AS generated,
       coalesce((SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
                 FROM pg_enum e WHERE e.enumtypid = b.oid), '{}') AS labels
FROM pg_attribute a
CROSS JOIN LATERAL (
    -- a domain over a domain over a type: the modifier is the one of the innermost domain
    WITH RECURSIVE under AS (
        SELECT t.oid, a.atttypmod AS typmod, t.typtype, t.typbasetype, t.typtypmod, t.typname
        FROM pg_type t WHERE t.oid = a.atttypid
        UNION ALL
        SELECT t.oid, u.typtypmod, t.typtype, t.typbasetype, t.typtypmod, t.typname
        FROM under u JOIN pg_type t ON t.oid = u.typbasetype WHERE u.typtype = 'd'
    )
    SELECT * FROM under WHERE typtype <> 'd'
) b
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""

_KEY = """
SELECT array_agg(a.attname::text ORDER BY k.position)
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(number, position)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = %s AND i.indisprimary
"""

_TRIGGERS = """
SELECT tgname::text FROM pg_trigger
WHERE tgrelid = %s AND NOT tgisinternal AND tgenabled IN ('O', 'A') ORDER BY tgname
"""

_NEIGHBOURS = """
SELECT n.nspname::text, c.relname::text
FROM pg_constraint f
JOIN pg_class c ON c.oid = f.{other}
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE f.contype = 'f' AND f.{own} = %s
ORDER BY 1, 2
"""


def live_table(session: PgConnection, schema: str, name: str) -> LiveTable | None:
    """The relation of that name, or None. Views and foreign tables are found too: `kind` tells."""
    row = session.execute(
        "SELECT c.oid, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s",
        (schema, name),
    ).fetchone()
    if row is None:
        return None
    oid, kind = row
    with session.cursor(row_factory=class_row(LiveColumn)) as cursor:
        columns = cursor.execute(_COLUMNS, (oid,)).fetchall()
    key = session.execute(_KEY, (oid,)).fetchone()
    return LiveTable(
        schema,
        name,
        kind,
        tuple(columns),
        tuple(key[0]) if key and key[0] else (),
        tuple(name for (name,) in session.execute(_TRIGGERS, (oid,))),
        _neighbours(session, oid, own="conrelid", other="confrelid"),
        _neighbours(session, oid, own="confrelid", other="conrelid"),
    )


def _neighbours(session: PgConnection, oid: int, own: str, other: str) -> tuple[tuple[str, str], ...]:
    query = _NEIGHBOURS.replace("{own}", own).replace("{other}", other)
    return tuple((schema, table) for schema, table in session.execute(query, (oid,)))


def has_rows(session: PgConnection, qualified: str) -> bool:
    row = session.execute(f"SELECT EXISTS (SELECT 1 FROM {qualified})").fetchone()
    return bool(row and row[0])


def functions(session: PgConnection) -> frozenset[str]:
    """The names of the functions of the server's own."""
    rows = session.execute(
        "SELECT DISTINCT proname::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace"
    )
    return frozenset(name for (name,) in rows)


def extensions(session: PgConnection) -> dict[str, str]:
    """The extensions installed in this database, each with the schema its objects live in."""
    return dict(
        session.execute(
            "SELECT e.extname::text, n.nspname::text"
            " FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
        ).fetchall()
    )
