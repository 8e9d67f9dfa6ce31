"""Foreign keys of a target validated over REST, and the rows that break them counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine.config import StreamConfig
from engine.connectors import inspection
from engine.connectors.postgres import validation
from engine.errors import Code, EngineError
from tests.integration.server_harness import Api, running_api
from tests.running import connection

pytestmark = pytest.mark.integration

PATHS = ("/stream-configs/{}/validate-constraints", "/stream/{}/validate-constraints")


@pytest.fixture
def api(data_dir: Path) -> Iterator[Api]:
    with running_api(data_dir) as running:
        yield running


@dataclass(frozen=True)
class Case:
    """Tables p and c with rows; the constraint `k` of c comes last. `orphans`: how many rows break it."""

    name: str
    orphans: int
    tables: str
    key: str


POSTGRES = [
    Case("holds", 0, "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int);"
         " INSERT INTO p VALUES (1); INSERT INTO c VALUES (1), (NULL)", "FOREIGN KEY (p) REFERENCES p"),
    Case("breaks", 2, "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int);"
         " INSERT INTO p VALUES (1); INSERT INTO c VALUES (1), (2), (2), (NULL)",
         "FOREIGN KEY (p) REFERENCES p"),
    Case("composite, NULLs do not ask", 1,
         "CREATE TABLE p (a int, b int, UNIQUE (b, a)); CREATE TABLE c (x int, y int);"
         " INSERT INTO p VALUES (1, 2), (3, NULL);"
         " INSERT INTO c VALUES (1, 2), (2, 1), (1, NULL), (9, NULL), (NULL, NULL), (NULL, 9)",
         "FOREIGN KEY (x, y) REFERENCES p (a, b)"),
    Case("MATCH FULL, half a key is wrong", 4,
         "CREATE TABLE p (a int, b int, PRIMARY KEY (a, b)); CREATE TABLE c (x int, y int);"
         " INSERT INTO p VALUES (1, 2);"
         " INSERT INTO c VALUES (1, 2), (2, 1), (1, NULL), (9, NULL), (NULL, NULL), (NULL, 9)",
         "FOREIGN KEY (x, y) REFERENCES p MATCH FULL"),
    Case("MATCH FULL of one column", 1, "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int);"
         " INSERT INTO c VALUES (1), (NULL)", "FOREIGN KEY (p) REFERENCES p MATCH FULL"),
    Case("to itself", 1, "CREATE TABLE p (id int); CREATE TABLE c (id int PRIMARY KEY, up int);"
         " INSERT INTO c VALUES (1, 1), (2, 1), (3, 4)", "FOREIGN KEY (up) REFERENCES c"),
    Case("types that differ", 2,
         "CREATE TABLE p (a bigint, b text, d numeric, PRIMARY KEY (a, b, d));"
         " CREATE DOMAIN small AS int; CREATE TABLE c (x small, y varchar(9), z int);"
         " INSERT INTO p VALUES (1, 'a', 3.0);"
         " INSERT INTO c VALUES (1, 'a', 3), (1, 'A', 3), (1, 'a', 4)",
         "FOREIGN KEY (x, y, z) REFERENCES p"),
    Case("collations that differ", 1,
         'CREATE TABLE p (id text COLLATE "POSIX" PRIMARY KEY); CREATE TABLE c (p text COLLATE "C");'
         " INSERT INTO p VALUES ('a'); INSERT INTO c VALUES ('a'), ('A')", "FOREIGN KEY (p) REFERENCES p"),
    Case("no cases in the collation", 1,
         "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
         " CREATE TABLE p (id text COLLATE any_case PRIMARY KEY); CREATE TABLE c (p text COLLATE any_case);"
         " INSERT INTO p VALUES ('a'); INSERT INTO c VALUES ('a'), ('A'), ('b')",
         "FOREIGN KEY (p) REFERENCES p"),
    Case("an enum and an array", 1,
         "CREATE TYPE mood AS ENUM ('x', 'y'); CREATE TABLE p (m mood, a int[], PRIMARY KEY (m, a));"
         " CREATE TABLE c (m mood, a int[]); INSERT INTO p VALUES ('x', '{1,2}');"
         " INSERT INTO c VALUES ('x', '{1,2}'), ('y', '{1,2}')", "FOREIGN KEY (m, a) REFERENCES p"),
    Case("rows of heirs do not count", 2,
         "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE p2 () INHERITS (p);"
         " CREATE TABLE c (p int); CREATE TABLE c2 () INHERITS (c); INSERT INTO p VALUES (1);"
         " INSERT INTO p2 VALUES (2); INSERT INTO c VALUES (1), (2), (3); INSERT INTO c2 VALUES (4)",
         "FOREIGN KEY (p) REFERENCES p"),
    Case("a parent in parts", 1,
         "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);"
         " CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
         " CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20); CREATE TABLE c (p int);"
         " INSERT INTO p VALUES (1), (11); INSERT INTO c VALUES (1), (11), (12)",
         "FOREIGN KEY (p) REFERENCES p"),
    Case("names of all kinds", 1,
         'CREATE SCHEMA "o""ther"; CREATE TABLE "o""ther"."p %s" ("i""d" int PRIMARY KEY);'
         ' CREATE TABLE c ("p %s" int); INSERT INTO c VALUES (5)',
         'FOREIGN KEY ("p %s") REFERENCES "o""ther"."p %s" ("i""d")'),
]  # fmt: skip


@pytest.mark.parametrize("case", POSTGRES, ids=lambda case: case.name)
def test_postgres(postgres: PostgresEndpoint, postgres_database: str, case: Case) -> None:
    """slug: constraints-orphans"""
    key = f"ALTER TABLE c ADD CONSTRAINT k {case.key} NOT VALID"
    postgres.execute(f"{case.tables}; {key}", database=postgres_database)
    answer = inspection.validate_foreign_keys(connection(postgres), postgres_database, None)
    where = {"schemaName": "public", "tableName": "c", "constraintName": "k"}
    assert answer == {
        "engine": "postgresql",
        "action": "validated",
        "validatedCount": int(not case.orphans),
        "validatedConstraints": [] if case.orphans else [where],
        "totalOrphanRows": case.orphans,
        "violations": [{**where, "orphanCount": case.orphans}] if case.orphans else [],
    }
    valid = postgres.scalar(
        "SELECT convalidated FROM pg_constraint WHERE conname = 'k' AND conparentid = 0",
        database=postgres_database,
    )
    assert valid is (case.orphans == 0)


MYSQL = [
    Case("holds", 0, "CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE c (p INT, FOREIGN KEY k (p)"
         " REFERENCES p (id)); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1), (NULL)", ""),
    Case("breaks", 2, "CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE c (p INT, CONSTRAINT k FOREIGN KEY"
         " (p) REFERENCES p (id)); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1), (2), (2), (NULL)", ""),
    Case("composite, NULLs do not ask", 1,
         "CREATE TABLE p (a INT, b INT, UNIQUE (a, b)); CREATE TABLE c (x INT, y INT, FOREIGN KEY (x, y)"
         " REFERENCES p (a, b)); INSERT INTO p VALUES (1, 2), (3, NULL);"
         " INSERT INTO c VALUES (1, 2), (2, 1), (1, NULL), (9, NULL), (NULL, NULL), (NULL, 9)", ""),
    Case("to itself", 1, "CREATE TABLE c (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES c (id));"
         " INSERT INTO c VALUES (1, 1), (2, 1), (3, 4)", ""),
    Case("no cases in the collation", 1,
         "CREATE TABLE p (id VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY); CREATE TABLE c (p VARCHAR(9)"
         " COLLATE utf8mb4_general_ci, FOREIGN KEY (p) REFERENCES p (id)); INSERT INTO p VALUES ('a');"
         " INSERT INTO c VALUES ('a'), ('A '), ('b')", ""),
    Case("enums compare by number", 1,
         "CREATE TABLE p (id ENUM('b', 'a') PRIMARY KEY); CREATE TABLE c (p ENUM('a', 'b'), FOREIGN KEY (p)"
         " REFERENCES p (id)); INSERT INTO p VALUES ('b'); INSERT INTO c VALUES ('a'), ('b')", ""),
    Case("no parent table", 2, "CREATE TABLE c (p INT, FOREIGN KEY (p) REFERENCES nowhere (id));"
         " INSERT INTO c VALUES (1), (2), (NULL)", ""),
    Case("names of all kinds", 1,
         "CREATE TABLE `p ``%s` (`i d` INT PRIMARY KEY); CREATE TABLE c (`p %s` INT,"
         " FOREIGN KEY (`p %s`) REFERENCES `p ``%s` (`i d`)); INSERT INTO c VALUES (5)", ""),
]  # fmt: skip


@pytest.mark.parametrize("case", MYSQL, ids=lambda case: case.name)
def test_mysql(source_server: MysqlEndpoint, source_database: str, case: Case) -> None:
    """slug: constraints-checked: the rows come in with the checks off."""
    source_server.execute(f"SET foreign_key_checks = 0; {case.tables}", database=source_database)
    answer = inspection.validate_foreign_keys(connection(source_server), source_database, None)
    assert (answer["engine"], answer["action"]) == (source_server.kind, "checked")
    assert answer["totalOrphanRows"] == case.orphans
    found = [*answer["validatedConstraints"], *answer["violations"]]
    assert [(item["schemaName"], item["tableName"]) for item in found] == [(source_database, "c")]
    assert answer["validatedCount"] == len(answer["validatedConstraints"]) == int(not case.orphans)
    assert [item["orphanCount"] for item in answer["violations"]] == [case.orphans] * bool(case.orphans)


def test_mysql_agrees_with_the_server(source_server: MysqlEndpoint, source_database: str) -> None:
    """Every row we call sound is one the server takes with its checks on, and no other."""
    values = [(1, 2), (2, 1), (1, None), (None, 2), (None, None), (3, 3)]
    source_server.execute(
        "CREATE TABLE p (a INT, b INT, PRIMARY KEY (a, b)); INSERT INTO p VALUES (1, 2), (3, 3);"
        "CREATE TABLE c (x INT, y INT, FOREIGN KEY (x, y) REFERENCES p (a, b))",
        database=source_database,
    )
    refused = 0
    for row in values:
        try:
            source_server.execute("INSERT INTO c VALUES (%s, %s)", row, database=source_database)
        except pymysql.IntegrityError as error:
            refused += error.args[0] == 1452
    rows = ",".join(str(row).replace("None", "NULL") for row in values)
    source_server.execute(
        f"DELETE FROM c; SET foreign_key_checks = 0; INSERT INTO c VALUES {rows}", database=source_database
    )
    answer = inspection.validate_foreign_keys(connection(source_server), source_database, None)
    assert answer["totalOrphanRows"] == refused == 1


@pytest.mark.parametrize("collation", ["utf8mb4 COLLATE utf8mb4_bin", "latin1"])
def test_mysql_collations_that_differ(
    source_server: MysqlEndpoint, source_database: str, collation: str
) -> None:
    """MySQL lets the child's collation be changed with the checks off; the parent's goes on deciding. MariaDB
    does not, so there the key stays as it was."""
    source_server.execute(
        "CREATE TABLE p (id VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY); INSERT INTO p VALUES ('a');"
        "CREATE TABLE c (p VARCHAR(9) COLLATE utf8mb4_general_ci, FOREIGN KEY (p) REFERENCES p (id));"
        "INSERT INTO c VALUES ('a'), ('A'); SET foreign_key_checks = 0; INSERT INTO c VALUES ('b')",
        database=source_database,
    )
    alter = f"SET foreign_key_checks = 0; ALTER TABLE c CONVERT TO CHARACTER SET {collation}"
    if source_server.kind == "mysql":
        source_server.execute(alter, database=source_database)
    else:
        with pytest.raises(pymysql.OperationalError, match="Cannot change column"):
            source_server.execute(alter, database=source_database)
    answer = inspection.validate_foreign_keys(connection(source_server), source_database, None)
    assert [item["orphanCount"] for item in answer["violations"]] == [1]


def test_mysql_without_a_database(source_server: MysqlEndpoint) -> None:
    with pytest.raises(EngineError) as caught:
        inspection.validate_foreign_keys(connection(source_server), None, None)
    assert caught.value.code is Code.VALIDATION_FAILED


# ---------------------------------------------------------------- over REST


def connect(api: Api, server: MysqlEndpoint | PostgresEndpoint, name: str) -> str:
    body = {
        "name": name,
        "type": server.kind,
        "host": server.host,
        "port": server.port,
        "username": server.user,
        "password": server.password,
    }
    return str(api.expect(201, "POST", "/connections", body)["id"])


def config_body(source: str, target: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": f"into {target}",
        "mode": "convert",
        "source": {"connections": [{"connectionId": source, "database": "d"}]},
        "target": {"id": target, "spec": spec},
    }


@pytest.mark.parametrize("path", PATHS)
def test_over_rest(
    api: Api, mariadb: MysqlEndpoint, postgres: PostgresEndpoint, postgres_database: str, path: str
) -> None:
    """slug: constraints-validated: only what is NOT VALID, and only of the config's schema."""
    postgres.execute(
        "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.p (id int PRIMARY KEY); INSERT INTO a.p VALUES (1);"
        "CREATE TABLE a.c1 (p int CONSTRAINT valid REFERENCES a.p); CREATE TABLE a.c2 (p int);"
        "CREATE TABLE a.c3 (p int); CREATE TABLE b.c4 (p int); INSERT INTO a.c2 VALUES (1);"
        "INSERT INTO a.c3 VALUES (7), (8); INSERT INTO b.c4 VALUES (9);"
        "ALTER TABLE a.c2 ADD CONSTRAINT good FOREIGN KEY (p) REFERENCES a.p NOT VALID;"
        "ALTER TABLE a.c3 ADD CONSTRAINT bad FOREIGN KEY (p) REFERENCES a.p NOT VALID;"
        "ALTER TABLE b.c4 ADD CONSTRAINT elsewhere FOREIGN KEY (p) REFERENCES a.p NOT VALID",
        database=postgres_database,
    )
    spec = {"db": {"database": postgres_database, "schema": "a"}}
    body = config_body(connect(api, mariadb, "source"), connect(api, postgres, "target"), spec)
    call = path.format(api.expect(201, "POST", "/stream-configs", body)["id"])
    bad = {"schemaName": "a", "tableName": "c3", "constraintName": "bad", "orphanCount": 2}
    assert api.expect(200, "POST", call) == {
        "engine": "postgresql",
        "action": "validated",
        "validatedCount": 1,
        "validatedConstraints": [{"schemaName": "a", "tableName": "c2", "constraintName": "good"}],
        "totalOrphanRows": 2,
        "violations": [bad],
    }
    again = api.expect(200, "POST", call)
    assert (again["validatedCount"], again["violations"]) == (0, [bad])
    postgres.execute("DELETE FROM a.c3", database=postgres_database)
    after = api.expect(200, "POST", call)
    assert (after["validatedCount"], after["totalOrphanRows"]) == (1, 0)
    valid = postgres.query(
        "SELECT conname FROM pg_constraint WHERE contype = 'f' AND convalidated ORDER BY 1",
        database=postgres_database,
    )
    assert [name for (name,) in valid] == ["bad", "good", "valid"]


