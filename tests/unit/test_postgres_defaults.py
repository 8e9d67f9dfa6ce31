"""Column defaults of MySQL and MariaDB → typed PostgreSQL constants and expressions (column-defaults)."""

from __future__ import annotations

from typing import Any

import pytest

from engine.config import Policies
from engine.connectors.base import TargetDatabase
from engine.connectors.postgres.mapping import MapOptions, map_database
from engine.schema import Column, Database, Default, Table
from engine.types import Kind, LogicalType

U = True


def L(kind: Kind, **given: Any) -> LogicalType:
    return LogicalType(kind, **given)


def mapped(
    kind: LogicalType | Kind, *, policies: dict[str, str] | None = None, default: Default
) -> TargetDatabase:
    logical = LogicalType(kind) if isinstance(kind, Kind) else kind
    source = Table("d", "t", (Column("c", logical, "native", default=default),))
    return map_database(Database("d", (source,)), MapOptions("s", Policies.model_validate(policies or {})))


def created(database: TargetDatabase) -> str:
    statements = database.tables[0].statements
    return next(statement.sql for statement in statements if statement.sql.startswith("CREATE TABLE"))


@pytest.mark.parametrize(
    ("logical", "default", "sql"),
    [
        (L(Kind.INT32), "0", "0"),
        (L(Kind.INT32), "-5", "'-5'::integer"),
        (L(Kind.INT64, unsigned=U), "18446744073709551615", "18446744073709551615"),
        (L(Kind.DECIMAL, precision=5, scale=2), "1.50", "'1.50'::numeric(5,2)"),
        (L(Kind.FLOAT64), "1e-5", "'1e-5'::double precision"),
        (L(Kind.INT32), "abc", None),
        (L(Kind.INT32), "1; DROP TABLE x", None),
        (L(Kind.BIT, length=5), "b'101'", "B'00101'"),
        (L(Kind.BIT, length=5), b"\x05", "B'00101'"),
        (L(Kind.BIT, length=12), b"\x0f\xff", "B'111111111111'"),
        (L(Kind.BIT, length=2), b"\x0f", None),
        (L(Kind.BIT, length=3), "5", "B'101'"),
        (L(Kind.VARCHAR, length=20), "it's", "'it''s'::varchar(20)"),
        (L(Kind.VARCHAR, length=20), "", "''::varchar(20)"),
        (L(Kind.VARCHAR, length=20), "NULL", "'NULL'::varchar(20)"),
        (L(Kind.VARCHAR, length=20), "current_timestamp()", "'current_timestamp()'::varchar(20)"),
        (L(Kind.VARCHAR, length=20), "a\\nb", "'a\\nb'::varchar(20)"),
        (L(Kind.VARCHAR, length=20), "a\0b", None),
        (L(Kind.TEXT), "😀", "'😀'::text"),
        (L(Kind.BINARY, length=4), b"\x00\xff", "'\\x00ff0000'::bytea"),
        (L(Kind.VARBINARY, length=4), b"\x00\xff", "'\\x00ff'::bytea"),
        (L(Kind.VARBINARY, length=4), "ab", "'\\x6162'::bytea"),
        (L(Kind.ENUM, labels=("a'", "b")), "a'", "'a'''::\"s\".\"t_c\""),
        (L(Kind.ENUM, labels=("a",)), "b", None),
        (L(Kind.SET, labels=("c", "a")), "a,c", "ARRAY['c', 'a']::text[]"),
        (L(Kind.SET, labels=("c", "a")), "", "'{}'::text[]"),
        (L(Kind.SET, labels=("c", "a")), "x", None),
        (L(Kind.DATE), "2020-02-29", "'2020-02-29'::date"),
        (L(Kind.DATE), "2021-02-29", None),
        (
            L(Kind.DATETIME, fraction=3),
            "2020-01-01 10:00:00.500",
            "'2020-01-01 10:00:00.500000'::timestamp(3)",
        ),
        (
            L(Kind.TIMESTAMP),
            "2020-01-01 10:00:00",
            "'2020-01-01 10:00:00+00:00'::timestamp(0) with time zone",
        ),
        (L(Kind.TIME), "-838:59:59", "'-838:59:59'::interval(0)"),
        (L(Kind.TIME), "soon", None),
        (L(Kind.YEAR), "2000", "2000"),
        (L(Kind.YEAR), "0000", "0"),
        (L(Kind.JSON_TEXT), '{"a": 1}', "'{\"a\": 1}'::json"),
        (L(Kind.JSON_TEXT), "{", None),
        (L(Kind.UUID), "AB-", None),
        (
            L(Kind.UUID),
            "00000000-0000-0000-0000-0000000000AA",
            "'00000000-0000-0000-0000-0000000000aa'::uuid",
        ),
        (L(Kind.INET4), "1.2.3.4", "'1.2.3.4'::inet"),
        (L(Kind.INET6), "::ffff:1.2.3.4", "'::ffff:102:304'::inet"),
        (L(Kind.INET6), "x", None),
        (L(Kind.GEOMETRY), b"\x00", None),
    ],
)
def test_constant_defaults(logical: LogicalType, default: str | bytes, sql: str | None) -> None:
    database = mapped(logical, default=Default(literal=default))
    definition = created(database)
    if sql is None:
        assert "DEFAULT" not in definition
        assert "default-dropped" in [note.slug for note in database.tables[0].notes]
    else:
        assert definition.endswith(f" DEFAULT {sql}\n)")


