"""Stream configs and streams over REST, with real databases at both ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from tests.integration.server_harness import Api, running_api

pytestmark = pytest.mark.integration

ROWS = 500


@pytest.fixture
def api(data_dir: Path) -> Iterator[Api]:
    with running_api(data_dir) as running:
        yield running


def connect(api: Api, server: MysqlEndpoint | PostgresEndpoint, name: str, **changes: Any) -> str:
    body = {
        "name": name,
        "type": server.kind,
        "host": server.host,
        "port": server.port,
        "username": server.user,
        "password": server.password,
        **changes,
    }
    return str(api.expect(201, "POST", "/connections", body)["id"])


@pytest.fixture
def ends(
    api: Api,
    mariadb: MysqlEndpoint,
    postgres: PostgresEndpoint,
    mariadb_database: str,
    postgres_database: str,
) -> dict[str, Any]:
    """A config between two small databases; the source holds `item` with ROWS rows, and `note` with none."""
    mariadb.execute("CREATE TABLE item (id INT PRIMARY KEY, name VARCHAR(40))", database=mariadb_database)
    values = ",".join(f"({number}, 'item {number}')" for number in range(ROWS))
    mariadb.execute(f"INSERT INTO item VALUES {values}", database=mariadb_database)
    mariadb.execute("CREATE TABLE note (id INT PRIMARY KEY, text TEXT)", database=mariadb_database)
    return {
        "name": "move",
        "mode": "convert",
        "source": {
            "connections": [{"connectionId": connect(api, mariadb, "source"), "database": mariadb_database}]
        },
        "target": {
            "id": connect(api, postgres, "target"),
            "spec": {"db": {"database": postgres_database, "schema": "public"}},
        },
    }


def dead_ends(api: Api) -> dict[str, Any]:
    """A config whose servers do not answer."""
    common = {"host": "127.0.0.1", "port": 1, "username": "u", "password": "p"}
    source = api.expect(201, "POST", "/connections", {"name": "s", "type": "mysql", **common})["id"]
    target = api.expect(201, "POST", "/connections", {"name": "t", "type": "postgresql", **common})["id"]
    return {
        "name": "dead",
        "mode": "load",
        "source": {"connections": [{"connectionId": source, "database": "d"}]},
        "target": {"id": target, "spec": {"db": {"database": "d"}}},
    }


def wait_for(api: Api, stream: str, *statuses: str) -> dict[str, Any]:
    """The stream's stats once it has one of the states."""
    pause = threading.Event()
    while True:
        stats: dict[str, Any] = api.get(f"/streams/{stream}/stats")
        if stats["status"] in statuses:
            return stats
        assert stats["status"] in ("STARTING", "RUNNING", "PAUSING", "STOPPING"), stats
        pause.wait(0.05)


# ---------------------------------------------------------------- configs


def test_configs(api: Api) -> None:
    body = dead_ends(api)
    response = api.call("POST", "/stream-configs", body)
    assert response.status_code == 201, response.text
    config = response.json()
    path = f"/stream-configs/{config['id']}"
    assert response.headers["location"] == f"/api/v1{path}"
    assert config["mode"] == "convert"
    assert config["target"]["spec"]["db"]["writeMode"] == "append"
    assert api.get(path) == config
    api.refuses("NAME_TAKEN", "POST", "/stream-configs", body)
    changed = api.expect(200, "PUT", path, config | {"description": "changed"})
    assert changed["description"] == "changed"
    copy = api.expect(200, "PUT", path + "/clone")
    assert copy["name"] == "dead copy"
    page = api.get("/stream-configs?search=COPY&limit=1")
    assert [item["id"] for item in page["items"]] == [copy["id"]]
    assert (page["total"], page["filtered"], page["limit"], page["offset"]) == (2, 1, 1, 0)
    assert api.get(path + "/history") == {"items": [], "total": 0}
    assert api.expect(200, "DELETE", path) == {"deleted": 1}
    for method, suffix in [
        ("GET", ""),
        ("DELETE", ""),
        ("PUT", "/clone"),
        ("GET", "/history"),
        ("POST", "/plan"),
    ]:
        api.refuses("STREAM_CONFIG_NOT_FOUND", method, path + suffix)
    api.refuses("STREAM_CONFIG_NOT_FOUND", "PUT", path, body | {"name": "x"})
    api.refuses("STREAM_CONFIG_NOT_FOUND", "POST", path + "/start")
    confirm = {"X-Confirm-Delete": "true"}
    api.refuses("STREAM_CONFIG_NOT_FOUND", "DELETE", path + "/runs", headers=confirm)
    assert api.expect(200, "DELETE", "/stream-configs", headers=confirm) == {"deleted": 1}


