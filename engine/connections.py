"""Saved connections: encrypted whole in the store, masked in every answer."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from engine import clock, ids
from engine.config import MASK, Connection
from engine.connectors import registry
from engine.errors import Code, EngineError
from engine.name_search import Found, NameSearch, coverage, matching
from engine.secrets import Keyring
from engine.store import Store, config_connections, connections, streams
from engine.streams.lifecycle import Status

Items = list[dict[str, Any]]  # named here because `Connections.list` hides the builtin inside the class

_OURS = ("id", "created", "status", "databasesInfo")  # answered by us; ignored when a client sends them back
ALIVE = tuple(status.value for status in Status if status.has_worker or status is Status.PAUSED)


class Connections:
    def __init__(self, store: Store, keyring: Keyring, roots: Sequence[Path] | None = None) -> None:
        """`roots`: the folders in which connections may have their files; None is anywhere."""
        self._store = store
        self.keyring = keyring
        self._roots = None if roots is None else [os.path.realpath(root) for root in roots]
        self._names = NameSearch()

    def close(self) -> None:
        self._names.close()

    # ------------------------------------------------------------ reading

    def list(self, search: str | None = None, limit: int = 100, offset: int = 0) -> dict[str, Any]:
        """`{items, total, filtered}`, by name. `search` looks at what is stored (names, aliases, hosts,
        databases and schemas as last listed) and adds `search` and `matchedPaths`; no server is asked.

        A connection whose key is lost is listed with status `unreadable` and without its spec.
        """
        items = [self._item(row) for row in self._rows()]
        if search:
            return matching(items, search, {}, limit, offset)
        return {"items": items[offset : offset + limit], "total": len(items), "filtered": len(items)}

    def search(self, text: str, limit: int = 100, offset: int = 0) -> dict[str, Any]:
        """As `list` with `search`, and asks each server for databases, schemas, tables, views and routines
        whose names contain `text`; `databaseSearchCoverage` says which could not be searched to the end."""
        rows = self._rows()
        models, inside = {}, {}
        names = {row.id: row.name for row in rows}
        for row in rows:
            try:
                model = self._open(row)
            except EngineError as error:
                inside[row.id] = Found((), "unreadable", error.message)
                continue
            if model.spec.database is not None or model.spec.duckdb is not None:  # what has names inside
                models[row.id] = (row.modified, model)
        inside |= self._names.find(models, text)
        answer = matching([self._item(row) for row in rows], text, inside, limit, offset)
        listed = sum(row.databases is not None for row in rows)
        return answer | {"databaseSearchCoverage": coverage(answer["total"], listed, names, inside)}

    def get(self, connection_id: str) -> dict[str, Any]:
        """One connection, secrets masked. CONNECTION_NOT_FOUND, SECRET_UNREADABLE."""
        row = self._row(connection_id)
        return _shape(row, self._open(row).to_json())

    def model(self, connection_id: str) -> Connection:
        """With its real secrets: for sessions and workers only."""
        model = self._open(self._row(connection_id))
        self._check_place(model)
        return model

    def _check_place(self, model: Connection) -> None:
        """PATH_NOT_ALLOWED for files outside the roots: a key of the API is no login of this machine."""
        files, duckdb = model.spec.files, model.spec.duckdb
        place = files.base_path if files is not None else duckdb.path if duckdb is not None else None
        if self._roots is None or place is None:
            return
        real = os.path.realpath(place)
        if not any(real == root or real.startswith(root.rstrip(os.sep) + os.sep) for root in self._roots):
            raise EngineError(
                Code.PATH_NOT_ALLOWED,
                f"{place} is in none of the folders that are open here: {', '.join(self._roots)}"
                " (serve --files-root opens more)",
                path=place,
                roots=self._roots,
            )

    # ------------------------------------------------------------ changing

    def create(self, body: Any) -> dict[str, Any]:
        """`{id, created}`. NAME_TAKEN, VALIDATION_FAILED, UNSUPPORTED_CONNECTION_TYPE."""
        model = self._parse(body)
        return self._insert(model)

    def update(self, connection_id: str, body: Any) -> dict[str, Any]:
        """Replace it whole; a secret sent as the mask keeps the stored one. Gives the new state."""
        row = self._row(connection_id)
        model = self._parse(body, stored=lambda: self._open(row))
        with self._store.write() as connection:
            _check_name(connection, model.name, connection_id)
            changed = connection.execute(
                sa.update(connections)
                .where(connections.c.id == connection_id)
                .values(
                    name=model.name,
                    type=model.type.value,
                    modified=clock.now(),
                    body=self._seal(connection_id, model),
                    status="unknown",
                    databases=sa.null(),
                )
            )
            if not changed.rowcount:
                raise _not_found(connection_id)
        return self.get(connection_id)

    def delete(self, connection_id: str, confirmed: bool = False) -> None:
        """CONNECTION_IN_USE while a stream that is not over uses it; CONFIRMATION_REQUIRED while a stream
        config names it and the caller has not confirmed."""
        with self._store.write() as connection:
            if not connection.scalar(sa.select(connections.c.id).where(connections.c.id == connection_id)):
                raise _not_found(connection_id)
            _refuse_in_use(connection, connection_id)
            if not confirmed:
                named_by = connection.scalars(
                    sa.select(config_connections.c.config_id).where(
                        config_connections.c.connection_id == connection_id
                    )
                ).all()
                if named_by:
                    raise EngineError(
                        Code.CONFIRMATION_REQUIRED,
                        f"{len(named_by)} stream config(s) use this connection; confirm with the header "
                        "X-Confirm-Delete: true",
                        connectionId=connection_id,
                        configIds=list(named_by),
                    )
            connection.execute(sa.delete(connections).where(connections.c.id == connection_id))

    def delete_all(self) -> int:
        """How many there were. CONNECTION_IN_USE, deleting none, when a stream that is not over uses one."""
        with self._store.write() as connection:
            for connection_id in connection.scalars(sa.select(connections.c.id)).all():
                _refuse_in_use(connection, connection_id)
            return int(connection.execute(sa.delete(connections)).rowcount)

    def clone(self, connection_id: str) -> dict[str, Any]:
        """A copy, secrets included, named `<name> copy` or `<name> copy N`."""
        model = self.model(connection_id)
        with self._store.read() as connection:
            taken = set(connection.scalars(sa.select(connections.c.name)))
        created = self._insert(model.model_copy(update={"name": copy_name(model.name, taken)}))
        return self.get(created["id"])

    def reseal(self, keyring: Keyring) -> int:
        """Encrypt every body with the newest key, all or none. How many were changed."""
        changed = 0
        with self._store.write() as connection:
            for row in connection.execute(sa.select(connections)).all():
                if keyring.is_newest(row.body):
                    continue
                plain = _unsealed(keyring, row)
                connection.execute(
                    sa.update(connections)
                    .where(connections.c.id == row.id)
                    .values(body=keyring.seal(plain, row.id))
                )
                changed += 1
        self.keyring = keyring
        return changed

    # ------------------------------------------------------------ the live ends

    def test(self, body: Any, connection_id: str | None = None) -> dict[str, Any]:
        """Connect with an unsaved body. With `connection_id`, masked secrets are that connection's own."""
        stored = None if connection_id is None else (lambda: self.model(connection_id))
        return registry.server(self._parse(body, stored)).test()

    def ping(self, connection_id: str) -> dict[str, Any]:
        """Connect with a saved one and remember whether it answered."""
        server = registry.server(self.model(connection_id))
        try:
            answer = server.test()
        except EngineError:
            self._remember(connection_id, status="failed")
            raise
        self._remember(connection_id, status="ok")
        return answer

    def databases(self, connection_id: str) -> Items:
        found = registry.server(self.model(connection_id)).databases()
        self._remember(connection_id, status="ok", databases=found)
        return found

    def create_database(self, connection_id: str, name: str) -> dict[str, Any]:
        server = registry.server(self.model(connection_id))
        server.create_database(name)
        self._relist(connection_id, server)
        return {"name": name, "status": "created"}

    def schemas(self, connection_id: str, database: str) -> Items:
        return registry.server(self.model(connection_id)).schemas(database)

    def create_schema(self, connection_id: str, database: str, name: str) -> dict[str, Any]:
        server = registry.server(self.model(connection_id))
        server.create_schema(database, name)
        self._relist(connection_id, server)
        return {"name": name, "database": database, "status": "created"}

    # ------------------------------------------------------------ inside

    def _parse(self, body: Any, stored: Callable[[], Connection] | None = None) -> Connection:
        if isinstance(body, Mapping):
            body = {key: value for key, value in body.items() if key not in _OURS}
        model = Connection.parse(body)
        registry.require_supported(model.type)
        self._check_place(model)
        revealed = model.to_json(reveal=True)
        if not (masked := _masked_paths(revealed)):
            return model
        kept = stored().to_json(reveal=True) if stored is not None else {}
        missing = []
        for path in masked:
            value = _at(kept, path)
            if value is None:
                missing.append(".".join(path))
            else:
                _at(revealed, path[:-1])[path[-1]] = value
        if missing:
            raise EngineError(
                Code.VALIDATION_FAILED,
                f"{missing[0]}: the mask stands for a stored secret, and none is stored",
                fields=[{"field": field, "problem": "masked, but nothing is stored"} for field in missing],
            )
        return Connection.parse(revealed)

    def _insert(self, model: Connection) -> dict[str, Any]:
        connection_id, created = ids.new(ids.CONNECTION), int(clock.now())
        with self._store.write() as connection:
            _check_name(connection, model.name, None)
            connection.execute(
                sa.insert(connections).values(
                    id=connection_id,
                    name=model.name,
                    type=model.type.value,
                    created=created,
                    modified=clock.now(),
                    body=self._seal(connection_id, model),
                    status="unknown",
                )
            )
        return {"id": connection_id, "created": created}

    def _seal(self, connection_id: str, model: Connection) -> bytes:
        return self.keyring.seal(orjson.dumps(model.to_json(reveal=True)), connection_id)

    def _open(self, row: Any) -> Connection:
        return Connection.parse(orjson.loads(_unsealed(self.keyring, row)))

    def _item(self, row: Any) -> dict[str, Any]:
        try:
            return _shape(row, self._open(row).to_json())
        except EngineError as error:
            if error.code is not Code.SECRET_UNREADABLE:
                raise
            return _shape(row, {"name": row.name, "type": row.type}) | {"status": "unreadable"}

    def _rows(self) -> Sequence[Any]:
        with self._store.read() as connection:
            return connection.execute(sa.select(connections).order_by(connections.c.name)).all()

    def _row(self, connection_id: str) -> Any:
        with self._store.read() as connection:
            row = connection.execute(
                sa.select(connections).where(connections.c.id == connection_id)
            ).one_or_none()
        if row is None:
            raise _not_found(connection_id)
        return row

    def _relist(self, connection_id: str, server: registry.Server) -> None:
        """What was made is to be found by a search; that it cannot be listed just now is no failure."""
        self._names.forget(connection_id)
        with contextlib.suppress(EngineError):
            self._remember(connection_id, status="ok", databases=server.databases())

    def _remember(self, connection_id: str, **values: Any) -> None:
        with self._store.write() as connection:
            connection.execute(
                sa.update(connections).where(connections.c.id == connection_id).values(**values)
            )


