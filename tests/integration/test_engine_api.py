"""The façade: connections, configs, keys, logs. Workers are real processes; their work is faked."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import Code, Engine
from engine.keys import KeyInfo
from engine.logs import QUEUE, LogFeed
from tests.runtime import PASSWORD, config, connection, engine, fake_runner, refused, steps, until

__all__ = ["engine", "fake_runner"]  # fixtures

ROOT = Path(__file__).resolve().parents[2]


# ---------------------------------------------------------------- connections


def test_a_connection_comes_back_masked_and_is_encrypted_on_disk(engine: Engine, tmp_path: Path) -> None:
    """slug: secrets-at-rest"""
    made = engine.connections.create(connection("shop"))
    found = engine.connections.get(made["id"])
    assert found["spec"]["database"]["password"] == "********"
    assert set(found) >= {"id", "name", "type", "created", "status", "ssl", "spec", "databasesInfo"}
    assert engine.connections.model(made["id"]).database.password.get_secret_value() == PASSWORD
    for file in (tmp_path / "data").iterdir():
        content = file.read_bytes()
        assert PASSWORD.encode() not in content
        assert b"127.0.0.1" not in content


def test_a_put_with_the_mask_keeps_the_secret(engine: Engine) -> None:
    """slug: masked-put"""
    made = engine.connections.create(connection("shop"))
    sent = engine.connections.get(made["id"])
    sent["spec"]["database"]["host"] = "db.example"
    assert engine.connections.update(made["id"], sent)["spec"]["database"]["host"] == "db.example"
    model = engine.connections.model(made["id"])
    assert (model.database.host, model.database.password.get_secret_value()) == ("db.example", PASSWORD)
    sent["spec"]["database"]["password"] = "new"
    engine.connections.update(made["id"], sent)
    assert engine.connections.model(made["id"]).database.password.get_secret_value() == "new"


def test_the_mask_without_a_stored_secret_is_refused(engine: Engine) -> None:
    """slug: masked-put"""
    error = refused(Code.VALIDATION_FAILED, engine.connections.create, connection("a", password="********"))
    assert error.details["fields"][0]["field"] == "spec.database.password"


def test_names_are_unique(engine: Engine) -> None:
    first = engine.connections.create(connection("shop"))
    refused(Code.NAME_TAKEN, engine.connections.create, connection("shop"))
    second = engine.connections.create(connection("other"))
    refused(Code.NAME_TAKEN, engine.connections.update, second["id"], connection("shop"))
    assert engine.connections.update(first["id"], connection("shop", port=2))["name"] == "shop"


def test_a_clone_has_the_secret_and_a_free_name(engine: Engine) -> None:
    made = engine.connections.create(connection("shop"))
    names = [engine.connections.clone(made["id"])["name"] for _ in range(3)]
    assert names == ["shop copy", "shop copy 2", "shop copy 3"]
    clone = engine.connections.list(search="copy 3")["items"][0]
    assert engine.connections.model(clone["id"]).database.password.get_secret_value() == PASSWORD


@pytest.mark.parametrize("type_", ["snowflake"])
def test_types_that_are_not_there_yet_are_refused_by_name(engine: Engine, type_: str) -> None:
    specs = {
        "snowflake": {"snowflake": {}},
    }
    body = {"name": "a", "type": type_, "spec": specs[type_]}
    error = refused(Code.UNSUPPORTED_CONNECTION_TYPE, engine.connections.create, body)
    assert type_ in error.message
    refused(Code.UNSUPPORTED_CONNECTION_TYPE, engine.connections.test, body)


def test_search_and_paging(engine: Engine) -> None:
    for name in ("alpha", "beta", "gamma"):
        engine.connections.create(connection(name, host=f"{name}.example"))
    page = engine.connections.list(limit=1, offset=1)
    assert ([item["name"] for item in page["items"]], page["total"], page["filtered"]) == (["beta"], 3, 3)
    found = engine.connections.list(search="GAMMA.ex")
    assert ([item["name"] for item in found["items"]], found["filtered"]) == (["gamma"], 1)
    assert found["matchedPaths"] == ["gamma"]


def test_deleting_asks_first_when_a_config_names_it(engine: Engine, tmp_path: Path) -> None:
    """slug: delete-rules"""
    config_id = config(engine, tmp_path)
    id_ = engine.connections.list(search="c source")["items"][0]["id"]
    error = refused(Code.CONFIRMATION_REQUIRED, engine.connections.delete, id_)
    assert error.details["configIds"] == [config_id]
    engine.connections.delete(id_, confirmed=True)
    refused(Code.CONNECTION_NOT_FOUND, engine.connections.delete, id_)
    refused(Code.CONNECTION_NOT_FOUND, engine.configs.start, config_id)


def test_a_connection_of_a_stream_that_is_not_over_stays(engine: Engine, tmp_path: Path) -> None:
    """slug: delete-rules"""
    stream = engine.configs.start(config(engine, tmp_path, hang=True))["id"]
    id_ = engine.connections.list(search="c source")["items"][0]["id"]
    error = refused(Code.CONNECTION_IN_USE, engine.connections.delete, id_, confirmed=True)
    assert error.details["streamId"] == stream
    refused(Code.CONNECTION_IN_USE, engine.connections.delete_all)
    engine.streams.stop(stream, force=True)
    assert engine.connections.delete_all() == 2


def test_rotation_reencrypts_and_a_wrong_key_names_the_connection(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slug: secret-rotation"""
    made = engine.connections.create(connection("shop"))
    key = tmp_path / "data.key"
    before = key.read_text()
    assert engine.rotate_secrets() == 1
    assert key.read_text() != before
    assert engine.connections.model(made["id"]).database.password.get_secret_value() == PASSWORD
    engine.close()
    key.write_text(before)
    with Engine(tmp_path / "data") as reopened:
        error = refused(Code.SECRET_UNREADABLE, reopened.connections.get, made["id"])
        assert "shop" in error.message
        assert error.details["connectionId"] == made["id"]
        assert reopened.connections.list()["items"][0]["status"] == "unreadable"
        reopened.connections.delete(made["id"])
    key.unlink()
    Engine(tmp_path / "data").close()  # nothing is encrypted any more, so a new key may be made


