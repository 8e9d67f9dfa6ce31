"""Key rows of servers that are not at hand: old MySQL, new MariaDB (mysql-versions, mysql-vector-index)."""

from __future__ import annotations

from typing import Any

import pytest

from engine.connectors.base import ServerInfo
from engine.connectors.mysql import catalog_sql
from engine.connectors.mysql.catalog_keys import checks, indexes
from engine.connectors.mysql.catalog_sql import Catalog
from engine.schema import Index, IndexMethod, IndexPart


class Rows(Catalog):
    """A catalog whose every query gives the same rows."""

    def __init__(self, *rows: tuple[Any, ...]) -> None:
        super().__init__(None, "d", None, True)
        self._rows = list(rows)
        self.queries: list[str] = []

    def rows(self, query: str, args: Any = None) -> list[tuple[Any, ...]]:
        self.queries.append(query)
        return self._rows


def info(flavor: str, *version: int) -> ServerInfo:
    return ServerInfo(flavor, ".".join(map(str, version)), version, "")


def row(name: str, position: int, column: str, method: str) -> tuple[Any, ...]:
    return ("t", name, 1, position, column, "A", None, method, "", 1, None)


def test_vector_index_is_noted_not_carried() -> None:
    notes: list[str] = []
    rows = Rows(row("v", 1, "e", "VECTOR"), row("b", 2, "y", "BTREE"), row("b", 1, "x", "BTREE"))
    assert indexes(rows, info("mariadb", 11, 8, 2), notes) == {
        "t": ((), (Index("b", (IndexPart("x"), IndexPart("y")), method=IndexMethod.BTREE),))
    }
    assert notes == ["index v of t is of type vector and is not carried"]


@pytest.mark.parametrize(
    ("flavor", "version", "expressions", "has_checks"),
    [
        ("mysql", (8, 0, 12), False, False),
        ("mysql", (8, 0, 13), True, False),
        ("mysql", (8, 0, 16), True, True),
        ("mysql", (9, 7, 4), True, True),
        ("mariadb", (10, 5, 23), False, True),
        ("mariadb", (10, 6, 0), False, True),
    ],
)
def test_columns_the_server_has(
    flavor: str, version: tuple[int, ...], expressions: bool, has_checks: bool
) -> None:
    statistics = catalog_sql.statistics(flavor, version)
    assert ("EXPRESSION" in statistics) is expressions
    assert ("IGNORED" in statistics) is (flavor == "mariadb" and version >= (10, 6))
    rows = Rows()
    assert checks(rows, info(flavor, *version)) == {}
    assert bool(rows.queries) is has_checks
