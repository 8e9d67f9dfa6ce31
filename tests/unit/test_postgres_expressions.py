"""Expressions of MySQL and MariaDB → PostgreSQL: what is carried, word for word, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.config import Policies
from engine.connectors.postgres.context import MapOptions, MappedDatabase, MappedTable
from engine.connectors.postgres.expressions import MAX_LENGTH, translate
from engine.connectors.postgres.generated import scope_of
from engine.connectors.postgres.keys import decide
from engine.connectors.postgres.mapping import _map_column
from engine.connectors.postgres.names import resolve_names
from engine.connectors.postgres.terms import Meaning, Purpose, Untranslatable
from engine.schema import Column, Database, Table
from engine.types import Kind, LogicalType

L = LogicalType
BIN, CI = "utf8mb4_bin", "utf8mb4_general_ci"
COLUMNS = (
    Column("i", L(Kind.INT32), "int"),
    Column("k", L(Kind.INT64), "bigint"),
    Column("u", L(Kind.INT64, unsigned=True), "bigint unsigned"),
    Column("m", L(Kind.DECIMAL, precision=10, scale=2), "decimal(10,2)"),
    Column("f", L(Kind.FLOAT64), "double"),
    Column("s", L(Kind.VARCHAR, length=20), "varchar(20)", charset="utf8mb4", collation=BIN),
    Column("np", L(Kind.VARCHAR, length=20), "varchar(20)", charset="utf8mb4", collation="utf8mb4_0900_bin"),
    Column("ci", L(Kind.VARCHAR, length=20), "varchar(20)", charset="utf8mb4", collation=CI),
    Column("la", L(Kind.VARCHAR, length=20), "varchar(20)", charset="latin1", collation="latin1_bin"),
    Column("b", L(Kind.VARBINARY, length=20), "varbinary(20)"),
    Column("d", L(Kind.DATE), "date"),
    Column("dt", L(Kind.DATETIME), "datetime"),
    Column("ts", L(Kind.TIMESTAMP), "timestamp"),
    Column("t", L(Kind.TIME), "time"),
    Column("j", L(Kind.JSON), "json"),
    Column("jt", L(Kind.JSON_TEXT), "longtext"),
    Column("e", L(Kind.ENUM, labels=("On", "off")), "enum"),
    Column("st", L(Kind.SET, labels=("a", "b")), "set"),
    Column("n", L(Kind.INT32), "int", nullable=False),
    Column('we"ird', L(Kind.INT32), "int"),
    Column("Order", L(Kind.INT32), "int"),
)


def a_table() -> MappedTable:
    source = Table("d", "x", COLUMNS)
    options = MapOptions("s", Policies())
    database = MappedDatabase(
        Database("d", (source,)), options, resolve_names(Database("d", (source,)), Policies(), {})
    )
    table = database.tables["x"] = MappedTable(source, "s", "x")
    shared = decide((source,), database.names, Policies(), {})
    for column in COLUMNS:
        table.columns[column.name] = _map_column(database, table, column, shared)
    return table


TABLE = a_table()


def sql(expression: str, purpose: Purpose) -> str:
    return translate(expression, scope_of(TABLE, purpose)).term.sql


# ---------------------------------------------------------------- carried everywhere

CARRIED = [
    # columns and constants
    ("`i`", '"i"'),
    ("i", '"i"'),
    ("I", '"i"'),
    ("`order`", '"Order"'),
    ('`we"ird`', '"we""ird"'),
    ("`d`.`x`.`i`", '"i"'),
    ("1", "1"),
    ("1.50", "1.50"),
    ("1e3", "1e3::double precision"),
    ("'it''s'", "'it''s'"),
    ("'it\\'s'", "'it''s'"),
    ("_utf8mb4'x'", "'x'"),
    ("_utf8mb4'é'", "'é'"),
    ("_latin1'x'", "'x'"),
    ("0x41", "'\\x41'::bytea"),
    ("x'0041'", "'\\x0041'::bytea"),
    ("b'101'", "5"),
    ("true", "true"),
    ("NULL", "NULL"),
    ("((`i`))", '"i"'),
    # arithmetic (generated-arithmetic)
    ("i + 1", '("i"::numeric + 1::numeric)'),
    ("i - k", '("i"::numeric - "k"::numeric)'),
    ("i * m", '("i"::numeric * "m")'),
    ("u + 1", '("u" + 1::numeric)'),
    ("i * f", '("i"::double precision * "f"::double precision)'),
    ("-i", '(- "i"::numeric)'),
    ("-5", "(-5)"),
    ("i div 2", 'div("i"::numeric, 2::numeric)'),
    ("i div k", 'div("i"::numeric, nullif("k"::numeric, 0))'),
    ("i % 3", 'mod("i"::numeric, 3::numeric)'),
    ("mod(i, 0)", 'mod("i"::numeric, nullif(0::numeric, 0))'),
    ("i & 4", '("i"::bigint & 4::bigint)'),
    ("f / 2", '("f"::double precision / 2::double precision)'),
    # conditions
    ("i > 1", '("i" > 1)'),
    ("i = 1 and k <> 2", '(("i" = 1) AND ("k" <> 2))'),
    ("i = 1 or k >= 2", '(("i" = 1) OR ("k" >= 2))'),
    ("not i", '(NOT ("i" <> 0))'),
    ("i <=> k", '("i" IS NOT DISTINCT FROM "k")'),
    ("i is null", '("i" IS NULL)'),
    ("i is not null", '(NOT ("i" IS NULL))'),
    ("isnull(i)", '("i" IS NULL)'),
    ("(i > 1) is true", '(("i" > 1) IS TRUE)'),
    ("i between 1 and 5", '("i" >= 1 AND "i" <= 5)'),
    ("i not between 1 and 5", '(NOT ("i" >= 1 AND "i" <= 5))'),
    ("i in (1, 2)", '("i" IN (1, 2))'),
    ("i not in (1, 2)", '(NOT ("i" IN (1, 2)))'),
    ("(i > 1) xor (k > 1)", '(("i" > 1) <> ("k" > 1))'),
    ("(i > 1) = 1", '((("i" > 1))::integer = 1)'),
    ("s = 'a'", "(rtrim(\"s\", ' ') = 'a')"),
    ("s = 'a  '", "(rtrim(\"s\", ' ') = 'a')"),
    ("np = 'a '", "(\"np\" = 'a ')"),
    ("np < 'b'", '(("np" COLLATE "C") < \'b\')'),
    ("ci = 'a' collate utf8mb4_bin and i", None),
    ("s like 'a%'", "(\"s\" LIKE 'a%')"),
    ("s not like 'a%'", "(\"s\" NOT LIKE 'a%')"),
    ("b = 0x41", "(\"b\" = '\\x41'::bytea)"),
    ("e = 'On'", "(\"e\" = 'On'::\"s\".\"x_e\")"),
    ("e = 'ON'", "(\"e\" = 'On'::\"s\".\"x_e\")"),
    ("e in ('On', 'off')", "(\"e\" IN ('On'::\"s\".\"x_e\", 'off'::\"s\".\"x_e\"))"),
    ("d >= '2020-01-01'", "(\"d\" >= '2020-01-01'::date)"),
    ("d >= date'2020-01-01'", "(\"d\" >= '2020-01-01'::date)"),
    ("dt < '2020-01-01 10:00:00'", "(\"dt\" < '2020-01-01 10:00:00'::timestamp)"),
    ("dt < d", '("dt" < "d")'),
    # choices
    ("if(i > 1, 2, 3)", 'CASE WHEN ("i" > 1) THEN 2 ELSE 3 END'),
    ("if(i, 'a', 'b')", "CASE WHEN (\"i\" <> 0) THEN 'a' ELSE 'b' END"),
    ("case i when 1 then 'a' else 'b' end", "CASE WHEN \"i\" = 1 THEN 'a' ELSE 'b' END"),
    ("case when i > 1 then 1.5 end", 'CASE WHEN ("i" > 1) THEN 1.5 ELSE NULL END'),
    ("ifnull(i, 0)", 'coalesce("i", 0)'),
    ("coalesce(i, k, 0)", 'coalesce("i", "k", 0)'),
    ("nullif(i, 0)", 'CASE WHEN "i" = 0 THEN NULL ELSE "i" END'),
    (
        "greatest(i, k)",
        'CASE WHEN "i" IS NULL OR "k" IS NULL THEN NULL ELSE greatest("i", "k") END',
    ),
    ("least(n, 5)", 'least("n", 5)'),
    # text
    ("concat(s, '-', i)", '("s" || \'-\' || "i"::text)'),
    ("concat_ws(', ', s, np)", "substr(coalesce(', ' || \"s\", '') || coalesce(', ' || \"np\", ''), 3)"),
    ("lower(s)", 'lower("s")'),
    ("ucase(s)", 'upper("s")'),
    ("char_length(s)", 'char_length("s")'),
    ("length(s)", 'octet_length("s")'),
    ("length(b)", 'octet_length("b")'),
    ("left(s, 3)", 'left("s", 3)'),
    ("left(b, 3)", 'substring("b", 1, 3)'),
    ("right(s, 3)", 'right("s", 3)'),
    ("substr(s, 2)", 'substr("s", 2)'),
    ("substring(s, 2, 3)", 'substr("s", 2, 3)'),
    ("mid(s, 2, 3)", 'substr("s", 2, 3)'),
    ("substring_index(s, '@', 1)", "split_part(\"s\", '@', 1)"),
    ("substring_index(s, '@', -1)", "split_part(\"s\", '@', -1)"),
    ("trim(s)", "btrim(\"s\", ' ')"),
    ("ltrim(s)", "ltrim(\"s\", ' ')"),
    ("trim(trailing '/' from s)", "rtrim(\"s\", '/')"),
    ("replace(s, 'a', 'b')", "replace(\"s\", 'a', 'b')"),
    ("reverse(s)", 'reverse("s")'),
    ("repeat(s, 2)", 'repeat("s", 2)'),
    ("locate('a', s)", "strpos(\"s\", 'a')"),
    ("md5(s)", 'md5("s")'),
    ("sha2(b, 256)", "encode(sha256(\"b\"), 'hex')"),
    ("hex(b)", "upper(encode(\"b\", 'hex'))"),
    ("cast(s as char(3))", 'left("s", 3)'),
    ("cast(i as char)", '"i"::text'),
    ("convert(s using utf8mb4)", '"s"'),
    # numbers
    ("abs(i)", 'abs("i"::numeric)'),
    ("round(m, 1)", 'round("m", 1)'),
    ("round(m)", 'round("m", 0)'),
    ("truncate(m, 1)", 'trunc("m", 1)'),
    ("floor(m)", 'floor("m")'),
    ("ceiling(m)", 'ceil("m")'),
    ("sign(i)", 'sign("i"::numeric)'),
    ("cast(m as signed)", 'round("m")'),
    ("cast(i as decimal(10,2))", '("i")::numeric(10,2)'),
    # the calendar
    ("year(d)", "(extract(year FROM \"d\")::integer)"),
    ("month(dt)", "(extract(month FROM \"dt\")::integer)"),
    ("dayofmonth(d)", "(extract(day FROM \"d\")::integer)"),
    ("dayofyear(d)", "(extract(doy FROM \"d\")::integer)"),
    ("dayofweek(d)", "(extract(dow FROM \"d\")::integer + 1)"),
    ("weekday(d)", "(extract(isodow FROM \"d\")::integer - 1)"),
    ("quarter(d)", "(extract(quarter FROM \"d\")::integer)"),
    ("hour(dt)", "(extract(hour FROM \"dt\")::integer)"),
    ("second(dt)", "(floor(extract(second FROM \"dt\"))::integer)"),
    ("hour(d)", '(extract(hour FROM "d"::timestamp)::integer)'),
    ("date(dt)", '"dt"::date'),
    ("cast(dt as date)", '"dt"::date'),
    ("last_day(d)", "(date_trunc('month', \"d\"::timestamp) + interval '1 month -1 day')::date"),
    ("datediff(d, dt)", '("d"::date - "dt"::date)'),
    ("date_add(d, interval 3 day)", "(\"d\" + interval '3 days')::date"),
    ("d - interval 1 month", "(\"d\" - interval '1 months')::date"),
    ("date_sub(dt, interval 2 hour)", "(\"dt\" - interval '2 hours')"),
    ("d + interval 2 hour", "(\"d\" + interval '2 hours')"),
    ("adddate(d, 3)", "(\"d\" + interval '3 days')::date"),
    # JSON
    ("json_extract(j, '$.a.b')", "(\"j\" #> ARRAY['a', 'b']::text[])"),
    ("j->'$.\"x y\"'", "(\"j\" #> ARRAY['x y']::text[])"),
    (
        "json_unquote(json_extract(`j`, _utf8mb4'$.k'))",
        "(CASE WHEN jsonb_typeof((\"j\" #> ARRAY['k']::text[])) = 'null' THEN 'null'"
        " ELSE (\"j\" #> ARRAY['k']::text[]) #>> '{}'::text[] END)",
    ),
    ("json_valid(j)", '("j" IS NOT NULL OR NULL)'),
    ("json_valid(jt)", '("jt" IS NOT NULL OR NULL)'),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), [case for case in CARRIED if case[1] is not None])
@pytest.mark.parametrize("purpose", [Purpose.GENERATED, Purpose.INDEX, Purpose.CHECK])
def test_carried(expression: str, expected: str, purpose: Purpose) -> None:
    assert sql(expression, purpose) == expected


def test_parts_from_the_end_on_an_older_target() -> None:
    scope = scope_of(replace(TABLE, server_version=130000), Purpose.GENERATED)
    last = translate("substring_index(s, '@', -1)", scope).term.sql
    parts = "string_to_array(\"s\", '@')"
    assert last == f'coalesce(({parts})[cardinality({parts})], left("s", 0))'
    first = translate("substring_index(s, '@', 1)", scope).term.sql
    assert first == "split_part(\"s\", '@', 1)"


# ---------------------------------------------------------------- carried for CHECK alone


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ci = 'Abc'", "(lower(rtrim(\"ci\", ' ')) = 'abc')"),
        ("ci <> s", "(lower(rtrim(\"ci\", ' ')) <> lower(rtrim(\"s\", ' ')))"),
        ("ci in ('A', 'b')", "(lower(rtrim(\"ci\", ' ')) IN ('a', 'b'))"),
        ("ci = 'É'", "(lower(rtrim(\"ci\", ' ')) = lower(rtrim('É', ' ')))"),
        ("ci like 'a%'", "(\"ci\" ILIKE 'a%')"),
        ("s regexp '^[a-z]+$'", "(\"s\" ~ '^[a-z]+$')"),
        ("ci rlike '^a|b$'", "(\"ci\" ~* '^a|b$')"),
        ("ci not regexp '^a'", "(NOT (\"ci\" ~* '^a'))"),
        ("s regexp '^[0-9]{3,5}$'", "(\"s\" ~ '^[0-9]{3,5}$')"),
        ("i / 2 > 1", '(("i"::numeric / 2::numeric) > 1)'),
        ("m / i > 1", '(("m" / nullif("i"::numeric, 0)) > 1)'),
    ],
)
def test_carried_for_checks(expression: str, expected: str) -> None:
    assert sql(expression, Purpose.CHECK) == expected
    with pytest.raises(Untranslatable):
        sql(expression, Purpose.GENERATED)


# ---------------------------------------------------------------- refused (check-not-translated)

REFUSED = [
    ("zzz", "not a column"),
    ("(select 1)", "SUBQUERY"),
    ("i in (select 1)", "option"),
    ("exists (select 1)", "EXISTS"),
    ("1, 2", "one expression"),
    ("1 from x", "one expression"),
    ("1 union select 2", "one expression"),
    ("1; drop table x", "one expression"),
    ("1 limit 1", "one expression"),
    ("i +", "parse"),
    ("'unclosed", "parse"),
    ("", "one expression"),
    ("@x", "PARAMETER"),
    ("@@version", ""),
    ("now()", "NOW"),
    ("current_timestamp()", "CURRENT"),
    ("rand()", "RAND"),
    ("uuid()", "UUID"),
    ("sleep(1)", "SLEEP"),
    ("load_file('/etc/passwd')", "LOAD_FILE"),
    ("sum(i)", "SUM"),
    ("i ^ 2", "BITWISEXOR"),
    ("~i", "BITWISENOT"),
    ("i << 1", "BITWISELEFTSHIFT"),
    ("i & k", "unsigned on the source"),
    ("u & 1", "signed integers"),
    ("s + 1", "used as a number"),
    ("s > 1", "compared"),
    ("s and 1", "condition"),
    ("j", None),
    ("j = 1", "compared"),
    ("st = 'a'", "compared"),
    ("t > '10:00:00'", "compared"),
    ("ts > '2020-01-01'", "instant"),
    ("ts > dt", "instant"),
    ("year(ts)", "date without zone"),
    ("d > 'tomorrow'", "not a date"),
    ("d > '2021-02-30'", "not a date"),
    ("d > '0000-00-00'", "not a date"),
    ("d > 20200101", "compared with a date"),
    ("e > 'a'", "by its text"),
    ("e = 'zzz'", "not a label"),
    ("e = s", "other than one of its labels"),
    ("concat(e, 'x')", "text of a enum"),
    ("concat(f, '')", "text of a float"),
    ("concat(d, '')", "text of a date"),
    ("ci < 'a'", ""),
    ("length(la)", "character set"),
    ("md5(la)", "character set"),
    ("locate('a', ci)", "without case"),
    ("substr(s, -2)", "below 1"),
    ("substr(s, i)", "constant integer"),
    ("left(s, -1)", "below 0"),
    ("substring_index(s, '@', 2)", "first and the last"),
    ("substring_index(s, '', 1)", "first and the last"),
    ("trim(leading 'ab' from s)", "characters"),
    ("sha2(s, 256)", "not immutable"),
    ("hex(i)", "bytes only"),
    ("crc32(s)", "CRC32"),
    ("pow(i, 2)", "POW"),
    ("round(f, 2)", "double"),
    ("floor(f)", "double"),
    ("f % 2", "double"),
    ("cast(s as signed)", "another type"),
    ("cast(s as unsigned)", "another type"),
    ("cast(i as unsigned)", "another type"),
    ("cast(f as decimal(10,2))", "another type"),
    ("cast(s as char charset latin1)", "character set"),
    ("json_extract(j, '$[0]')", "names"),
    ("json_extract(j, '$.a[0]')", "names"),
    ("json_extract(j, '$.*')", "names"),
    ("json_extract(j, '$.\"0\"')", "names"),
    ("json_extract(j, s)", "not constant"),
    ("json_extract(jt, '$.a')", "jsonb only"),
    ("json_valid(s)", "no counterpart"),
    ("json_length(j)", "JSON_LENGTH"),
    ("s like 'a\\\\_%'", "plain text"),
    ("s like concat(s, '%')", "plain text"),
    ("s like 'a' escape '|'", "ESCAPE"),
    ("s regexp '(?=a)'", ""),
    ("s regexp '[[:alpha:]]'", ""),
    ("s regexp '\\\\bword'", ""),
    ("s regexp s", ""),
    ("date_add(d, interval i day)", "constant number"),
    ("date_add(d, interval '1:1' minute_second)", ""),
    ("date_add(ts, interval 1 day)", "date without zone"),
    ("date_format(d, '%Y')", "TIMETOSTR"),
    ("unix_timestamp(d)", "UNIX_TIMESTAMP"),
    ("_binary'x' = s", "compared"),
    ("_latin1'é'", "character set"),
    ("'a\\0b'", "NUL"),
    ("greatest(s, 'a')", "collation"),
    ("if(i, 1, 'a') + 1", ""),
    ("if(i, d, 1)", "different kinds"),
    ("i xor k and n", "brackets"),
    ("(i, k) = (1, 2)", "TUPLE"),
    ("i collate utf8mb4_bin", None),
    ("s sounds like 'a'", "SOUNDEX"),
    ("match (s) against ('a')", ""),
    ("interval(i, 1, 2)", ""),
    ("f::text", ""),
    ("(" * 500 + "1" + ")" * 500, "nested"),
    ("1" + " + 1" * 6000, "too long"),
]


@pytest.mark.parametrize(("expression", "reason"), [case for case in REFUSED if case[1] is not None])
def test_refused(expression: str, reason: str) -> None:
    for purpose in (Purpose.GENERATED, Purpose.CHECK):
        if purpose is Purpose.CHECK and reason == "":
            continue
        with pytest.raises(Untranslatable) as caught:
            sql(expression, purpose)
        assert reason in caught.value.reason


def test_length_is_bounded() -> None:
    with pytest.raises(Untranslatable):
        sql("1" * (MAX_LENGTH + 1), Purpose.CHECK)


def test_used_columns_and_remarks() -> None:
    translation = translate("ci = 'a' and I > k", scope_of(TABLE, Purpose.CHECK))
    assert translation.used == {"ci", "i", "k"}
    assert translation.term.meaning is Meaning.BOOL
    assert len(translation.remarks) == 1