@pytest.mark.parametrize(
    ("policy", "sql"),
    [("refuse", None), ("null", None), ("sentinel", "'-infinity'::date")],
)
@pytest.mark.parametrize("value", ["0000-00-00", "2020-00-00", "2020-01-00", "0000-01-01"])
def test_zero_date_defaults(policy: str, sql: str | None, value: str) -> None:
    database = mapped(Kind.DATE, policies={"zeroDate": policy}, default=Default(literal=value))
    assert ("DEFAULT" in created(database)) is (sql is not None)
    assert sql is None or created(database).endswith(f" DEFAULT {sql}\n)")
    assert "zero-date-default" in [note.slug for note in database.tables[0].notes]


@pytest.mark.parametrize(
    ("logical", "expression", "sql"),
    [
        (L(Kind.DATETIME), "CURRENT_TIMESTAMP", "LOCALTIMESTAMP(0)"),
        (L(Kind.DATETIME, fraction=6), "current_timestamp(6)", "LOCALTIMESTAMP(6)"),
        (L(Kind.DATETIME), "now()", "LOCALTIMESTAMP(0)"),
        (L(Kind.DATETIME), "(localtimestamp())", "LOCALTIMESTAMP(0)"),
        (L(Kind.DATETIME), "utc_timestamp()", "(CURRENT_TIMESTAMP(0) AT TIME ZONE 'UTC')"),
        (L(Kind.TIMESTAMP, fraction=3), "CURRENT_TIMESTAMP(3)", "CURRENT_TIMESTAMP(3)"),
        (L(Kind.DATE), "(curdate())", "CURRENT_DATE"),
        (L(Kind.DATE), "current_timestamp()", "CURRENT_DATE"),
        (L(Kind.TIME), "curtime()", "LOCALTIME(0)::interval"),
        (L(Kind.VARCHAR, length=36), "uuid()", "gen_random_uuid()::text"),
        (L(Kind.UUID), "uuid()", "gen_random_uuid()"),
        (
            L(Kind.BINARY, length=16),
            "uuid_to_bin(uuid())",
            "decode(replace(gen_random_uuid()::text, '-', ''), 'hex')",
        ),
        (L(Kind.INT32), "uuid()", None),
        (L(Kind.INT32), "now()", None),
        (L(Kind.JSON), "json_object()", "'{}'::jsonb"),
        (L(Kind.JSON_TEXT), "(json_array())", "'[]'::json"),
        (L(Kind.INT32), "(1 + 2)", "(((1::numeric + 2::numeric))::integer)"),
        (L(Kind.VARCHAR, length=9), "concat('a', 'b')", "(('a' || 'b'))"),
        (L(Kind.FLOAT64), "rand()", None),
        (L(Kind.INT32), "nextval(`d`.`seq`)", None),
        (L(Kind.INT32), "other_column + 1", None),
        (L(Kind.INT32), "(select 1)", None),
        (L(Kind.INT32), "1, 2", None),
        (L(Kind.INT32), "1 from x", None),
    ],
)
def test_expression_defaults(logical: LogicalType, expression: str, sql: str | None) -> None:
    database = mapped(logical, default=Default(expression=expression))
    definition = created(database)
    if sql is None:
        assert "DEFAULT" not in definition
        assert "default-dropped" in [note.slug for note in database.tables[0].notes]
    else:
        assert definition.endswith(f" DEFAULT {sql}\n)")