def copy_name(name: str, taken: set[str]) -> str:
    """`name copy`, `name copy 2`, …: the first that is free, within 255 characters."""
    number = 1
    while True:
        suffix = " copy" if number == 1 else f" copy {number}"
        candidate = name[: 255 - len(suffix)] + suffix
        if candidate not in taken:
            return candidate
        number += 1


def connections_of(config: Mapping[str, Any]) -> set[str]:
    """The ids a stream config's JSON names, sources and target."""
    return {source["connectionId"] for source in config["source"]["connections"]} | {config["target"]["id"]}


def _shape(row: Any, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        **body,
        "created": row.created,
        "status": row.status,
        "databasesInfo": row.databases or [],
    }


def _unsealed(keyring: Keyring, row: Any) -> bytes:
    try:
        return keyring.open(row.body, row.id)
    except EngineError as error:
        raise EngineError(
            error.code,
            f'the secrets of connection "{row.name}" cannot be read: {error.message}',
            connectionId=row.id,
            name=row.name,
        ) from None


def _masked_paths(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    secret = ("password", "client_key", "secretKey", "sessionToken")
    found = []
    for key, inner in value.items():
        if isinstance(inner, dict):
            found += _masked_paths(inner, (*path, key))
        elif key in secret and inner == MASK:
            found.append((*path, key))
    return found


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _check_name(connection: sa.Connection, name: str, own_id: str | None) -> None:
    holder = connection.scalar(sa.select(connections.c.id).where(connections.c.name == name))
    if holder is not None and holder != own_id:
        raise EngineError(
            Code.NAME_TAKEN, f'a connection named "{name}" exists already', name=name, id=holder
        )


def _refuse_in_use(connection: sa.Connection, connection_id: str) -> None:
    # By the config each stream was started with: the saved one may have been edited since.
    alive = connection.execute(
        sa.select(streams.c.id, streams.c.status, streams.c.config).where(streams.c.status.in_(ALIVE))
    )
    for stream in alive:
        if connection_id in connections_of(stream.config):
            raise EngineError(
                Code.CONNECTION_IN_USE,
                f"stream {stream.id} is {stream.status} and uses this connection; stop it first",
                connectionId=connection_id,
                streamId=stream.id,
                state=stream.status,
            )


def _not_found(connection_id: str) -> EngineError:
    return EngineError(
        Code.CONNECTION_NOT_FOUND, f"there is no connection {connection_id}", connectionId=connection_id
    )
