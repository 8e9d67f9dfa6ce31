"""Who may call what: keys, install ids, subscriptions, and the calls that want less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from server.operations import Auth, Operation
from tests.integration.server_harness import OPERATIONS, Api, concrete, named, running_api

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("data")) as running:
        yield running


NEEDING = [operation for operation in OPERATIONS if operation.auth is not Auth.NONE]


@pytest.mark.parametrize("operation", NEEDING, ids=named)
def test_credentials_are_wanted(api: Api, operation: Operation) -> None:
    """rest-auth-matrix"""
    path, key = concrete(operation), api.headers["X-API-Key"]
    cases: list[tuple[dict[str, str], str]] = [
        ({}, "AUTHENTICATION_FAILED"),
        ({"X-Install-ID": api.install_id}, "AUTHENTICATION_FAILED"),
        ({"X-API-Key": "wrong-key-0123456789"}, "AUTHENTICATION_FAILED"),
        ({"X-API-Key": "", "X-Install-ID": api.install_id}, "AUTHENTICATION_FAILED"),
        ({"X-API-Key": key, "X-Install-ID": "install_other"}, "INSTALL_ID_MISMATCH"),
    ]
    if operation.auth is not Auth.KEY:
        cases.append(({"X-API-Key": key}, "INSTALL_ID_REQUIRED"))
    for headers, code in cases:
        response = api.call(operation.method, path, auth=False, headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, code)
        assert "www-authenticate" in response.headers


def test_the_open_calls_are_those_of_the_contract() -> None:
    """rest-auth-exceptions"""
    assert sorted(operation.path for operation in OPERATIONS if operation.auth is Auth.NONE) == [
        "/docs",
        "/health",
        "/openapi.json",
        "/openapi.yaml",
        "/ready",
        "/system/defaults",
    ]
    assert [operation.path for operation in OPERATIONS if operation.auth is Auth.KEY] == [
        "/streams/{id}/stats"
    ]
    assert [operation.path for operation in OPERATIONS if operation.auth is Auth.BROWSER] == ["/logs/stream"]


def test_stats_need_only_the_key(api: Api) -> None:
    headers = {"X-API-Key": api.key}
    api.refuses("STREAM_NOT_FOUND", "GET", "/streams/stream_x/stats", auth=False, headers=headers)
    headers["X-Install-ID"] = api.install_id
    api.refuses("STREAM_NOT_FOUND", "GET", "/streams/stream_x/stats", auth=False, headers=headers)


def test_credentials_in_the_query_only_where_browsers_need_it(api: Api) -> None:
    pair = {"api_key": api.key, "install_id": api.install_id}
    api.refuses("AUTHENTICATION_FAILED", "GET", "/connections", auth=False, params=pair)
    api.refuses("AUTHENTICATION_FAILED", "GET", "/logs/stream", auth=False, params={"api_key": "x" * 20})
    api.refuses("INSTALL_ID_REQUIRED", "GET", "/logs/stream", auth=False, params={"api_key": api.key})


SUBSCRIBED = ["startStream", "pauseStream", "resumeStream", "stopStream"]


def test_a_subscription_is_wanted_where_the_contract_says() -> None:
    assert [operation.id for operation in OPERATIONS if operation.subscription] == SUBSCRIBED


@pytest.mark.parametrize("subscription", ["expired", "none"])
def test_without_a_subscription(api: Api, subscription: Any) -> None:
    """rest-402"""
    assert api.engine is not None
    made = api.engine.keys.create(f"key {subscription}", subscription)
    headers = {"X-API-Key": made["key"]}
    for operation in OPERATIONS:
        if operation.subscription:
            response = api.call(operation.method, concrete(operation), headers=headers)
            assert (response.status_code, response.json()["code"]) == (402, "SUBSCRIPTION_REQUIRED")
    assert api.get("/connections", headers=headers)["total"] == 0
    assert api.get("/user", headers=headers)["subscriptionStatus"] == subscription


def test_a_revoked_key_is_no_key(api: Api) -> None:
    """slug: rest-keys-not-cached"""
    assert api.engine is not None
    made = api.engine.keys.create("short-lived")
    headers = {"X-API-Key": made["key"]}
    api.get("/user", headers=headers)
    assert api.expect(200, "POST", "/user/clear-key", headers=headers) == {"status": "ok"}
    api.get("/user", headers=headers)
    api.engine.keys.revoke(made["id"])
    api.refuses("AUTHENTICATION_FAILED", "GET", "/user", headers=headers)
