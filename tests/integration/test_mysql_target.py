"""MySQL and MariaDB as targets: policies, write modes, keys and rows that are refused, on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pymysql
import pytest

from benchmarks.certificates import Certificates
from benchmarks.servers import MariaDB
from engine import ids
from engine.config import Connection, StreamConfig
from engine.streams.job import Outcome, StreamJob
from tests import running
from tests.integration.mysql_targets import TARGETS, Ends, ends

pytestmark = pytest.mark.integration


@pytest.fixture(params=TARGETS)
def pair(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """One server at both ends."""
    with ends(request, request.param, request.param) as made:
        yield made


@pytest.fixture(params=TARGETS)
def from_postgres(request: pytest.FixtureRequest) -> Iterator[Ends]:
    with ends(request, "postgres", request.param) as made:
        yield made


def on_target(pair: Ends, statement: str) -> None:
    pair.target.execute(statement, database=pair.target_database)


def failed(pair: Ends, **db: Any) -> dict[str, Any]:
    outcome, _ = running.run(pair.job(**db))
    assert outcome.status == "FAILED"
    assert outcome.error is not None
    return outcome.error


def slugs(outcome: Outcome) -> set[str]:
    return {str(note["slug"]) for note in outcome.notes}


SIMPLE = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10)); INSERT INTO t VALUES (1, 'a'), (2, 'b')"

# ---------------------------------------------------------------- schema policies and write modes

THERE = "CREATE TABLE t (id int PRIMARY KEY, v varchar(10)); INSERT INTO t VALUES (2, 'old'), (9, 'kept')"
MODES = [
    ("create_missing_only", "truncate_and_load", [(1, "a"), (2, "b")]),
    ("create_missing_only", "upsert", [(1, "a"), (2, "b"), (9, "kept")]),
    ("validate_existing", "upsert", [(1, "a"), (2, "b"), (9, "kept")]),
    ("drop_and_recreate", "append", [(1, "a"), (2, "b")]),
    ("drop_and_recreate", "upsert", [(1, "a"), (2, "b")]),
    ("fail_if_exists", "append", "TABLE_EXISTS"),
    ("create_missing_only", "fail_if_not_empty", "TABLE_NOT_EMPTY"),
    ("create_missing_only", "append", "CONSTRAINT_VIOLATION"),
]


@pytest.mark.parametrize(("policy", "mode", "want"), MODES)
def test_a_table_that_is_there(pair: Ends, policy: str, mode: str, want: Any) -> None:
    """slugs: mysql-schema-policy, mysql-write-mode, mysql-upsert"""
    pair.load(SIMPLE)
    on_target(pair, THERE)
    if isinstance(want, str):
        assert failed(pair, schemaPolicy=policy, writeMode=mode)["code"] == want
        want = [(2, "old"), (9, "kept")]
    else:
        running.finish(pair.job(schemaPolicy=policy, writeMode=mode))
    assert pair.have("SELECT * FROM t ORDER BY id") == want


@pytest.mark.parametrize(("policy", "code"), [("validate_existing", "STRUCTURE_MISMATCH")])
def test_a_table_that_is_missing(pair: Ends, policy: str, code: str) -> None:
    """slug: mysql-schema-policy"""
    pair.load(SIMPLE)
    assert failed(pair, schemaPolicy=policy)["code"] == code


def test_skip_data_and_structure_options(pair: Ends) -> None:
    """slug: mysql-structure-options"""
    pair.load(
        "CREATE TABLE p (id int PRIMARY KEY);"
        "CREATE TABLE t (id int PRIMARY KEY, p int, v int, KEY by_v (v), CONSTRAINT up FOREIGN KEY (p)"
        " REFERENCES p (id), CONSTRAINT plus CHECK (v > 0)); INSERT INTO p VALUES (1);"
        " INSERT INTO t VALUES (1, 1, 1)"
    )
    off = {"indexes": False, "foreignKeys": False, "checkConstraints": False}
    running.finish(pair.job(skipData=True, structureOptions=off))
    shown = pair.shown("t")
    assert "PRIMARY KEY" in shown
    assert not any(word in shown for word in ("by_v", "FOREIGN", "CHECK"))
    assert pair.have("SELECT * FROM t") == []


def test_the_database_is_made(pair: Ends) -> None:
    """slug: mysql-schema-policy"""
    pair.load(SIMPLE)
    pair.target.drop_database(pair.target_database)
    running.finish(pair.job())
    assert pair.have("SELECT COUNT(*) FROM t") == [(2,)]


def test_emptying_what_another_table_refers_to_is_refused(pair: Ends) -> None:
    """slug: mysql-referenced"""
    pair.load(SIMPLE)
    on_target(
        pair,
        f"{THERE}; CREATE TABLE other (t int, FOREIGN KEY (t) REFERENCES t (id));"
        " INSERT INTO other VALUES (9)",
    )
    for settings in ({"writeMode": "truncate_and_load"}, {"schemaPolicy": "drop_and_recreate"}):
        error = failed(pair, **settings)
        assert error["code"] == "CONSTRAINT_VIOLATION"
        assert "other refers to it" in error["error"]
    assert pair.have("SELECT COUNT(*) FROM t") == [(2,)]


# ---------------------------------------------------------------- upsert


def test_upsert_reaches_no_row_through_a_secondary_key(pair: Ends) -> None:
    """slug: mysql-upsert"""
    pair.load("CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE); INSERT INTO t VALUES (1, 50)")
    on_target(pair, "CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE); INSERT INTO t VALUES (2, 50)")
    error = failed(pair, writeMode="upsert")
    assert error["code"] == "CONSTRAINT_VIOLATION"
    assert pair.have("SELECT * FROM t") == [(2, 50)]


def test_upsert_follows_the_key_in_every_spelling(pair: Ends) -> None:
    """slug: mysql-upsert. 'A' and 'a' are one key here: the row is found, and spelled as the source does."""
    table = "CREATE TABLE t (k varchar(10) COLLATE utf8mb4_general_ci, n int, v text, PRIMARY KEY (k, n));"
    pair.load(f"{table} INSERT INTO t VALUES ('A', 1, 'new'), ('b', 0, NULL)")
    on_target(pair, f"{table} INSERT INTO t VALUES ('a', 1, 'old'), ('c', 1, 'kept')")
    running.finish(pair.job(writeMode="upsert"))
    assert pair.have("SELECT * FROM t ORDER BY k") == [("A", 1, "new"), ("b", 0, None), ("c", 1, "kept")]


def test_upsert_refuses_a_key_that_comes_twice(from_postgres: Ends) -> None:
    """slug: mysql-upsert. Keys the source tells apart may be one on the target."""
    from_postgres.load(
        "CREATE TABLE t (k varchar(10) PRIMARY KEY, v int); INSERT INTO t VALUES ('a', 1), ('A', 2)"
    )
    on_target(from_postgres, "CREATE TABLE t (k varchar(10) COLLATE utf8mb4_general_ci PRIMARY KEY, v int)")
    error = failed(from_postgres, writeMode="upsert")
    assert error["code"] == "CONSTRAINT_VIOLATION"
    assert error["details"]["key"]["k"].lower() == "a"
    assert from_postgres.have("SELECT * FROM t") == []


def test_upsert_without_a_key_is_refused(pair: Ends) -> None:
    """slug: mysql-upsert"""
    pair.load("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    assert failed(pair, writeMode="upsert")["code"] == "PLAN_REFUSED"


# ---------------------------------------------------------------- kept tables

MISFITS = [
    ("CREATE TABLE t (id int PRIMARY KEY, v varchar(10)) ENGINE=MyISAM", "engine-not-transactional"),
    ("CREATE TABLE t (id int PRIMARY KEY)", "column-missing"),
    ("CREATE TABLE t (id int PRIMARY KEY, v date)", "type-mismatch"),
    ("CREATE TABLE t (id int PRIMARY KEY, v varchar(10), must int NOT NULL)", "column-not-given"),
    ("CREATE TABLE t (id int PRIMARY KEY, v varchar(10) AS ('x') STORED)", "column-generated"),
    (
        "CREATE TABLE t (id int PRIMARY KEY, v varchar(10));"
        " CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 'x'",
        "user-triggers",
    ),
    ("CREATE VIEW t AS SELECT 1 AS id, 'x' AS v", "table-kind"),
]


@pytest.mark.parametrize(("there", "slug"), MISFITS)
def test_what_does_not_fit_is_refused_before_anything_is_done(pair: Ends, there: str, slug: str) -> None:
    """slug: mysql-misfits"""
    pair.load(SIMPLE)
    on_target(pair, there)
    error = failed(pair)
    assert slug in {note["slug"] for note in error["details"]["notes"]}


CUTS = [
    ("varchar(3)", "varchar(10)", "'abcd'", "too-long"),
    ("char(4)", "varchar(10)", "'ab '", "blanks-cut"),
    ("varchar(10) CHARACTER SET utf8mb3", "varchar(10)", "'😀'", "not-in-charset"),
    ("enum('A','b')", "varchar(10)", "'B'", "unknown-label"),
    ("decimal(5,1)", "decimal(5,2)", "1.55", "scale-cut"),
    ("tinyint", "int", "300", "out-of-range"),
    ("int unsigned", "int", "-1", "out-of-range"),
    ("datetime", "datetime(6)", "'2024-01-01 00:00:00.6'", "fraction-cut"),
    ("timestamp NULL", "timestamp(6) NULL", "'2024-01-01 00:00:00.6'", "fraction-cut"),
    ("binary(4)", "varbinary(10)", "'ab'", "bad-length"),
    ("int NOT NULL", "int", "NULL", "null-refused"),
]


@pytest.mark.parametrize(("live", "ddl", "value", "reason"), CUTS)
def test_a_value_that_would_be_changed_is_named(
    pair: Ends, live: str, ddl: str, value: str, reason: str
) -> None:
    """slug: mysql-load-refuses"""
    pair.load(f"CREATE TABLE t (id int PRIMARY KEY, v {ddl}); INSERT INTO t VALUES (7, {value})")
    on_target(pair, f"CREATE TABLE t (id int PRIMARY KEY, v {live})")
    error = failed(pair)
    assert (error["code"], error["details"]["reason"]) == ("VALUE_NOT_REPRESENTABLE", reason)
    assert (error["details"]["column"], error["details"]["key"]) == ("v", {"id": "7"})
    assert pair.have("SELECT * FROM t") == []


BY_SERVER = [
    ("varchar(10) CHARACTER SET latin1", "varchar(10)", "'ł'", "ROW_REJECTED"),
    ("int CHECK (v > 0)", "int", "-5", "CONSTRAINT_VIOLATION"),
    ("int UNIQUE", "int", "2", "CONSTRAINT_VIOLATION"),
]


@pytest.mark.parametrize(("live", "ddl", "value", "code"), BY_SERVER)
def test_a_row_only_the_server_can_refuse_is_named_and_nothing_stays(
    pair: Ends, live: str, ddl: str, value: str, code: str
) -> None:
    """slug: mysql-warnings"""
    pair.load(
        f"CREATE TABLE t (id int PRIMARY KEY, v {ddl}); INSERT INTO t VALUES"
        f" (1, 1), (2, 2), (7, {value}), (8, 3)"
    )
    on_target(pair, f"CREATE TABLE t (id int PRIMARY KEY, v {live})")
    error = failed(pair)
    assert error["code"] == code, error
    assert error["details"]["key"] == {"id": "7"}
    assert pair.have("SELECT * FROM t") == []


# ---------------------------------------------------------------- keys


def test_keys_indexes_counters_and_comments(pair: Ends) -> None:
    """slugs: mysql-keys, mysql-counter, mysql-same-flavor"""
    pair.load(
        "CREATE TABLE p (id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,"
        " code varchar(20) NOT NULL COMMENT 'it''s',"
        " body text, at datetime DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,"
        " twice int AS (char_length(code) * 2) VIRTUAL,"
        " UNIQUE KEY (code), KEY cut (body(10)), FULLTEXT KEY words (body), KEY down (at DESC),"
        " CONSTRAINT short CHECK (char_length(code) < 20)) AUTO_INCREMENT=500 COMMENT 'a \\\\ b';"
        " CREATE TABLE c (seq int NOT NULL AUTO_INCREMENT, p int unsigned, grp int, KEY (seq), KEY (grp),"
        " CONSTRAINT up FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE);"
        " SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';"
        " INSERT INTO p (id, code) VALUES (0, 'zero'), (7, 'seven');"
        " INSERT INTO c VALUES (-1, 0, 1), (3, 7, 1)"
    )
    running.finish(pair.job())
    for table in ("p", "c"):
        want, have = pair.ask(f"SHOW CREATE TABLE {table}")
        assert sorted(have[0][1].replace(",", "").split("\n")) == sorted(
            want[0][1].replace(",", "").split("\n")
        )
        want, have = pair.ask(f"SELECT * FROM {table} ORDER BY 1")
        assert have == want


def test_orphans_leave_the_key_out_and_are_counted(pair: Ends) -> None:
    """slug: mysql-orphans"""
    pair.load(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE `c, x` (a int, FOREIGN KEY (a) REFERENCES p (id));"
        " SET foreign_key_checks = 0; INSERT INTO p VALUES (1);"
        " INSERT INTO `c, x` VALUES (1), (5), (6), (NULL)"
    )
    outcome, _ = running.finish(pair.job())
    (note,) = [note for note in outcome.notes if note["slug"] == "foreign-key-orphans"]
    assert note["count"] == 2
    assert "(5)" in note["message"] or "(6)" in note["message"]
    assert "FOREIGN" not in pair.shown("c, x")
    assert pair.have("SELECT COUNT(*) FROM `c, x`") == [(4,)]


def test_rows_of_a_kept_table_may_refer_to_each_other_in_any_order(pair: Ends) -> None:
    """slug: mysql-self-reference"""
    table = "CREATE TABLE t (id int PRIMARY KEY, up int, CONSTRAINT own FOREIGN KEY (up) REFERENCES t (id));"
    pair.load(f"SET foreign_key_checks = 0; {table} INSERT INTO t VALUES (1, 9), (2, 1), (9, NULL)")
    on_target(pair, table)
    running.finish(pair.job())
    assert pair.have("SELECT COUNT(*) FROM t") == [(3,)]
    on_target(pair, "SET foreign_key_checks = 0; DELETE FROM t")
    pair.load("SET foreign_key_checks = 0; INSERT INTO t VALUES (3, 77)")
    error = failed(pair)
    assert (error["code"], error["details"]["count"]) == ("CONSTRAINT_VIOLATION", 1)
    assert pair.have("SELECT COUNT(*) FROM t") == [(0,)]


def test_parents_are_loaded_before_children_that_are_there(pair: Ends) -> None:
    """slug: mysql-load-order"""
    tables = (
        "CREATE TABLE z (id int PRIMARY KEY); CREATE TABLE a (id int PRIMARY KEY, z int,"
        " FOREIGN KEY (z) REFERENCES z (id));"
    )
    pair.load(f"{tables} INSERT INTO z VALUES (1); INSERT INTO a VALUES (1, 1)")
    on_target(pair, tables)
    running.finish(pair.job())
    assert pair.have("SELECT * FROM a") == [(1, 1)]


def test_keys_that_are_exact_at_the_source_stay_exact(from_postgres: Ends) -> None:
    """slug: mysql-exact-keys"""
    from_postgres.load(
        "CREATE TABLE t (k text PRIMARY KEY, u varchar(9) UNIQUE);"
        " INSERT INTO t VALUES ('a', 'x'), ('A', 'X'), ('a ', 'x '), ('ä', NULL), ('', NULL)"
    )
    running.finish(from_postgres.job())
    assert from_postgres.have("SELECT COUNT(*) FROM t") == [(5,)]
    assert "`k` varchar(768)" in from_postgres.shown("t")
    assert from_postgres.have("SELECT source_type FROM _dbstreams_types WHERE `column` = 'k'") == [("text",)]


def test_keys_longer_than_an_entry_are_kept_unique_by_hash(from_postgres: Ends) -> None:
    """slug: mysql-hash-keys"""
    from_postgres.load(
        "CREATE TABLE t (id int PRIMARY KEY, k text); INSERT INTO t"
        " SELECT n, string_agg(md5((n * 1000 + i)::text), '') FROM generate_series(1, 2) n,"
        " generate_series(1, 70) i GROUP BY n; CREATE UNIQUE INDEX by_k ON t (k)"
    )
    running.finish(from_postgres.job())
    shown = from_postgres.shown("t")
    assert "k_sha256" in shown
    with pytest.raises(pymysql.IntegrityError):
        on_target(from_postgres, "INSERT INTO t (id, k) SELECT 5, k FROM t WHERE id = 1")


def test_names_that_fall_together_or_are_none_here(from_postgres: Ends) -> None:
    """slug: mysql-names"""
    from_postgres.load(
        'CREATE TABLE "rank ""s" (a int, "A" int, "end " int, "groups" int, "😀" int);'
        ' INSERT INTO "rank ""s" VALUES (1, 2, 3, 4, 5)'
    )
    outcome, _ = running.finish(from_postgres.job())
    assert from_postgres.have('SELECT * FROM `rank "s`') == [(1, 2, 3, 4, 5)]
    assert {"name-taken", "long-name"} <= slugs(outcome)


def test_long_comments_are_cut_and_told_whole(from_postgres: Ends) -> None:
    """slug: mysql-comments"""
    from_postgres.load("CREATE TABLE t (a int)")
    from_postgres.load(f"COMMENT ON COLUMN t.a IS '{'x' * 1100}'; COMMENT ON TABLE t IS '{'y' * 2100}'")
    outcome, _ = running.finish(from_postgres.job())
    told = [note["message"] for note in outcome.notes if note["slug"] == "comment-cut"]
    assert any("x" * 1100 in message for message in told)
    assert any("y" * 2100 in message for message in told)


def test_wide_rows_are_narrowed(from_postgres: Ends) -> None:
    """slug: mysql-row-size"""
    columns = ", ".join(f"c{number} varchar(3000)" for number in range(10))
    from_postgres.load(f"CREATE TABLE t ({columns}); INSERT INTO t (c0, c9) VALUES (repeat('é', 3000), 'x')")
    outcome, _ = running.finish(from_postgres.job())
    assert "row-narrowed" in slugs(outcome)
    assert from_postgres.have("SELECT CHAR_LENGTH(c0), c9 FROM t") == [(3000, "x")]


NUMERICS = [
    ("numeric", {}, "unbounded-numeric"),
    ("numeric(70,2)", {}, "decimal-too-wide"),
    ("numeric(60,39)", {}, "decimal-too-wide"),
]


@pytest.mark.parametrize(("ddl", "policies", "slug"), NUMERICS)
def test_numbers_that_may_not_fit_are_refused(
    from_postgres: Ends, ddl: str, policies: dict[str, str], slug: str
) -> None:
    """slug: mysql-numeric"""
    from_postgres.load(f"CREATE TABLE t (c {ddl})")
    assert failed(from_postgres, policies=policies)["details"]["notes"][0]["slug"] == slug


VALUES = [
    ("numeric(5,2)", "'NaN'", "nan"),
    ("double precision", "'Infinity'", "nan"),
    ("date", "'infinity'", "infinity"),
    ("timestamptz", "'-infinity'", "infinity"),
    ("timestamp", "'0044-03-15 BC'", "out-of-range"),
    ("date", "'10000-01-01'", "out-of-range"),
    ("jsonb", "'[12345678901234567890123]'", "inexact"),
]


@pytest.mark.parametrize(("ddl", "value", "reason"), VALUES)
def test_values_no_column_here_holds_are_named(
    from_postgres: Ends, ddl: str, value: str, reason: str
) -> None:
    """slugs: mysql-infinity, mysql-numeric, mysql-json"""
    if reason == "inexact" and from_postgres.target.kind == "mariadb":
        pytest.skip("MariaDB keeps the text of JSON")
    from_postgres.load(f"CREATE TABLE t (id int PRIMARY KEY, c {ddl}); INSERT INTO t VALUES (4, {value})")
    error = failed(from_postgres)
    assert (error["code"], error["details"]["reason"]) == ("VALUE_NOT_REPRESENTABLE", reason)
    assert error["details"]["key"] == {"id": "4"}


# ---------------------------------------------------------------- without LOAD DATA LOCAL


def test_a_server_that_forbids_local_gets_inserts(mariadb: Any) -> None:
    """slug: mysql-without-local"""
    with MariaDB() as server:
        server.execute("SET GLOBAL local_infile = 0; SET GLOBAL max_allowed_packet = 1048576")
        source = mariadb.database()
        pair = Ends(mariadb, server, source, server.database())
        pair.load(
            "CREATE TABLE t (id int PRIMARY KEY, v varchar(50), l varchar(20) CHARACTER SET latin1,"
            " b varbinary(20), j json, bits bit(9), y year); INSERT INTO t VALUES"
            " (1, 'it''s \\\\ \\t\\n é😀', 'é', X'00275C0A09FF', '{\"a\": \"\\\\n''\"}', b'100000001', 0),"
            " (2, NULL, NULL, NULL, NULL, NULL, NULL), (3, '', '', '', '[]', 0, 2155);"
            " CREATE TABLE big (id int PRIMARY KEY, v longtext);"
            " INSERT INTO big SELECT seq, REPEAT('x', 1000) FROM seq_1_to_3000"
        )
        running.finish(pair.job())
        for columns in (
            "id, HEX(v), HEX(l), HEX(b), j, bits + 0, y + 0 FROM t",
            "COUNT(*), SUM(LENGTH(v)) FROM big",
        ):
            want, have = pair.ask(f"SELECT {columns} ORDER BY 1")
            assert have == want
        on_target(
            pair,
            "DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, v varchar(50), l varchar(20), b varbinary(20),"
            " j json, bits bit(9), y year, CHECK (id <> 3))",
        )
        error = failed(pair, tables=["t"])
        assert (error["code"], error["details"]["key"]) == ("CONSTRAINT_VIOLATION", {"id": "3"})
        assert pair.have("SELECT * FROM t") == []
        mariadb.drop_database(source)


LARGE = (
    "CREATE TABLE t (id int PRIMARY KEY, b longblob, v longtext); INSERT INTO t VALUES"
    " (1, REPEAT(X'00FF0A5C', 600000), REPEAT('é', 900000)), (2, 'x', 'y')"
)


def test_values_above_the_packet_of_the_server(mariadb: Any) -> None:
    """slug: mysql-packets. LOAD DATA takes them in pieces; an INSERT would have to hold the row whole."""
    with MariaDB() as server:
        server.execute("SET GLOBAL max_allowed_packet = 1048576")
        pair = Ends(mariadb, server, mariadb.database(), server.database())
        pair.load(LARGE)
        running.finish(pair.job())
        want, have = pair.ask("SELECT id, MD5(b), MD5(v) FROM t ORDER BY id")
        assert have == want
        server.execute("SET GLOBAL local_infile = 0")
        error = failed(pair, schemaPolicy="drop_and_recreate")
        assert (error["code"], error["details"]["key"]) == ("ROW_REJECTED", {"id": "1"})
        assert "max_allowed_packet" in error["error"]
        mariadb.drop_database(pair.source_database)


@pytest.mark.parametrize("mode", ["disable", "prefer", "require", "verify-ca", "verify-full"])
def test_every_tls_mode(mariadb: Any, tls_mariadb: MariaDB, certificates: Certificates, mode: str) -> None:
    """slug: mysql-target-tls"""
    pair = Ends(mariadb, tls_mariadb, mariadb.database(), tls_mariadb.database())
    pair.load(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, REPEAT('é', 30000)), (2, NULL)"
    )
    ssl = {"mode": mode, **({"ca": certificates.ca.read_text()} if mode.startswith("verify") else {})}
    job = pair.job()
    connections = {**job.connections, "target": running.connection(tls_mariadb, ssl=ssl)}
    running.finish(StreamJob(job.stream_id, job.config, connections))
    want, have = pair.ask("SELECT * FROM t ORDER BY id")
    assert have == want
    mariadb.drop_database(pair.source_database)


@pytest.mark.parametrize("kind", ["duckdb", "files"])
def test_embedded_databases_and_files_arrive(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """slug: mysql-foreign-types"""
    with closing(duckdb.connect(str(tmp_path / "source.duckdb"))) as session:
        session.execute(
            "CREATE TABLE t AS SELECT 1 AS id, 170141183460469231731687303715884105727::hugeint AS h,"
            " 18446744073709551615::ubigint AS u, 'é😀' AS s, true AS b,"
            " '2024-01-01 00:00:00.5'::timestamp AS at UNION ALL SELECT 2, NULL, NULL, '', NULL, NULL"
        )
        if kind == "files":
            session.execute(f"COPY t TO '{tmp_path}/t.parquet'")
    body: dict[str, Any] = {"duckdb": {"path": str(tmp_path / "source.duckdb")}}
    part: dict[str, Any] = {}
    cast = "CAST(h AS CHAR)"
    want = [("170141183460469231731687303715884105727", 2**64 - 1, "é😀", 1), (None, None, "", None)]
    if kind == "files":
        body, part = {"files": {"basePath": str(tmp_path)}}, {"files": {"paths": ["t.parquet"]}}
        cast, want = "'double'", [("double", 2**64 - 1, "é😀", 1), ("double", None, "", None)]
    source = Connection.parse({"name": "s", "type": kind, "spec": body})
    for name in TARGETS:
        server = request.getfixturevalue(name)
        database = server.database()
        config = StreamConfig.parse(
            {
                "name": "from",
                "mode": "convert",
                "source": {"connections": [{"connectionId": "s", **part}]},
                "target": {"id": "t", "spec": {"db": {"database": database}}},
            }
        )
        job = StreamJob(ids.new("stream"), config, {"s": source, "t": running.connection(server)})
        running.finish(job)
        assert running.verify(job)["equal"]
        assert server.query(f"SELECT {cast}, u, s, b FROM t ORDER BY id", database=database) == want
        server.drop_database(database)
