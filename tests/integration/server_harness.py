"""A real server for the tests, and a client that holds every answer against the OpenAPI document."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from openapi_schema_validator import OAS30ReadValidator

from engine.api import Engine
from server.app import BASE, ApiApplication, create_app
from server.openapi import build_document
from server.operations import Operation
from server.protocol import server_config
from server.routes import all_operations
from server.serve import ApiServer

KEY = "test-key-0123456789abcdef"
ROOT = Path(__file__).resolve().parents[2]


OPERATIONS = all_operations()


def concrete(operation: Operation) -> str:
    return operation.path.replace("{id}", "conn_x").replace("{db}", "d").replace("{runId}", "run_x")


def named(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


@cache
def document() -> dict[str, Any]:
    """The document as a client reads it."""
    parsed: dict[str, Any] = json.loads(json.dumps(build_document(OPERATIONS)))
    return parsed


@cache
def strict_components() -> dict[str, Any]:
    """The schemas with every object closed: an answer must not have a field that is not described."""
    return {
        "schemas": {name: _closed(schema) for name, schema in document()["components"]["schemas"].items()}
    }


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(item) for name, item in schema.items()}
    if isinstance(closed.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """The documented operation a path means, literal segments before parameters."""
    path = path.partition("?")[0].removeprefix(BASE)
    found = []
    for template, item in document()["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if re.fullmatch(pattern, path) and method.lower() in item:
            found.append((template.count("{"), item[method.lower()]))
    operation: dict[str, Any] | None = min(found, key=lambda pair: pair[0])[1] if found else None
    return operation


def check_against_document(method: str, path: str, response: httpx.Response, internal: bool = False) -> None:
    """slug: openapi-answers. Status, content type, body and error code are documented; the headers of every
    answer are there.
    INTERNAL_ERROR is a failure of ours unless `internal` expects it."""
    assert response.headers["x-request-id"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "cache-control" in response.headers
    operation = operation_of(method, path)
    if operation is None:
        assert response.status_code in (204, 404, 405), (method, path, response.text)
        return
    answer = operation["responses"].get(str(response.status_code))
    assert answer is not None, f"{method} {path}: {response.status_code} is not documented: {response.text}"
    media = response.headers["content-type"].partition(";")[0]
    assert media in answer["content"], f"{method} {path}: {media}"
    if media != "application/json":
        return
    body = response.json()
    if "x-codes" in answer:
        assert body["code"] != "INTERNAL_ERROR" or internal, f"{method} {path}: {body}"
        assert body["code"] in answer["x-codes"], f"{method} {path}: {body} is not documented"
        assert body["requestId"] == response.headers["x-request-id"]
    schema = _closed(answer["content"][media]["schema"])
    whole = {"allOf": [schema], "components": strict_components()}
    errors = [f"{list(error.path)}: {error.message}" for error in OAS30ReadValidator(whole).iter_errors(body)]
    assert not errors, f"{method} {path}: {errors}\n{body}"


@dataclass
class Api:
    """A client of one server. `call` sends the credentials unless told otherwise, and checks the answer."""

    url: str
    install_id: str
    key: str = KEY
    engine: Engine | None = None
    app: ApiApplication | None = None
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    @property
    def headers(self) -> dict[str, str]:
        return {"X-API-Key": self.key, "X-Install-ID": self.install_id}

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        auth: bool = True,
        internal: bool = False,
        **rest: Any,
    ) -> httpx.Response:
        headers = (self.headers if auth else {}) | rest.pop("headers", {})
        if body is not None:
            rest["json"] = body
        response = self.client.request(method, self.url + BASE + path, headers=headers, **rest)
        check_against_document(method, BASE + path, response, internal)
        return response

    def get(self, path: str, **rest: Any) -> Any:
        return self.expect(200, "GET", path, **rest)

    def expect(self, status: int, method: str, path: str, body: Any = None, **rest: Any) -> Any:
        response = self.call(method, path, body, **rest)
        assert response.status_code == status, response.text
        return response.json()

    def refuses(self, code: str, method: str, path: str, body: Any = None, **rest: Any) -> dict[str, Any]:
        """The envelope of a failure with that code."""
        response = self.call(method, path, body, **rest)
        envelope: dict[str, Any] = response.json()
        assert envelope["code"] == code, envelope
        return envelope


@contextmanager
def running_api(data_dir: Path, **limits: Any) -> Iterator[Api]:
    """A server in a thread of this process, on a free port."""
    with Engine(data_dir) as engine:
        engine.keys.ensure_first(KEY)
        app = create_app(engine, data_dir, **limits)
        server = ApiServer(server_config(app, port=0), app)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        api = Api(f"http://127.0.0.1:{port}", engine.install_id, engine=engine, app=app)
        try:
            with api.client:
                yield api
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive(), "the server did not end"


@dataclass
class Process:
    """A server process: its URL, what it printed, its end."""

    popen: subprocess.Popen[str]
    url: str
    printed: list[str]

    def end(self) -> str:
        """SIGTERM; what it wrote to stderr. It must end by itself and cleanly."""
        self.popen.terminate()
        _, errors = self.popen.communicate(timeout=30)
        assert self.popen.returncode == 0, errors
        return errors


@contextmanager
def running_process(
    data_dir: Path, *, key: str | None = KEY, scheme: str = "http", **options: Any
) -> Iterator[Process]:
    """`serve` in a process of its own; `options` are its arguments."""
    program = (
        "import json, sys; from server.serve import serve; "
        "serve(port=0, data_dir=sys.argv[1], **json.loads(sys.argv[2]))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DBSTREAMS_API_KEY"}
    if key is not None:
        environment["DBSTREAMS_API_KEY"] = key
    popen = subprocess.Popen(
        [sys.executable, "-c", program, str(data_dir), json.dumps(options)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert popen.stdout is not None
        printed: list[str] = []
        while not printed or "serves" not in printed[-1]:
            line = popen.stdout.readline()
            if not line:
                raise AssertionError(popen.communicate()[1])
            printed.append(line.strip())
        found = re.search(rf"{scheme}://\S+?(?=/api)", printed[-1])
        assert found, printed
        yield Process(popen, found.group(), printed)
    finally:
        if popen.poll() is None:
            popen.kill()
            popen.communicate()
