"""The live feed: what its events look like, how it is resumed, and that it ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from engine.logs import QUEUE
from server.app import BASE
from tests.integration.server_harness import Api, running_api, running_process

pytestmark = pytest.mark.integration


@pytest.fixture
def api(data_dir: Path) -> Iterator[Api]:
    with running_api(data_dir, heartbeat=0.1, max_event_clients=2) as running:
        yield running


@dataclass
class Reader:
    """The lines of an event stream, cut into events."""

    response: httpx.Response
    lines: Iterator[str]

    def event(self, comments: bool = False) -> dict[str, Any]:
        """The next event; heartbeats and `retry` are passed over unless `comments`."""
        found: dict[str, Any] = {}
        for line in self.lines:
            if line == "":
                if found.keys() - {"retry"} and (comments or "comment" not in found):
                    return found
                found = {}
                continue
            name, _, value = line.partition(":")
            found[name or "comment"] = value.removeprefix(" ")
        return {}

    def data(self) -> Any:
        return orjson.loads(self.event()["data"])


@contextmanager
def following(api: Api, path: str = "/logs/stream", **rest: Any) -> Iterator[Reader]:
    headers = rest.pop("headers", api.headers)
    with api.client.stream("GET", api.url + BASE + path, headers=headers, **rest) as response:
        assert response.status_code == 200
        reader = Reader(response, response.iter_lines())
        assert next(reader.lines).startswith("retry:")
        yield reader


def publish(api: Api, event: Any, **data: Any) -> int:
    assert api.engine is not None
    return int(api.engine.logs.publish(event, data)["id"])


def until_followed(api: Api, clients: int) -> None:
    """Wait until so many clients are subscribed, or gone."""
    assert api.engine is not None
    done = threading.Event()
    while len(api.engine.logs._subscribers) != clients:
        assert not done.wait(0.01)


def test_events(api: Api) -> None:
    """sse-shape"""
    with following(api) as reader:
        assert reader.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert reader.response.headers["cache-control"] == "no-store"
        until_followed(api, 1)
        first = publish(api, "log", message="one\nline\r\n\u2028 é", level="info")
        second = publish(api, "sql", query="SELECT 1")
        event = reader.event()
        assert (event["event"], event["id"]) == ("log", str(first))
        assert orjson.loads(event["data"]) == {"message": "one\nline\r\n\u2028 é", "level": "info"}
        assert reader.event() == {"id": str(second), "event": "sql", "data": '{"query":"SELECT 1"}'}


def test_heartbeats(api: Api) -> None:
    """sse-heartbeat"""
    with following(api) as reader:
        assert "comment" in reader.event(comments=True)
        assert "comment" in reader.event(comments=True)


@pytest.mark.parametrize("way", ["header", "query"])
def test_resuming(api: Api, way: str) -> None:
    """sse-resume"""
    ids = [publish(api, "log", number=number) for number in range(4)]
    last = str(ids[1])
    if way == "header":
        options: dict[str, Any] = {"headers": api.headers | {"Last-Event-ID": last}}
    else:
        options = {"params": {"last_event_id": last}}
    with following(api, **options) as reader:
        assert [reader.data()["number"] for _ in range(2)] == [2, 3]


def test_browsers_give_credentials_in_the_query(api: Api) -> None:
    """sse-query-credentials"""
    pair = {"api_key": api.key, "install_id": api.install_id}
    with following(api, headers={}, params=pair) as reader:
        until_followed(api, 1)
        publish(api, "log", message="hello")
        assert reader.data()["message"] == "hello"


def test_a_client_that_goes_is_forgotten(api: Api) -> None:
    """sse-disconnect"""
    for _ in range(5):
        with following(api):
            until_followed(api, 1)
        until_followed(api, 0)
    assert "dbstreams_event_clients 0.0" in api.call("GET", "/metrics").text


def test_only_so_many_clients(api: Api) -> None:
    """sse-bounded"""
    with following(api), following(api):
        until_followed(api, 2)
        response = api.call("GET", "/logs/stream")
        assert (response.status_code, response.json()["code"]) == (429, "RATE_LIMITED")


def test_a_slow_client_is_told_what_it_missed(api: Api) -> None:
    """sse-slow-client: the queue is bounded, and the gap is said."""
    host, port = api.url.removeprefix("http://").split(":")
    count = QUEUE * 6
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.connect((host, int(port)))
        wire.settimeout(30)
        head = "".join(f"{name}: {value}\r\n" for name, value in api.headers.items())
        wire.sendall(f"GET {BASE}/logs/stream HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
        until_followed(api, 1)
        for number in range(count):
            publish(api, "log", number=number, padding="x" * 2000)
        received = bytearray()
        while b'"number":%d,' % (count - 1) not in received:
            part = wire.recv(1 << 20)
            assert part
            received += part
        assert b"entries were dropped because this reader was too slow" in received
        assert received.count(b'"number":') < count


def test_the_end_of_the_server_ends_the_stream(data_dir: Path) -> None:
    """sse-shutdown: the client hears why, and the process does not wait for it."""
    with running_process(data_dir) as process:
        install = process.printed[0].removeprefix("X-Install-ID: ")
        api = Api(process.url, install)
        with following(api) as reader:
            process.popen.terminate()
            event = reader.event()
            assert (event["event"], event["data"]) == ("end", '{"reason":"shutdown"}')
            assert reader.event() == {}
        errors = process.end()
        assert "Traceback" not in errors