@pytest.mark.parametrize("path", PATHS)
def test_what_is_not_there(
    api: Api, mariadb: MysqlEndpoint, postgres: PostgresEndpoint, tmp_path: Path, path: str
) -> None:
    api.refuses("STREAM_CONFIG_NOT_FOUND", "POST", path.format("config_unknown"))
    api.refuses("STREAM_NOT_FOUND", "POST", path.format("stream_unknown"))
    source, target = connect(api, mariadb, "source"), connect(api, postgres, "target")
    files = {"name": "files", "type": "files", "spec": {"files": {"basePath": str(tmp_path)}}}
    folder = api.expect(201, "POST", "/connections", files)["id"]
    for at, spec, code in (
        (target, {"db": {"database": "postgres", "schema": "no_such"}}, "DATABASE_NOT_FOUND"),
        (target, {"db": {"database": "no_such_database"}}, "CONNECTION_FAILED"),
        (folder, {"files": {"fileFormat": "csv"}}, "UNSUPPORTED_ROUTE"),
    ):
        body = config_body(source, at, spec) | {"name": code}
        config = api.expect(201, "POST", "/stream-configs", body)["id"]
        envelope = api.refuses(code, "POST", path.format(config))
        if code == "UNSUPPORTED_ROUTE":
            assert "files have no foreign keys" in envelope["error"]
    api.expect(200, "DELETE", f"/connections/{target}", headers={"X-Confirm-Delete": "true"})
    config = api.get("/stream-configs?search=DATABASE_NOT_FOUND")["items"][0]["id"]
    api.refuses("CONNECTION_NOT_FOUND", "POST", path.format(config))