# ---------------------------------------------------------------- configs


def test_configs_are_stored_as_sent_with_defaults(engine: Engine, tmp_path: Path) -> None:
    config_id = config(engine, tmp_path)
    found = engine.configs.get(config_id)
    assert found["target"]["spec"]["db"]["schemaPolicy"] == "create_missing_only"
    found["name"] = "renamed"
    assert engine.configs.update(config_id, found)["name"] == "renamed"
    clone = engine.configs.clone(config_id)
    assert clone["name"] == "renamed copy"
    refused(Code.NAME_TAKEN, engine.configs.update, clone["id"], {**found, "name": "renamed"})
    assert engine.configs.list(search="COPY")["filtered"] == 1
    assert engine.configs.delete_all() == 2
    refused(Code.STREAM_CONFIG_NOT_FOUND, engine.configs.get, config_id)


@pytest.mark.parametrize(
    ("source", "target", "mode", "code"),
    [
        ("postgresql", "mysql", "cdc", Code.UNSUPPORTED_ROUTE),
        ("mysql", "postgresql", "cdc", Code.UNSUPPORTED_ROUTE),
        ("mysql", None, "convert", Code.CONNECTION_NOT_FOUND),
    ],
)
def test_impossible_pairs_are_refused(
    engine: Engine, source: str, target: str | None, mode: str, code: Code
) -> None:
    """slug: routes"""
    one = engine.connections.create(connection("one", source))["id"]
    two = engine.connections.create(connection("two", target))["id"] if target else "conn_unknown"
    body = {
        "name": "c",
        "mode": mode,
        "source": {"connections": [{"connectionId": one, "database": "a"}]},
        "target": {"id": two, "spec": {"db": {"database": "b"}}},
    }
    refused(code, engine.configs.create, body)


# ---------------------------------------------------------------- keys and logs


