"""`Engine`: all this package does behind one object, for the server, the command line and notebooks."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from engine import copying, ids, secrets
from engine.abandoned import Abandoned
from engine.connections import Connections
from engine.copying import CopyResult
from engine.errors import Code, EngineError
from engine.feed import Feed
from engine.keys import KeyInfo, Keys
from engine.logs import LogFeed
from engine.running import not_supervising
from engine.runs import Streams
from engine.side_jobs import SideJobs
from engine.store import Store, connections
from engine.stream_configs import StreamConfigs
from engine.stream_rows import StreamRows
from engine.streams import process
from engine.supervisor import RESTARTS, Supervisor

DATA_DIR_VARIABLE = "DBSTREAMS_DATA_DIR"


class Engine:
    """Opens a data directory; a context manager.

    data_dir: default `$DBSTREAMS_DATA_DIR`, else `~/.local/share/dbstreams`. Made when absent, mode 0700.
    supervise: own the directory, resume the streams that ran, run new ones. One process at a time may, and a
        second gets STORE_UNAVAILABLE. Without it connections, configs and keys can be read and changed, also
        beside an owner; nothing runs.
    files_roots: connections of files and embedded databases must lie in one of these folders, or in `exports`
        of the data directory, which is then made. None: anywhere, for a caller who may go there anyway.
    worker_restarts: how often the worker of a stream is restarted when it dies, before the stream is FAILED.

    Answers are the contract's JSON as plain dicts; failures are `EngineError`. Threads may share one Engine.
    """

    def __init__(
        self,
        data_dir: str | Path | None = None,
        *,
        supervise: bool = True,
        worker_restarts: int = RESTARTS,
        files_roots: Sequence[Path] | None = None,
    ) -> None:
        self.data_dir = _data_dir(data_dir)
        self.supervises = supervise
        self._closed = False
        self._lock_file = _own(self.data_dir) if supervise else None
        try:
            self._open(worker_restarts, files_roots)
        except BaseException:
            self._release()
            raise

    def _open_roots(self, given: Sequence[Path] | None) -> list[Path] | None:
        if given is None:
            return None
        exports = self.data_dir / "exports"
        exports.mkdir(mode=0o700, exist_ok=True)
        return [*given, exports]

    def _open(self, worker_restarts: int, files_roots: Sequence[Path] | None) -> None:
        self._store = Store(self.data_dir / "store.sqlite")
        try:
            with self._store.read() as connection:
                nothing_sealed = connection.scalar(sa.select(connections.c.id).limit(1)) is None
            keyring = secrets.load(self.data_dir, may_create=nothing_sealed)
            self.install_id: str = self._store.meta_once("install_id", lambda: ids.new(ids.INSTALL))
            self._user_id = self._store.meta_once("user_id", lambda: ids.new(ids.USER))
            self._feed = Feed(self._store)
            self._rows = StreamRows(self._store)
            self.keys = Keys(self._store)
            self.connections = Connections(self._store, keyring, self._open_roots(files_roots))
            self._side_jobs = SideJobs(self._rows, self.connections, self._feed)
            self._supervisor: Supervisor | None = None
            if self.supervises:
                self._supervisor = Supervisor(
                    self._rows, self.connections, self.keys, self._feed, restarts=worker_restarts
                )
            self._abandoned = Abandoned(self._store, self.connections, self._side_jobs, self._feed)
            self.configs = StreamConfigs(
                self._store, self._rows, self.connections, self._supervisor, self._abandoned
            )
            self.streams = Streams(
                self._rows, self.connections, self.keys, self._feed, self._supervisor, self._side_jobs
            )
            self.sql_logging = SqlLogging(self._feed, self._supervisor)
            self.resumed: list[str] = []
            if self._supervisor is not None:
                self.resumed = self._supervisor.adopt()
                self._side_jobs.cleanup_left_over()
                self._abandoned.drop_left_over()
        except BaseException:
            supervisor: Supervisor | None = getattr(self, "_supervisor", None)
            if supervisor is not None:
                supervisor.close(5.0)
            self._store.close()
            raise

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let workers checkpoint and leave (their streams go on when the directory is next owned), close."""
        if self._closed:
            return
        self._closed = True
        self.connections.close()
        self._side_jobs.close()
        self._abandoned.close()
        if self._supervisor is not None:
            self._supervisor.close()
        process.discard_ahead()
        try:
            self._feed.close()
        finally:
            self._store.close()
            self._release()

    # ------------------------------------------------------------ system

    @property
    def logs(self) -> LogFeed:
        """The live feed: `subscribe(last_event_id)` gives entries `{id, event: "log"|"sql", data}`."""
        return self._feed.live

    def defaults(self) -> dict[str, Any]:
        """`{defaultExportPath, mode, installId, version}`"""
        from importlib.metadata import PackageNotFoundError, version

        try:
            release = version("dbstreams")
        except PackageNotFoundError:
            release = "0+unknown"
        return {
            "defaultExportPath": str(self.data_dir / "exports"),
            "mode": "docker" if Path("/.dockerenv").exists() else "server",
            "installId": self.install_id,
            "version": release,
        }

    def services(self) -> dict[str, Any]:
        """`{services: [{name, status}]}`"""
        try:
            self._store.get_meta("install_id")
            store = "passing"
        except EngineError:
            store = "critical"
        workers = "passing" if self._supervisor is not None and not self._closed else "unknown"
        return {
            "services": [
                {"name": "api", "status": "passing"},
                {"name": "store", "status": store},
                {"name": "workers", "status": workers, **self._worker_counts()},
                {"name": "duckdb", "status": _duckdb_status()},
            ]
        }

    def _worker_counts(self) -> dict[str, int]:
        return self._supervisor.counts() if self._supervisor is not None else {}

    def user(self, key: KeyInfo) -> dict[str, Any]:
        """The owner of a key, in the contract's form."""
        key = self.keys.get(key.id)
        facts = key.to_json()
        return {
            "userID": self._user_id,
            "name": key.name,
            "email": key.email,
            "seatLimit": 1,
            "activeBindings": 1,
            "installId": self.install_id,
            "subscription": {
                "id": key.id,
                "name": "trial" if key.subscription == "trial" else "standard",
                "status": key.status,
                **{name: facts[name] for name in ("until", "byteLimit", "bytesUsed")},
                **{name: facts[name] for name in ("cdcSecondsLimit", "cdcSecondsUsed")},
            },
            "subscriptionStatus": key.status,
        }

    def user_configs(self) -> dict[str, Any]:
        """`{connections, streamConfigs}`: all of both."""
        everything = 1 << 31
        return {
            "connections": self.connections.list(limit=everything)["items"],
            "streamConfigs": self.configs.list(limit=everything)["items"],
        }

    def rotate_secrets(self) -> int:
        """Encrypt every connection with the newest key; how many were re-encrypted. Only the owner may: one
        that went on with the old key would write what nobody can read later.

        With a key file a fresh key is made first and the old ones are dropped at the end. With keys from the
        environment, put the new key in front of the old one, restart, and call this.
        """
        if self._supervisor is None:
            raise not_supervising()
        keyring = self.connections.keyring.with_new_key()
        changed = self.connections.reseal(keyring)
        self.connections.keyring = keyring.only_newest()
        return changed

    # ------------------------------------------------------------ the whole job

    def copy(
        self,
        source_url: str,
        target_url: str,
        *,
        tables: list[str] | None = None,
        exclude: list[str] | None = None,
        schema_policy: str = "create_missing_only",
        write_mode: str = "append",
        skip_data: bool = False,
        workers: int = 0,
        verify: bool = False,
        policies: dict[str, Any] | None = None,
        queries: dict[str, str] | None = None,
        file_format: str | None = None,
        compression: str | None = None,
        on_progress: copying.OnProgress | None = None,
    ) -> CopyResult:
        """Copy a database, files or a bucket and wait for it.

        Ends: `mysql://user:password@host:port/db?ssl-mode=verify-ca&ssl-ca=/path`,
        `postgresql://user:password@host:port/db?sslmode=require&schema=name`, `duckdb:///path/shop.duckdb`,
        a file, a folder or a pattern of files, `s3://bucket/key` (credentials from the environment).
        `queries` (name → SELECT) come beside or instead of `tables`. `file_format` (csv, json, jsonl,
        parquet) and `compression` are for files when the name does not tell. The two connections and the
        config are saved, and reused by the next call with the same ends. `on_progress` gets the stats about
        once a second. Raises the stream's EngineError when it fails, VERIFY_MISMATCH when `verify` finds a
        difference. When the caller is interrupted the stream is stopped, and can be resumed by its id.
        """
        config_id = self.prepare_copy(
            source_url,
            target_url,
            tables=tables,
            exclude=exclude,
            schema_policy=schema_policy,
            write_mode=write_mode,
            skip_data=skip_data,
            workers=workers,
            policies=policies,
            queries=queries,
            file_format=file_format,
            compression=compression,
        )
        return copying.run(self, config_id, verify=verify, on_progress=on_progress)

    def prepare_copy(self, source_url: str, target_url: str, **options: Any) -> str:
        """Save what `copy` would run, with the same options but `verify` and `on_progress`; the config's id.
        Nothing is started: `configs.plan` shows what would be done, `configs.start` does it."""
        return copying.prepare(self, copying.CopyRequest(source_url, target_url, **options))

    def follow(
        self, stream_id: str, *, verify: bool = False, on_progress: copying.OnProgress | None = None
    ) -> CopyResult:
        """Wait for a stream that was started or resumed; ends and raises like `copy`, but an interrupted
        caller leaves it running."""
        return copying.follow(self, stream_id, verify=verify, on_progress=on_progress)

    def _release(self) -> None:
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None


