"""Types that came late, on targets that do not have them yet."""

from __future__ import annotations

import pytest

from engine.config import Policies
from engine.connectors.mysql.target_server import TargetServer
from engine.connectors.mysql.target_types import TypeContext, family_type
from engine.schema import Column
from engine.types import Kind, LogicalType


@pytest.mark.parametrize(
    ("native", "kind", "flavor", "since", "before", "older"),
    [
        ("uuid", Kind.UUID, "mariadb", (10, 7), (10, 6, 21), "char(36)"),
        ("inet4", Kind.INET4, "mariadb", (10, 10), (10, 6, 21), "varchar(45)"),
        ("inet6", Kind.INET6, "mariadb", (10, 5), (10, 4), "varchar(45)"),
        ("vector(3)", Kind.VECTOR, "mariadb", (11, 7), (10, 11, 18), "longblob"),
        ("vector(3)", Kind.VECTOR, "mysql", (9, 0), (8, 4, 6), "longblob"),
    ],
)
def test_types_by_version(
    native: str, kind: Kind, flavor: str, since: tuple[int, ...], before: tuple[int, ...], older: str
) -> None:
    """slug: mysql-late-types"""
    column = Column("c", LogicalType(kind, length=3 if kind is Kind.VECTOR else None), native)
    for version, expected in ((since, native), (before, older)):
        context = TypeContext(TargetServer(flavor, version), Policies(), flavor)
        assert family_type(column, context).sql == expected
