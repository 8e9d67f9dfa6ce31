"""What a stream does with a DuckDB file: policies of structure and writing, upsert, names, notes, epochs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.connectors.duckdb.database import open_database
from engine.errors import Code, EngineError
from engine.streams.run import plan_stream
from tests import running
from tests.integration.duckdb_files import ask, build, job, printed

pytestmark = pytest.mark.integration

_SHOP = """
CREATE TABLE people (id int PRIMARY KEY AUTO_INCREMENT COMMENT 'number',
  name varchar(20) NOT NULL DEFAULT 'it''s',
  n decimal(6,2) DEFAULT 1.5, twice int AS (id * 2), made timestamp NULL DEFAULT CURRENT_TIMESTAMP,
  UNIQUE KEY (name), KEY (n), CHECK (n > 0)) COMMENT 'who';
CREATE TABLE orders (id int PRIMARY KEY, person int, tags set('a','b'), 
  FOREIGN KEY (person) REFERENCES people (id));
INSERT INTO people (name, n) VALUES ('ann', 1), ('bob', 2), ('cid', 3);
INSERT INTO orders VALUES (1, 1, 'a'), (2, 2, 'a,b'), (3, NULL, '');
"""


@pytest.fixture
def shop(mariadb: MysqlEndpoint, mariadb_database: str) -> Iterator[str]:
    mariadb.execute(_SHOP, database=mariadb_database)
    return mariadb_database


def test_structure_and_what_is_reported_of_it(mariadb: MysqlEndpoint, shop: str, tmp_path: Path) -> None:
    """slugs: duckdb-no-constraints, duckdb-defaults, duckdb-comments, duckdb-generated"""
    file = tmp_path / "a.duckdb"
    outcome, _ = running.finish(job(mariadb, file, database=shop, schema="deep"))
    table = "SELECT column_name, data_type, is_nullable, column_default, comment FROM duckdb_columns()"
    assert ask(file, f"{table} WHERE table_name = 'people' ORDER BY column_index") == [
        ("id", "INTEGER", False, None, "number"),
        ("name", "VARCHAR", False, "CAST('it''s' AS VARCHAR)", None),
        ("n", "DECIMAL(6,2)", True, "CAST('1.50' AS DECIMAL(6,2))", None),
        ("twice", "INTEGER", True, None, None),
        ("made", "TIMESTAMP WITH TIME ZONE", True, None, None),
    ]
    assert ask(file, "SELECT comment FROM duckdb_tables() WHERE table_name = 'people'") == [("who",)]
    kinds = (
        "SELECT DISTINCT constraint_type FROM duckdb_constraints() WHERE table_name IN ('people', 'orders')"
    )
    assert ask(file, kinds) == [("NOT NULL",)]
    said = {(note.get("table"), note["slug"]): note["message"] for note in outcome.notes}
    assert "the primary key, 1 unique key, 1 index, 1 check" in said["people", "no-constraints"]
    assert "1 foreign key" in said["orders", "no-constraints"]
    assert {("people", "generated-as-plain"), ("people", "no-identity"), ("people", "default-left-out")} <= (
        set(said)
    )
    assert ask(file, "SELECT id, twice FROM deep.people ORDER BY id") == [(1, 2), (2, 4), (3, 6)]


def test_source_types_are_kept_beside_the_data(mariadb: MysqlEndpoint, shop: str, tmp_path: Path) -> None:
    """slug: duckdb-source-types"""
    file, other = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    for _ in range(2):  # again: what was known of the table goes
        running.finish(job(mariadb, file, database=shop, schemaPolicy="drop_and_recreate"))
    kept = 'SELECT "column", dialect, source_table, source_type FROM _dbstreams_types'
    assert ask(file, f"{kept} WHERE \"table\" = 'orders' ORDER BY 1") == [
        ("id", "mariadb", "orders", "int(11)"),
        ("person", "mariadb", "orders", "int(11)"),
        ("tags", "mariadb", "orders", "set('a','b')"),
    ]
    # Our own tables are no tables of the user's; what is known goes on with the columns.
    running.finish(job(file, other))
    tables = "SELECT table_name FROM duckdb_tables() WHERE NOT starts_with(table_name, '_dbstreams')"
    assert ask(other, tables) == [("orders",), ("people",)]
    assert ask(other, f"{kept} WHERE source_type LIKE 'set%'") == []
    assert ask(
        other,
        """SELECT "column", dialect, source_type, origins LIKE '%"mariadb"%' FROM _dbstreams_types
        WHERE "column" = 'tags'""",
    ) == [("tags", "duckdb", "VARCHAR[]", True)]


@pytest.mark.parametrize(
    ("policy", "there", "code"),
    [
        ("fail_if_exists", False, None),
        ("fail_if_exists", True, Code.TABLE_EXISTS),
        ("validate_existing", False, Code.STRUCTURE_MISMATCH),
        ("validate_existing", True, None),
        ("create_missing_only", True, None),
        ("drop_and_recreate", True, None),
    ],
)
def test_schema_policies(
    mariadb: MysqlEndpoint, shop: str, tmp_path: Path, policy: str, there: bool, code: Code | None
) -> None:
    """slug: duckdb-schema-policy"""
    file = tmp_path / "a.duckdb"
    if there:
        # Wider than the source, in other letters, and with a column more: rows fit all the same.
        build(file, 'CREATE TABLE Orders ("ID" BIGINT, Person HUGEINT, tags VARCHAR, more INTEGER DEFAULT 7)')
    outcome, _ = running.run(job(mariadb, file, database=shop, tables=["orders"], schemaPolicy=policy))
    if code is not None:
        assert outcome.error is not None
        assert outcome.error["code"] == code.value
        return
    assert outcome.status == "FINISHED", outcome.error
    kept = there and policy != "drop_and_recreate"
    want = [("a",), ("a,b",), ("",)] if kept else [("[a]",), ("[a, b]",), ("[]",)]
    assert printed(file, "SELECT tags FROM orders ORDER BY id") == want
    if kept:
        assert ask(file, "SELECT DISTINCT more FROM orders") == [(7,)]


@pytest.mark.parametrize(
    ("mode", "rows", "code"),
    [
        ("append", 4, None),
        ("truncate_and_load", 3, None),
        ("fail_if_not_empty", 1, Code.TABLE_NOT_EMPTY),
        ("upsert", 3, None),
    ],
)
def test_write_modes(
    mariadb: MysqlEndpoint, shop: str, tmp_path: Path, mode: str, rows: int, code: Code | None
) -> None:
    """slug: duckdb-write-mode"""
    file = tmp_path / "a.duckdb"
    build(file, "CREATE TABLE orders (id INTEGER, person INTEGER, tags VARCHAR[])")
    build(file, "INSERT INTO orders VALUES (2, 99, ['z'])")
    outcome, _ = running.run(job(mariadb, file, database=shop, tables=["orders"], writeMode=mode))
    assert (outcome.error or {}).get("code") == (code.value if code else None), outcome.error
    assert ask(file, "SELECT count(*) FROM orders") == [(rows,)]
    if mode == "upsert":
        assert printed(file, "SELECT * FROM orders WHERE id = 2") == [("2", "2", "[a, b]")]


@pytest.mark.parametrize("keyed", [True, False])
def test_upsert_again_and_again(mariadb: MysqlEndpoint, shop: str, tmp_path: Path, keyed: bool) -> None:
    """slug: duckdb-upsert. With a key on the file, and by the source's key where indexes were not wanted."""
    file = tmp_path / "a.duckdb"
    for step in range(3):
        mariadb.execute(f"UPDATE orders SET tags = 'b', person = {step + 1} WHERE id = 1", database=shop)
        mariadb.execute(f"INSERT INTO orders VALUES ({10 + step}, NULL, 'a')", database=shop)
        stream = job(
            mariadb,
            file,
            database=shop,
            tables=["orders"],
            writeMode="upsert",
            structureOptions={"indexes": keyed},
        )
        running.finish(stream)
        running.cleanup(stream)
    build(file, "INSERT INTO orders VALUES (77, 1, [])")  # not on the source: stays
    want = [(1, 3), (2, 2), (3, None), (10, None), (11, None), (12, None), (77, 1)]
    assert ask(file, "SELECT id, person FROM orders ORDER BY id") == want
    key = "SELECT count(*) FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'"
    assert ask(file, key) == [(1 if keyed else 0,)]


