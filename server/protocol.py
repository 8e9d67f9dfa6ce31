"""The HTTP protocol under the application: what never reaches it is answered in the envelope too."""

from __future__ import annotations

from typing import Any

import uvicorn
from blacksheep import Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from engine.errors import Code, EngineError
from server.request_ids import new_request_id
from server.responses import encode

MAX_HEAD = 64 * 1024


class ApiProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with our envelope for what is not HTTP, and a bound on the request's head: the
    parser alone would collect a header line without end."""

    _in_head = False
    _head_bytes = 0

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD:
            self.send_400_response("")

    def send_400_response(self, msg: str) -> None:
        """Close the connection after the envelope. `msg` is uvicorn's and says no more than ours."""
        request_id = new_request_id()
        too_long = self._head_bytes > MAX_HEAD
        problem = (
            f"the request's head is over {MAX_HEAD} bytes" if too_long else "the request is not valid HTTP"
        )
        error = EngineError(Code.VALIDATION_FAILED, problem)
        body = encode({**error.as_dict(), "requestId": request_id})
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncache-control: no-store\r\n"
            f"x-request-id: {request_id}\r\nx-content-type-options: nosniff\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()


def server_config(app: Application, **options: Any) -> uvicorn.Config:
    """How uvicorn runs the application; `options` are more of its settings."""
    return uvicorn.Config(
        app,
        http=ApiProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        **options,
    )
