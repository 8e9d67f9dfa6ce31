"""How the columns of a table map are decoded, so that a row from the log is the row the snapshot reads."""

from __future__ import annotations

from collections.abc import Sequence

from engine.config import Policies
from engine.connectors.base import ReadColumn
from engine.connectors.mysql.types import impossible_label
from engine.errors import Code, EngineError
from engine.schema import Table
from ext.binlogspec import LogColumn, MappedColumn, TableMap


def log_columns(
    mapped: TableMap, table: Table, columns: Sequence[ReadColumn], policies: Policies
) -> tuple[LogColumn | None, ...]:
    """One entry for each column of `mapped`, None for those that `columns` does not read.

    Names, signs, character sets and labels are taken from the log where it has them, else from `table`, whose
    columns the log has in the same order. Raises EngineError (VALUE_NOT_REPRESENTABLE) where the two do not
    fit: the table in the log is another than the one known.
    """
    names = [column.name for column in mapped.columns]
    if any(name is None for name in names):
        if len(names) != len(table.columns):
            raise _unlike(mapped, f"{len(names)} columns in the log, {len(table.columns)} in the catalog")
        names = [column.name for column in table.columns]
    wanted = {column.name: column for column in columns}
    missing = [name for name in wanted if name not in names]
    if missing:
        raise _unlike(mapped, f"the log has no column {missing[0]}")
    return tuple(
        None if name not in wanted else _log_column(column, wanted[name], policies)
        for column, name in zip(mapped.columns, names, strict=True)
        if name is not None
    )


def _unlike(mapped: TableMap, why: str) -> EngineError:
    name = f"{mapped.schema}.{mapped.table}"
    return EngineError(
        Code.VALUE_NOT_REPRESENTABLE,
        f"{name} in the binary log is not the table that is known: {why}",
        table=name,
    )


def _log_column(mapped: MappedColumn, column: ReadColumn, policies: Policies) -> LogColumn:
    source = column.source
    kind = source.type
    labels = kind.labels if mapped.labels is None else mapped.labels
    return LogColumn(
        name=column.name,
        image=column.image.value,
        arrow=column.arrow,
        invalid=column.invalid,
        unsigned=kind.unsigned if mapped.unsigned is None else mapped.unsigned,
        charset=mapped.charset or source.charset,
        labels=labels,
        zero_label=impossible_label(labels) if "" in labels else "",
        lossy="replace" if policies.invalid_text == "replace" else "refuse",
        zerofill=kind.zerofill,
    )
