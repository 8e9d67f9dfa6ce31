"""A user's SELECT as a table, the selection of a stream as SQL, and the statement a range is read by."""

from __future__ import annotations

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus

from engine.config import Filter, Selection
from engine.connectors.base import KeyRange, TableRead
from engine.connectors.postgres.identifiers import literal, quote
from engine.connectors.postgres.ranges import condition, relation
from engine.connectors.postgres.session import PgConnection
from engine.connectors.postgres.source_catalog_sql import DESCRIBED
from engine.connectors.postgres.source_types import SourceType, require_columns
from engine.connectors.reading import require_distinct
from engine.errors import Code, EngineError
from engine.schema import Column, Table, TableKind
from engine.types import Kind

_TEXTS = frozenset({Kind.TEXT, Kind.CHAR, Kind.VARCHAR})


def select(read: TableRead, bounds: KeyRange | None, *, raw: bool = False) -> str:
    """The SELECT of a table, a range or a query, in key order or that of the selection's sorts.

    raw: the columns as they are, in whatever order the rows come. Order is by `t`'s columns: a bare name
    would mean the expression that is read, an enum's text for instance, which has another order."""
    table, selection = read.table, read.selection
    columns = ", ".join(quote(column.name) if raw else column.expression for column in read.columns)
    conditions = [condition(bounds), *(_filter(table, item) for item in selection.filters)]
    where = " AND ".join(text for text in conditions if text)
    if selection.sorts:
        order = ", ".join(f"t.{quote(sort.column)} {sort.direction}" for sort in selection.sorts)
    elif raw and selection.limit is None:
        order = ""
    else:
        order = ", ".join(f"t.{quote(name)}" for name in read.key)
    return (
        f"SELECT {columns} FROM {relation(table)}"
        + (f" WHERE {where}" if where else "")
        + (f" ORDER BY {order}" if order else "")
        + (f" LIMIT {selection.limit}" if selection.limit is not None else "")
    )


def check_selection(table: Table, selection: Selection) -> None:
    """UNKNOWN_COLUMN for a column that is not there, VALIDATION_FAILED for a filter that makes no sense."""
    named = set(selection.selected_columns)
    named |= {item.column for item in selection.filters} | {sort.column for sort in selection.sorts}
    require_columns(table, named)
    for item in selection.filters:
        _filter(table, item)


def _filter(table: Table, item: Filter) -> str:
    column = table.column(item.column)
    name = quote(column.name)
    if item.operator in ("is null", "is not null"):
        if item.value is not None:
            raise _senseless(table, item, "takes no value")
        return f"{name} {item.operator.upper()}"
    if item.operator == "in":
        values = [item.value] if isinstance(item.value, str) else item.value
        if values is None:
            raise _senseless(table, item, "needs a list of values")
        if not values:
            return "false"
        equal = " OR ".join(f"{name} {_operator(column, '=')} {literal(value)}" for value in values)
        return f"({equal})"
    if not isinstance(item.value, str):
        raise _senseless(table, item, "needs one value")
    if item.operator == "like":
        text = name if column.type.kind in _TEXTS else f"{name}::text"
        return f"{text} {_operator(column, '~~')} {literal(item.value)}"
    operator = "<>" if item.operator == "!=" else item.operator
    return f"{name} {_operator(column, operator)} {literal(item.value)}"


def _operator(column: Column, operator: str) -> str:
    """citext has operators of its own, in the schema of its extension, which no search_path of ours shows;
    those of text would tell cases apart."""
    if column.native_type.endswith(".citext"):
        return f"OPERATOR({column.native_type.removesuffix('.citext')}.{operator})"
    return operator


def _senseless(table: Table, item: Filter, problem: str) -> EngineError:
    return EngineError(
        Code.VALIDATION_FAILED,
        f"the filter on {table.name}.{item.column}: {item.operator} {problem}",
        table=table.name,
        column=item.column,
    )


# ---------------------------------------------------------------- the columns of a query


def query_table(session: PgConnection, schema: str, name: str, query: str) -> Table:
    """The columns as the server describes them for a prepared statement; it is not run.

    Raises QUERY_FAILED with the server's words for what is no single SELECT, or names a column twice.
    """
    text = query.strip().rstrip(";").rstrip()
    table = Table(schema, name, (), dialect="postgres", kind=TableKind.QUERY, query=text)
    # Alone it must be one whole statement: then nothing in it can end the brackets it is put in.
    _described(session, name, text)
    fields = _described(session, name, f"SELECT * FROM {relation(table)}")
    require_distinct(name, [field for field, _, _ in fields])
    types = described_types(session, [(oid, modifier) for _, oid, modifier in fields])
    columns = tuple(
        Column(field, types[oid, modifier].logical, types[oid, modifier].native)
        for field, oid, modifier in fields
    )
    return Table(schema, name, columns, dialect="postgres", kind=TableKind.QUERY, query=text)


def _described(session: PgConnection, name: str, statement: str) -> list[tuple[str, int, int]]:
    """(name, type, modifier) of the columns of a statement that is prepared and not run."""
    connection = session.pgconn
    result = connection.prepare(b"", statement.encode())
    if result.status == ExecStatus.COMMAND_OK:
        result = connection.describe_prepared(b"")
    if result.status != ExecStatus.COMMAND_OK:
        message = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or result.error_message
        raise EngineError(
            Code.QUERY_FAILED,
            f"the query {name} cannot be a source: {message.decode(errors='replace').strip()}",
            query=name,
            sqlstate=(result.error_field(DiagnosticField.SQLSTATE) or b"").decode() or None,
        )
    if result.nparams or not result.nfields:
        problem = "it has parameters" if result.nparams else "it is no SELECT"
        raise EngineError(Code.QUERY_FAILED, f"the query {name} cannot be a source: {problem}", query=name)
    return [
        ((result.fname(number) or b"").decode(), result.ftype(number), result.fmod(number))
        for number in range(result.nfields)
    ]


def described_types(session: PgConnection, types: list[tuple[int, int]]) -> dict[tuple[int, int], SourceType]:
    """What those type oids with modifiers are, in one query."""
    wanted = sorted(set(types))
    oids, modifiers = [oid for oid, _ in wanted], [modifier for _, modifier in wanted]
    with session.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        rows = cursor.execute(DESCRIBED, (oids, modifiers)).fetchall()
    return {(row[0], row[1]): source_type(row[2:]) for row in rows}


def source_type(row: tuple[object, ...]) -> SourceType:
    """The columns of source_catalog_sql.TYPE_COLUMNS as they come."""
    name, schema, native, typmod, kind, category, labels, domain, required, default, element = row
    return SourceType(
        str(name),
        str(schema),
        str(native),
        int(str(typmod)),
        str(kind),
        str(category),
        tuple(labels) if isinstance(labels, list) else (),
        str(domain or ""),
        bool(required),
        None if default is None else str(default),
        str(element or ""),
    )
