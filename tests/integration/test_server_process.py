"""`serve` as a process: what it prints, the first key, TLS, what it refuses, what it logs."""

from __future__ import annotations

import signal
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from benchmarks.servers import Certificates
from engine.errors import Code, EngineError
from server.serve import serve
from tests.integration.server_harness import KEY, running_process

pytestmark = pytest.mark.integration


def test_the_first_start_makes_a_key_and_shows_it_once(data_dir: Path) -> None:
    """serve-first-key"""
    with running_process(data_dir, key=None) as process:
        install = process.printed[0].removeprefix("X-Install-ID: ")
        key = process.printed[1].removeprefix("X-API-Key: ").split()[0]
        headers = {"X-API-Key": key, "X-Install-ID": install}
        user = httpx.get(process.url + "/api/v1/user", headers=headers).json()
        assert user["subscriptionStatus"] == "active"
        errors = process.end()
        assert key not in errors
    with running_process(data_dir, key=KEY) as process:
        assert process.printed[0] == f"X-Install-ID: {install}"
        for known in (key, KEY):
            headers["X-API-Key"] = known
            assert httpx.get(process.url + "/api/v1/user", headers=headers).status_code == 200
        process.popen.terminate()
        rest, errors = process.popen.communicate(timeout=30)
        assert rest == ""
        assert KEY not in errors


def test_the_access_log(data_dir: Path) -> None:
    """serve-access-log: one JSON line a request, credentials blotted out."""
    with running_process(data_dir) as process:
        pair = {"api_key": KEY, "install_id": "wrong-install"}
        httpx.get(process.url + "/api/v1/logs/stream", params=pair)
        httpx.get(process.url + "/health", headers={"X-Request-ID": "mine"})
        errors = process.end()
    lines = [orjson.loads(line) for line in errors.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["path"], line["status"]) for line in requests] == [
        ("/api/v1/logs/stream", 401),
        ("/health", 200),
    ]
    assert requests[0]["query"] == "api_key=***&install_id=***"
    assert requests[1]["request_id"] == "mine"
    assert KEY not in errors
    assert "wrong-install" not in errors


def test_https(data_dir: Path, certificates: Certificates) -> None:
    """serve-tls"""
    options = {"tls_cert": str(certificates.server_cert), "tls_key": str(certificates.server_key)}
    with running_process(data_dir, scheme="https", **options) as process:
        trust = ssl.create_default_context(cafile=str(certificates.ca))
        url = process.url.replace("127.0.0.1", "localhost")
        assert httpx.get(url + "/health", verify=trust).json() == {"ping": "ok", "status": "ok"}
        with pytest.raises(httpx.ConnectError):
            httpx.get(url + "/health")
        process.end()


def test_files_roots(data_dir: Path, tmp_path: Path) -> None:
    roots = [tmp_path / "a", tmp_path / "b"]
    for root in roots:
        root.mkdir()
    with running_process(data_dir, files_roots=[str(root) for root in roots]) as process:
        defaults = httpx.get(process.url + "/api/v1/system/defaults").json()
        assert defaults["defaultExportPath"] == str(roots[0].resolve())
        process.end()


