"""Generated columns: what is recreated on PostgreSQL computes what MariaDB and MySQL compute, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.connectors.postgres.mapping import MapOptions, map_database
from tests.integration.structure_runs import Session, before_data, carry_out, source_catalog

pytestmark = pytest.mark.integration


@pytest.fixture
def session(postgres: PostgresEndpoint, postgres_database: str) -> Iterator[Session]:
    with postgres.connect(postgres_database, options="-c search_path=pg_catalog -c timezone=UTC") as opened:
        yield opened


BASE = """id int primary key, i int, k bigint, n int not null, m decimal(10,2), f double,
  s varchar(20) character set utf8mb4 collate utf8mb4_bin, ci varchar(20) character set utf8mb4
  collate utf8mb4_general_ci, b varbinary(20), d date, dt datetime(3), j json, e enum('On','off')"""
ROWS: list[tuple[Any, ...]] = [
    (None, None, 0, None, None, None, None, None, None, None, None, None),
    (0, 0, 1, "0.00", 0.0, "", "", b"", "2000-01-01", "2000-01-01 00:00:00.000", "{}", "On"),
    (1, -1, 2, "-1.25", -1.5, "abc", "ABC", b"abc", "2024-02-29", "2024-02-29 23:59:59.999",
     '{"k": "v"}', "off"),
    (-7, 7, -3, "1.35", 0.1, "abc  ", "a b c", b"\x00\xff", "1999-12-31", "1999-12-31 12:34:56.500",
     '{"k": null}', "On"),
    (2147483647, 2147483647, 5, "99999999.99", 1e300, "ünï@cödé", "Ünï", "ü".encode(), "2023-01-31",
     "2023-01-31 06:07:08.009", '{"k": 1.5, "a": {"b": [1, "x"]}}', "off"),
    (-2147483648, 9007199254740993, 6, "-99999999.99", -1e-300, "a@b@c", "a@B", b"\x01", "0001-01-01",
     "9999-12-31 23:59:59.999", '{"k": "sp ace", "a": {"b": true}}', "On"),
    (5, 3, 7, "2.50", 2.5, "  padded ", "x", b"  ", "2021-03-31", "2021-03-31 00:00:01.000",
     '{"k": [1, 2]}', None),
    (4, 2, 8, "0.05", 3.0, "😀é", "é", b"", "2022-12-25", "2022-12-25 10:00:00.001", '{"k": true}', "off"),
]  # fmt: skip
INTS, TEXTS = "decimal(40,0)", "varchar(200)"
# type, expression, servers that take it as a generated column
GENERATED: list[tuple[str, str, str]] = [
    (INTS, "i + k", "both"),
    (INTS, "i - k", "both"),
    (INTS, "i * i", "both"),
    ("bigint", "i * n", "both"),
    (INTS, "-i", "both"),
    (INTS, "i div 2", "both"),
    (INTS, "i div n", "both"),
    (INTS, "i % 3", "both"),
    (INTS, "k mod n", "both"),
    (INTS, "i & 7", "positive"),
    ("decimal(30,4)", "m * i", "both"),
    ("decimal(30,2)", "m + 0.005", "both"),
    ("int", "m", "both"),
    ("decimal(12,1)", "m", "both"),
    ("double", "f * 2", "both"),
    ("double", "f / 3", "both"),
    ("double", "f + i", "both"),
    (INTS, "i > 0", "both"),
    (INTS, "i between -7 and 4", "both"),
    (INTS, "i in (0, 1, 5)", "both"),
    (INTS, "not i", "both"),
    (INTS, "i <=> k", "both"),
    (INTS, "i is null", "both"),
    (INTS, "i and n", "both"),
    (INTS, "i or n", "both"),
    (INTS, "(i > 0) xor (k > 0)", "both"),
    (INTS, "(i > 0) = 1", "both"),
    (INTS, "s = 'abc'", "both"),
    (INTS, "s = 'abc     '", "both"),
    (INTS, "s like 'a%'", "both"),
    (INTS, "ci = 'abc' collate utf8mb4_bin", "both"),
    (INTS, "b = 0x616263", "both"),
    (INTS, "e = 'On'", "both"),
    (INTS, "e in ('off', 'On')", "both"),
    (INTS, "d >= '2022-01-01'", "both"),
    (INTS, "dt > d", "both"),
    (INTS, "if(i > 1, i, 0)", "both"),
    (TEXTS, "if(i, s, 'none')", "both"),
    (INTS, "case i when 1 then 10 else n end", "both"),
    ("decimal(20,4)", "case when i > 1 then m else 7 end", "both"),
    (INTS, "ifnull(i, n)", "both"),
    (INTS, "coalesce(i, k, 0)", "both"),
    (INTS, "nullif(i, 0)", "both"),
    (INTS, "greatest(i, k, n)", "both"),
    (INTS, "least(n, 5)", "both"),
    (TEXTS, "concat(s, '-', i)", "both"),
    (TEXTS, "concat(s, m)", "both"),
    (TEXTS, "concat_ws(', ', s, i, ci)", "both"),
    (TEXTS, "lower(ci)", "both"),
    (TEXTS, "upper(s)", "both"),
    (INTS, "char_length(s)", "both"),
    (INTS, "length(s)", "both"),
    (INTS, "length(b)", "both"),
    (TEXTS, "left(s, 3)", "both"),
    (TEXTS, "right(s, 3)", "both"),
    (TEXTS, "substr(s, 2)", "both"),
    (TEXTS, "substring(s, 2, 2)", "both"),
    (TEXTS, "substring_index(s, '@', 1)", "both"),
    (TEXTS, "substring_index(s, '@', -1)", "both"),
    (TEXTS, "trim(s)", "both"),
    (TEXTS, "ltrim(s)", "both"),
    (TEXTS, "trim(trailing 'c' from s)", "both"),
    (TEXTS, "replace(s, 'b', 'BB')", "both"),
    (TEXTS, "reverse(s)", "both"),
    (TEXTS, "repeat(s, 2)", "both"),
    (INTS, "locate('b', s)", "both"),
    (TEXTS, "md5(s)", "mariadb"),
    (TEXTS, "sha2(b, 256)", "mariadb"),
    (TEXTS, "hex(b)", "both"),
    (TEXTS, "cast(s as char(3))", "both"),
    (TEXTS, "cast(k as char)", "both"),
    (INTS, "abs(i)", "both"),
    ("decimal(20,1)", "round(m, 1)", "both"),
    (INTS, "round(m)", "both"),
    ("decimal(20,1)", "truncate(m, 1)", "both"),
    (INTS, "floor(m)", "both"),
    (INTS, "ceiling(m)", "both"),
    (INTS, "sign(i)", "both"),
    (INTS, "cast(m as signed)", "both"),
    ("decimal(20,2)", "cast(i as decimal(20,2))", "both"),
    (INTS, "year(d)", "both"),
    (INTS, "month(dt)", "both"),
    (INTS, "dayofmonth(d)", "both"),
    (INTS, "dayofyear(d)", "both"),
    (INTS, "dayofweek(d)", "both"),
    (INTS, "weekday(d)", "both"),
    (INTS, "quarter(d)", "both"),
    (INTS, "hour(dt)", "both"),
    (INTS, "minute(dt)", "both"),
    (INTS, "second(dt)", "both"),
    (INTS, "hour(d)", "both"),
    ("date", "date(dt)", "both"),
    ("date", "cast(dt as date)", "both"),
    ("date", "last_day(dt)", "both"),
    (INTS, "datediff(d, '2020-01-01')", "both"),
    (INTS, "to_days(d)", "both"),
    ("date", "d + interval 3 day", "early"),
    ("date", "d + interval 1 month", "early"),
    ("date", "d - interval 1 day", "late"),
    ("datetime(3)", "d + interval 90 minute", "early"),
    (INTS, "json_valid(j)", "both"),
    (TEXTS, "json_unquote(json_extract(j, '$.k'))", "mysql"),
    (TEXTS, "j->>'$.a.b'", "mysql"),
]


def _takes(where: str, kind: str) -> bool:
    return where not in ("mysql", "mariadb") or where == kind


def _wanted(where: str, row: tuple[Any, ...]) -> bool:
    """Rows on which the expression is compared: `&` is unsigned on the source, dates stay in the calendar."""
    if where == "positive":
        return row[0] is None or row[0] >= 0
    if where == "early":
        return row[8] is None or row[8] < "9999"
    return where != "late" or row[8] is None or row[8] > "0001-02"


def test_generated_values(source_server: MysqlEndpoint, source_database: str, session: Session) -> None:
    """generated-columns: whatever is recreated computes what the source computes, row by row."""
    cases = [case for case in GENERATED if _takes(case[2], source_server.kind)]
    columns = [f"g{n} {kind} generated always as ({sql}) virtual" for n, (kind, sql, _) in enumerate(cases)]
    source = source_catalog(
        source_server, source_database, [f"create table t ({BASE}, {', '.join(columns)})"]
    )
    database = map_database(source, MapOptions("s", server_version=session.info.server_version))
    plain = {
        note.column: note.message
        for note in database.tables[0].notes
        if note.slug == "generated-not-translated"
    }
    assert {sql: plain[f"g{n}"] for n, (_, sql, _) in enumerate(cases) if f"g{n}" in plain} == {}
    carry_out(session, database, before_data())
    names = "id, i, k, n, m, f, s, ci, b, d, dt, j, e"
    marks = ", ".join(["%s"] * 13)
    for number, row in enumerate(ROWS):
        values = (number, *row)
        insert = f"insert into t ({names}) values ({marks})"
        source_server.execute(f"set sql_mode = ''; {insert}", values, database=source_database)
        session.execute(f"INSERT INTO s.t ({names}) VALUES ({marks})".encode(), values)
    wrong = []
    for number, (_, sql, where) in enumerate(cases):
        rows = [(n, row) for n, row in enumerate(ROWS) if _wanted(where, row)]
        listed = ", ".join(str(n) for n, _ in rows)
        query = f"select g{number} from {{}}t where id in ({listed}) order by id"
        theirs = source_server.query(query.format(""), database=source_database)
        ours = session.execute(query.format("s.").encode()).fetchall()
        wrong += [
            (sql, row, left[0], right[0])
            for (_, row), left, right in zip(rows, theirs, ours, strict=True)
            if left[0] != right[0]
        ]
    assert wrong == []
