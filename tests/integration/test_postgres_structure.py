"""Structures of real MariaDB and MySQL servers carried to PostgreSQL, and the values both compute."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import Policies
from engine.connectors.base import Phase, Severity, TargetDatabase
from engine.connectors.postgres.identifiers import quote
from engine.connectors.postgres.mapping import MapOptions, map_database
from tests.integration.structure_runs import Session, after_data, before_data, carry_out, source_catalog

pytestmark = pytest.mark.integration


@pytest.fixture
def session(postgres: PostgresEndpoint, postgres_database: str) -> Iterator[Session]:
    with postgres.connect(postgres_database, options="-c search_path=pg_catalog -c timezone=UTC") as opened:
        yield opened


def slugs(database: TargetDatabase, table: str | None = None) -> set[str]:
    notes = [*database.notes, *(note for found in database.tables for note in found.notes)]
    return {note.slug for note in notes if table is None or note.table == table}


# ---------------------------------------------------------------- a whole database

LONG = "t" * 63
BOTH = [
    """create table types (
      id bigint unsigned not null auto_increment primary key, flag tinyint(1) not null default 1,
      tu tinyint unsigned default 255, su smallint unsigned, mu mediumint unsigned, z int unsigned zerofill,
      bu bigint unsigned, de decimal(65,30) default '-1.5', f float default 1.5, d double default 1e10,
      b5 bit(5) default b'101', b64 bit(64), y year default 2000, da date default '2020-02-29',
      dt datetime(3) default current_timestamp(3) on update current_timestamp(3),
      ts timestamp(6) not null default current_timestamp(6), tm time(2) default '-838:59:59',
      zd date default '0000-00-00', c char(10) default 'it''s \\\\ ok', v varchar(20) default '', tx text,
      bn binary(4) default 0x41, vb varbinary(3000) default 'x', bl longblob,
      e enum('a','b''c','') default 'b''c', s set('x','y"','z{}') default 'z{},x', j json, g point,
      co varchar(10) comment 'it''s a "comment" \\\\') comment 'table''s'""",
    """create table `we"ird.na me;` (`a"b` int primary key, `xmin` int, `select` varchar(5), `ctid` int,
      key `we"ird` (`select`(3)), key d (`a"b` desc, `xmin`))""",
    f"""create table `{LONG}1` (`{"c" * 64}` int auto_increment primary key, `{"c" * 63}d` int,
      key `{"k" * 64}` (`{"c" * 63}d`))""",
    """create table parent (id int unsigned primary key, code varchar(20) not null unique,
      kind enum('p','q') not null, other int, key (other), unique key (kind, id))""",
    """create table child (id int primary key, p int unsigned, c varchar(20), kind enum('p','q'), other int,
      constraint f1 foreign key (p) references parent(id) on delete cascade on update set null,
      constraint f2 foreign key (c) references parent(code),
      constraint f3 foreign key (kind, p) references parent(kind, id),
      constraint f4 foreign key (other) references parent(other))""",
    """create table checked (a int, b int, s varchar(10), e enum('x','y'), j json, d date,
      constraint c1 check (a > 0 and b < 10 or a is null), constraint c2 check (s in ('p','q')),
      constraint c3 check (s like 'a%'), constraint c4 check (e <> 'x'),
      constraint c5 check (d >= '2020-01-01'), constraint c6 check (a between 1 and 5),
      constraint c7 check (char_length(s) > 2), constraint c8 check (json_valid(j)),
      constraint c9 check (s regexp '^[a-z]+$'), constraint c10 check (a / 2 > 1), check (a % 2 = 0),
      constraint c11 check (crc32(s) > 1))""",
    """create table texts (id int primary key, a text, b varchar(100), l varchar(760), bb blob,
      fulltext key ft (a, b), key lk (l), unique key pk10 (a(10)), key bbk (bb(20)),
      unique key u (l(100), b(5)))""",
    "create table prefixed (a varchar(20), b int, primary key (a(5), b))",
    "create table counted (a int, b int auto_increment, primary key (a, b)) engine=myisam",
    "create table in_memory (a int, b int, key using hash (a), key using hash (a, b)) engine=memory",
    """create table parted (id int, d date, primary key (id, d)) partition by range (year(d))
      (partition p0 values less than (2000), partition p1 values less than maxvalue)""",
    "create table places (id int primary key, g geometry not null, spatial key sk (g))",
    "create table bare (a int, b text)",
    """create table touched (id int primary key, j json,
      a timestamp not null default current_timestamp on update current_timestamp,
      b datetime null on update current_timestamp)""",
    "create view a_view as select 1 as x",
    "create procedure a_procedure() select 1",
    "create trigger a_trigger before insert on bare for each row set new.a = 1",
    "create event an_event on schedule every 1 day do select 1",
]
OF_MYSQL = [
    """create table only_mysql (a int, u varchar(36) default (uuid()),
      ub binary(16) default (uuid_to_bin(uuid())),
      dd date default (curdate()), jd json default (json_array()), x int default (1 + 2), k json,
      hidden int invisible, check (a > 0) not enforced,
      key mv ((cast(k->'$.tags' as unsigned array))), key fn ((lower(u))), key fx ((a * 2)),
      key inv (a) invisible, unique key uinv (dd) invisible)""",
    "create table vectors (id int primary key, v vector(3))",
]
OF_MARIADB = [
    "create table versioned (id int primary key, v int) with system versioning",
    "create sequence numbers start with 5 increment by 3 minvalue 1 maxvalue 100 cycle",
    """create table only_mariadb (id int default nextval(`numbers`), u uuid default uuid(),
      i4 inet4 default '1.2.3.4', i6 inet6 default '::1', t text default 'txt', bt blob default 'x',
      n timestamp default current_timestamp on update current_timestamp,
      dd datetime default current_timestamp(), x int default (1 + 2), ign int,
      unique key lu (t), key (ign) ignored)""",
]
NOTED = {
    "zerofill", "zero-date-default", "identity-as-default", "on-update-trigger", "system-column-name",
    "long-name", "foreign-key-skipped", "foreign-key-case", "check-not-translated",
    "check-implied", "check-remark",
    "index-name", "index-fulltext", "index-long-key", "unique-case", "primary-key-as-index",
    "auto-increment-per-prefix",
    "partitions-flattened", "index-skipped", "no-primary-key", "view-not-copied", "routine-not-copied",
    "trigger-not-copied", "event-not-copied", "uuid-default", "index-invisible",
}  # fmt: skip
NOTED_OF = {
    "mysql": {"index-multivalue", "invisible-column", "check-not-enforced", "index-invisible-unique"},
    "mariadb": {"system-versioned", "index-digest", "catalog"},
}


def test_a_whole_database(source_server: MysqlEndpoint, source_database: str, session: Session) -> None:
    ddl = BOTH + (OF_MYSQL if source_server.kind == "mysql" else OF_MARIADB)
    source = source_catalog(source_server, source_database, ddl)
    version = session.info.server_version
    database = map_database(source, MapOptions("s", server_version=version))
    carry_out(session, database)
    again = carry_out(session, database)
    harmless = {Phase.SEQUENCE, Phase.COMMENT, Phase.ANALYZE}
    assert [s.sql for s in again if s.phase not in harmless and "OR REPLACE" not in s.sql] == []
    expected = NOTED | NOTED_OF[source_server.kind]
    if version < 130000:  # without gen_random_uuid()
        expected = (expected - {"uuid-default"}) | {"default-dropped"}
    assert slugs(database) - {"catalog"} == expected - {"catalog"}
    assert not [
        note for table in database.tables for note in table.notes if note.severity is Severity.REFUSED
    ]
    _defaults_agree(source_server, source_database, session, database)


def _defaults_agree(server: MysqlEndpoint, name: str, session: Session, database: TargetDatabase) -> None:
    """column-defaults: a row of defaults reads the same on both sides."""
    columns = "flag, tu, de, f, d, b5 + 0, y, da, tm, c, v, hex(bn), hex(vb), e, s"
    server.execute("set sql_mode = ''; insert into types (bu) values (null)", database=name)
    theirs = [
        None if v is None else str(v) for v in server.query(f"select {columns} from types", database=name)[0]
    ]
    session.execute(b"INSERT INTO s.types (bu) VALUES (NULL)")
    ours = session.execute(
        b"SELECT flag::text, tu::text, de::text, f::text, d::text, b5::int::text, y::text, da::text,"
        b" tm::text, c, v, upper(encode(bn, 'hex')), upper(encode(vb, 'hex')), e::text,"
        b" array_to_string(s, ',') FROM s.types"
    ).fetchone()
    assert ours is not None
    expected = list(theirs)
    expected[4] = "10000000000"
    expected[8] = "-838:59:59"
    assert list(ours) == expected


# ---------------------------------------------------------------- generated columns as plain ones


def test_plain_generated_columns_are_loaded(
    source_server: MysqlEndpoint, source_database: str, session: Session
) -> None:
    """generated-plain, generated-not-translated: such columns are ordinary ones, filled from the source."""
    ddl = [
        "create table t (id int primary key, a int generated always as (id + 1) stored,"
        " b int generated always as (a + 1) virtual, c int generated always as (crc32(id)) stored)"
    ]
    source = source_catalog(source_server, source_database, ddl)
    loaded = {
        column.name: column.loaded for column in map_database(source, MapOptions("s")).tables[0].columns
    }
    assert loaded == {"id": True, "a": False, "b": True, "c": True}
    options = MapOptions("s", Policies.model_validate({"generated": "plain"}))
    database = map_database(source, options)
    assert all(column.loaded for column in database.tables[0].columns)
    assert slugs(database, "t") == {"generated-plain"}
    carry_out(session, database)
    session.execute(b"INSERT INTO s.t VALUES (1, 2, 3, 4)")


# ---------------------------------------------------------------- checks decide alike

CHECKS: list[tuple[str, list[str], list[str]]] = [
    ("i > 0 and n < 5 or i is null", ["1, 1", "null, 9"], ["1, 9", "-1, 1"]),
    ("i between 1 and 5", ["1, 0", "null, 0"], ["6, 0"]),
    ("i in (1, 2)", ["2, 0", "null, 0"], ["3, 0"]),
    ("i % 2 = 0", ["2, 0", "-2, 0"], ["-1, 0"]),
    ("i / 2 > 1", ["3, 0"], ["2, 0"]),
    ("i * 2147483647 > n", ["2147483647, 0"], ["-2147483647, 0"]),
    ("s in ('p', 'Q')", ["'p'", "'P'", "'q '", "null"], ["'r'", "' p'"]),
    ("s = 'on' or s = 'off'", ["'on'", "'OFF'"], ["'of'"]),
    ("s <> 'x'", ["'y'", "null"], ["'x'", "'X'", "'x '"]),
    ("s like 'a%'", ["'a'", "'Abc'"], ["'b'", "''"]),
    ("s regexp '^[a-z]+$'", ["'abc'", "'ABC'"], ["'a1'", "''"]),
    ("char_length(s) > 2", ["'abc'", "'äöü'"], ["'ab'"]),
    ("e <> 'x'", ["'y'"], ["'x'"]),
    ("d >= '2020-01-01'", ["'2020-01-01'"], ["'2019-12-31'"]),
    ("year(d) = 2020", ["'2020-06-01'"], ["'2021-06-01'"]),
]


@pytest.mark.parametrize(("check", "good", "bad"), CHECKS, ids=[case[0] for case in CHECKS])
def test_checks_accept_the_same_rows(
    source_server: MysqlEndpoint,
    source_database: str,
    session: Session,
    check: str,
    good: list[str],
    bad: list[str],
) -> None:
    for name in ("i, n", "s", "e", "d"):
        if any(word in check.replace("(", " ").replace(")", " ").split() for word in name.split(", ")):
            columns = name
    ddl = [
        "create table t (i int, n int, s varchar(20) collate utf8mb4_general_ci, e enum('x','y'), d date,"
        f" constraint ck check ({check}))"
    ]
    source = source_catalog(source_server, source_database, ddl)
    options = MapOptions("s", server_version=session.info.server_version)
    carry_out(session, map_database(source, options))
    assert session.execute(b"SELECT convalidated FROM pg_constraint WHERE conname = 'ck'").fetchone() == (
        True,
    )
    for values in good:
        source_server.execute(f"insert into t ({columns}) values ({values})", database=source_database)
        session.execute(f"INSERT INTO s.t ({columns}) VALUES ({values})".encode())
    for values in bad:
        with pytest.raises(Exception, match=r"(?i)check|constraint"):
            source_server.execute(f"insert into t ({columns}) values ({values})", database=source_database)
        with pytest.raises(psycopg.errors.CheckViolation):
            session.execute(f"INSERT INTO s.t ({columns}) VALUES ({values})".encode())


# ---------------------------------------------------------------- keys over the rows of a source


def test_unique_prefixes_and_hashes_accept_the_rows_of_the_source(
    source_server: MysqlEndpoint, source_database: str, session: Session
) -> None:
    ddl = ["create table t (a varchar(50), b blob, unique key ua (a(3)), unique key ub (b(4)))"]
    source = source_catalog(source_server, source_database, ddl)
    database = map_database(source, MapOptions("s"))
    carry_out(session, database, before_data())
    for a, b in [
        ("abcd", b"1234x"),
        ("abd", b"123"),
        (None, None),
        (None, None),
        ("äöüx", b"\xff\x00\xff\x00"),
    ]:
        source_server.execute("insert into t values (%s, %s)", (a, b), database=source_database)
        session.execute(b"INSERT INTO s.t VALUES (%s, %s)", (a, b))
    carry_out(session, database, after_data())
    assert quote("t_ua") in next(s.sql for s in database.tables[0].statements if s.object == "t_ua")
    for values in ("'abcz', null", "null, '1234y'"):
        with pytest.raises(psycopg.errors.UniqueViolation):
            session.execute(f"INSERT INTO s.t VALUES ({values})".encode())
