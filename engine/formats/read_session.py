"""DuckDB as the reader of files: sessions of its own that can open nothing but what they are given, and the
pipe through which a file that is packed, coded or far away reaches it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Generator, Iterator, Sequence

import duckdb
import pyarrow as pa

from engine.errors import Code, EngineError

MEMORY = "384MB"
THREADS = 2
_PIPE_BYTES = 1 << 20  # what Linux gives a process without rights


class Session:
    """One DuckDB instance in memory. `paths`: local files it may open; `folder`: whose files it may open."""

    def __init__(
        self, paths: Sequence[str] = (), *, folder: str | None = None, threads: int = THREADS
    ) -> None:
        self.connection = duckdb.connect(
            ":memory:",
            config={
                "threads": threads,
                "memory_limit": MEMORY,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "python_enable_replacements": False,
            },
        )
        self.execute("SET TimeZone = 'UTC'")
        self.execute("SET preserve_insertion_order = true")
        if paths:
            self.execute(f"SET allowed_paths = [{', '.join(literal(path) for path in paths)}]")
        folders = ["/dev/fd/", *([folder] if folder else [])]
        self.execute(f"SET allowed_directories = [{', '.join(literal(path) for path in folders)}]")
        self.execute("SET enable_external_access = false")
        self.execute("SET lock_configuration = true")

    def execute(self, statement: str, values: list[object] | None = None) -> duckdb.DuckDBPyConnection:
        return self.connection.execute(statement, values)

    def interrupt(self) -> None:
        self.connection.interrupt()

    def close(self) -> None:
        self.connection.close()


class Sessions:
    """Sessions that are used again: one takes longer to make than a small file to read. `folder`: of this
    machine, whose files they may open. From any thread."""

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._free: list[Session] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def take(self) -> Iterator[Session]:
        """One for the block alone. It is thrown away when the block fails."""
        with self._lock:
            session = self._free.pop() if self._free else None
        session = session or Session(folder=self._folder)
        try:
            yield session
        except BaseException:
            session.close()
            raise
        with self._lock:
            self._free.append(session)

    def close(self) -> None:
        with self._lock:
            for session in self._free:
                session.close()
            self._free.clear()


class Pulled(Iterator[pa.RecordBatch]):
    """Batches of a generator for DuckDB, which pulls from threads of its own, and may still do so when a
    query has ended that wanted no more (a LIMIT, an error)."""

    def __init__(self, batches: Generator[pa.RecordBatch, None, None]) -> None:
        self._batches = batches
        self._lock = threading.Lock()
        self._ended = False

    def __next__(self) -> pa.RecordBatch:
        with self._lock:
            if self._ended:
                raise StopIteration
            return next(self._batches)

    def close(self) -> None:
        """Nobody gets another batch; waits for the one that is being made."""
        self._ended = True
        with self._lock:
            self._batches.close()


def literal(text: str) -> str:
    """The one place where a text becomes a SQL literal of DuckDB."""
    if "\0" in text:
        raise EngineError(Code.VALIDATION_FAILED, "a text for DuckDB cannot hold a NUL character")
    return "'" + text.replace("'", "''") + "'"


def quote(name: str) -> str:
    """The one place where a name becomes an identifier of DuckDB."""
    if "\0" in name:
        raise EngineError(Code.VALIDATION_FAILED, "a name for DuckDB cannot hold a NUL character")
    return '"' + name.replace('"', '""') + '"'


class Feed:
    """A thread that writes pieces into a pipe; `path` is where DuckDB reads them, once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._reader, self._writer = os.pipe()
        _enlarge(self._writer)
        self.path = f"/dev/fd/{self._reader}"
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="file-feed", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with os.fdopen(self._writer, "wb", buffering=0) as pipe:
                for piece in self._pieces:
                    view = memoryview(piece)
                    while view:
                        view = view[pipe.write(view) :]
        except BrokenPipeError:
            pass
        except BaseException as error:
            self._error = error
        finally:
            close = getattr(self._pieces, "close", None)
            if close is not None:
                close()

    def finish(self) -> None:
        """After all has been read, or nobody wants more. Raises what broke the source off: then what DuckDB
        took for the end was none."""
        if self._reader >= 0:
            os.close(self._reader)
            self._reader = -1
        self._thread.join()
        if self._error is not None:
            error, self._error = self._error, None
            raise error


def _enlarge(pipe: int) -> None:
    import fcntl

    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
