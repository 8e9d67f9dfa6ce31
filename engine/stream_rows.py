"""Rows of the `streams` table: made, moved from state to state, read. The only place that writes a status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from engine import clock, ids
from engine.errors import Code, EngineError
from engine.store import Store, streams
from engine.streams.lifecycle import Status

_SUMMARY = [column for column in streams.c if column.name not in ("plan", "stats", "verify")]


class StreamRows:
    def __init__(self, store: Store) -> None:
        self._store = store

    def insert(self, config_id: str, config: Mapping[str, Any], key_id: str | None) -> str:
        """A new stream in STARTING. STREAM_ALREADY_RUNNING when another of this config is alive."""
        stream_id = ids.new(ids.STREAM)
        try:
            with self._store.write() as connection:
                connection.execute(
                    sa.insert(streams).values(
                        id=stream_id,
                        run_id=ids.new(ids.RUN),
                        config_id=config_id,
                        status=Status.STARTING.value,
                        config=dict(config),
                        key_id=key_id,
                        created=clock.now(),
                        started=clock.now(),
                    )
                )
        except sa.exc.IntegrityError:
            raise self._clash(config_id) from None
        return stream_id

    def move(self, stream_id: str, sources: Iterable[Status], to: Status, **values: Any) -> bool:
        """Set the status when it is one of `sources` now; whether it was. One statement, so two callers
        cannot both win. STREAM_ALREADY_RUNNING when the move would make two living streams of a config."""
        try:
            with self._store.write() as connection:
                moved = connection.execute(
                    sa.update(streams)
                    .where(streams.c.id == stream_id, streams.c.status.in_([s.value for s in sources]))
                    .values(status=to.value, **values)
                )
                return bool(moved.rowcount)
        except sa.exc.IntegrityError:
            raise self._clash(self.get(stream_id).config_id) from None

    def update(self, stream_id: str, **values: Any) -> None:
        with self._store.write() as connection:
            connection.execute(sa.update(streams).where(streams.c.id == stream_id).values(**values))

    def update_all(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Values by stream id, in one transaction."""
        with self._store.write() as connection:
            for stream_id, changes in values.items():
                connection.execute(sa.update(streams).where(streams.c.id == stream_id).values(**changes))

    def get(self, stream_id: str) -> Any:
        """STREAM_NOT_FOUND"""
        with self._store.read() as connection:
            row = connection.execute(sa.select(streams).where(streams.c.id == stream_id)).one_or_none()
        if row is None:
            raise EngineError(Code.STREAM_NOT_FOUND, f"there is no stream {stream_id}", streamId=stream_id)
        return row

    def status(self, stream_id: str) -> Status:
        with self._store.read() as connection:
            value = connection.scalar(sa.select(streams.c.status).where(streams.c.id == stream_id))
        if value is None:
            raise EngineError(Code.STREAM_NOT_FOUND, f"there is no stream {stream_id}", streamId=stream_id)
        return Status(value)

    def newest(self, config_id: str) -> str | None:
        with self._store.read() as connection:
            return connection.scalar(
                sa.select(streams.c.id)
                .where(streams.c.config_id == config_id)
                .order_by(streams.c.id.desc())
                .limit(1)
            )

    def count(self, config_id: str | None = None) -> int:
        query = sa.select(sa.func.count()).select_from(streams)
        if config_id is not None:
            query = query.where(streams.c.config_id == config_id)
        with self._store.read() as connection:
            return int(connection.scalar(query) or 0)

    def of(
        self,
        *,
        config_id: str | None = None,
        statuses: Iterable[Status] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Any]:
        """Newest first, without plan, statistics and comparison, which are large."""
        query = sa.select(*_SUMMARY).order_by(streams.c.id.desc()).limit(limit).offset(offset)
        if config_id is not None:
            query = query.where(streams.c.config_id == config_id)
        if statuses is not None:
            query = query.where(streams.c.status.in_([status.value for status in statuses]))
        with self._store.read() as connection:
            return list(connection.execute(query).all())

    def _clash(self, config_id: str) -> EngineError:
        alive = [
            row
            for row in self.of(config_id=config_id)
            if Status(row.status).has_worker or row.status == Status.PAUSED
        ]
        if not alive:
            return EngineError(
                Code.STREAM_CONFIG_NOT_FOUND, f"there is no stream config {config_id}", configId=config_id
            )
        other = alive[0]
        what = "resume or stop it" if other.status == Status.PAUSED else "wait for it or stop it"
        return EngineError(
            Code.STREAM_ALREADY_RUNNING,
            f"stream {other.id} of this config is {other.status}; {what} first",
            streamId=other.id,
            state=other.status,
            configId=config_id,
        )
