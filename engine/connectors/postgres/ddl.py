"""Statements of tables, types and namespaces, and the queries that tell whether one has been carried out."""

from __future__ import annotations

from collections.abc import Sequence

from engine.connectors.base import Phase, Statement, TargetTable
from engine.connectors.postgres.identifiers import literal, qualified, quote, quoted_list, text_array

_CONSTRAINTS = "pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid"


def relation_exists(schema: str, name: str, kinds: str) -> str:
    """A row when the schema has a relation of that name and one of the kinds (pg_class.relkind)."""
    wanted = ", ".join(literal(kind) for kind in kinds)
    return f"{_relation(schema, name)} AND c.relkind IN ({wanted})"


def _relation(schema: str, name: str, source: str = "pg_class c") -> str:
    """Rows of `source`, in which the class `c` is the relation of that name."""
    return (
        f"SELECT 1 FROM pg_catalog.{source} JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE n.nspname = {literal(schema)} AND c.relname = {literal(name)}"
    )


def constraint_exists(schema: str, table: str, name: str, *, validated: bool = False) -> str:
    """A row when the table has a constraint of that name (and it is validated)."""
    query = f"{_relation(schema, table, _CONSTRAINTS)} AND k.conname = {literal(name)}"
    return f"{query} AND k.convalidated" if validated else query


def constraints_exist(schema: str, table: str, names: Sequence[str]) -> str:
    """A row when the table has all these constraints."""
    return (
        f"{_relation(schema, table, _CONSTRAINTS)} AND k.conname::text = ANY ({text_array(names)})"
        f" HAVING count(*) = {len(names)}"
    )


def owned_exists(schema: str, table: str, sequence: str) -> str:
    """A row when the sequence goes with a column of the table."""
    owned = (
        "pg_depend d JOIN pg_catalog.pg_class q ON q.oid = d.objid"
        " JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relnamespace = q.relnamespace"
    )
    return (
        f"{_relation(schema, table, owned)} AND q.relname = {literal(sequence)} AND q.relkind = 'S'"
        " AND d.deptype = 'a'"
    )


def trigger_exists(schema: str, table: str, name: str) -> str:
    """A row when the table has a trigger of that name."""
    triggers = "pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid"
    return f"{_relation(schema, table, triggers)} AND g.tgname = {literal(name)}"


def primary_key_exists(schema: str, table: str, columns: Sequence[str]) -> str:
    """A row when the table has a primary key over exactly these columns in this order, whatever its name."""
    return (
        f"{_relation(schema, table, _CONSTRAINTS)} AND k.contype = 'p'"
        " AND ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY p(attnum, place)"
        " JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.attnum ORDER BY p.place)"
        f" = {text_array(columns)}"
    )


def index_exists(schema: str, table: str, name: str) -> str:
    """A row when the table has a valid index of that name."""
    indexes = (
        "pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid"
        " JOIN pg_catalog.pg_class c ON c.oid = i.indrelid"
    )
    return f"{_relation(schema, table, indexes)} AND x.relname = {literal(name)} AND i.indisvalid"


def create_schema(schema: str) -> Statement:
    return Statement(
        Phase.NAMESPACE,
        None,
        schema,
        f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}",
        f"SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = {literal(schema)}",
    )


def create_collation(schema: str, name: str, locale: str) -> Statement:
    """A nondeterministic ICU collation."""
    exists = (
        "SELECT 1 FROM pg_catalog.pg_collation k JOIN pg_catalog.pg_namespace n ON n.oid = k.collnamespace"
        f" WHERE n.nspname = {literal(schema)} AND k.collname = {literal(name)}"
    )
    sql = (
        f"CREATE COLLATION {qualified(schema, name)}"
        f" (provider = icu, locale = {literal(locale)}, deterministic = false)"
    )
    return Statement(Phase.TYPE, None, f"collation {name}", sql, exists)


def create_enum(table: str | None, schema: str, name: str, labels: Sequence[str]) -> Statement:
    """An enum type. It counts as there only with the same labels: another one of that name is an error."""
    values = ", ".join(literal(label) for label in labels)
    exists = (
        "SELECT 1 FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace"
        f" WHERE n.nspname = {literal(schema)} AND t.typname = {literal(name)} AND t.typtype = 'e'"
        " AND ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid"
        f" ORDER BY e.enumsortorder) = {text_array(labels)}"
    )
    sql = f"CREATE TYPE {qualified(schema, name)} AS ENUM ({values})"
    return Statement(Phase.TYPE, table, name, sql, exists)


def create_table(schema: str, table: str, definitions: Sequence[str]) -> Statement:
    body = ",\n  ".join(definitions)
    sql = f"CREATE TABLE {qualified(schema, table)} (\n  {body}\n)"
    return Statement(Phase.TABLE, table, table, sql, relation_exists(schema, table, "rp"))


def primary_key(schema: str, table: str, name: str, columns: Sequence[str], *, first: bool) -> Statement:
    """The primary key; `first` puts it before the rows, where upsert needs it."""
    sql = (
        f"ALTER TABLE {qualified(schema, table)} ADD CONSTRAINT {quote(name)}"
        f" PRIMARY KEY ({quoted_list(columns)})"
    )
    phase = Phase.TABLE if first else Phase.PRIMARY_KEY
    return Statement(phase, table, name, sql, primary_key_exists(schema, table, columns))


def comment(table: str, object_: str, what: str, text: str) -> Statement:
    """COMMENT ON: `what` is e.g. `COLUMN "s"."t"."c"`, already quoted."""
    return Statement(Phase.COMMENT, table, object_, f"COMMENT ON {what} IS {literal(text)}")


def analyze(schema: str, table: str) -> Statement:
    return Statement(Phase.ANALYZE, table, table, f"ANALYZE {qualified(schema, table)}")


def drops(table: TargetTable) -> tuple[str, ...]:
    """What removes a table and the types made for it, for the policy that recreates. Dropping a type can fail
    as long as another table uses it, so tables go first."""
    types = (
        f"DROP TYPE IF EXISTS {qualified(table.schema, statement.object)}"
        for statement in table.statements
        if statement.phase is Phase.TYPE and statement.sql.startswith("CREATE TYPE ")
    )
    return (f"DROP TABLE IF EXISTS {qualified(table.schema, table.name)} CASCADE", *types)
