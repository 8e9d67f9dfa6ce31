"""The server process: an engine, the application over it, and uvicorn in front."""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import structlog
import uvicorn

from engine.errors import Code, EngineError
from server.app import BASE, ApiApplication, create_app
from server.protocol import server_config

KEY_VARIABLE = "DBSTREAMS_API_KEY"
GRACE_SECONDS = 10


class ApiServer(uvicorn.Server):
    """uvicorn's server, telling the application that the end is near before it waits for open answers: the
    event streams end by themselves then, instead of being cut."""

    def __init__(
        self, config: uvicorn.Config, app: ApiApplication, on_started: Callable[[], None] | None = None
    ) -> None:
        super().__init__(config)
        self._app = app
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._on_started is not None:
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.services_of_api.closing.set()
        await super().shutdown(sockets)


def serve(
    host: str = "127.0.0.1",
    port: int = 8020,
    data_dir: Path | str | None = None,
    files_roots: Iterable[Path | str] = (),
    tls_cert: Path | str | None = None,
    tls_key: Path | str | None = None,
    *,
    out: TextIO | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; returns after a clean end.

    Prints to `out` (stdout) the installation's id, on the very first start the API key, and its address once
    it answers there; the log goes to stderr. `DBSTREAMS_API_KEY` provisions that key instead. Port 0 takes a
    free one. Raises EngineError: VALIDATION_FAILED for a files root that is no directory, a certificate
    without its key or one that does not load, or an address that cannot be bound; STORE_UNAVAILABLE when the
    data directory is owned by another process.
    """
    from engine.api import Engine

    out = out or sys.stdout
    configure_logging()
    roots = [_directory(root) for root in files_roots]
    _check_tls(tls_cert, tls_key)
    listener = _listen(host, port)
    try:
        engine = Engine(data_dir, files_roots=roots)
        try:
            first_key = engine.keys.ensure_first(os.environ.get(KEY_VARIABLE))
            app = create_app(engine, engine.data_dir, files_roots=roots)
            scheme = "https" if tls_cert else "http"
            _say(out, f"X-Install-ID: {engine.install_id}")
            if first_key:
                _say(out, f"X-API-Key: {first_key}  (shown only now: keep it)")
            ready = f"dbstreams serves {scheme}://{_address(host, listener)}{BASE}"
            config = server_config(
                app,
                ssl_certfile=tls_cert,
                ssl_keyfile=tls_key,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
            server = ApiServer(config, app, lambda: _say(out, ready))
            with _signals_outlived():
                server.run(sockets=[listener])
                # Workers checkpoint and leave here.
                engine.close()
            if not server.started:
                raise EngineError(Code.INTERNAL_ERROR, "the server did not start; its log says why")
        finally:
            engine.close()
    finally:
        listener.close()


@contextmanager
def _signals_outlived() -> Iterator[None]:
    """uvicorn raises the signal that ended it once more when it is done. Without a handler of ours SIGTERM
    would then end the process before the engine is closed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _seen) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _seen(number: int, frame: object) -> None:
    """The signal has been acted upon already."""


def configure_logging() -> None:
    """JSON lines on stderr, one an event, times in UTC. uvicorn's own warnings go the same way."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


def _say(out: TextIO, line: str) -> None:
    print(line, file=out, flush=True)


def _address(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{listener.getsockname()[1]}"


def _listen(host: str, port: int) -> socket.socket:
    """Bound before the engine starts, so that a second server on the port cannot touch the streams."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        listener.close()
        raise _refused("port", f"cannot listen on {host}:{port}: {error}") from None
    listener.set_inheritable(False)
    return listener


def _directory(root: Path | str) -> Path:
    path = Path(root).resolve()
    if not path.is_dir():
        raise _refused("filesRoot", f"{root} is not an existing directory")
    return path


def _check_tls(cert: Path | str | None, key: Path | str | None) -> None:
    if (cert is None) != (key is None):
        raise _refused("tls", "a certificate and its key go together")
    if cert is None or key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise _refused("tls", f"the certificate or its key cannot be used: {error}") from None


def _refused(field: str, problem: str) -> EngineError:
    return EngineError(Code.VALIDATION_FAILED, problem, fields=[{"field": field, "problem": problem}])
