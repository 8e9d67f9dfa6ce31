"""Looks into the servers of saved connections for names that contain a text: several at once, within bounds,
and remembered for a short time."""

from __future__ import annotations

import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from engine import clock
from engine.config import Connection
from engine.connectors import inspection
from engine.errors import Code, EngineError

_log = logging.getLogger(__name__)

AT_ONCE = 4  # servers asked at a time, over all searches
SERVER_SECONDS = 5.0  # for one server to answer in
WAIT_SECONDS = 8.0  # for a search as a whole; servers asked until then go on and are remembered
FRESH_SECONDS = 30.0
MATCHES = 500  # of one connection
_KEPT = 1000  # answers

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Paths below one connection: database, schema where there are such, name. `reason`, when they are not
    all: failed, timeout, truncated or unsupported; `message` says it to a person."""

    paths: tuple[Path, ...] = ()
    reason: str | None = None
    message: str | None = None


@dataclass(slots=True)
class _Kept:
    future: Future[Found]
    done: float | None = None


_Key = tuple[str, float, str]  # connection id, when it was modified, text
_LATE = Found((), "timeout", f"it did not answer within {WAIT_SECONDS:.0f} seconds; search again shortly")


class NameSearch:
    """Threads may share it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="name search")
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()

    def find(self, models: Mapping[str, tuple[float, Connection]], text: str) -> dict[str, Found]:
        """What each connection has, by its id. `models`: when each was last modified, and it.

        Never raises for a server: what went wrong is in its `Found`.
        """
        futures = {id_: self._ask((id_, modified, text), model) for id_, (modified, model) in models.items()}
        wait(futures.values(), WAIT_SECONDS)
        return {id_: _result(future) for id_, future in futures.items()}

    def forget(self, connection_id: str) -> None:
        """Ask this server anew the next time."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == connection_id]:
                del self._kept[key]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, key: _Key, model: Connection) -> Future[Found]:
        with self._lock:
            now = clock.monotonic()
            kept = self._kept.get(key)
            if kept is not None and (kept.done is None or now - kept.done < FRESH_SECONDS):
                return kept.future
            kept = _Kept(self._pool.submit(_look, model, key[2]))
            self._kept[key] = kept
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        kept.future.add_done_callback(lambda _: self._over(kept))
        return kept.future

    @staticmethod
    def _over(kept: _Kept) -> None:
        kept.done = -math.inf if kept.future.cancelled() else clock.monotonic()


def _result(future: Future[Found]) -> Found:
    if not future.done() and not future.cancel():
        return _LATE  # it goes on; one that had not begun is given up
    try:
        return future.result()
    except CancelledError:
        return _LATE


def _look(model: Connection, text: str) -> Found:
    if not inspection.has_names(model.type):
        return Found((), "unsupported", f"names inside a {model.type.value} connection are not searched")
    paths: dict[Path, None] = {}  # in the order they came
    try:
        for path in inspection.find_names(model, text, limit=MATCHES + 1, seconds=SERVER_SECONDS):
            paths[path] = None
            if len(paths) > MATCHES:
                paths.popitem()
                more = f"more than {MATCHES} names match; search for a longer text"
                return Found(tuple(paths), "truncated", more)
    except EngineError as error:
        late = error.code is Code.QUERY_TIMEOUT or error.details.get("reason") == "timeout"
        return Found(tuple(paths), "timeout" if late else "failed", error.message)
    except Exception:  # one server's oddity must not hide what the others have
        _log.exception("the names of connection %r could not be searched", model.name)
        return Found(tuple(paths), "failed", "its names could not be searched; see the log")
    return Found(tuple(paths))


def matching(
    items: list[dict[str, Any]], text: str, inside: Mapping[str, Found], limit: int, offset: int
) -> dict[str, Any]:
    """`{items, total, filtered, search, matchedPaths}`: the connections that match by what is stored of them,
    or by what was found inside them."""
    paths: dict[str, dict[str, None]] = {}  # in order, each once
    for item in items:
        below = inside[item["id"]].paths if item["id"] in inside else ()
        own = _stored(item, text.casefold())
        paths[item["id"]] = dict.fromkeys([*own, *("/".join((item["name"], *path)) for path in below)])
    found = [item for item in items if paths[item["id"]]]
    return {
        "items": found[offset : offset + limit],
        "total": len(items),
        "filtered": len(found),
        "search": text,
        "matchedPaths": [path for item in found for path in paths[item["id"]]],
    }


def coverage(
    total: int, listed: int, names: Mapping[str, str], inside: Mapping[str, Found]
) -> dict[str, Any]:
    """`{connections, withDatabases, searched, incomplete: [{connectionId, name, reason, message}]}`.

    `names`: of the connections, by id. `listed`: how many have a stored listing of their databases.
    """
    return {
        "connections": total,
        "withDatabases": listed,
        "searched": sum(found.reason is None for found in inside.values()),
        "incomplete": [
            {"connectionId": id_, "name": name, "reason": inside[id_].reason, "message": inside[id_].message}
            for id_, name in names.items()
            if id_ in inside and inside[id_].reason is not None
        ],
    }


def _stored(item: dict[str, Any], wanted: str) -> list[str]:
    spec = (item.get("spec") or {}).get("database") or {}
    own = (item["name"], item.get("alias"), spec.get("host"), spec.get("database"))
    paths = [item["name"]] if any(wanted in text.casefold() for text in own if text) else []
    for database in item["databasesInfo"]:
        if wanted in database["name"].casefold():
            paths.append(f"{item['name']}/{database['name']}")
        paths += [
            f"{item['name']}/{database['name']}/{schema['name']}"
            for schema in database.get("schemas") or []
            if wanted in schema["name"].casefold()
        ]
    return paths
