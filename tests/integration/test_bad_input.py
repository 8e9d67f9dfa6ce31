"""What users get wrong, and shapes of databases that break tools: each named, nothing left half done."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine import Code, EngineError
from engine.config import Connection, StreamConfig
from engine.connectors.mysql import session as mysql_session
from engine.connectors.postgres import session as postgres_session
from engine.streams.job import StreamJob
from tests import running

pytestmark = pytest.mark.integration

WRONG = [
    ({"host": "no-such-host.invalid"}, "dns"),
    ({"port": 1}, "refused"),
    ({"password": "not it"}, "auth"),
    ({"username": "nobody_at_all"}, "auth"),
    ({"database": "no_such_database"}, "unknown_database"),
    ({"ssl": {"mode": "require"}}, "tls"),
]


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize(
    ("change", "reason"), WRONG, ids=[reason + str(n) for n, (_, reason) in enumerate(WRONG)]
)
def test_a_connection_that_fails_says_which_part_is_wrong(
    mariadb: MysqlEndpoint, postgres: PostgresEndpoint, side: str, change: dict[str, Any], reason: str
) -> None:
    server = mariadb if side == "source" else postgres
    body = {"database": "mysql" if side == "source" else "postgres", **change}
    bad = running.connection(server, **body)
    test = mysql_session.test if side == "source" else postgres_session.test
    with pytest.raises(EngineError) as caught:
        test(bad)
    assert caught.value.code is Code.CONNECTION_FAILED
    assert caught.value.details["reason"] == reason, caught.value
    assert "not it" not in str(caught.value.as_dict())


ODD_NAMES = [
    "select",
    "with space",
    'double"quote',
    "back`tick",
    "it's",
    "Mixed Case",
    "naïve 中文",
    "dot.ted",
    "percent%s",
    "semi;colon--",
    "c" + "é" * 63,
    "n" * 64,
]


def test_odd_names_of_tables_columns_indexes_and_constraints(
    source_server: MysqlEndpoint, source_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """slugs: odd-names, mysql-odd-names"""
    for number, name in enumerate(ODD_NAMES):
        quoted = "`" + name.replace("`", "``") + "`"
        source_server.execute(
            f"CREATE TABLE {quoted} (id int AUTO_INCREMENT PRIMARY KEY, {quoted} varchar(20), "
            f" KEY {quoted} ({quoted})) COMMENT 'it''s'",
            database=source_database,
        )
        source_server.execute(
            f"INSERT INTO {quoted} ({quoted}) VALUES ('v{number}'), (NULL)", database=source_database
        )
    stream = running.job(source_server, source_database, postgres, postgres_database)
    running.finish(stream)
    verdict = running.verify(stream)
    assert verdict["equal"]
    assert len(verdict["tables"]) == len(ODD_NAMES)
    names = {
        name
        for (name,) in postgres.query(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'", database=postgres_database
        )
    }
    assert {name for name in ODD_NAMES if len(name.encode()) <= 63} <= names


def test_a_column_named_like_a_system_column(
    mariadb: MysqlEndpoint, mariadb_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    mariadb.execute("CREATE TABLE t (xmin int PRIMARY KEY, ctid int)", database=mariadb_database)
    mariadb.execute("INSERT INTO t VALUES (1, 2)", database=mariadb_database)
    stream = running.job(mariadb, mariadb_database, postgres, postgres_database)
    outcome, _ = running.finish(stream)
    assert outcome.rows == 1
    assert running.verify(stream)["equal"]


def test_empty_and_keyless_tables(
    source_server: MysqlEndpoint, source_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    source_server.execute("CREATE TABLE nothing (id int PRIMARY KEY)", database=source_database)
    source_server.execute("CREATE TABLE keyless (a int, b text)", database=source_database)
    source_server.execute(
        "INSERT INTO keyless VALUES (1, 'x'), (1, 'x'), (NULL, NULL)", database=source_database
    )
    stream = running.job(source_server, source_database, postgres, postgres_database)
    outcome, _ = running.finish(stream)
    assert outcome.rows == 3
    assert postgres.scalar("SELECT count(*) FROM public.nothing", database=postgres_database) == 0
    assert postgres.scalar("SELECT count(*) FROM public.keyless WHERE a = 1", database=postgres_database) == 2
    assert running.verify(stream)["equal"]


def test_a_thousand_tables(
    mariadb: MysqlEndpoint, mariadb_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    statements = [
        f"CREATE TABLE t{number} (id int PRIMARY KEY, v varchar(10), KEY (v));"
        f"INSERT INTO t{number} VALUES ({number}, 'x');"
        for number in range(1000)
    ]
    for first in range(0, 1000, 100):
        mariadb.execute("".join(statements[first : first + 100]), database=mariadb_database)
    outcome, report = running.finish(running.job(mariadb, mariadb_database, postgres, postgres_database))
    assert outcome.rows == 1000
    assert len(report.tables) == 1000
    count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert postgres.scalar(count, database=postgres_database) == 1002  # and checkpoints and source types


def test_a_thousand_columns(
    source_server: MysqlEndpoint, source_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    columns = ", ".join(f"c{number} smallint" for number in range(999))
    source_server.execute(f"CREATE TABLE wide (id int PRIMARY KEY, {columns})", database=source_database)
    source_server.execute("INSERT INTO wide (id, c0, c998) VALUES (1, 5, 7)", database=source_database)
    stream = running.job(source_server, source_database, postgres, postgres_database)
    running.finish(stream)
    assert postgres.query("SELECT c0, c500, c998 FROM public.wide", database=postgres_database) == [
        (5, None, 7)
    ]
    assert running.verify(stream)["equal"]


def test_a_blob_of_64_mb(
    mariadb: MysqlEndpoint, mariadb_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    mariadb.execute("CREATE TABLE t (id int PRIMARY KEY, b longblob)", database=mariadb_database)
    mariadb.execute("SET GLOBAL max_allowed_packet = 1073741824")
    mariadb.execute(
        "INSERT INTO t VALUES (1, REPEAT(X'00FF', 33554432)), (2, X'')", database=mariadb_database
    )
    stream = running.job(mariadb, mariadb_database, postgres, postgres_database)
    running.finish(stream)
    have = postgres.query(
        "SELECT id, length(b), md5(b) FROM public.t ORDER BY id", database=postgres_database
    )
    want = mariadb.query("SELECT id, LENGTH(b), MD5(b) FROM t ORDER BY id", database=mariadb_database)
    assert have == want
    assert running.verify(stream)["equal"]


BASE: dict[str, Any] = {
    "name": "n",
    "mode": "convert",
    "source": {"connections": [{"connectionId": "source"}], "options": {}},
    "target": {"id": "target", "spec": {"db": {}}},
}
MALFORMED = [
    ("name", ""),
    ("name", 5),
    ("mode", "copy"),
    ("reportingInterval", 0),
    ("reportingInterval", "3"),
    ("unknown", 1),
    ("source", {}),
    ("source.connections", []),
    ("source.connections.0.connectionId", 7),
    ("source.connections.0.tables", "film"),
    ("source.connections.0.tables", [{"name": ""}]),
    ("source.options.workers", -1),
    ("source.options.workers", 65),
    ("source.options.workers", 1.5),
    ("source.options.reader", "fast"),
    ("source.options.chunkBytes", 1),
    ("source.options.dataBundleSize", 0),
    ("source.options.operations", ["merge"]),
    ("target", {"id": "target"}),
    ("target.id", None),
    ("target.spec", {}),
    ("target.spec.db.schemaPolicy", "whatever"),
    ("target.spec.db.writeMode", "replace"),
    ("target.spec.db.skipData", "yes please"),
    ("target.spec.db.policies", {"zeroDate": "guess"}),
    ("target.spec.db.policies", {"unknown": "null"}),
    ("target.spec.db.structureOptions", {"views": True}),
    ("target.spec.db.rename", {"a.b": ""}),
    ("limits", {"numberOfEvents": -1}),
    ("limits", {"elapsedTime": 2**63}),
]


@pytest.mark.parametrize(("path", "value"), MALFORMED, ids=[f"{p}={v}" for p, v in MALFORMED])
def test_a_malformed_config_names_the_field(path: str, value: Any) -> None:
    body = copy.deepcopy(BASE)
    *parents, last = path.split(".")
    at: Any = body
    for part in parents:
        at = at[int(part)] if part.isdigit() else at.setdefault(part, {})
    at[int(last) if last.isdigit() else last] = value
    with pytest.raises(EngineError) as caught:
        StreamConfig.parse(body)
    assert caught.value.code is Code.VALIDATION_FAILED
    named = [problem["field"] for problem in caught.value.details["fields"]]
    assert any(field.startswith(path.split(".0.")[0].split(".db.")[0]) or field == path for field in named), (
        named
    )


UNSUPPORTED = [
    ({"mode": "cdc"}, "mode"),
    (
        {"target": {"id": "target", "spec": {"db": {"policies": {"nan": "null"}}}}},
        "target.spec.db.policies.nan",
    ),
    ({"target": {"id": "target", "spec": {"files": {"fileFormat": "csv"}}}}, "target.spec"),
    ({"target": {"id": "target", "spec": {"gcs": {}}}}, "target.spec"),
    (
        {"source": {"connections": [{"connectionId": "source", "files": {"paths": ["a.csv"]}}]}},
        "source.connections.0.files",
    ),
    (
        {"source": {"connections": [{"connectionId": "source", "s3": {"bucket": "abc"}}]}},
        "source.connections.0.s3",
    ),
]


@pytest.mark.parametrize(("change", "field"), UNSUPPORTED, ids=[field for _, field in UNSUPPORTED])
def test_what_is_not_available_yet_is_refused_by_name(
    mariadb: MysqlEndpoint, postgres: PostgresEndpoint, change: dict[str, Any], field: str
) -> None:
    config = StreamConfig.parse({**BASE, **change})
    ends: dict[str, Connection] = {
        "source": running.connection(mariadb),
        "target": running.connection(postgres),
    }
    outcome, _ = running.run(StreamJob("stream_x", config, ends))
    assert outcome.error is not None
    assert (outcome.error["code"], outcome.error["details"]["field"]) == ("UNSUPPORTED_ROUTE", field)
