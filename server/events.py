"""Server-Sent Events: the engine's feed of log and SQL entries to any number of clients.

Wire format: WHATWG HTML, "Server-sent events". Each entry is `id:`, `event: log|sql`, `data:` one line of
JSON. A comment line is sent when nothing happened for a while, so that proxies and clients see the line is
alive. The queue of a client is the engine's and bounded: a slow client gets a marker in place of what it
missed. A stream ends when the client goes, or when the server is about to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any

import orjson
from blacksheep import Request, Response
from blacksheep.contents import StreamedContent

from engine.errors import Code, EngineError
from server.services import Services

MEDIA = "text/event-stream; charset=utf-8"
RETRY_MS = 2_000
_LINE_ENDS = [(chr(code).encode(), b"\\u%04x" % code) for code in (0x85, 0x2028, 0x2029)]
_HEADERS = [(b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]


def encode_event(entry: dict[str, Any]) -> bytes:
    """One entry of the feed as an event. JSON escapes line feeds, so the data is one line; the Unicode line
    ends it need not escape are escaped too, because many clients split at them."""
    data = orjson.dumps(entry["data"], default=str, option=orjson.OPT_NON_STR_KEYS)
    for raw, escaped in _LINE_ENDS:
        data = data.replace(raw, escaped)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (entry["id"], entry["event"].encode(), data)


def open_stream(services: Services, request: Request, last_event_id: str | None) -> Response:
    """The response that follows the feed. RATE_LIMITED when too many clients do already."""
    if services.event_clients >= services.settings.max_event_clients:
        raise EngineError(
            Code.RATE_LIMITED,
            f"{services.settings.max_event_clients} clients follow the event stream already",
        )
    if request.method == "HEAD":
        return Response(200, [*_HEADERS, (b"content-type", MEDIA.encode())])

    follow = partial(_follow, services, request, last_event_id)
    return Response(200, list(_HEADERS), StreamedContent(MEDIA.encode(), follow))


async def _follow(services: Services, request: Request, last_event_id: str | None) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()

    def wake() -> None:
        # Called from the publishing thread; the loop may be closed by then.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(ready.set)

    services.event_clients += 1
    services.metrics.event_clients.inc()
    subscription = services.engine.logs.subscribe(last_event_id, on_ready=wake)
    ends = [
        asyncio.create_task(_until_gone(request)),
        asyncio.create_task(services.closing.wait()),
    ]
    try:
        yield b"retry: %d\n\n" % RETRY_MS
        while not any(task.done() for task in ends):
            ready.clear()
            batch = subscription.drain()
            if batch:
                yield b"".join(map(encode_event, batch))
                continue
            news = asyncio.create_task(ready.wait())
            await asyncio.wait(
                [news, *ends], timeout=services.settings.heartbeat, return_when=asyncio.FIRST_COMPLETED
            )
            if not news.done():
                news.cancel()
                if not any(task.done() for task in ends):
                    yield b": alive\n\n"
        if not ends[0].done():
            yield b'event: end\ndata: {"reason":"shutdown"}\n\n'
    finally:
        for task in ends:
            task.cancel()
        subscription.close()
        services.event_clients -= 1
        services.metrics.event_clients.dec()


async def _until_gone(request: Request) -> None:
    """Returns when the client has closed the connection."""
    receive = request.content.receive  # type: ignore[union-attr]
    while (await receive())["type"] != "http.disconnect":
        pass
