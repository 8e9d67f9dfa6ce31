"""The search over connections that looks into their servers."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from engine import name_search
from engine.connectors import inspection
from tests.integration.server_harness import Api, running_api
from tests.running import connection

pytestmark = pytest.mark.integration


@pytest.fixture
def api(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """With time enough: the server may have many databases, and this machine little time for us."""
    monkeypatch.setattr(name_search, "SERVER_SECONDS", 60.0)
    monkeypatch.setattr(name_search, "WAIT_SECONDS", 60.0)
    with running_api(data_dir) as running:
        yield running


@pytest.fixture(scope="module")
def word() -> str:
    """A text that no other name on a shared server contains."""
    return f"w{secrets.token_hex(4)}"


def save(api: Api, server: MysqlEndpoint | PostgresEndpoint, name: str, **changes: Any) -> str:
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


def search(api: Api, text: str) -> Any:
    return api.get("/connections", params={"search": text})


def paths(api: Api, text: str) -> list[str]:
    answer = search(api, text)
    assert answer["databaseSearchCoverage"]["incomplete"] == [], answer
    return list(answer["matchedPaths"])


@pytest.fixture(scope="module")
def in_mysql(source_server: MysqlEndpoint, word: str) -> Iterator[str]:
    database = source_server.database()
    for statement in (
        f"CREATE TABLE `Orders_{word}` (id INT)",
        f"CREATE TABLE `{word}50%off` (id INT)",
        f"CREATE TABLE `{word}50 off` (id INT)",
        f"CREATE TABLE `{word}a_b` (id INT)",
        f"CREATE TABLE `{word}axb` (id INT)",
        f"CREATE TABLE `{word}É'\\x` (id INT)",
        f"CREATE VIEW `seen_{word}` AS SELECT id FROM `Orders_{word}`",
        f"CREATE PROCEDURE `run_{word}`() SELECT 1",
        f"CREATE FUNCTION `calc_{word}`() RETURNS INT DETERMINISTIC RETURN 1",
    ):
        source_server.execute(statement, database=database)
    yield database
    source_server.drop_database(database)


@pytest.fixture(scope="module")
def in_postgres(postgres: PostgresEndpoint, word: str) -> Iterator[str]:
    database = postgres.database()
    for statement in (
        f'CREATE SCHEMA "Sales_{word}"',
        f'CREATE TABLE "Sales_{word}"."Orders_{word}" (id int)',
        f'CREATE TABLE "{word}50%off" (id int)',
        f'CREATE TABLE "{word}50 off" (id int)',
        f'CREATE TABLE "{word}a_b" (id int)',
        f'CREATE TABLE "{word}axb" (id int)',
        f'CREATE TABLE "{word}É\'\\x" (id int)',
        f'CREATE VIEW "seen_{word}" AS SELECT 1 AS id',
        f'CREATE MATERIALIZED VIEW "kept_{word}" AS SELECT 1 AS id',
        f"CREATE PROCEDURE \"run_{word}\"() LANGUAGE sql AS 'SELECT 1'",
        f"CREATE FUNCTION \"calc_{word}\"(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        f"CREATE FUNCTION \"calc_{word}\"(text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ):
        postgres.execute(statement, database=database)
    yield database
    postgres.drop_database(database)


# What a text finds among the objects above; {w} is their common word, # stands for the place they are in.
CASES = [
    ("orders_{w}", ["#Orders_{w}"]),
    ("SEEN_{w}", ["#seen_{w}"]),
    ("run_{w}", ["#run_{w}"]),
    ("calc_{w}", ["#calc_{w}"]),
    ("{w}50%o", ["#{w}50%off"]),
    ("{w}a_b", ["#{w}a_b"]),
    ("{w}É'\\", ["#{w}É'\\x"]),
    ("{w}' OR 1=1 -- ", []),
    ("{w}%", []),
    ("{w}zzz", []),
]


@pytest.mark.parametrize(("text", "found"), CASES)
def test_names_on_mysql(
    api: Api, source_server: MysqlEndpoint, in_mysql: str, word: str, text: str, found: list[str]
) -> None:
    """slug: search-names"""
    save(api, source_server, "shop")
    place = f"shop/{in_mysql}/"
    assert paths(api, text.format(w=word)) == [path.format(w=word).replace("#", place) for path in found]


@pytest.mark.parametrize(("text", "found"), [*CASES, ("kept_{w}", ["#kept_{w}"])])
def test_names_on_postgres(
    api: Api, postgres: PostgresEndpoint, in_postgres: str, word: str, text: str, found: list[str]
) -> None:
    """slug: search-names: the connection names no database: every database of the server is searched."""
    save(api, postgres, "warehouse")
    place = f"warehouse/{in_postgres}/public/"
    wanted = [path.format(w=word).replace("#", place) for path in found]
    if found == ["#Orders_{w}"]:
        wanted = [f"warehouse/{in_postgres}/Sales_{word}/Orders_{word}"]
    assert paths(api, text.format(w=word)) == wanted


def test_databases_and_schemas_that_were_never_listed(
    api: Api, mariadb: MysqlEndpoint, postgres: PostgresEndpoint, in_postgres: str, word: str
) -> None:
    save(api, postgres, "warehouse")
    save(api, mariadb, "shop")
    assert paths(api, in_postgres.upper()) == [f"warehouse/{in_postgres}"]
    assert f"warehouse/{in_postgres}/Sales_{word}" in paths(api, f"sales_{word}")
    made = mariadb.database()
    try:
        assert paths(api, made) == [f"shop/{made}"]
    finally:
        mariadb.drop_database(made)


def test_what_we_make_is_found_at_once(api: Api, postgres: PostgresEndpoint) -> None:
    path = f"/connections/{save(api, postgres, 'warehouse')}"
    name = postgres.database()
    try:
        assert paths(api, f"{name}_s") == []
        api.expect(201, "POST", f"{path}/databases/{name}/schemas", {"name": f"{name}_s"})
        assert paths(api, f"{name}_s") == [f"warehouse/{name}/{name}_s"]
    finally:
        postgres.drop_database(name)


def test_answers_are_kept_and_forgotten_with_a_change(
    api: Api, postgres: PostgresEndpoint, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """slug: search-cached"""
    asked: list[str] = []
    real = inspection.find_names

    def counting(*args: Any, **kwargs: Any) -> Any:
        asked.append(args[1])
        return real(*args, **kwargs)

    monkeypatch.setattr(inspection, "find_names", counting)
    id_ = save(api, postgres, "warehouse")
    for _ in range(3):
        search(api, f"kept{word}")
    assert asked == [f"kept{word}"]
    search(api, f"other{word}")
    assert len(asked) == 2
    body = api.get(f"/connections/{id_}")
    api.expect(200, "PUT", f"/connections/{id_}", body | {"name": "renamed"})
    search(api, f"kept{word}")
    assert len(asked) == 3
    monkeypatch.setattr(name_search, "FRESH_SECONDS", 0.0)
    search(api, f"kept{word}")
    assert len(asked) == 4


def test_coverage_names_who_could_not_be_searched(
    api: Api, postgres: PostgresEndpoint, in_postgres: str, word: str, tmp_path: Path
) -> None:
    """slug: search-coverage"""
    save(api, postgres, "b good")
    dead = save(api, postgres, "a dead", host="127.0.0.1", port=1)
    wrong = save(api, postgres, "c wrong", database="no_such_database")
    files = {"name": "d files", "type": "files", "spec": {"files": {"basePath": str(tmp_path)}}}
    api.expect(201, "POST", "/connections", files)
    answer = search(api, f"seen_{word}")
    assert answer["matchedPaths"] == [f"b good/{in_postgres}/public/seen_{word}"]
    assert [item["name"] for item in answer["items"]] == ["b good"]
    coverage = answer["databaseSearchCoverage"]
    assert (coverage["connections"], coverage["withDatabases"], coverage["searched"]) == (4, 0, 1)
    gaps = [(gap["connectionId"], gap["name"], gap["reason"]) for gap in coverage["incomplete"]]
    assert gaps == [(dead, "a dead", "failed"), (wrong, "c wrong", "failed")]
    assert "cannot connect" in coverage["incomplete"][0]["message"]
    assert postgres.password not in str(coverage).replace(postgres.user, "")


def test_too_many_names_are_cut_and_said(
    api: Api, postgres: PostgresEndpoint, in_postgres: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_search, "MATCHES", 3)
    save(api, postgres, "warehouse")
    answer = search(api, word)
    assert len(answer["matchedPaths"]) == 3
    assert [gap["reason"] for gap in answer["databaseSearchCoverage"]["incomplete"]] == ["truncated"]


def test_no_time_left_is_a_timeout(
    source_server: MysqlEndpoint, postgres: PostgresEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_search, "SERVER_SECONDS", 0.0)
    for server in (source_server, postgres):
        found = name_search._look(connection(server), "x")
        assert (found.paths, found.reason) == ((), "timeout")


def test_silent_servers_hold_nobody_up(
    api: Api, postgres: PostgresEndpoint, in_postgres: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slug: search-bounded: more servers that take a connection and say nothing than are asked at a time."""
    save(api, postgres, "good")
    wanted = paths(api, f"seen_{word}")  # kept from now on, however slow this machine is
    assert wanted == [f"good/{in_postgres}/public/seen_{word}"]
    monkeypatch.setattr(name_search, "WAIT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        for number in range(name_search.AT_ONCE + 2):
            save(api, postgres, f"silent {number}", port=silent.getsockname()[1])
        answer = search(api, f"seen_{word}")
    monkeypatch.setattr(name_search, "WAIT_SECONDS", 30.0)
    again = search(api, f"seen_{word}")
    for found, reason in ((answer, "timeout"), (again, "failed")):
        gaps = found["databaseSearchCoverage"]["incomplete"]
        assert found["matchedPaths"] == wanted
        assert [gap["reason"] for gap in gaps] == [reason] * (name_search.AT_ONCE + 2)