def test_upsert_refuses_a_key_that_comes_twice(
    mariadb: MysqlEndpoint, mariadb_database: str, tmp_path: Path
) -> None:
    """slug: duckdb-upsert"""
    mariadb.execute(
        "CREATE TABLE t (k varchar(9) COLLATE utf8mb4_bin PRIMARY KEY, v int);"
        "INSERT INTO t VALUES ('a', 1), (CONCAT('a', CHAR(0)), 2)",
        database=mariadb_database,
    )
    file = tmp_path / "a.duckdb"
    stream = job(mariadb, file, database=mariadb_database, writeMode="upsert", policies={"nulByte": "strip"})
    outcome, _ = running.run(stream)
    assert outcome.error is not None
    assert outcome.error["code"] == "CONSTRAINT_VIOLATION", outcome.error
    assert outcome.error["details"]["key"] == {"k": "a"}
    assert ask(file, "SELECT count(*) FROM t") == [(0,)]


def test_upsert_needs_a_key(mariadb: MysqlEndpoint, mariadb_database: str, tmp_path: Path) -> None:
    """slug: duckdb-upsert"""
    mariadb.execute("CREATE TABLE t (v int)", database=mariadb_database)
    plan = plan_stream(job(mariadb, tmp_path / "a.duckdb", database=mariadb_database, writeMode="upsert"))
    assert [note["slug"] for note in plan["notes"] if note["severity"] == "refused"] == ["upsert-without-key"]
    assert not (tmp_path / "a.duckdb").exists()