def test_a_connection_that_a_config_uses_wants_confirmation(api: Api) -> None:
    body = dead_ends(api)
    api.expect(201, "POST", "/stream-configs", body)
    path = f"/connections/{body['target']['id']}"
    envelope = api.refuses("CONFIRMATION_REQUIRED", "DELETE", path)
    assert len(envelope["details"]["configIds"]) == 1
    api.expect(200, "DELETE", path, headers={"X-Confirm-Delete": "true"})


def at(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """`body` with the value at a dotted path changed; `...` removes it."""
    head, _, rest = path.partition(".")
    key: Any = int(head) if head.isdigit() else head
    copy: Any = list(body) if isinstance(body, list) else dict(body)
    if rest:
        copy[key] = at(copy.get(key, {}) if isinstance(copy, dict) else copy[key], rest, value)
    elif value is ...:
        del copy[key]
    else:
        copy[key] = value
    return copy  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("name", "", "VALIDATION_FAILED"),
        ("name", ..., "VALIDATION_FAILED"),
        ("mode", "copy", "VALIDATION_FAILED"),
        ("nope", 1, "VALIDATION_FAILED"),
        ("reportingInterval", 0, "VALIDATION_FAILED"),
        ("reportingInterval", "3", "VALIDATION_FAILED"),
        ("limits.numberOfEvents", -1, "VALIDATION_FAILED"),
        ("limits.numberOfEvents", 2**63, "VALIDATION_FAILED"),
        ("limits.numberOfEvents", 2**64, "VALIDATION_FAILED"),
        ("limits.elapsedTime", 1.5, "VALIDATION_FAILED"),
        ("limits.nope", 1, "VALIDATION_FAILED"),
        ("source", ..., "VALIDATION_FAILED"),
        ("source.connections", [], "VALIDATION_FAILED"),
        ("source.connections.0.tables", [{"name": ""}], "VALIDATION_FAILED"),
        ("source.connections.0.tables", [{"name": "t", "selection": {"nope": 1}}], "VALIDATION_FAILED"),
        ("source.connections.0.connectionId", "conn_none", "CONNECTION_NOT_FOUND"),
        ("source.options.workers", 65, "VALIDATION_FAILED"),
        ("source.options.dataBundleSize", 0, "VALIDATION_FAILED"),
        ("source.options.operations", ["truncate"], "VALIDATION_FAILED"),
        ("target.id", "conn_none", "CONNECTION_NOT_FOUND"),
        ("target.spec", {}, "VALIDATION_FAILED"),
        ("target.spec.db.schemaPolicy", "hope", "VALIDATION_FAILED"),
        ("target.spec.db.writeMode", "replace", "VALIDATION_FAILED"),
        ("target.spec.db.policies.zeroDate", "guess", "VALIDATION_FAILED"),
        ("target.spec.db.rename", {"a": ""}, "VALIDATION_FAILED"),
    ],
)
def test_configs_that_are_refused(api: Api, path: str, value: Any, code: str) -> None:
    envelope = api.refuses(code, "POST", "/stream-configs", at(dead_ends(api), path, value))
    if code == "VALIDATION_FAILED":
        last = path.rpartition(".")[2]
        fields = [item["field"] for item in envelope["details"]["fields"]]
        assert any(field.startswith(path.split(".")[0]) for field in fields), (last, fields)
    assert api.get("/stream-configs")["total"] == 0


def test_impossible_pairs(api: Api) -> None:
    body = dead_ends(api)
    refused = api.refuses("UNSUPPORTED_ROUTE", "POST", "/stream-configs", at(body, "mode", "cdc"))
    assert "cdc from mysql to postgresql" in refused["error"]


