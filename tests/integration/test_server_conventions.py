"""What holds for every call: routes, the envelope, strict reading, request ids, limits."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from server.app import BASE
from server.operations import Operation
from server.protocol import MAX_HEAD
from tests.integration.server_harness import OPERATIONS, Api, concrete, named, running_api

pytestmark = pytest.mark.integration

CONNECTION = {
    "name": "shop",
    "type": "mysql",
    "host": "127.0.0.1",
    "port": 1,
    "username": "app",
    "password": "very-secret-word",
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("data"), max_body=64 * 1024, heartbeat=0.2) as running:
        yield running


PATHS = sorted({operation.path for operation in OPERATIONS})


# ---------------------------------------------------------------- routes


@pytest.mark.parametrize("path", PATHS)
def test_other_methods_get_405_with_allow(api: Api, path: str) -> None:
    """rest-405-allow"""
    known = {operation.method for operation in OPERATIONS if operation.path == path}
    url = path.replace("{id}", "x").replace("{db}", "d").replace("{runId}", "r")
    allow = sorted({*known, *({"HEAD"} if "GET" in known else ()), "OPTIONS"})
    for method in sorted({"GET", "POST", "PUT", "PATCH", "DELETE"} - known):
        response = api.call(method, url)
        if any(o.method == method and o.path != path and _matches(o.path, url) for o in OPERATIONS):
            continue  # /connections/test is also a /connections/{id}
        assert response.status_code == 405, (method, url, response.text)
        assert set(allow) <= set(response.headers["allow"].split(", "))
        assert response.json()["code"] == "METHOD_NOT_ALLOWED"
        assert response.json()["details"]["allowed"] == response.headers["allow"].split(", ")


def _matches(template: str, url: str) -> bool:
    parts, given = template.split("/"), url.split("/")
    return len(parts) == len(given) and all(
        a == b or a.startswith("{") for a, b in zip(parts, given, strict=True)
    )


@pytest.mark.parametrize("path", PATHS)
def test_options_says_what_is_allowed_without_credentials(api: Api, path: str) -> None:
    """rest-options"""
    response = api.client.options(api.url + BASE + path.replace("{id}", "x"))
    assert response.status_code == 204
    assert "OPTIONS" in response.headers["allow"]
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.method == "GET"], ids=named)
def test_head_answers_as_get_without_a_body(api: Api, operation: Operation) -> None:
    """rest-head"""
    path = concrete(operation)
    head = api.client.head(api.url + BASE + path, headers=api.headers)
    assert head.content == b""
    if operation.id != "streamLogs":
        got = api.call("GET", path)
        assert (head.status_code, head.headers["content-type"]) == (
            got.status_code,
            got.headers["content-type"],
        )


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/api", "/api/v1", "/api/v2/health", "/api/v1/files/meta", "/api/v1/%ff", "/%ff"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "DELETE"])
def test_unknown_paths(api: Api, method: str, path: str) -> None:
    """rest-404-envelope"""
    response = api.client.request(method, api.url + path)
    assert response.status_code == 404
    if method != "HEAD":
        assert response.json()["code"] == "ROUTE_NOT_FOUND"
        assert response.json()["category"] == "not_found"


@pytest.mark.parametrize("path", ["/health", "/ready", "/openapi.json", "/openapi.yaml", "/docs"])
def test_open_pages_are_served_at_the_root_too(api: Api, path: str) -> None:
    root, based = api.client.get(api.url + path), api.client.get(api.url + BASE + path)
    assert root.status_code == based.status_code == 200
    assert root.content == based.content


def test_ids_in_paths_are_percent_decoded(api: Api) -> None:
    """rest-path-decoding"""
    envelope = api.refuses("CONNECTION_NOT_FOUND", "GET", "/connections/a%2Fb%20%C3%A9")
    assert envelope["details"]["connectionId"] == "a/b é"


# ---------------------------------------------------------------- reading strictly


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("limit=-1", "limit"),
        ("limit=abc", "limit"),
        ("limit=1.0", "limit"),
        ("limit=%201", "limit"),
        ("limit=1_0", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("limit=", "limit"),
        ("offset=-1", "offset"),
        ("offset=9223372036854775808", "offset"),
        ("limit=1&limit=2", "limit"),
        ("Limit=1", "Limit"),
        ("foo=1", "foo"),
        ("search=%00", "search"),
        ("search=" + "x" * 256, "search"),
        ("search=%ff", "(query)"),
        ("api_key=x", "api_key"),
    ],
)
@pytest.mark.parametrize("path", ["/connections", "/stream-configs", "/streams"])
def test_query_parameters_are_read_strictly(api: Api, path: str, query: str, field: str) -> None:
    """rest-strict-query"""
    envelope = api.refuses("VALIDATION_FAILED", "GET", f"{path}?{query}")
    assert field in [item["field"] for item in envelope["details"]["fields"]]


@pytest.mark.parametrize(
    "query", ["limit=1", "limit=10000", "offset=9007199254740991", "search=a+b%C3%A9", ""]
)
def test_good_query_parameters(api: Api, query: str) -> None:
    api.get(f"/connections?{query}")


@pytest.mark.parametrize("path", ["/health", "/system/defaults", "/user", "/services/status"])
def test_calls_without_parameters_refuse_any(api: Api, path: str) -> None:
    api.refuses("VALIDATION_FAILED", "GET", path + "?x=1")


@pytest.mark.parametrize("value", ["yes", "1", "TRUE", ""])
def test_booleans_in_queries(api: Api, value: str) -> None:
    envelope = api.refuses("VALIDATION_FAILED", "POST", f"/streams/stream_x/stop?force={value}")
    assert envelope["details"]["fields"][0]["field"] == "force"


@pytest.mark.parametrize(
    ("content", "media", "status", "code"),
    [
        (b"{", "application/json", 400, "MALFORMED_JSON"),
        (b"", "application/json", 400, "MALFORMED_JSON"),
        (b"{'a':1}", "application/json", 400, "MALFORMED_JSON"),
        (b'{"name": NaN}', "application/json", 400, "MALFORMED_JSON"),
        (b'{"name": "\xff"}', "application/json", 400, "MALFORMED_JSON"),
        (b"[" * 2000 + b"]" * 2000, "application/json", 400, "MALFORMED_JSON"),
        (b"[]", "application/json", 400, "VALIDATION_FAILED"),
        (b"null", "application/json", 400, "VALIDATION_FAILED"),
        (b'"text"', "application/json; charset=utf-8", 400, "VALIDATION_FAILED"),
        (b"{}", "application/json; charset=latin-1", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"a=b", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"<a/>", "application/xml", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"x":"' + b"y" * 70_000 + b'"}', "application/json", 413, "BODY_TOO_LARGE"),
    ],
)
@pytest.mark.parametrize("path", ["/connections", "/connections/test", "/stream-configs"])
def test_bodies_that_are_no_json_object(
    api: Api, path: str, content: bytes, media: str, status: int, code: str
) -> None:
    """rest-body-errors"""
    response = api.call("POST", path, content=content, headers={"Content-Type": media})
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


def test_a_chunked_body_is_bounded_too(api: Api) -> None:
    """rest-body-limit"""

    def parts() -> Iterator[bytes]:
        for _ in range(80):
            yield b" " * 1024

    response = api.call("POST", "/connections", content=parts(), headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (413, "BODY_TOO_LARGE")


def test_a_compressed_body_is_refused(api: Api) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    response = api.call("POST", "/connections", content=b"\x1f\x8b", headers=headers)
    assert (response.status_code, response.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"port": "3306"}, "port"),
        ({"port": 1.5}, "port"),
        ({"port": True}, "port"),
        ({"port": 2**70}, "port"),
        ({"port": None}, "port"),
        ({"name": ""}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": 5}, "name"),
        ({"type": "oracle"}, "type"),
        ({"host": ""}, "host"),
        ({"nope": 1}, "nope"),
        ({"ssl": {"mode": "maybe"}}, "mode"),
        ({"ssl": {"mode": "require", "extra": 1}}, "extra"),
        ({"alias": "1a"}, "alias"),
    ],
)
def test_fields_of_a_connection_are_named_when_wrong(api: Api, change: dict[str, Any], field: str) -> None:
    """rest-strict-body"""
    envelope = api.refuses("VALIDATION_FAILED", "POST", "/connections", CONNECTION | change)
    assert any(field in item["field"] or field in item["problem"] for item in envelope["details"]["fields"])
    assert "very-secret-word" not in json.dumps(envelope)


@pytest.mark.parametrize("kind", ["snowflake"])
def test_types_of_later_are_refused_by_name(api: Api, kind: str) -> None:
    body = {"name": "later", "type": kind, "spec": {kind: {}}}
    assert kind in api.refuses("UNSUPPORTED_CONNECTION_TYPE", "POST", "/connections", body)["error"]


# ---------------------------------------------------------------- request ids, errors, the wire


@pytest.mark.parametrize(
    ("given", "echoed"),
    [("abc-1.2:3/4", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ('"', False), ("", False)],
)
def test_request_ids(api: Api, given: str, echoed: bool) -> None:
    """rest-request-id"""
    response = api.call("GET", "/health", headers={"X-Request-ID": given})
    assert (response.headers["x-request-id"] == given) is echoed
    envelope = api.call("GET", "/connections/none", headers={"X-Request-ID": given}).json()
    assert (envelope["requestId"] == given) is echoed


def test_an_unexpected_failure_shows_nothing_of_itself(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """rest-500"""
    assert api.engine is not None

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("password=hunter2 at /srv/secret.py")

    monkeypatch.setattr(api.engine.connections, "list", broken)
    response = api.call("GET", "/connections", internal=True)
    assert (response.status_code, response.json()["code"]) == (500, "INTERNAL_ERROR")
    assert "hunter2" not in response.text
    assert "Traceback" not in response.text
    assert "RuntimeError" not in response.text


def test_the_pool_says_when_it_is_full(tmp_path: Any) -> None:
    """rest-busy"""
    with running_api(tmp_path, local_threads=1, waiting=0) as small:
        assert small.app is not None
        small.app.services_of_api.local._taken += 1
        response = small.call("GET", "/connections")
        assert (response.status_code, response.json()["code"]) == (429, "RATE_LIMITED")
        assert response.headers["retry-after"] == "1"
        small.app.services_of_api.local._taken -= 1
        small.get("/connections")


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.method != "GET" and not o.body], ids=named)
def test_calls_without_a_body_refuse_one(api: Api, operation: Operation) -> None:
    """rest-no-body"""
    headers = {"X-Confirm-Delete": "true"}
    path = concrete(operation).replace("conn_x", "none")
    envelope = api.refuses("VALIDATION_FAILED", operation.method, path, {"name": "x"}, headers=headers)
    assert envelope["details"]["fields"][0]["field"] == "(body)"
    for empty in (b"", b"{}", b" {}\n"):
        response = api.call(operation.method, path, content=empty, headers=headers)
        assert response.status_code in (200, 404), response.text


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"HELLO\r\n\r\n", "not valid HTTP"),
        (b"GET /health HTTP/9.9\r\n\r\n", "not valid HTTP"),
        (b"GET /health HTTP/1.1\r\nBad Header: x\r\n\r\n", "not valid HTTP"),
        ((b"GET /health HTTP/1.1\r\nX: ").ljust(MAX_HEAD + 1, b"y"), "head is over"),
        (b"GET /".ljust(MAX_HEAD + 1, b"y"), "head is over"),
    ],
    ids=["word", "version", "header", "long header", "long url"],
)
def test_what_is_not_http_gets_the_envelope(api: Api, raw: bytes, said: str) -> None:
    """rest-not-http"""
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        with suppress(ConnectionError):
            wire.sendall(raw)
        received = b""
        with suppress(ConnectionError):
            while part := wire.recv(65536):
                received += part
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    envelope = json.loads(body)
    assert envelope["code"] == "VALIDATION_FAILED"
    assert said in envelope["error"]
    assert f"x-request-id: {envelope['requestId']}".encode() in head


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"BREW /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"TRACE /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://other/api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET //evil/api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/../v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/health?%zz=%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/health# HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/v1/connections HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET /api/v1/connections HTTP/1.1\r\nHost: x\r\nX-API-Key: \xff\xfe\r\nX-Install-ID: \xff\r\n\r\n",
    ],
)
def test_strange_requests_never_break_the_server(api: Api, raw: bytes) -> None:
    """rest-raw-requests"""
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(raw)
        status = int(wire.recv(65536).split(b" ", 2)[1])
    assert 200 <= status < 500, status
    assert api.get("/health") == {"ping": "ok", "status": "ok"}


def test_cors_is_off(api: Api) -> None:
    """rest-cors-off"""
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = api.client.options(api.url + BASE + "/connections", headers=headers)
    answer = api.client.get(api.url + BASE + "/health", headers=headers)
    for response in (preflight, answer):
        assert not [name for name in response.headers if name.startswith("access-control")]


def test_answers_are_not_cached(api: Api) -> None:
    """rest-no-store"""
    for path in ("/connections", "/user", "/system/defaults", "/streams"):
        assert api.call("GET", path).headers["cache-control"] == "no-store"


def test_a_client_that_goes_in_the_middle_of_its_body_harms_nobody(api: Api) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(
            b"POST /api/v1/connections HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
            b"X-API-Key: " + api.key.encode() + b"\r\nX-Install-ID: " + api.install_id.encode() + b"\r\n\r\n{"
        )
    assert httpx.get(api.url + "/health").status_code == 200
