"""Keys and constraints of the tables of a database: primary keys, indexes, foreign keys, checks."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from engine.connectors.base import ServerInfo
from engine.connectors.mysql import catalog_sql as sql
from engine.connectors.mysql.catalog_sql import Catalog
from engine.connectors.mysql.expressions import server_expression
from engine.schema import Check, ForeignKey, Index, IndexMethod, IndexPart

_MULTIVALUE = re.compile(r"\barray\s*\)\s*$", re.IGNORECASE)
_METHODS = {
    "BTREE": IndexMethod.BTREE,
    "HASH": IndexMethod.HASH,
    "FULLTEXT": IndexMethod.FULLTEXT,
    "SPATIAL": IndexMethod.SPATIAL,
    "RTREE": IndexMethod.SPATIAL,
}
_NOT_CARRIED = frozenset({"VECTOR"})

Keys = tuple[tuple[IndexPart, ...], tuple[Index, ...]]


def indexes(catalog: Catalog, info: ServerInfo, notes: list[str]) -> dict[str, Keys]:
    """By table: the parts of the primary key, and the other indexes by name. An index by a method that orders
    nothing we know (MariaDB's VECTOR) goes to `notes`."""
    grouped: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for row in catalog.of_tables(sql.statistics(info.flavor, info.version_tuple)):
        grouped[row[0], row[1]].append(row)
    primary: dict[str, tuple[IndexPart, ...]] = {}
    others: dict[str, list[Index]] = defaultdict(list)
    for (table, name), rows in sorted(grouped.items()):
        rows.sort(key=lambda row: int(row[3]))
        if rows[0][7].upper() in _NOT_CARRIED:
            notes.append(f"index {name} of {table} is of type {rows[0][7].lower()} and is not carried")
            continue
        index = _index(name, rows, info.flavor)
        if name == "PRIMARY":
            primary[table] = index.parts
        else:
            others[table].append(index)
    return {table: (primary.get(table, ()), tuple(others[table])) for table in {*primary, *others}}


def _index(name: str, rows: list[tuple[Any, ...]], flavor: str) -> Index:
    _, _, non_unique, _, _, _, _, index_type, comment, visible, _ = rows[0]
    # An engine's own name for a method (SPIDER, columnstore…) orders rows as a btree does.
    method = _METHODS.get(index_type.upper(), IndexMethod.BTREE)
    parts = []
    for _, _, _, _, column, collation, sub_part, _, _, _, expression in rows:
        text = server_expression(expression, flavor) if expression is not None else None
        if text is not None and _MULTIVALUE.search(text):
            method = IndexMethod.MULTIVALUE
        keeps_prefix = method in (IndexMethod.BTREE, IndexMethod.HASH) and sub_part is not None
        parts.append(
            IndexPart(
                column=column,
                expression=text,
                prefix=int(sub_part) if keeps_prefix else None,
                descending=collation == "D",
            )
        )
    return Index(name, tuple(parts), int(non_unique) == 0, method, bool(visible), comment or "")


def foreign_keys(catalog: Catalog) -> dict[str, tuple[ForeignKey, ...]]:
    """By table, by name. The referenced table need not exist, nor be in the same database."""
    grouped: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for row in catalog.of_tables(sql.FOREIGN_KEY_COLUMNS):
        grouped[row[0], row[1]].append(row)
    rules = {}
    if grouped:
        rules = {
            (table, name): (update, delete)
            for table, name, update, delete in catalog.of_tables(sql.FOREIGN_KEY_RULES)
        }
    result: dict[str, list[ForeignKey]] = defaultdict(list)
    for (table, name), rows in sorted(grouped.items()):
        rows.sort(key=lambda row: int(row[2]))
        on_update, on_delete = rules.get((table, name), ("NO ACTION", "NO ACTION"))
        result[table].append(
            ForeignKey(
                name=name,
                columns=tuple(row[3] for row in rows),
                ref_schema=rows[0][4],
                ref_table=rows[0][5],
                ref_columns=tuple(row[6] for row in rows),
                on_update=on_update,
                on_delete=on_delete,
            )
        )
    return {table: tuple(found) for table, found in result.items()}


def checks(catalog: Catalog, info: ServerInfo) -> dict[str, tuple[tuple[Check, bool], ...]]:
    """By table: each check, and whether it was written at a column (MariaDB) rather than at the table."""
    flavor = info.flavor
    if not sql.has_checks(flavor, info.version_tuple):
        return {}
    result: dict[str, list[tuple[Check, bool]]] = defaultdict(list)
    column = "t.TABLE_NAME" if flavor == "mysql" else "TABLE_NAME"
    for table, name, clause, enforced, level in catalog.of_tables(sql.CHECKS[flavor], column):
        check = Check(name, server_expression(clause, flavor), bool(enforced))
        result[table].append((check, level.lower() == "column"))
    return {table: tuple(sorted(found, key=lambda item: item[0].name)) for table, found in result.items()}