def test_connections_stay_in_the_files_roots(data_dir: Path, tmp_path: Path) -> None:
    """Saved, tested and led by a link: nothing of this machine outside is reached. slug: rest-files-roots"""
    root, outside = tmp_path / "open", tmp_path / "closed"
    for folder in (root / "in", outside):
        folder.mkdir(parents=True)
    (root / "link").symlink_to(outside)
    with running_process(data_dir, files_roots=[str(root)]) as process:
        headers = {"X-API-Key": KEY, "X-Install-ID": process.printed[0].removeprefix("X-Install-ID: ")}
        client = httpx.Client(base_url=process.url + "/api/v1", headers=headers)
        exports = data_dir / "exports"
        for number, (spec, status) in enumerate(
            (
                ({"files": {"basePath": str(root / "in")}}, 201),
                ({"files": {"basePath": str(exports)}}, 201),
                ({"duckdb": {"path": str(root / "in" / "a.duckdb")}}, 201),
                ({"files": {"basePath": "/"}}, 403),
                ({"files": {"basePath": str(outside)}}, 403),
                ({"files": {"basePath": str(root / "link")}}, 403),
                ({"files": {"basePath": f"{root}/../closed"}}, 403),
                ({"files": {"basePath": f"{root}2"}}, 403),
                ({"duckdb": {"path": str(outside / "a.duckdb")}}, 403),
                ({"duckdb": {"path": str(data_dir / "store.sqlite")}}, 403),
            )
        ):
            body = {"name": f"c{number}", "type": next(iter(spec)), "spec": spec}
            answer = client.post("/connections", json=body)
            assert answer.status_code == status, (spec, answer.text)
            tested = client.post("/connections/test", json=body)
            assert tested.status_code == (200 if status == 201 else 403), (spec, tested.text)
            if status == 403:
                assert answer.json()["code"] == "PATH_NOT_ALLOWED"
        (root / "in").rename(root / "gone")
        (root / "in").symlink_to(outside)
        first = client.get("/connections").json()["items"][0]
        assert client.post(f"/connections/{first['id']}/ping").json()["code"] == "PATH_NOT_ALLOWED"
        process.end()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"files_roots": ["/no/such/dir"]}, "/no/such/dir"),
        ({"files_roots": [__file__]}, "not an existing directory"),
        ({"tls_cert": __file__}, "go together"),
        ({"tls_key": __file__}, "go together"),
        ({"tls_cert": __file__, "tls_key": __file__}, "cannot be used"),
        ({"tls_cert": "/none.pem", "tls_key": "/none.key"}, "cannot be used"),
        ({"host": "192.0.2.1"}, "cannot listen"),
        ({"port": 70_000}, "cannot listen"),
        ({"host": "no-such-host.invalid"}, "cannot listen"),
    ],
)
def test_what_serve_refuses(data_dir: Path, options: dict[str, Any], said: str) -> None:
    """serve-refuses"""
    with pytest.raises(EngineError, match=said) as caught:
        serve(data_dir=data_dir, **({"port": 0} | options))
    assert caught.value.code is Code.VALIDATION_FAILED


def test_a_second_server_on_the_directory_is_refused(data_dir: Path) -> None:
    with running_process(data_dir) as process:
        with pytest.raises(EngineError) as caught:
            serve(port=0, data_dir=data_dir)
        assert caught.value.code is Code.STORE_UNAVAILABLE
        process.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_cleanly(data_dir: Path, number: signal.Signals) -> None:
    """serve-signals: the engine is closed and the directory free before the process ends, with code 0."""
    with running_process(data_dir) as process:
        process.popen.send_signal(number)
        _, errors = process.popen.communicate(timeout=30)
        assert process.popen.returncode == 0
        assert "Traceback" not in errors
    assert not (data_dir / "store.sqlite-wal").exists()


def test_a_request_under_way_is_answered_before_the_end(data_dir: Path) -> None:
    """serve-graceful"""
    with running_process(data_dir) as process, socket.create_server(("127.0.0.1", 0)) as silent:
        install = process.printed[0].removeprefix("X-Install-ID: ")
        body = {
            "name": "n",
            "type": "postgresql",
            "host": "127.0.0.1",
            "port": silent.getsockname()[1],
            "username": "u",
            "password": "p",
        }
        answers: list[httpx.Response] = []

        def test_connection() -> None:
            headers = {"X-API-Key": KEY, "X-Install-ID": install}
            url = process.url + "/api/v1/connections/test"
            answers.append(httpx.post(url, json=body, headers=headers, timeout=60))

        caller = threading.Thread(target=test_connection)
        caller.start()
        accepted, _ = silent.accept()
        process.popen.terminate()
        accepted.close()
        caller.join(60)
        assert answers[0].json()["code"] == "CONNECTION_FAILED"
        process.end()


def test_the_port_is_taken_before_the_streams_are_touched(data_dir: Path, tmp_path: Path) -> None:
    with running_process(data_dir) as process:
        port = int(process.url.rpartition(":")[2])
        other = tmp_path / "other"
        with pytest.raises(EngineError, match="cannot listen"):
            serve(port=port, data_dir=other)
        assert not other.exists()
        process.end()
