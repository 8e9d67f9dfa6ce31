"""What a MySQL target's errors mean to a load."""

from __future__ import annotations

import pymysql
import pytest

from engine.connectors.mysql.loader_failures import explain
from engine.errors import Code


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (1020, Code.CONNECTION_LOST),  # MariaDB 11.6 and newer: the row has changed since it was read
        (1205, Code.CONNECTION_LOST),
        (1213, Code.CONNECTION_LOST),
        (2013, Code.CONNECTION_LOST),
        (1114, Code.TARGET_FULL),
        (1062, Code.CONSTRAINT_VIOLATION),
        (4025, Code.CONSTRAINT_VIOLATION),
        (1406, Code.ROW_REJECTED),
        (1290, Code.PERMISSION_DENIED),
        (1064, Code.QUERY_FAILED),
    ],
)
def test_errors_are_told_apart(number: int, code: Code) -> None:
    found = explain(pymysql.OperationalError(number, "said"), "shop.t")
    assert (found.code, found.details["errno"]) == (code, number)