MISFITS = [
    ("CREATE TABLE orders (id INTEGER, person INTEGER)", "column-missing"),
    ("CREATE TABLE orders (id INTEGER, person INTEGER, tags INTEGER)", "type-mismatch"),
    ("CREATE TABLE orders (id INTEGER, person BLOB, tags VARCHAR)", "type-mismatch"),
    (
        "CREATE TABLE orders (id INTEGER, person INTEGER, tags VARCHAR, x INTEGER NOT NULL)",
        "column-not-given",
    ),
    ("CREATE TABLE orders (id INTEGER, tags VARCHAR, person INTEGER AS (id + 1))", "column-generated"),
    ("CREATE VIEW orders AS SELECT 1 AS id, 2 AS person, 'x' AS tags", "table-kind"),
]


@pytest.mark.parametrize(("made", "slug"), MISFITS)
def test_what_does_not_fit_is_said_before(
    mariadb: MysqlEndpoint, shop: str, tmp_path: Path, made: str, slug: str
) -> None:
    """slug: duckdb-misfits"""
    file = tmp_path / "a.duckdb"
    build(file, made)
    plan = plan_stream(job(mariadb, file, database=shop, tables=["orders"]))
    assert slug in [note["slug"] for note in plan["notes"] if note["severity"] == "refused"], plan["notes"]


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [("TINYINT", "300", "out-of-range"), ("UINTEGER", "-1", "out-of-range"), ("DECIMAL(3,1)", "100", "out-")],
)
def test_a_narrower_column_refuses_the_row(
    mariadb: MysqlEndpoint, shop: str, tmp_path: Path, kind: str, value: str, reason: str
) -> None:
    """slug: duckdb-row-error"""
    mariadb.execute("CREATE TABLE t (id int PRIMARY KEY, v int)", database=shop)
    mariadb.execute(f"INSERT INTO t VALUES (1, 5), (2, {value})", database=shop)
    file = tmp_path / "a.duckdb"
    build(file, f"CREATE TABLE t (id INTEGER, v {kind})")
    outcome, _ = running.run(job(mariadb, file, database=shop, tables=["t"]))
    assert outcome.error is not None
    assert outcome.error["details"]["key"] == {"id": "2"}, outcome.error
    assert reason in outcome.error["details"]["reason"]


def test_names_have_no_case_here(mariadb: MysqlEndpoint, mariadb_database: str, tmp_path: Path) -> None:
    """slug: duckdb-names"""
    mariadb.execute(
        'CREATE TABLE `Foo` (a int); CREATE TABLE foo (`x "y` int, `select` int);'
        "INSERT INTO foo VALUES (1, 2)",
        database=mariadb_database,
    )
    file = tmp_path / f"{mariadb_database}.duckdb"
    # A schema called like the database is ambiguous in DuckDB unless the database is named as well.
    rename = {f"{mariadb_database}.foo.select": "chosen"}
    outcome, _ = running.finish(
        job(mariadb, file, database=mariadb_database, schema=mariadb_database, rename=rename)
    )
    assert "case-collision" in [note["slug"] for note in outcome.notes]
    place = f'"{mariadb_database}"."{mariadb_database}"'
    assert ask(file, f'SELECT "x ""y", chosen FROM {place}.foo_1') == [(1, 2)]


REFUSED_POLICIES = [
    ("geometry", "postgis"),
    ("caseInsensitiveText", "citext"),
    ("triggers", "fire"),
    ("nulByte", "bytea"),
    ("json", "jsonb"),
]


@pytest.mark.parametrize(("policy", "value"), REFUSED_POLICIES)
def test_policies_without_meaning_are_refused(
    mariadb: MysqlEndpoint, shop: str, tmp_path: Path, policy: str, value: str
) -> None:
    """slug: duckdb-policies"""
    plan = plan_stream(job(mariadb, tmp_path / "a.duckdb", database=shop, policies={policy: value}))
    refused = [note for note in plan["notes"] if note["severity"] == "refused"]
    assert [(note["slug"], note["policy"]) for note in refused] == [("policy-without-meaning", policy)]


