"""The API server killed while a stream runs: started again, it goes on with the stream by itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from tests import running
from tests.faults import shop
from tests.integration.server_harness import KEY, Process, running_process

pytestmark = [pytest.mark.integration, pytest.mark.fault]


class Client:
    def __init__(self, process: Process) -> None:
        self._base = process.url + "/api/v1"
        install = httpx.get(self._base + "/system/defaults").json()["installId"]
        self._headers = {"X-API-Key": KEY, "X-Install-ID": install}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(method, self._base + path, json=body, headers=self._headers, timeout=30)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def until(self, stream: str, *statuses: str) -> dict[str, Any]:
        for _ in range(600):
            found: dict[str, Any] = self.call("GET", f"/streams/{stream}")
            if found["status"] in statuses:
                return found
            time.sleep(0.1)
        raise AssertionError(found)


def test_a_killed_server_goes_on_with_its_streams_when_it_is_back(
    data_dir: Path,
    mariadb: MysqlEndpoint,
    mariadb_database: str,
    postgres: PostgresEndpoint,
    postgres_database: str,
) -> None:
    shop.build(mariadb, mariadb_database, rows=200_000)
    config = running.job(
        mariadb,
        mariadb_database,
        postgres,
        postgres_database,
        options={"workers": 1, "chunkBytes": 262_144, "dataBundleSize": 500},
    ).config.to_json()
    with running_process(data_dir, key=KEY) as process:
        client = Client(process)
        for server, end in ((mariadb, config["source"]["connections"][0]), (postgres, config["target"])):
            made = client.call("POST", "/connections", running.connection(server).to_json(reveal=True))
            end["connectionId" if server is mariadb else "id"] = made["id"]
        identifier = client.call("POST", "/stream-configs", config)["id"]
        stream = client.call("POST", f"/stream-configs/{identifier}/start")["id"]
        client.until(stream, "RUNNING")
        process.popen.kill()
        process.popen.wait()
    with running_process(data_dir, key=KEY) as process:
        client = Client(process)
        ended = client.until(stream, "FINISHED", "FAILED", "STOPPED", "PAUSED")
        assert ended["status"] == "FINISHED", ended
        assert shop.differences(mariadb, mariadb_database, postgres, postgres_database) == {}
