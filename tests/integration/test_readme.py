"""The README's examples, run as a reader would paste them: only addresses, names and passwords are put in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks import sample
from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from benchmarks.sample_tables import TABLES
from benchmarks.servers import free_port

pytestmark = pytest.mark.integration

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


@dataclass(frozen=True, slots=True)
class Example:
    """The two servers, with the sample database and an empty target, in the README's words."""

    source: MysqlEndpoint
    target: PostgresEndpoint
    shop: str
    warehouse: str
    rows: int
    folder: Path

    def filled_in(self, text: str) -> str:
        port = str(free_port())
        for old, new in (
            ("mysql://app:secret@127.0.0.1:3306/shop", self.source.url(self.shop)),
            ("postgresql://app:secret@127.0.0.1:5432/warehouse", self.target.url(self.warehouse)),
            ('"database": "shop"', f'"database": "{self.shop}"'),
            ('"database": "warehouse"', f'"database": "{self.warehouse}"'),
            ('"port": 3306', f'"port": {self.source.port}'),
            ('"port": 5432', f'"port": {self.target.port}'),
            ("8020", port),
        ):
            text = text.replace(old, new)
        for server in (self.source, self.target):  # the source's come first
            text = text.replace('"password": "secret"', f'"password": "{server.password}"', 1)
            text = text.replace('"username": "app"', f'"username": "{server.user}"', 1)
        return text

    def run(self, command: list[str]) -> str:
        scripts = Path(sys.executable).parent
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={
                **os.environ,
                "PATH": f"{scripts}:{os.environ['PATH']}",
                "DBSTREAMS_DATA_DIR": str(self.folder / "store"),
            },
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def check(self) -> None:
        found = {
            table: self.target.scalar(f"SELECT count(*) FROM {table}", database=self.warehouse)
            for table in TABLES
        }
        assert sum(found.values()) == self.rows, found


@pytest.fixture
def example(mariadb: MysqlEndpoint, postgres: PostgresEndpoint, tmp_path: Path) -> Iterator[Example]:
    warehouse = postgres.database()
    shop = f"shop_{warehouse}"
    rows = sample.build(mariadb, shop, 0.01)
    yield Example(mariadb, postgres, shop, warehouse, rows, tmp_path)
    mariadb.drop_database(shop)
    postgres.drop_database(warehouse)


def block_with(language: str, text: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (block,) = [block for block in found if text in block]
    return str(block)


def test_python(example: Example) -> None:
    code = example.filled_in(block_with("python", "engine.copy"))
    printed = example.run([sys.executable, "-c", code])
    assert printed.startswith(f"FINISHED {example.rows} ")
    example.check()


def test_command_line(example: Example) -> None:
    example.run(["bash", "-euc", example.filled_in(block_with("sh", "/warehouse --verify"))])
    example.check()


def test_files_from_the_command_line(example: Example) -> None:
    script = example.filled_in(block_with("sh", "./export"))
    example.run(["bash", "-euc", script])
    assert len((example.folder / "best.csv").read_text().splitlines()) == 11
    counted = sum(
        example.target.scalar(f"SELECT count(*) FROM again.{table}", database=example.warehouse)
        for table in TABLES
    )
    assert counted == example.rows


def test_rest(example: Example) -> None:
    script = example.filled_in(block_with("sh", "dbstreams serve"))
    printed = example.run(["bash", "-euc", f"trap 'kill %1; wait %1' EXIT\n{script}"])
    verified = json.loads(printed[printed.rindex('{"id"') :])
    assert verified["result"]["equal"] is True
    assert len(verified["result"]["tables"]) == len(TABLES)
    example.check()
