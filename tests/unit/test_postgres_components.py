"""Columns joined by foreign keys get one type together (unsigned-keys)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.connectors.base import TargetDatabase
from engine.connectors.postgres.mapping import MapOptions, map_database
from engine.schema import Column, Database, ForeignKey, IndexPart, Table
from engine.types import Kind, LogicalType

U = True


def L(kind: Kind, **given: Any) -> LogicalType:
    return LogicalType(kind, **given)


def facts(**columns: dict[str, Any]) -> Any:
    blank = {
        "min": None, "max": None, "zero_dates": 0, "empty_enum": 0, "max_octets": None, "lossy_text": 0
    }  # fmt: skip
    return SimpleNamespace(
        columns={name: SimpleNamespace(**{**blank, **given}) for name, given in columns.items()}
    )


BIG = L(Kind.INT64, unsigned=U)


def family(known: dict[str, Any], parent_type: LogicalType = BIG, auto: bool = True) -> TargetDatabase:
    parent = Table(
        "d", "p", (Column("id", parent_type, "", False, auto_increment=auto),), primary_key=(IndexPart("id"),)
    )
    child = Table(
        "d", "c", (Column("p", BIG, ""), Column("n", BIG, "")),
        foreign_keys=(ForeignKey("f", ("p",), "d", "p", ("id",)),),
    )  # fmt: skip
    grandchild = Table(
        "d", "g", (Column("P", BIG, ""),), foreign_keys=(ForeignKey("f", ("p",), "d", "c", ("P",)),)
    )
    return map_database(Database("d", (child, grandchild, parent)), MapOptions("s", facts=known))


@pytest.mark.parametrize(
    ("known", "auto", "sql"),
    [
        ({}, True, "numeric(20,0)"),
        ({}, False, "numeric(20,0)"),
        ({"p": facts(id={"max": 5}), "c": facts(p={"max": 5}), "g": facts(P={"max": 5})}, True, "bigint"),
        (
            {"p": facts(id={"max": 5}), "c": facts(p={"max": 5}), "g": facts(P={"max": 5})},
            False,
            "numeric(20,0)",
        ),
        ({"p": facts(id={}), "c": facts(p={}), "g": facts(P={})}, True, "bigint"),
        (
            {"p": facts(id={"max": 5}), "c": facts(p={"max": 2**63}), "g": facts(P={"max": 5})},
            True,
            "numeric(20,0)",
        ),
        (
            {"p": facts(id={"max": 2**63 - 1}), "c": facts(p={"max": "7"}), "g": facts(P={})},
            True,
            "bigint",
        ),
        ({"p": facts(id={"max": 5}), "c": facts(p={"max": 5})}, True, "numeric(20,0)"),
    ],
)
def test_unsigned_bigint_component(known: dict[str, Any], auto: bool, sql: str) -> None:
    child, grandchild, parent = family(known, auto=auto).tables
    assert child.columns[0].type == grandchild.columns[0].type == parent.columns[0].type == sql
    assert child.columns[1].type == "numeric(20,0)"
    definition = next(s.sql for s in parent.statements if s.sql.startswith("CREATE TABLE"))
    assert ("IDENTITY" in definition) is (auto and sql == "bigint")
    assert ("nextval" in definition) is (auto and sql != "bigint")


def test_signed_parent_is_widened_with_its_child() -> None:
    child, _, parent = family({}, L(Kind.INT64), auto=False).tables
    assert parent.columns[0].type == child.columns[0].type == "numeric(20,0)"


def test_enum_component_shares_one_type() -> None:
    enum = L(Kind.ENUM, labels=("x", "y"))
    parent = Table("d", "p", (Column("k", enum, "", False),), primary_key=(IndexPart("k"),))
    child = Table(
        "d", "q", (Column("k", enum, ""), Column("other", enum, "")),
        foreign_keys=(ForeignKey("f", ("k",), "d", "p", ("k",)),),
    )  # fmt: skip
    database = map_database(Database("d", (child, parent)), MapOptions("s"))
    q, p = database.tables
    assert p.columns[0].type == q.columns[0].type == '"s"."p_k"'
    assert q.columns[1].type == '"s"."q_other"'
    shared = [statement for statement in database.statements if "CREATE TYPE" in statement.sql]
    assert [statement.sql for statement in shared] == ["CREATE TYPE \"s\".\"p_k\" AS ENUM ('x', 'y')"]