def test_a_mysql_target_over_rest(api: Api, source_server: MysqlEndpoint, source_database: str) -> None:
    """The config is put into the store directly: what may load into MySQL is decided elsewhere."""
    source_server.execute(
        "SET foreign_key_checks = 0; CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE c (p INT,"
        " CONSTRAINT bad FOREIGN KEY (p) REFERENCES p (id)); INSERT INTO c VALUES (1)",
        database=source_database,
    )
    assert api.engine is not None
    target = connect(api, source_server, "target")
    body = config_body(target, target, {"db": {"database": source_database}})
    config = api.engine.configs._insert(StreamConfig.parse(body))
    answer = api.expect(200, "POST", PATHS[0].format(config))
    assert answer["violations"] == [
        {"schemaName": source_database, "tableName": "c", "constraintName": "bad", "orphanCount": 1}
    ]


def test_a_locked_table_is_not_waited_for_for_ever(
    postgres: PostgresEndpoint, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "LOCK_SECONDS", 1)
    postgres.execute(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int);"
        "ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (p) REFERENCES p NOT VALID",
        database=postgres_database,
    )
    with postgres.connect(postgres_database) as other, other.transaction():
        other.execute("LOCK TABLE c")
        with pytest.raises(EngineError) as caught:
            inspection.validate_foreign_keys(connection(postgres), postgres_database, None)
    assert caught.value.code is Code.QUERY_TIMEOUT


