"""Connections to DuckDB files over REST: saved, tested, pinged, listed, searched; a stream between two."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.integration.duckdb_files import SHOP, ask, build
from tests.integration.server_harness import Api, running_api

pytestmark = pytest.mark.integration


@pytest.fixture
def api(data_dir: Path) -> Iterator[Api]:
    with running_api(data_dir) as running:
        yield running


def post(api: Api, path: str, sent: dict[str, Any] | None = None) -> Any:
    response = api.call("POST", path, sent)
    assert response.status_code < 300, response.text
    return response.json()


def body(path: Path, name: str = "file") -> dict[str, Any]:
    return {"name": name, "type": "duckdb", "spec": {"duckdb": {"path": str(path)}}}


def test_a_file_is_listed(api: Api, tmp_path: Path) -> None:
    """slug: duckdb-connections"""
    file = tmp_path / "market.duckdb"
    build(file, *SHOP)
    assert post(api, "/connections/test", body(file))["flavor"] == "duckdb"
    saved = post(api, "/connections", body(file))["id"]
    assert post(api, f"/connections/{saved}/ping")["ping"] == "ok"
    (database,) = api.get(f"/connections/{saved}/databases")
    assert (database["name"], [s["name"] for s in database["schemas"]]) == ("market", ["main", "shop"])
    post(api, f"/connections/{saved}/databases/market/schemas", {"name": "new"})
    listed = api.get(f"/connections/{saved}/databases/market/schemas")
    assert [schema["name"] for schema in listed] == ["main", "new", "shop"]
    paths = api.get("/connections?search=PEOPLE")["matchedPaths"]
    assert paths == ["file/market/shop/people"]
    with duckdb.connect(str(file)):  # nobody kept it; and now it is ours
        envelope = api.refuses("CONNECTION_BUSY", "POST", f"/connections/{saved}/ping")
        assert str(file) in envelope["error"]


def test_a_file_that_is_not_there_yet(api: Api, tmp_path: Path) -> None:
    """slug: duckdb-connections. A connection to it can be saved, and the first stream makes it."""
    file = tmp_path / "later.duckdb"
    assert post(api, "/connections/test", body(file))["ping"] == "ok"
    saved = post(api, "/connections", body(file))["id"]
    assert [item["name"] for item in api.get(f"/connections/{saved}/databases")] == ["later"]
    assert not file.exists()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("relative.duckdb", "relative"),
        ("/nonexistent/folder/x.duckdb", "no_folder"),
        ("/etc/hostname", "not_a_database"),
        ("/etc", "not_a_database"),
    ],
)
def test_a_path_that_cannot_be_is_told_apart(api: Api, path: str, reason: str) -> None:
    """slug: duckdb-connections"""
    envelope = api.refuses("CONNECTION_FAILED", "POST", "/connections/test", body(Path(path)))
    assert envelope["details"]["reason"] == reason


@pytest.mark.parametrize(
    ("method", "path", "sent", "code"),
    [
        ("GET", "/databases/other/schemas", None, "DATABASE_NOT_FOUND"),
        ("POST", "/databases", {"name": "x"}, "UNSUPPORTED_ROUTE"),
        ("POST", "/databases/market/schemas", {"name": "shop"}, "NAME_TAKEN"),
    ],
)
def test_what_one_file_has_not(
    api: Api, tmp_path: Path, method: str, path: str, sent: dict[str, Any] | None, code: str
) -> None:
    """slug: duckdb-connections"""
    file = tmp_path / "market.duckdb"
    build(file, *SHOP)
    saved = post(api, "/connections", body(file))["id"]
    api.refuses(code, method, f"/connections/{saved}{path}", sent)


def test_a_stream_between_two_files(api: Api, tmp_path: Path) -> None:
    """slug: duckdb-connections. Nothing but two paths is needed."""
    one, two = tmp_path / "one.duckdb", tmp_path / "two.duckdb"
    build(one, *SHOP)
    source, target = (post(api, "/connections", body(path, path.stem))["id"] for path in (one, two))
    config = post(
        api,
        "/stream-configs",
        {
            "name": "copy",
            "mode": "convert",
            "source": {"connections": [{"connectionId": source, "schema": "shop"}]},
            "target": {"id": target, "spec": {"db": {}}},
        },
    )["id"]
    stream = post(api, f"/stream-configs/{config}/start")["id"]
    deadline = time.monotonic() + 60
    while api.get(f"/streams/{stream}/stats")["status"] != "FINISHED":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    while True:
        try:
            left = ask(two, "SELECT table_name FROM duckdb_tables() ORDER BY 1")
        except duckdb.IOException:  # the last process of the stream has it
            left = []
        if left == [("orders",), ("people",)]:
            break
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    assert ask(two, "SELECT count(*) FROM people") == [(10,)]