class SqlLogging:
    """What is captured of the statements run on connections."""

    def __init__(self, feed: Feed, supervisor: Supervisor | None) -> None:
        self._feed = feed
        self._supervisor = supervisor

    def get(self) -> dict[str, Any]:
        """`{sqlCaptureMode: "off"|"minimal"|"verbose", forwardSQLLogs}`"""
        return self._feed.settings()

    def set(self, body: Any) -> dict[str, Any]:
        """Either field or both; takes effect at once, running workers included. VALIDATION_FAILED."""
        settings = self._feed.configure(body)
        if self._supervisor is not None:
            self._supervisor.sql_capture_changed(settings["sqlCaptureMode"])
        return settings


def _data_dir(given: str | Path | None) -> Path:
    named = given or os.environ.get(DATA_DIR_VARIABLE) or Path.home() / ".local" / "share" / "dbstreams"
    path = Path(named).expanduser().absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(
            Code.STORE_UNAVAILABLE,
            f"the data directory {path} cannot be made: {error.strerror}",
            path=str(path),
        ) from None
    return path


def _own(data_dir: Path) -> IO[str]:
    """Take the directory's lock. The kernel lets go of it when this process ends, however it ends."""
    path = data_dir / "owner.lock"
    try:
        handle = open(path, "a+", encoding="ascii")  # noqa: SIM115 - held for the life of the engine
    except OSError as error:
        raise EngineError(
            Code.STORE_UNAVAILABLE, f"{path} cannot be opened: {error.strerror}", path=str(path)
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.seek(0)
        owner = handle.read(32).strip()
        handle.close()
        raise EngineError(
            Code.STORE_UNAVAILABLE,
            f"the data directory {data_dir} is in use by process {owner or 'another'}; stop it, or use "
            "another data directory",
            path=str(data_dir),
            pid=int(owner) if owner.isdigit() else None,
        ) from None
    handle.truncate(0)
    handle.write(f"{os.getpid()}\n")
    handle.flush()
    return handle


def _duckdb_status() -> str:
    from importlib.util import find_spec

    return "passing" if find_spec("duckdb") is not None else "critical"
