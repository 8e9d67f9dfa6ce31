"""The demo where no servers can be had: sample CSV files into an embedded DuckDB database, over REST."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import guard, sample_files
from benchmarks.servers import private_root

_RELEASE_SECONDS = 20.0  # until the stream's last process has let go of the file


@dataclass(frozen=True, slots=True)
class Files:
    """A folder of CSV files with so many rows, and the DuckDB file beside it that does not exist yet."""

    source: Path
    target: Path
    rows: int

    def ask_source(self, question: str) -> list[tuple[Any, ...]]:
        """A query over the CSV files, by DuckDB itself."""
        with closing(duckdb.connect(":memory:")) as session:
            for path in sorted(self.source.glob("*.csv")):
                place = str(path).replace("'", "''")
                session.execute(f"CREATE VIEW {path.stem} AS SELECT * FROM read_csv('{place}')")
            return session.execute(question).fetchall()

    def ask_target(self, question: str) -> list[tuple[Any, ...]]:
        """A query over the database, as soon as nobody else has it."""
        deadline = time.monotonic() + _RELEASE_SECONDS
        while True:
            try:
                with closing(duckdb.connect(str(self.target), read_only=True)) as session:
                    return session.execute(question).fetchall()
            except duckdb.IOException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


@contextmanager
def sample(scale: float) -> Iterator[Files]:
    """The sample files in a folder of their own, which goes with the block."""
    root = private_root()
    guard.sweep(root)
    folder = Path(tempfile.mkdtemp(prefix="dbstreams-files-", dir=root))
    guard.watch(folder)
    try:
        source = folder / "shop"
        source.mkdir()
        yield Files(source, folder / "shop.duckdb", sample_files.write(source, scale))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        guard.forget(folder)
