"""System calls and connections over REST."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints import PostgresEndpoint
from tests.integration.server_harness import Api, running_api

pytestmark = pytest.mark.integration

SECRET = "very-secret-word"
SHOP: dict[str, Any] = {
    "name": "shop",
    "type": "mysql",
    "alias": "my1",
    "ssl": {"mode": "disable"},
    "spec": {"database": {"host": "127.0.0.1", "port": 1, "username": "app", "password": SECRET}},
}
FLAT: dict[str, Any] = {
    "name": "flat",
    "type": "postgresql",
    "host": "127.0.0.1",
    "port": 1,
    "username": "app",
    "password": SECRET,
    "defaultDatabase": "d",
}


@pytest.fixture
def api(data_dir: Path) -> Iterator[Api]:
    with running_api(data_dir) as running:
        yield running


def of_server(server: PostgresEndpoint, **changes: Any) -> dict[str, Any]:
    """The flat form of a running server."""
    return {
        "name": "live",
        "type": "postgresql",
        "host": server.host,
        "port": server.port,
        "username": server.user,
        "password": server.password,
        "ssl": {"mode": "disable"},
        **changes,
    }


# ---------------------------------------------------------------- system


def test_system_calls(api: Api) -> None:
    assert api.get("/health", auth=False) == {"ping": "ok", "status": "ok"}
    assert api.get("/ready", auth=False)["status"] == "ready"
    defaults = api.get("/system/defaults", auth=False)
    assert defaults["installId"] == api.install_id
    assert defaults["defaultExportPath"].endswith("/exports")
    names = [item["name"] for item in api.get("/services/status")["services"]]
    assert names == ["api", "store", "workers", "duckdb"]
    user = api.get("/user")
    assert user["subscriptionStatus"] == user["subscription"]["status"] == "active"
    assert api.get("/user/configs") == {"connections": [], "streamConfigs": []}
    assert api.expect(200, "POST", "/user/clear-key") == {"status": "ok"}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"sqlCaptureMode": "minimal", "forwardSQLLogs": True}, ("minimal", True)),
        ({"sqlCaptureMode": "verbose"}, ("verbose", False)),
        ({"forwardSQLLogs": True}, ("off", True)),
    ],
)
def test_sql_logging(api: Api, body: dict[str, Any], answer: tuple[str, bool]) -> None:
    assert api.get("/system/sql-logging") == {"sqlCaptureMode": "off", "forwardSQLLogs": False}
    wanted = {"sqlCaptureMode": answer[0], "forwardSQLLogs": answer[1]}
    assert api.expect(200, "PUT", "/system/sql-logging", body) == wanted
    assert api.get("/system/sql-logging") == wanted


@pytest.mark.parametrize("body", [{"sqlCaptureMode": "loud"}, {"forwardSQLLogs": "yes"}, {"other": 1}])
def test_sql_logging_refuses(api: Api, body: dict[str, Any]) -> None:
    api.refuses("VALIDATION_FAILED", "PUT", "/system/sql-logging", body)


def test_ready_names_what_is_not(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api.engine is not None
    parts = {"services": [{"name": "store", "status": "critical"}, {"name": "api", "status": "passing"}]}
    monkeypatch.setattr(api.engine, "services", lambda: parts)
    envelope = api.refuses("NOT_READY", "GET", "/ready", auth=False)
    assert [item["name"] for item in envelope["details"]["services"]] == ["store"]


def test_metrics(api: Api) -> None:
    api.call("GET", "/connections/conn_a")
    api.call("GET", "/connections/conn_b")
    api.call("PATCH", "/connections")
    response = api.call("GET", "/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = response.text.splitlines()
    route = 'method="GET",route="/api/v1/connections/{id}",status="404"'
    assert f"dbstreams_http_requests_total{{{route}}} 2.0" in lines
    assert 'dbstreams_http_requests_total{method="PATCH",route="(none)",status="405"} 1.0' in lines
    assert 'dbstreams_streams{status="RUNNING"} 0.0' in lines
    assert "dbstreams_rows_moved_total 0.0" in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


# ---------------------------------------------------------------- connections


def test_a_connection_from_birth_to_death(api: Api) -> None:
    response = api.call("POST", "/connections", SHOP)
    assert response.status_code == 201
    created = response.json()
    path = f"/connections/{created['id']}"
    assert response.headers["location"] == f"/api/v1{path}"
    got = api.get(path)
    assert got["id"] == created["id"]
    assert got["created"] == created["created"]
    assert got["spec"]["database"]["password"] == "********"
    assert got["databasesInfo"] == []
    changed = got | {"name": "shop 2"}
    assert api.expect(200, "PUT", path, changed)["name"] == "shop 2"
    assert api.engine is not None
    assert api.engine.connections.model(created["id"]).database.password.get_secret_value() == SECRET
    copy = api.expect(200, "PUT", path + "/clone")
    assert copy["id"] != created["id"]
    assert [item["name"] for item in api.get("/connections")["items"]] == ["shop 2", "shop 2 copy"]
    assert api.expect(200, "DELETE", path) == {"deleted": 1}
    api.refuses("CONNECTION_NOT_FOUND", "GET", path)
    api.refuses("CONNECTION_NOT_FOUND", "DELETE", path)
    api.refuses("CONNECTION_NOT_FOUND", "PUT", path, SHOP)
    api.refuses("CONNECTION_NOT_FOUND", "PUT", path + "/clone")
    api.refuses("CONNECTION_NOT_FOUND", "POST", path + "/ping")


def test_the_flat_form(api: Api) -> None:
    got = api.get(f"/connections/{api.expect(201, 'POST', '/connections', FLAT)['id']}")
    assert got["spec"]["database"]["database"] == "d"
    assert "host" not in got
    api.refuses("VALIDATION_FAILED", "POST", "/connections", FLAT | {"name": "both", "spec": SHOP["spec"]})


def test_names_are_unique(api: Api) -> None:
    first = api.expect(201, "POST", "/connections", SHOP)["id"]
    second = api.expect(201, "POST", "/connections", SHOP | {"name": "other"})["id"]
    assert api.call("POST", "/connections", SHOP).status_code == 409
    api.refuses("NAME_TAKEN", "POST", "/connections", SHOP)
    api.refuses("NAME_TAKEN", "PUT", f"/connections/{second}", SHOP)
    api.expect(200, "PUT", f"/connections/{first}", SHOP)


def test_lists_are_searched_and_paged(api: Api) -> None:
    for number in range(5):
        api.expect(201, "POST", "/connections", SHOP | {"name": f"c{number}"})
    api.expect(201, "POST", "/connections", FLAT | {"host": "Warehouse.example"})
    page = api.get("/connections?limit=2&offset=1")
    assert ([item["name"] for item in page["items"]], page["total"], page["filtered"]) == (["c1", "c2"], 6, 6)
    found = api.get("/connections?search=warehouse")
    assert ([item["name"] for item in found["items"]], found["filtered"]) == (["flat"], 1)
    assert found["search"] == "warehouse"
    assert api.get("/connections?offset=100")["items"] == []


@pytest.mark.parametrize("header", [None, "false", "yes"])
def test_deleting_all_wants_confirmation(api: Api, header: str | None) -> None:
    """rest-confirm-delete"""
    api.expect(201, "POST", "/connections", SHOP)
    headers = {} if header is None else {"X-Confirm-Delete": header}
    for path in ("/connections", "/stream-configs", "/stream-configs/config_x/runs"):
        response = api.call("DELETE", path, headers=headers)
        assert (response.status_code, response.json()["code"]) == (428, "CONFIRMATION_REQUIRED")
    assert api.get("/connections")["total"] == 1
    assert api.expect(200, "DELETE", "/connections", headers={"X-Confirm-Delete": "true"}) == {"deleted": 1}
    assert api.get("/connections")["total"] == 0


def test_secrets_never_come_back(api: Api, capfd: pytest.CaptureFixture[str]) -> None:
    """rest-secrets-masked"""
    texts = [api.call("POST", "/connections", SHOP).text, api.call("POST", "/connections", FLAT).text]
    texts += [api.call("POST", "/connections", SHOP).text, api.call("POST", "/connections/test", SHOP).text]
    texts += [api.call("GET", path).text for path in ("/connections", "/user/configs", "/user", "/metrics")]
    for item in api.get("/connections")["items"]:
        path = f"/connections/{item['id']}"
        texts += [api.call("GET", path).text, api.call("PUT", path + "/clone").text]
        texts.append(api.call("POST", path + "/ping").text)
    said = "".join(texts) + "".join(capfd.readouterr())
    assert SECRET not in said
    assert api.key not in said


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"port": 1}, "refused"),
        ({"password": "wrong-password"}, "auth"),
        ({"host": "no-such-host.invalid"}, "dns"),
        ({"database": "no_such_database"}, "unknown_database"),
        ({"ssl": {"mode": "require"}}, "tls"),
    ],
)
def test_testing_says_what_failed(
    api: Api, postgres: PostgresEndpoint, change: dict[str, Any], reason: str
) -> None:
    """rest-connection-failed-reasons"""
    if change.get("password") and _trusts(api, postgres):
        change = {"username": "no_such_user_at_all"}
    response = api.call("POST", "/connections/test", of_server(postgres, **change))
    if reason == "tls" and response.status_code == 200:
        pytest.fail("the test server offers TLS: the case needs one without")
    assert response.status_code == 502, response.text
    assert response.json()["code"] == "CONNECTION_FAILED"
    assert response.json()["details"]["reason"] == reason


def _trusts(api: Api, server: PostgresEndpoint) -> bool:
    """Whether the server lets a known user in with any password."""
    return api.call("POST", "/connections/test", of_server(server, password="wrong")).status_code == 200


def test_a_live_connection(api: Api, postgres: PostgresEndpoint, postgres_database: str) -> None:
    body = of_server(postgres)
    assert api.expect(200, "POST", "/connections/test", body)["ping"] == "ok"
    path = f"/connections/{api.expect(201, 'POST', '/connections', body)['id']}"
    assert api.get(path)["status"] == "unknown"
    assert api.expect(200, "POST", path + "/ping")["serverVersion"]
    assert api.get(path)["status"] == "ok"
    listed = {item["name"]: item for item in api.get(path + "/databases")}
    assert listed["postgres"]["isSystem"]
    assert not listed[postgres_database]["isSystem"]
    assert "public" in [schema["name"] for schema in listed[postgres_database]["schemas"]]
    found = api.get("/connections", params={"search": postgres_database})
    assert found["matchedPaths"] == [f"live/{postgres_database}"]


def test_making_databases_and_schemas(api: Api, postgres: PostgresEndpoint) -> None:
    connection = f"/connections/{api.expect(201, 'POST', '/connections', of_server(postgres))['id']}"
    base = postgres.database()
    names = [f'{base} "q" é', f"{base}_t"]
    try:
        api.expect(201, "POST", connection + "/databases", {"name": names[0]})
        text = {"content": names[1].encode() + b"\n", "headers": {"Content-Type": "text/plain"}}
        assert api.expect(201, "POST", connection + "/databases", **text)["name"] == names[1]
        api.refuses("NAME_TAKEN", "POST", connection + "/databases", {"name": names[1]})
        for bad in ({"name": ""}, {"name": "a\u0000"}, {}, {"name": 1}, {"name": "x", "owner": "y"}):
            api.refuses("VALIDATION_FAILED", "POST", connection + "/databases", bad)
        schemas = f"{connection}/databases/{_quoted(names[0])}/schemas"
        assert api.expect(201, "POST", schemas, {"name": "st aging"})["name"] == "st aging"
        api.refuses("NAME_TAKEN", "POST", schemas, {"name": "st aging"})
        assert "st aging" in [item["name"] for item in api.get(schemas)]
        api.refuses("CONNECTION_FAILED", "GET", f"{connection}/databases/{base}_none/schemas")
    finally:
        for name in [*names, base]:
            postgres.drop_database(name)


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")


def test_a_mysql_server_has_no_schemas(api: Api) -> None:
    path = f"/connections/{api.expect(201, 'POST', '/connections', SHOP)['id']}/databases/d/schemas"
    api.refuses("UNSUPPORTED_ROUTE", "GET", path)
    api.refuses("UNSUPPORTED_ROUTE", "POST", path, {"name": "s"})


# ---------------------------------------------------------------- idempotency


def test_a_repeated_call_gets_the_first_answer(api: Api) -> None:
    """rest-idempotency"""
    headers = {"Idempotency-Key": "3f0c"}
    first = api.call("POST", "/connections", SHOP, headers=headers)
    again = api.call("POST", "/connections", SHOP, headers=headers)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert api.get("/connections")["total"] == 1
    other = api.call("POST", "/connections", SHOP | {"name": "other"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "IDEMPOTENCY_CONFLICT")
    api.refuses("IDEMPOTENCY_CONFLICT", "PUT", f"/connections/{first.json()['id']}", SHOP, headers=headers)


def test_failures_are_not_kept(api: Api) -> None:
    headers = {"Idempotency-Key": "k"}
    api.refuses("VALIDATION_FAILED", "POST", "/connections", SHOP | {"port": 0}, headers=headers)
    api.expect(201, "POST", "/connections", SHOP, headers={"Idempotency-Key": "first"})
    api.refuses("NAME_TAKEN", "POST", "/connections", SHOP, headers=headers)
    api.expect(200, "DELETE", "/connections", headers={"X-Confirm-Delete": "true"})
    response = api.call("POST", "/connections", SHOP, headers=headers)
    assert response.status_code == 201
    assert "idempotency-replayed" not in response.headers


def test_keys_of_idempotency_belong_to_an_api_key(api: Api) -> None:
    assert api.engine is not None
    headers = {"Idempotency-Key": "same"}
    api.expect(201, "POST", "/connections", SHOP, headers=headers)
    other = {"X-API-Key": api.engine.keys.create("second")["key"], **headers}
    api.refuses("NAME_TAKEN", "POST", "/connections", SHOP, headers=other)


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
def test_bad_idempotency_keys(api: Api, key: str) -> None:
    headers = {"Idempotency-Key": key.encode()}
    envelope = api.refuses("VALIDATION_FAILED", "POST", "/connections", SHOP, headers=headers)
    assert envelope["details"]["fields"][0]["field"] == "Idempotency-Key"


def test_kept_answers_outlive_the_server(data_dir: Path) -> None:
    """rest-idempotency-durable"""
    headers = {"Idempotency-Key": "durable"}
    with running_api(data_dir) as api:
        first = api.expect(201, "POST", "/connections", SHOP, headers=headers)
    with running_api(data_dir) as api:
        again = api.call("POST", "/connections", SHOP, headers=headers)
        assert (again.json(), again.headers["idempotency-replayed"]) == (first, "true")
    kept = (data_dir / "idempotency.sqlite").read_bytes()
    assert SECRET.encode() not in kept
    assert b"durable" not in kept
    assert json.dumps(first["id"]).encode() in kept
