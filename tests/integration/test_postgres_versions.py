"""What stands for functions an older PostgreSQL does not have gives the values of those functions."""

from __future__ import annotations

import pyarrow as pa
import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.connectors.base import DigestColumn, Form, HashFunction, ReadColumn, TargetColumn, TargetTable
from engine.connectors.postgres.digest import PostgresDigestSql
from engine.connectors.postgres.expressions import translate
from engine.connectors.postgres.terms import Meaning, Purpose, Scope, Term
from engine.schema import Column, Table
from engine.types import Image, Kind, LogicalType

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.00", "0"),
        ("-10.50", "-10.5"),
        ("100", "100"),
        ("100.000", "100"),
        ("1e20", "100000000000000000000"),
        ("0.0001000", "0.0001"),
        ("NaN", "NaN"),
    ],
)
def test_trimmed_numbers(postgres: PostgresEndpoint, value: str, expected: str) -> None:
    column = Column("n", LogicalType(Kind.DECIMAL), "decimal")
    target = TargetColumn("n", "n", "numeric", "numeric")
    table = TargetTable(Table("d", "t", (column,)), "s", "t", (target,))
    read = ReadColumn("n", "`n`", Image.DECIMAL, pa.string(), column)
    digest = DigestColumn(read, target, Form.DECIMAL_TRIMMED, None)
    for version in (120000, 130000):
        if version <= postgres.server_version:
            sql = PostgresDigestSql(table, HashFunction.MD5, version=version).field_text(digest)
            assert postgres.scalar(f"SELECT {sql} FROM (SELECT '{value}'::numeric AS n) t") == expected


@pytest.mark.parametrize("delimiter", ["@", "--", "aa", "äö"])
@pytest.mark.parametrize("text", ["", "x", "a@b@", "a---b", "aaa", "aaaa", "äöäöä", None])
def test_the_last_part_of_a_text(
    mariadb: MysqlEndpoint, postgres: PostgresEndpoint, text: str | None, delimiter: str
) -> None:
    theirs = mariadb.scalar("SELECT substring_index(%s, %s, -1)", (text, delimiter))
    for version in (130000, 140000):
        if version <= postgres.server_version:
            columns = {"s": ("s", Term("s", Meaning.TEXT))}
            scope = Scope(Purpose.GENERATED, columns, server_version=version)
            sql = translate(f"substring_index(s, '{delimiter}', -1)", scope).term.sql
            assert postgres.scalar(f"SELECT {sql} FROM (SELECT %s::text AS s) t", (text,)) == theirs