@pytest.mark.parametrize(
    ("db", "field"),
    [({"target_database": "other"}, "database"), ({"schema": "information_schema"}, "schema")],
)
def test_names_that_cannot_be(
    mariadb: MysqlEndpoint, shop: str, tmp_path: Path, db: dict[str, Any], field: str
) -> None:
    """slug: duckdb-names"""
    with pytest.raises(EngineError) as caught:
        plan_stream(job(mariadb, tmp_path / "a.duckdb", database=shop, **db))
    assert caught.value.details["fields"][0]["field"] == f"target.spec.db.{field}"


def test_skip_data_makes_the_structure(mariadb: MysqlEndpoint, shop: str, tmp_path: Path) -> None:
    """slug: duckdb-write-mode"""
    file = tmp_path / "a.duckdb"
    running.finish(job(mariadb, file, database=shop, skipData=True))
    assert ask(file, "SELECT count(*) FROM people") == [(0,)]


def test_a_table_half_loaded_by_another_stream(mariadb: MysqlEndpoint, shop: str, tmp_path: Path) -> None:
    """slugs: duckdb-half-loaded, duckdb-epoch"""
    file = tmp_path / "a.duckdb"
    build(
        file,
        "CREATE TABLE people (id INTEGER, name VARCHAR, n DECIMAL(1,1), twice INTEGER, made TIMESTAMPTZ)",
    )
    first = job(mariadb, file, database=shop, tables=["people"])
    outcome, _ = running.run(first)
    assert outcome.status == "FAILED"  # 1.00 is no decimal(1,1)
    plan = plan_stream(job(mariadb, file, database=shop, tables=["people"]))
    assert "half-loaded" in [note["slug"] for note in plan["notes"]]
    running.finish(job(mariadb, file, database=shop, tables=["people"], schemaPolicy="drop_and_recreate"))
    # What the first remembers of the table is void now, and it may not go on.
    assert ask(file, "SELECT count(*) FROM _dbstreams_checkpoint WHERE stream_id = ?", first.stream_id) == [
        (0,)
    ]


def test_two_attempts_in_one_process_commit_every_row_once(
    mariadb: MysqlEndpoint, shop: str, tmp_path: Path
) -> None:
    """slug: duckdb-epoch"""
    mariadb.execute(
        "CREATE TABLE big (id int PRIMARY KEY, v varchar(200)); INSERT INTO big SELECT seq, REPEAT('x', 150)"
        " FROM seq_1_to_40000; ANALYZE TABLE big",
        database=shop,
    )
    file = tmp_path / "a.duckdb"
    stream = job(
        mariadb,
        file,
        database=shop,
        tables=["big"],
        options={"chunkBytes": 65_536, "dataBundleSize": 1000},
        stream_id="stream_twice",
    )
    outcomes: list[Any] = []
    threads = [threading.Thread(target=lambda: outcomes.append(running.run(stream)[0])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failed = [outcome.error["code"] for outcome in outcomes if outcome.status != "FINISHED"]
    assert set(failed) <= {"EPOCH_SUPERSEDED"}, outcomes
    assert len(failed) < 2
    assert ask(file, "SELECT count(*), count(DISTINCT id) FROM big") == [(40000, 40000)]


def test_one_stream_cannot_read_and_write_one_file(tmp_path: Path) -> None:
    """slug: duckdb-busy"""
    file = tmp_path / "a.duckdb"
    build(file, "CREATE TABLE t AS SELECT 1 AS a")
    with pytest.raises(EngineError) as caught:
        plan_stream(job(file, file, schema="copy"))
    assert caught.value.code is Code.CONNECTION_BUSY
    open_database(str(file), read_only=False).close()  # nothing was left open


def test_postgres_numbers_without_limit(
    postgres: PostgresEndpoint, postgres_database: str, tmp_path: Path
) -> None:
    """slugs: duckdb-numeric, duckdb-infinity"""
    postgres.execute(
        "CREATE TABLE t (id int PRIMARY KEY, n numeric, d date, z timestamptz, i interval, a int[]);"
        "INSERT INTO t VALUES (1, 1e40, 'infinity', '-infinity', '1 mon -2 days 00:00:03', '{1,2}'),"
        " (2, 'NaN', '0001-01-01', '2024-01-01 00:00:00+02', NULL, NULL)",
        database=postgres_database,
    )
    file = tmp_path / "a.duckdb"
    plan = plan_stream(job(postgres, file, database=postgres_database))
    assert "unbounded-numeric" in [note["slug"] for note in plan["notes"] if note["severity"] == "refused"]
    stream = job(postgres, file, database=postgres_database, policies={"unboundedNumeric": "text"})
    running.finish(stream)
    assert printed(file, "SELECT * FROM t ORDER BY id") == [
        ("1", "1" + "0" * 40, "infinity", "-infinity", "1 month -2 days 00:00:03", "[1,2]"),
        ("2", "NaN", "0001-01-01", "2023-12-31 22:00:00+00", None, None),
    ]
    assert running.verify(stream)["equal"]