# ---------------------------------------------------------------- streams


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/stats"),
        ("GET", "/logs"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/stop"),
        ("POST", "/verify"),
        ("GET", "/verify"),
    ],
)
def test_unknown_streams(api: Api, method: str, path: str) -> None:
    api.refuses("STREAM_NOT_FOUND", method, f"/streams/stream_none{path}")


@pytest.mark.parametrize(
    "query", ["level=loud", "limit=0", "limit=10001", "offset=1", "level=info&level=debug"]
)
def test_log_queries_are_strict(api: Api, query: str) -> None:
    api.refuses("VALIDATION_FAILED", "GET", f"/streams/stream_none/logs?{query}")


def test_a_stream_from_plan_to_verification(
    api: Api, ends: dict[str, Any], postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """rest-streams-life"""
    config = api.expect(201, "POST", "/stream-configs", ends)["id"]
    plan = api.expect(200, "POST", f"/stream-configs/{config}/plan")
    assert plan["executable"]
    assert sorted(table["source"]["table"] for table in plan["tables"]) == ["item", "note"]
    api.refuses("STREAM_NOT_FOUND", "GET", f"/streams/{config}/stats")

    response = api.call("POST", f"/stream-configs/{config}/start", headers={"Idempotency-Key": "once"})
    assert response.status_code == 201, response.text
    stream = response.json()["id"]
    assert response.headers["location"] == f"/api/v1/streams/{stream}"
    again = api.expect(201, "POST", f"/stream-configs/{config}/start", headers={"Idempotency-Key": "once"})
    assert again["id"] == stream

    stats = wait_for(api, stream, "FINISHED", "FAILED")
    assert stats["status"] == "FINISHED", stats
    assert stats["target"]["counter"] == ROWS
    assert {table["table"]: table["events"] for table in stats["tables"]} == {"item": ROWS, "note": 0}
    assert api.get(f"/streams/{config}/stats")["streamID"] == stream
    assert postgres.scalar("SELECT count(*) FROM item", database=postgres_database) == ROWS

    seen = api.get(f"/streams/{stream}")
    assert (seen["status"], seen["configId"], seen["rowsInserted"]) == ("FINISHED", config, ROWS)
    assert [item["id"] for item in api.get("/streams")["items"]] == [stream]
    assert api.get(f"/streams/{stream}/logs?limit=1000&level=debug")["items"]

    api.refuses("RUN_NOT_FOUND", "GET", f"/streams/{stream}/verify")
    assert api.expect(202, "POST", f"/streams/{stream}/verify")["streamId"] == stream
    pause = threading.Event()
    while (verification := api.get(f"/streams/{stream}/verify"))["status"] == "RUNNING":
        pause.wait(0.05)
    assert verification["status"] == "FINISHED", verification
    assert verification["result"]["equal"]

    runs = api.get(f"/stream-configs/{config}/history")
    assert [(run["status"], run["rowsInserted"]) for run in runs["items"]] == [("FINISHED", ROWS)]
    for command in ("pause", "resume", "stop"):
        envelope = api.refuses("INVALID_STREAM_STATE", "POST", f"/streams/{stream}/{command}")
        assert envelope["details"]["state"] == "FINISHED"
    metrics = api.call("GET", "/metrics").text
    assert f"dbstreams_rows_moved_total {float(ROWS)}" in metrics
    assert 'dbstreams_streams{status="FINISHED"} 1.0' in metrics
    run = f"/stream-configs/{config}/runs/{runs['items'][0]['id']}"
    assert api.expect(200, "DELETE", run) == {"deleted": 1}
    api.refuses("RUN_NOT_FOUND", "DELETE", run)
    api.refuses("STREAM_NOT_FOUND", "GET", f"/streams/{stream}")


def test_unknown_tables_are_found_when_saving(api: Api, ends: dict[str, Any]) -> None:
    body = at(ends, "source.connections.0.tables", [{"name": "item"}, {"name": "no_such"}])
    envelope = api.refuses("UNKNOWN_TABLE", "POST", "/stream-configs", body)
    assert envelope["details"]["tables"] == ["no_such"]


def test_a_stream_that_fails_says_why(api: Api) -> None:
    config = api.expect(201, "POST", "/stream-configs", dead_ends(api))["id"]
    api.refuses("CONNECTION_FAILED", "POST", f"/stream-configs/{config}/plan")
    stream = api.expect(201, "POST", f"/stream-configs/{config}/start")["id"]
    stats = wait_for(api, stream, "FAILED")
    assert stats["error"]["code"] == "CONNECTION_FAILED"
    assert api.get(f"/streams/{stream}")["error"]["code"] == "CONNECTION_FAILED"
    errors = api.get(f"/streams/{stream}/logs?level=error")["items"]
    assert errors
    run = api.get(f"/stream-configs/{config}/history")["items"][0]
    assert run["errorMessage"] == stats["error"]["error"]
    stopped = api.call("POST", f"/streams/{stream}/stop")
    assert stopped.json()["code"] == "INVALID_STREAM_STATE"


def test_force_stop_and_resume(
    api: Api, ends: dict[str, Any], mariadb: MysqlEndpoint, postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """The target's table is locked, so that the stream stays RUNNING for as long as the test wants."""
    database = ends["source"]["connections"][0]["database"]
    mariadb.execute("DROP TABLE note", database=database)
    config = api.expect(201, "POST", "/stream-configs", ends)["id"]
    postgres.execute("CREATE TABLE item (id int PRIMARY KEY, name varchar(40))", database=postgres_database)
    with locked(postgres, postgres_database):
        stream = api.expect(201, "POST", f"/stream-configs/{config}/start")["id"]
        wait_for(api, stream, "RUNNING")
        envelope = api.refuses("STREAM_ALREADY_RUNNING", "POST", f"/stream-configs/{config}/start")
        assert envelope["details"]["streamId"] == stream
        source = ends["source"]["connections"][0]["connectionId"]
        api.refuses("CONNECTION_IN_USE", "DELETE", f"/connections/{source}")
        api.refuses("CONNECTION_IN_USE", "DELETE", "/connections", headers={"X-Confirm-Delete": "true"})
        api.refuses("STREAM_ALREADY_RUNNING", "DELETE", f"/stream-configs/{config}")
        api.refuses("INVALID_STREAM_STATE", "POST", f"/streams/{stream}/resume")
        run = api.get(f"/stream-configs/{config}/history")["items"][0]["id"]
        api.refuses("INVALID_STREAM_STATE", "DELETE", f"/stream-configs/{config}/runs/{run}")
        assert api.expect(200, "POST", f"/streams/{stream}/stop?force=true")["status"] == "STOPPED"
    assert api.expect(200, "POST", f"/streams/{stream}/resume")["status"] in (
        "STARTING",
        "RUNNING",
        "FINISHED",
    )
    assert wait_for(api, stream, "FINISHED", "FAILED")["status"] == "FINISHED"
    assert postgres.scalar("SELECT count(*) FROM item", database=postgres_database) == ROWS


def test_pause_and_resume(
    api: Api, ends: dict[str, Any], postgres: PostgresEndpoint, postgres_database: str
) -> None:
    """A pause is taken at once and carried out at the next safe point, after what the lock held back."""
    config = api.expect(201, "POST", "/stream-configs", ends)["id"]
    postgres.execute("CREATE TABLE item (id int PRIMARY KEY, name varchar(40))", database=postgres_database)
    with locked(postgres, postgres_database):
        stream = api.expect(201, "POST", f"/stream-configs/{config}/start")["id"]
        wait_for(api, stream, "RUNNING")
        assert api.expect(200, "POST", f"/streams/{stream}/pause")["status"] == "PAUSING"
        api.refuses("INVALID_STREAM_STATE", "POST", f"/streams/{stream}/pause")
    if wait_for(api, stream, "PAUSED", "FINISHED")["status"] == "PAUSED":
        api.expect(200, "POST", f"/streams/{stream}/resume")
    assert wait_for(api, stream, "FINISHED", "FAILED")["status"] == "FINISHED"
    assert postgres.scalar("SELECT count(*) FROM item", database=postgres_database) == ROWS


class locked:
    """A session that holds ACCESS EXCLUSIVE on the target's table."""

    def __init__(self, server: PostgresEndpoint, database: str) -> None:
        import psycopg

        self._session = psycopg.connect(server.url(database))

    def __enter__(self) -> None:
        self._session.execute("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")

    def __exit__(self, *_: object) -> None:
        self._session.close()
