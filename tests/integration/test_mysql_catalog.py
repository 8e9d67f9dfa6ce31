"""The catalog of MySQL and MariaDB against the schema values it must give.

Cases of docs/policies/mysql-catalog.md; the slugs are named at the tests.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.endpoints import MysqlEndpoint
from engine import schema
from engine.connectors.mysql.source import MysqlSource
from engine.errors import Code, EngineError
from engine.schema import (
    Generated,
    Index,
    TableKind,
)
from tests.integration.mysql_catalogs import (
    is_mariadb,
    part,
    run,
    table,
    value,
)
from tests.integration.mysql_tables import opened

pytest_plugins = ["tests.integration.mysql_catalog_fixtures"]
pytestmark = pytest.mark.integration


def test_table_properties(source: MysqlSource) -> None:
    """mysql-auto-increment, mysql-estimates"""
    run(
        source,
        "CREATE TABLE t (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, v varchar(9)) AUTO_INCREMENT=77"
        " COMMENT 'it''s' COLLATE utf8mb4_general_ci",
        "CREATE TABLE fresh (id int AUTO_INCREMENT PRIMARY KEY)",
        "CREATE TABLE last (id bigint unsigned AUTO_INCREMENT PRIMARY KEY)",
        "INSERT INTO last VALUES (18446744073709551615)",
        "CREATE TABLE mine (a int, b int AUTO_INCREMENT, PRIMARY KEY (a, b)) ENGINE=MyISAM",
        "INSERT INTO mine (a) VALUES (1), (1), (2)",
        "CREATE TABLE none (a int)",
    )
    found = {table.name: table for table in source.catalog(source.database).tables}
    assert {name: table.auto_increment for name, table in found.items()} == {
        "t": 77,
        "fresh": 1,
        "last": 2**64 - 1,
        "mine": found["mine"].auto_increment,
        "none": None,
    }
    assert (found["t"].comment, found["t"].collation) == ("it's", "utf8mb4_general_ci")
    assert (found["t"].engine, found["mine"].engine) == ("InnoDB", "MyISAM")
    assert found["t"].column("id").auto_increment
    assert found["t"].dialect == source.info.flavor
    assert found["mine"].estimated_rows == 3
    assert found["mine"].estimated_bytes > 0


def test_counter_is_fresh(source: MysqlSource) -> None:
    """mysql-auto-increment: MySQL caches the counter for a day unless told otherwise."""
    run(source, "CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY)", "INSERT INTO t VALUES (5)")
    assert table(source).auto_increment == 6
    run(source, "INSERT INTO t VALUES (50)")
    assert table(source).auto_increment == 51


ODD_NAMES = (
    "a.b",
    "a b",
    "quo'te",
    'dou"ble',
    "back`tick",
    "select",
    "1st",
    "ünï",
    "?x",
    "100%_\\",
    "n" * 63 + "é",
)


def test_odd_names(source: MysqlSource) -> None:
    """mysql-odd-names"""
    for name in ODD_NAMES:
        quoted = "`" + name.replace("`", "``") + "`"
        run(
            source,
            f"CREATE TABLE {quoted} ({quoted} int PRIMARY KEY, e enum('😀','b') DEFAULT '😀',"
            f" KEY {quoted} (e))",
        )
    whole = source.catalog(source.database)
    assert sorted(found.name for found in whole.tables) == sorted(ODD_NAMES)
    for name in ODD_NAMES:
        found = table(source, name)
        assert found.key_columns == (name,)
        assert found.indexes == (Index(name, (part("e"),)),)
        assert found.column("e").type.labels == ("😀", "b")
        assert found.column("e").default == value("😀")


def test_names_that_differ_in_case(source: MysqlSource) -> None:
    """mysql-name-case"""
    run(source, "CREATE TABLE Foo (a int)", "CREATE TABLE foo (b int)")
    assert [column.name for column in table(source, "Foo").columns] == ["a"]
    assert [column.name for column in table(source, "foo").columns] == ["b"]
    with pytest.raises(EngineError) as refused:
        source.catalog(source.database, ["FOO"])
    assert refused.value.code is Code.UNKNOWN_TABLE


def test_unknown_names(source: MysqlSource) -> None:
    run(source, "CREATE TABLE t (a int)")
    with pytest.raises(EngineError) as refused:
        source.catalog(source.database, ["t", "gone", "other"])
    assert (refused.value.code, refused.value.details["tables"]) == (Code.UNKNOWN_TABLE, ["gone", "other"])
    with pytest.raises(EngineError) as refused:
        source.catalog(source.database + "x")
    assert refused.value.code is Code.DATABASE_NOT_FOUND


def test_only_some_tables(source: MysqlSource) -> None:
    run(
        source,
        "CREATE TABLE a (id int PRIMARY KEY)",
        "CREATE TABLE b (id int PRIMARY KEY)",
        "CREATE TRIGGER tb BEFORE INSERT ON b FOR EACH ROW SET NEW.id = 1",
        "CREATE VIEW v AS SELECT id FROM a",
        "CREATE PROCEDURE p() SELECT 1",
    )
    some = source.catalog(source.database, ["a"])
    assert ([found.name for found in some.tables], some.views, some.triggers, some.routines) == (
        ["a"],
        (),
        (),
        (),
    )
    assert [found.name for found in source.catalog(source.database, ["v"]).views] == ["v"]
    assert source.catalog(source.database, []).tables == ()


def test_partitions(source: MysqlSource) -> None:
    """mysql-partitions"""
    run(
        source,
        "CREATE TABLE r (a int, d date, PRIMARY KEY (a, d)) PARTITION BY RANGE (year(d))"
        " SUBPARTITION BY HASH (a) SUBPARTITIONS 2"
        " (PARTITION p0 VALUES LESS THAN (2000), PARTITION p1 VALUES LESS THAN MAXVALUE)",
        "CREATE TABLE l (a int) PARTITION BY LIST (a)"
        " (PARTITION x VALUES IN (1, 2), PARTITION y VALUES IN (NULL))",
        "CREATE TABLE k (a int PRIMARY KEY) PARTITION BY KEY (a) PARTITIONS 2",
    )
    whole = source.catalog(source.database)
    found = {
        table.name: [(p.name, p.method, p.expression, p.description) for p in table.partitions]
        for table in whole.tables
    }
    assert found == {
        "r": [("p0", "RANGE", "year(`d`)", "2000"), ("p1", "RANGE", "year(`d`)", "MAXVALUE")],
        "l": [("x", "LIST", "`a`", "1,2"), ("y", "LIST", "`a`", "NULL")],
        "k": [("p0", "KEY", "`a`", None), ("p1", "KEY", "`a`", None)],
    }
    assert whole.notes == ("r is subpartitioned by hash; subpartitions are not carried",)


def test_generated_invisible_primary_key(source: MysqlSource) -> None:
    """mysql-gipk"""
    if is_mariadb(source):
        return  # MySQL has it alone
    run(
        source,
        "SET sql_generate_invisible_primary_key = 1",
        "SET show_gipk_in_create_table_and_information_schema = OFF",
        "CREATE TABLE t (a int)",
    )
    whole = source.catalog(source.database)

    assert whole.tables[0].key_columns == ("my_row_id",)
    assert whole.tables[0].column("my_row_id").invisible
    assert whole.notes == ("t has the generated invisible primary key my_row_id, carried as a column",)


def test_mariadb_extras(source: MysqlSource) -> None:
    """mysql-system-versioned, mysql-sequences"""
    if not is_mariadb(source):
        return  # MariaDB has it alone
    run(
        source,
        "CREATE TABLE v (a int PRIMARY KEY) WITH SYSTEM VERSIONING",
        "CREATE TABLE w (a int PRIMARY KEY, s timestamp(6) GENERATED ALWAYS AS ROW START,"
        " e timestamp(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e))"
        " WITH SYSTEM VERSIONING",
        "CREATE SEQUENCE `s``q` START WITH 5 INCREMENT BY 3 MAXVALUE 100 CACHE 2 CYCLE",
        "CREATE SEQUENCE plain",
    )
    assert source._session.query("SELECT NEXTVAL(`s``q`)")
    whole = source.catalog(source.database)

    assert [(found.name, found.kind) for found in whole.tables] == [
        ("v", TableKind.SYSTEM_VERSIONED),
        ("w", TableKind.SYSTEM_VERSIONED),
    ]
    assert [column.name for column in whole.tables[0].columns] == ["a"]
    assert whole.tables[1].column("s").generated == Generated("ROW START", True)
    assert whole.sequences == (
        schema.Sequence(whole.name, "plain", 1, 1, 1, 2**63 - 2, False, 1),
        schema.Sequence(whole.name, "s`q", 5, 3, 1, 100, True, 11),
    )
    assert sorted(whole.notes) == [
        "v is system-versioned: its current rows are read, its history is not",
        "w is system-versioned: its current rows are read, its history is not",
    ]


# ---------------------------------------------------------------- code


def test_views_routines_triggers_events(source: MysqlSource) -> None:
    """mysql-code, mysql-code-text"""
    run(
        source,
        "CREATE TABLE t (a int, b varchar(20))",
        "CREATE VIEW plain AS SELECT a FROM t",
        "CREATE VIEW odd (`x)`, y) AS SELECT a, 'it''s 😀' FROM t",
        "CREATE FUNCTION f(a int, b varchar(10)) RETURNS varchar(9) DETERMINISTIC RETURN 'it''s 😀'",
        "CREATE PROCEDURE p(IN a int, OUT b int, INOUT c decimal(5,2)) SET b = a",
        "CREATE TRIGGER one BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
        "CREATE TRIGGER two BEFORE INSERT ON t FOR EACH ROW SET NEW.b = 'it''s 😀'",
        "CREATE EVENT e ON SCHEDULE EVERY 2 DAY DO INSERT INTO t VALUES (1, 'it''s')",
    )
    whole = source.catalog(source.database)
    views = {view.name: view for view in whole.views}
    assert "`a`" in views["plain"].definition
    assert r"'it\'s 😀'" in views["odd"].definition
    assert views["odd"].definition.startswith("select ")
    assert [column.name for column in views["odd"].columns] == ["x)", "y"]
    integer = "int(11)" if is_mariadb(source) else "int"
    function, procedure = whole.routines
    assert (function.name, function.kind) == ("f", "FUNCTION")
    assert "it''s 😀" in function.definition
    assert procedure.definition == (
        f"CREATE PROCEDURE `p`(IN `a` {integer}, OUT `b` {integer}, INOUT `c` decimal(5,2)) SET b = a"
    )
    one, two = whole.triggers
    assert one.definition == "CREATE TRIGGER `one` BEFORE INSERT ON `t` FOR EACH ROW SET NEW.a = 1"
    assert (two.table, two.timing, two.event) == ("t", "BEFORE", "INSERT")
    assert "it''s 😀" in two.definition
    (event,) = whole.events
    assert "it''s" in event.definition
    assert "EVERY 2 DAY" in event.definition
    assert whole.notes == ()


# ---------------------------------------------------------------- rights and size


def test_a_reader_without_more_rights(source: MysqlSource, source_server: MysqlEndpoint) -> None:
    """mysql-hidden-rights: SELECT alone gives defaults of tables with rows; labels need a temporary table."""
    user, password = f"r{source.database[2:8]}", "Pw-1x"
    run(
        source,
        "CREATE TABLE t (b binary(2) NOT NULL DEFAULT 0xFF00, q varchar(9) DEFAULT '😀')",
        "INSERT INTO t VALUES ()",
        "CREATE TABLE e (b binary(2) NOT NULL DEFAULT 0xFF00, e enum('😀'))",
        "CREATE VIEW v AS SELECT b FROM t",
        f"CREATE USER {user} IDENTIFIED BY '{password}'",
        f"GRANT SELECT ON {source.database}.* TO {user}",
    )
    try:
        poor = MysqlEndpoint(source_server.host, source_server.port, user, password, source_server.kind)
        with opened(poor, source.database) as reader:
            whole = reader.catalog(reader.database)
    finally:
        run(source, f"DROP USER {user}")
    e, t = whole.tables
    assert (t.column("b").default, t.column("q").default) == (value(b"\xff\0"), value("😀"))
    assert e.column("e").type.labels == ("?",)
    # From MariaDB 11 on DEFAULT() of a row an outer join makes up gives the true default of a NOT NULL too.
    is_told = source.info.flavor == "mariadb" and source.info.version_tuple >= (11,)
    unknown = [] if is_told else ["e.b"]
    assert [note.split(":")[0] for note in whole.notes] == [
        "e.e",
        *unknown,
        "the definition of view v is not shown to this user (SHOW VIEW is needed)",
    ]


def test_nothing_is_left_behind(source: MysqlSource) -> None:
    """mysql-hidden-values: the temporary table is gone, and no table of the source has changed."""
    run(source, "CREATE TABLE t (e enum('😀') NOT NULL)", "INSERT INTO t VALUES (1)")
    table(source)
    with source._session.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM t")
        assert cursor.fetchone() == (1,)
        cursor.execute("SHOW TABLES")
        assert cursor.fetchall() == (("t",),)
        cursor.execute("CREATE TEMPORARY TABLE _dbstreams_clone (a int)")


def statements(source: MysqlSource) -> int:
    with source._session.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Questions'")
        return int(cursor.fetchone()[1])


@pytest.mark.timeout(300)
def test_a_thousand_tables_take_as_many_statements_as_ten(source: MysqlSource) -> None:
    """mysql-bulk-catalog"""
    columns = "id int AUTO_INCREMENT PRIMARY KEY, v varchar(9) DEFAULT 'x', KEY (v)"

    def counted() -> int:
        before = statements(source)
        found = source.catalog(source.database).tables
        assert all(table.indexes and len(table.columns) == 2 for table in found)
        return statements(source) - before

    run(source, *(f"CREATE TABLE t{n} ({columns}) ENGINE=MyISAM" for n in range(10)))
    few = counted()
    run(source, *(f"CREATE TABLE t{n} ({columns}) ENGINE=MyISAM" for n in range(10, 1000)))
    assert counted() == few < 25
    assert len(source.catalog(source.database, [f"t{n}" for n in range(300)]).tables) == 300


def test_equal_to_itself(source: MysqlSource) -> None:
    """What is read twice is equal: schema values are plain values."""
    run(source, "CREATE TABLE t (id int PRIMARY KEY, e enum('a','b'), KEY (e))")
    first, second = table(source), table(source)
    assert replace(first, estimated_rows=0, estimated_bytes=0) == replace(
        second, estimated_rows=0, estimated_bytes=0
    )