def test_rows_hidden_by_a_policy_are_an_error(postgres: PostgresEndpoint, postgres_database: str) -> None:
    """slug: constraints-orphans: a count without them would be wrong."""
    role = f"r_{postgres_database}"
    postgres.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT ALL ON SCHEMA public TO {role};"
        f"CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int); INSERT INTO c VALUES (1), (2);"
        f"ALTER TABLE c ENABLE ROW LEVEL SECURITY; ALTER TABLE c FORCE ROW LEVEL SECURITY;"
        f"CREATE POLICY ones ON c USING (p = 1);"
        f"ALTER TABLE p OWNER TO {role}; ALTER TABLE c OWNER TO {role};"
        f"ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (p) REFERENCES p NOT VALID",
        database=postgres_database,
    )
    try:
        model = connection(postgres, username=role, password="x")
        with pytest.raises(EngineError) as caught:
            inspection.validate_foreign_keys(model, postgres_database, None)
        assert caught.value.code is Code.PERMISSION_DENIED
    finally:
        postgres.execute(f"DROP OWNED BY {role}; DROP ROLE {role}", database=postgres_database)


def test_a_convert_that_runs_validates_by_itself(
    api: Api, mariadb: MysqlEndpoint, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """A stream whose target table is locked cannot end; meanwhile validating is refused."""
    source_database = mariadb.database()
    mariadb.execute("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)", database=source_database)
    postgres.execute("CREATE TABLE t (id int PRIMARY KEY)", database=postgres_database)
    spec = {"db": {"database": postgres_database}}
    body = config_body(connect(api, mariadb, "source"), connect(api, postgres, "target"), spec)
    body["source"]["connections"][0]["database"] = source_database
    config = api.expect(201, "POST", "/stream-configs", body)["id"]
    with postgres.connect(postgres_database) as other, other.transaction():
        other.execute("LOCK TABLE t")
        stream = api.expect(201, "POST", f"/stream-configs/{config}/start")["id"]
        for id_ in (config, stream):
            envelope = api.refuses("INVALID_STREAM_STATE", "POST", PATHS[1].format(id_))
            assert envelope["details"]["streamId"] == stream
    pause = threading.Event()
    while api.get(f"/streams/{stream}/stats")["status"] in ("STARTING", "RUNNING"):
        pause.wait(0.05)
    for id_ in (config, stream):
        assert api.expect(200, "POST", PATHS[1].format(id_))["totalOrphanRows"] == 0
    mariadb.drop_database(source_database)
