"""The façade against real servers: test, ping, databases, schemas, and the check of a config at saving."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine import Code, Engine
from tests.runtime import refused

pytestmark = pytest.mark.integration


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path / "data") as engine:
        yield engine


def body(server: MysqlEndpoint | PostgresEndpoint, name: str, **changes: Any) -> dict[str, Any]:
    kind = "postgresql" if isinstance(server, PostgresEndpoint) else server.kind
    spec = {
        "host": server.host,
        "port": server.port,
        "username": server.user,
        "password": server.password,
        **({"database": "postgres"} if kind == "postgresql" else {}),
    }
    return {"name": name, "type": kind, "spec": {"database": spec | changes}}


def test_a_source_server_answers(engine: Engine, source_server: MysqlEndpoint) -> None:
    assert engine.connections.test(body(source_server, "unsaved"))["ping"] == "ok"
    id_ = engine.connections.create(body(source_server, "saved"))["id"]
    assert engine.connections.get(id_)["status"] == "unknown"
    assert engine.connections.ping(id_)["serverVersion"]
    assert engine.connections.get(id_)["status"] == "ok"
    refused(Code.UNSUPPORTED_ROUTE, engine.connections.schemas, id_, "mysql")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"password": "wrong-password"}, "auth"),
        ({"port": 1}, "refused"),
        ({"host": "nowhere.invalid"}, "dns"),
    ],
)
def test_why_a_server_does_not_answer(
    engine: Engine, source_server: MysqlEndpoint, changes: dict[str, Any], reason: str
) -> None:
    error = refused(Code.CONNECTION_FAILED, engine.connections.test, body(source_server, "a", **changes))
    assert error.details["reason"] == reason
    assert "wrong-password" not in str(error.as_dict())
    id_ = engine.connections.create(body(source_server, "a", **changes))["id"]
    refused(Code.CONNECTION_FAILED, engine.connections.ping, id_)
    assert engine.connections.get(id_)["status"] == "failed"


def test_a_masked_password_can_be_tested_with_the_stored_one(
    engine: Engine, source_server: MysqlEndpoint
) -> None:
    """slug: masked-put"""
    id_ = engine.connections.create(body(source_server, "a"))["id"]
    masked = engine.connections.get(id_)
    refused(Code.VALIDATION_FAILED, engine.connections.test, masked)
    assert engine.connections.test(masked, id_)["ping"] == "ok"


def test_databases_and_schemas_are_made_listed_and_found(engine: Engine, postgres: PostgresEndpoint) -> None:
    id_ = engine.connections.create(body(postgres, "target"))["id"]
    name = f"dbs_{uuid.uuid4().hex[:12]}"
    engine.connections.create_database(id_, name)
    try:
        refused(Code.NAME_TAKEN, engine.connections.create_database, id_, name)
        engine.connections.create_schema(id_, name, "Odd name")
        assert {"name": "Odd name", "isSystem": False} in engine.connections.schemas(id_, name)
        listed = {item["name"]: item for item in engine.connections.databases(id_)}
        assert listed[name]["isSystem"] is False
        found = engine.connections.list(search="odd NAME")
        assert found["matchedPaths"] == [f"target/{name}/Odd name"]
    finally:
        postgres.execute(f'DROP DATABASE "{name}"')


def test_a_config_with_an_unknown_table_is_refused_when_saved(
    engine: Engine, source_server: MysqlEndpoint, source_database: str, postgres: PostgresEndpoint
) -> None:
    """slug: routes"""
    source_server.execute("CREATE TABLE here (id INT PRIMARY KEY)", database=source_database)
    source = engine.connections.create(body(source_server, "source"))["id"]
    target = engine.connections.create(body(postgres, "target"))["id"]

    def config(*tables: str) -> dict[str, Any]:
        ends = {"connectionId": source, "database": source_database, "tables": [{"name": n} for n in tables]}
        return {
            "name": "c",
            "mode": "load",
            "source": {"connections": [ends]},
            "target": {"id": target, "spec": {"db": {"database": "postgres"}}},
        }

    error = refused(Code.UNKNOWN_TABLE, engine.configs.create, config("here", "gone"))
    assert error.details["tables"] == ["gone"]
    stored = engine.configs.create(config("here"))
    assert stored["mode"] == "convert"
    # An end that does not answer is no reason to refuse: it may be up when the stream starts.
    engine.connections.update(source, body(source_server, "source", port=1))
    assert engine.configs.update(stored["id"], config("gone"))["id"] == stored["id"]
