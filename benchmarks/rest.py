"""A dbstreams server of our own and a small client for it, which remembers its calls as curl lines."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from benchmarks import guard
from benchmarks.servers import free_port, private_root


class CallFailed(RuntimeError):
    """A call that was not answered as it should be; the message holds the server's own sentence."""


class ApiServer:
    """`dbstreams serve` on a free port with a fresh data folder. Ends and leaves nothing with the block.

    Raises CallFailed when it does not become ready."""

    def __init__(self) -> None:
        root = private_root()
        guard.sweep(root)
        self.folder = Path(tempfile.mkdtemp(prefix="dbstreams-", dir=root))
        guard.watch(self.folder)
        self.key = secrets.token_urlsafe(24)
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}/api/v1"
        self.log = self.folder / "server.log"
        self._calls: list[str] = []
        self._variables: dict[str, str] = {}
        self._client = httpx.Client(base_url=self.base, timeout=120, headers={"X-API-Key": self.key})
        try:
            self._process = self._spawn()
            guard.record(self.folder, self._process.pid)
            self._wait_until_ready()
            self.install_id = str(self.call("GET", "/system/defaults", remember=False)["installId"])
            self._client.headers["X-Install-ID"] = self.install_id
        except BaseException:
            self.close()
            raise

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [str(Path(sys.executable).with_name("dbstreams")), "serve", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--data-dir", str(self.folder / "data")]
        command += ["--files-root", str(private_root())]
        with self.log.open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "DBSTREAMS_API_KEY": self.key},
                start_new_session=True,  # Ctrl-C is ours to handle: streams first, then the servers they use
            )

    def _wait_until_ready(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(httpx.TransportError):
                if self._client.get("/ready").status_code == 200:
                    return
            time.sleep(0.05)
        raise CallFailed(f"the server did not become ready:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The end of what the server printed."""
        with suppress(OSError):
            return self.log.read_text(errors="replace")[-4000:]
        return ""

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        remember: bool = True,
        variable: str = "",
        until: str = "",
    ) -> dict[str, Any]:
        """One call; its decoded answer. Raises CallFailed.

        `remember` keeps it for `script`, where `variable` holds the answer's id and `until` repeats the call
        until the answer has that status.
        """
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise CallFailed(f"{method} {path}: {error}") from None
        if answer.is_error:
            raise CallFailed(f"{method} {path} answered {answer.status_code}: {answer.text}")
        result: dict[str, Any] = answer.json()
        if remember:
            line = self._curl(method, path, body)
            if variable:
                self._variables[result["id"]] = variable
                line = f"{variable}=$({line} | field id); echo ${variable}"
            if until:
                line = f'until [ "$({line} | field status)" = {until} ]; do sleep 1; done'
            self._calls.append(line)
        return result

    def script(self) -> list[str]:
        """The calls so far as lines of shell, which name what they make anew: "… again", "…_again"."""
        field = "import json, sys; print(json.load(sys.stdin)[sys.argv[1]])"
        return [
            f"API={self.base} KEY={self.key} INSTALL={self.install_id}",
            f"field() {{ python3 -c '{field}' \"$1\"; }}",
            *self._calls,
        ]

    def _curl(self, method: str, path: str, body: Mapping[str, Any] | None) -> str:
        line = f'curl -sS -X {method} "$API{path}" -H "X-API-Key: $KEY" -H "X-Install-ID: $INSTALL"'
        for identifier, variable in self._variables.items():
            line = line.replace(identifier, f"${variable}")
        if body is not None:
            data = shlex.quote(json.dumps(_again(body)))
            for identifier, variable in self._variables.items():
                data = data.replace(identifier, f"'${variable}'")
            line += f" -H 'Content-Type: application/json' \\\n  -d {data}"
        return line

    def close(self) -> None:
        """Ask the server to end (its streams checkpoint and leave), then remove its folder."""
        process = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._client.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        guard.forget(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _again(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with a new name and a new target: another database in a stream config, another file in the
    connection to an embedded one."""
    renamed = json.loads(json.dumps({**body, "name": f"{body['name']} again"}))
    database = renamed.get("target", {}).get("spec", {}).get("db", {})
    if "database" in database:
        database["database"] += "_again"
    if renamed.get("type") == "duckdb":
        path = Path(renamed["spec"]["duckdb"]["path"])
        renamed["spec"]["duckdb"]["path"] = str(path.with_stem(f"{path.stem}_again"))
    return dict(renamed)