def test_a_stream_whose_key_lapses_is_paused_with_the_reason(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slug: key-lapse"""
    monkeypatch.setattr("engine.supervisor.KEY_CHECK_SECONDS", 0.1)
    made = engine.keys.create("trial", "trial", byte_limit=300)
    key: KeyInfo = engine.keys.authenticate(made["key"])
    stream = engine.configs.start(config(engine, tmp_path, steps=500, seconds=0.1), key)["id"]
    state = engine.streams.wait(stream, 60)
    assert state["status"] == "PAUSED"
    assert "300 bytes" in state["reason"]
    assert engine.user(key)["subscriptionStatus"] == "expired"
    refused(Code.SUBSCRIPTION_REQUIRED, engine.keys.require_subscription, key)
    used = engine.keys.get(made["id"]).bytes_used
    assert used == engine.streams.stats(stream)["target"]["dataSize"]
    engine.streams.resume(stream)  # from the same machine: needs no key, and is not tied to the lapsed one
    until(lambda: len(steps(tmp_path)) * 100 > used + 500)
    assert engine.streams.get(stream)["status"] == "RUNNING"
    engine.streams.stop(stream, force=True)


@pytest.mark.parametrize(
    ("mode", "entries", "longest", "with_params"),
    [("off", 0, 0, False), ("minimal", 2, 2000, False), ("verbose", 2, 3012, True)],
)
def test_sql_capture(
    engine: Engine, tmp_path: Path, mode: str, entries: int, longest: int, with_params: bool
) -> None:
    """slug: sql-capture"""
    assert engine.sql_logging.get() == {"sqlCaptureMode": "off", "forwardSQLLogs": False}
    engine.sql_logging.set({"sqlCaptureMode": mode, "forwardSQLLogs": True})
    with engine.logs.subscribe() as feed:
        stream = engine.configs.start(config(engine, tmp_path, log=2))["id"]
        engine.streams.wait(stream, 30)
        live = [entry["data"] for entry in feed.drain() if entry["event"] == "sql"]
    kept = [entry for entry in engine.streams.logs(stream)["items"] if entry["category"] == "sql"]
    assert len(live) == len(kept) == entries
    assert max((len(entry["query"]) for entry in live), default=0) == longest
    assert all(("params" in entry) is with_params for entry in live + kept)
    refused(Code.VALIDATION_FAILED, engine.sql_logging.set, {"sqlCaptureMode": "all"})
    refused(Code.VALIDATION_FAILED, engine.sql_logging.set, {"other": 1})


def test_logs_are_filtered_by_level_and_bounded(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slug: stream-log-bounded"""
    monkeypatch.setattr(engine._feed.kept, "_per_stream", 50)
    stream = engine.configs.start(config(engine, tmp_path, log=300))["id"]
    engine.streams.wait(stream, 30)
    items = engine.streams.logs(stream, limit=1000)["items"]
    assert len(items) == 50
    assert items[-2]["message"] == "entry 299"
    assert next(entry["message"] for entry in engine.streams.logs(stream, limit=2)["items"]) == "entry 299"
    assert engine.streams.logs(stream, level="error")["items"] == []
    refused(Code.VALIDATION_FAILED, engine.streams.logs, stream, level="loud")


def test_the_live_feed_resumes_and_never_waits_for_a_slow_reader() -> None:
    """slug: log-feed"""
    queue = QUEUE
    feed = LogFeed()
    first = feed.publish("log", {"message": "0"})
    slow = feed.subscribe()
    for number in range(1, queue + 500):
        feed.publish("log", {"message": str(number)})
    got = slow.drain()
    assert got[0]["data"]["dropped"] == 499
    assert len(got) == queue + 1
    assert got[-1]["data"]["message"] == str(queue + 499)
    again = feed.subscribe(str(first["id"]))
    assert again.drain()[0]["data"]["dropped"] == 499
    late = feed.subscribe(got[-3]["id"])
    assert [entry["data"]["message"] for entry in late.drain()] == [str(queue + 498), str(queue + 499)]
    assert feed.subscribe("not a number").get(0) is None
    big = feed.subscribe()
    for _ in range(100):
        feed.publish("sql", {"query": "x" * 1_000_000})
    assert 1 <= sum(entry["event"] == "sql" for entry in big.drain()) <= 4
    assert len(feed.subscribe(0)._entries) <= 4
    feed.close()
    assert slow.get() is None


def test_what_the_system_says_of_itself(engine: Engine, tmp_path: Path) -> None:
    assert engine.defaults()["installId"] == engine.install_id
    status = {item["name"]: item["status"] for item in engine.services()["services"]}
    assert status == {"api": "passing", "store": "passing", "workers": "passing", "duckdb": "passing"}
    config(engine, tmp_path)
    both = engine.user_configs()
    assert (len(both["connections"]), len(both["streamConfigs"])) == (2, 1)
    engine.close()
    with Engine(tmp_path / "data") as again:
        assert again.install_id == engine.install_id
