"""Saved stream configs: CRUD, the dry run, and starting a stream from one."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from engine import clock, ids
from engine.abandoned import Abandoned
from engine.config import Connection, Mode, StreamConfig
from engine.connections import ALIVE, Connections, connections_of, copy_name
from engine.connectors import inspection, registry
from engine.errors import Code, EngineError
from engine.keys import KeyInfo
from engine.running import not_supervising
from engine.runs import run_json
from engine.store import Store, config_connections, stream_configs, streams
from engine.stream_rows import StreamRows
from engine.streams.job import StreamJob
from engine.streams.lifecycle import Status
from engine.supervisor import Supervisor

_OURS = ("id", "created", "modified")  # answered by us; ignored when a client sends them back


class StreamConfigs:
    def __init__(
        self,
        store: Store,
        rows: StreamRows,
        connections: Connections,
        supervisor: Supervisor | None,
        abandoned: Abandoned,
    ) -> None:
        self._store = store
        self._rows = rows
        self._connections = connections
        self._supervisor = supervisor
        self._abandoned = abandoned

    def list(self, search: str | None = None, limit: int = 100, offset: int = 0) -> dict[str, Any]:
        """`{items, total, filtered, limit, offset}`, by name; `search` looks into names and descriptions."""
        with self._store.read() as connection:
            rows = connection.execute(sa.select(stream_configs).order_by(stream_configs.c.name)).all()
        items = [_shape(row) for row in rows]
        if search:
            wanted = search.casefold()
            items = [
                item
                for item in items
                if wanted in f"{item['name']}\n{item.get('description', '')}".casefold()
            ]
        return {
            "items": items[offset : offset + limit],
            "total": len(rows),
            "filtered": len(items),
            "limit": limit,
            "offset": offset,
        }

    def get(self, config_id: str) -> dict[str, Any]:
        """STREAM_CONFIG_NOT_FOUND"""
        return _shape(self._row(config_id))

    def create(self, body: Any) -> dict[str, Any]:
        """The stored config. NAME_TAKEN, VALIDATION_FAILED, CONNECTION_NOT_FOUND, UNKNOWN_TABLE,
        UNSUPPORTED_ROUTE."""
        config = self._parse(body)
        self._check_live_ends(config)
        return self.get(self._insert(config))

    def update(self, config_id: str, body: Any) -> dict[str, Any]:
        """Replace it whole. A stream that runs keeps the config it was started with."""
        self._row(config_id)
        config = self._parse(body)
        self._check_live_ends(config)
        stored = config.to_json(reveal=True)
        with self._store.write() as connection:
            _check_name(connection, config.name, config_id)
            changed = connection.execute(
                sa.update(stream_configs)
                .where(stream_configs.c.id == config_id)
                .values(name=config.name, modified=clock.now(), body=stored)
            )
            if not changed.rowcount:
                raise _not_found(config_id)
            _link(connection, config_id, stored)
        return self.get(config_id)

    def delete(self, config_id: str) -> None:
        """With its history; checkpoints its streams left on their targets are dropped in the background.
        STREAM_ALREADY_RUNNING while a stream of it is not over."""
        with self._store.write() as connection:
            _refuse_alive(connection, streams.c.config_id == config_id)
            left = self._abandoned.note(connection, streams.c.config_id == config_id)
            deleted = connection.execute(sa.delete(stream_configs).where(stream_configs.c.id == config_id))
            if not deleted.rowcount:
                raise _not_found(config_id)
        self._drop(left)

    def delete_all(self) -> int:
        """As `delete`; how many there were. None is deleted while any stream is not over."""
        with self._store.write() as connection:
            _refuse_alive(connection, sa.true())
            left = self._abandoned.note(connection, sa.true())
            deleted = int(connection.execute(sa.delete(stream_configs)).rowcount)
        self._drop(left)
        return deleted

    def clone(self, config_id: str) -> dict[str, Any]:
        config = StreamConfig.parse(self._row(config_id).body)
        with self._store.read() as connection:
            taken = set(connection.scalars(sa.select(stream_configs.c.name)))
        return self.get(self._insert(config.model_copy(update={"name": copy_name(config.name, taken)})))

    # ------------------------------------------------------------ streams

    def plan(self, config_id: str) -> dict[str, Any]:
        """The dry run: reads both ends, writes nothing. Errors of either end as they are."""
        config = StreamConfig.parse(self._row(config_id).body)
        models = self._models(config)
        self._check_route(config, models)
        runner: Any = importlib.import_module("engine.streams.run")
        return dict(runner.plan_stream(StreamJob("plan", config, models)))

    def start(self, config_id: str, key: KeyInfo | None = None) -> dict[str, Any]:
        """`{id}` of a new stream. STREAM_ALREADY_RUNNING, CONNECTION_NOT_FOUND, UNSUPPORTED_ROUTE.

        `key`, when the call came over REST, is the key whose subscription the stream lives on.
        """
        if self._supervisor is None:
            raise not_supervising()
        body = self._row(config_id).body
        config = StreamConfig.parse(body)
        self._check_route(config, self._models(config))
        stream_id = self._rows.insert(config_id, body, key.id if key is not None else None)
        self._supervisor.launch(stream_id, resume=False)
        return {"id": stream_id}

    def validate_constraints(self, config_or_stream_id: str) -> dict[str, Any]:
        """Validate the foreign keys that are NOT VALID on the target, or count the rows that break them:
        `{engine, action, validatedCount, validatedConstraints, totalOrphanRows, violations}`. The id of a
        stream means the target it was started with.

        INVALID_STREAM_STATE while a convert stream of the config has a worker, UNSUPPORTED_ROUTE for targets
        without foreign keys, errors of the target as they are.
        """
        if config_or_stream_id.startswith(f"{ids.STREAM}_"):
            stream = self._rows.get(config_or_stream_id)
            config_id, body = stream.config_id, stream.config
        else:
            config_id, body = config_or_stream_id, self._row(config_or_stream_id).body
        config = StreamConfig.parse(body)
        busy = self._rows.of(config_id=config_id, statuses=[status for status in Status if status.has_worker])
        if busy and config.mode is Mode.CONVERT:
            raise EngineError(
                Code.INVALID_STREAM_STATE,
                f"stream {busy[0].id} of this config is {busy[0].status} and validates by itself at its end",
                streamId=busy[0].id,
                state=busy[0].status,
            )
        db = config.target.spec.db
        return inspection.validate_foreign_keys(
            self._connections.model(config.target.id),
            db.database if db is not None else None,
            db.schema_name if db is not None else None,
        )

    def history(self, config_id: str, limit: int = 100, offset: int = 0) -> dict[str, Any]:
        """`{items, total}`: the runs, newest first."""
        self._row(config_id)
        rows = self._rows.of(config_id=config_id, limit=limit, offset=offset)
        return {"items": [run_json(row) for row in rows], "total": self._rows.count(config_id)}

    def delete_run(self, config_id: str, run_id: str) -> None:
        """With the stream's logs and statistics; checkpoints it left on its target are dropped in the
        background. RUN_NOT_FOUND; INVALID_STREAM_STATE while it is not over."""
        self._row(config_id)
        row = next((row for row in self._rows.of(config_id=config_id) if row.run_id == run_id), None)
        if row is None:
            raise EngineError(
                Code.RUN_NOT_FOUND,
                f"there is no run {run_id} of this config",
                configId=config_id,
                runId=run_id,
            )
        if not self._delete_over(streams.c.id == row.id):
            status = self._rows.status(row.id)
            raise EngineError(
                Code.INVALID_STREAM_STATE,
                f"stream {row.id} is {status.value}; stop it before its run is deleted",
                streamId=row.id,
                state=status.value,
            )

    def delete_runs(self, config_id: str) -> int:
        """As `delete_run`, all runs that are over; how many."""
        self._row(config_id)
        return self._delete_over(streams.c.config_id == config_id)

    def _delete_over(self, which: sa.ColumnElement[bool]) -> int:
        over = sa.and_(which, streams.c.status.not_in(ALIVE))
        with self._store.write() as connection:
            left = self._abandoned.note(connection, over)
            deleted = int(connection.execute(sa.delete(streams).where(over)).rowcount)
        self._drop(left)
        return deleted

    def _drop(self, left: Sequence[str]) -> None:
        """Where nothing runs it stays noted, for the process that owns the directory to find at its start."""
        if self._supervisor is not None:
            self._abandoned.drop(left)

    # ------------------------------------------------------------ inside

    def _parse(self, body: Any) -> StreamConfig:
        if isinstance(body, Mapping):
            body = {key: value for key, value in body.items() if key not in _OURS}
        return StreamConfig.parse(body)

    def _models(self, config: StreamConfig) -> dict[str, Connection]:
        return {id_: self._connections.model(id_) for id_ in sorted(connections_of(config.to_json()))}

    def _check_route(self, config: StreamConfig, models: Mapping[str, Connection]) -> None:
        for source in config.source.connections:
            registry.require_route(
                models[source.connection_id].type, models[config.target.id].type, config.mode
            )

    def _check_live_ends(self, config: StreamConfig) -> None:
        models = self._models(config)
        self._check_route(config, models)
        for source in config.source.connections:
            wanted = [table.name for table in source.tables]
            model = models[source.connection_id]
            database = source.database or (model.spec.database.database if model.spec.database else None)
            if not wanted or database is None:
                continue
            try:
                known = registry.server(model).table_names(database, source.schema_name)
            except EngineError:
                continue  # an end that does not answer now is found out by plan or start
            missing = [name for name in wanted if name not in known]
            if missing:
                raise EngineError(
                    Code.UNKNOWN_TABLE,
                    f'there is no table "{missing[0]}" in database "{database}" of connection "{model.name}"',
                    tables=missing,
                    database=database,
                    connectionId=source.connection_id,
                )

    def _insert(self, config: StreamConfig) -> str:
        config_id, stored = ids.new(ids.CONFIG), config.to_json(reveal=True)
        with self._store.write() as connection:
            _check_name(connection, config.name, None)
            connection.execute(
                sa.insert(stream_configs).values(
                    id=config_id,
                    name=config.name,
                    created=int(clock.now()),
                    modified=clock.now(),
                    body=stored,
                )
            )
            _link(connection, config_id, stored)
        return config_id

    def _row(self, config_id: str) -> Any:
        with self._store.read() as connection:
            row = connection.execute(
                sa.select(stream_configs).where(stream_configs.c.id == config_id)
            ).one_or_none()
        if row is None:
            raise _not_found(config_id)
        return row


def _shape(row: Any) -> dict[str, Any]:
    return {"id": row.id, **row.body, "created": row.created, "modified": int(row.modified)}


def _link(connection: sa.Connection, config_id: str, body: Mapping[str, Any]) -> None:
    connection.execute(sa.delete(config_connections).where(config_connections.c.config_id == config_id))
    connection.execute(
        sa.insert(config_connections),
        [{"config_id": config_id, "connection_id": id_} for id_ in sorted(connections_of(body))],
    )


def _check_name(connection: sa.Connection, name: str, own_id: str | None) -> None:
    holder = connection.scalar(sa.select(stream_configs.c.id).where(stream_configs.c.name == name))
    if holder is not None and holder != own_id:
        raise EngineError(
            Code.NAME_TAKEN, f'a stream config named "{name}" exists already', name=name, id=holder
        )


def _refuse_alive(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    alive = connection.execute(
        sa.select(streams.c.id, streams.c.status).where(which, streams.c.status.in_(ALIVE))
    ).first()
    if alive is not None:
        what = "it is paused" if alive.status == Status.PAUSED else f"it is {alive.status}"
        raise EngineError(
            Code.STREAM_ALREADY_RUNNING,
            f"stream {alive.id} of this config is not over ({what}); stop it first",
            streamId=alive.id,
            state=alive.status,
        )


def _not_found(config_id: str) -> EngineError:
    return EngineError(
        Code.STREAM_CONFIG_NOT_FOUND, f"there is no stream config {config_id}", configId=config_id
    )
