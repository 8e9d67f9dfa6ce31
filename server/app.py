"""The application: the route table put on BlackSheep's router, and the one way every request goes.

request → id → route → credentials → query → body → idempotency → handler → answer, with every failure turned
into the envelope at the outermost step.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from blacksheep import Application, Request, Response
from blacksheep.scribe import send_asgi_response
from blacksheep.server.routing import Router

from engine.errors import Code, EngineError
from server.access import log_request
from server.auth import CREDENTIAL_PARAMETERS, authenticate
from server.errors import error_response, log_unexpected
from server.idempotency import Kept, Ticket, digest_of
from server.operations import Auth, Call, Confirm, Operation
from server.parameters import (
    confirmed_by,
    idempotency_key_of,
    read_body,
    read_no_body,
    read_query,
    request_id_of,
)
from server.request_ids import new_request_id, request_ids
from server.responses import empty_response, json_response, raw_response
from server.services import Services, Settings

if TYPE_CHECKING:
    from engine.api import Engine

BASE = "/api/v1"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
REPLAYED = "Idempotency-Replayed"

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ApiApplication(Application):
    """BlackSheep's application with our own outermost step: nothing it answers by itself gets out."""

    def __init__(self, services: Services, operations: Iterable[Operation]) -> None:
        super().__init__(router=Router(), show_error_details=False)
        self.services_of_api = services
        self.operations = tuple(operations)
        self._templates: dict[str, str] = {}
        for operation in self.operations:
            self._add(operation, BASE + operation.path)
            if operation.at_root:
                self._add(operation, operation.path)

    def _add(self, operation: Operation, path: str) -> None:
        endpoint = _endpoint(self.services_of_api, operation)
        self._templates[path] = path
        self.router.add(operation.method, path, endpoint)
        if operation.method == "GET":
            self.router.add("HEAD", path, endpoint)

    async def _handle_http(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if not self.started:
            await self.start()  # type: ignore[no-untyped-call]
        started = time.perf_counter()
        metrics = self.services_of_api.metrics
        request_id, template, request = new_request_id(), "(none)", None
        with metrics.in_flight.track_inprogress():
            try:
                request = self.instantiate_request(scope, receive)
                request_id = request_id_of(request) or request_id
                request_ids.set(request_id)
                response, template = await self._answer(request, request_id)
            except Exception as error:
                response = error_response(error, request_id)
        response.set_header(b"x-request-id", request_id.encode())
        _common_headers(response)
        elapsed = time.perf_counter() - started
        method = scope["method"] if scope["method"] in (*METHODS, "OPTIONS") else "(other)"
        metrics.requests.labels(method, template, str(response.status)).inc()
        metrics.seconds.labels(method, template).observe(elapsed)
        log_request(scope, response.status, elapsed, request_id, template)
        await send_asgi_response(response, send)
        if request is not None:
            request.scope = None  # type: ignore[assignment]
            request.dispose()

    async def _answer(self, request: Request, request_id: str) -> tuple[Response, str]:
        """The response and the route template it came from."""
        path = request.scope["raw_path"]
        try:
            match = self._match(request.method, path)
            if match is None:
                return self._unmatched(request.method, path, request_id), "(none)"
            request.route_values = match.values or {}
        except UnicodeDecodeError:
            return error_response(_no_route(), request_id), "(none)"
        template = match.pattern.decode()
        try:
            return await match.handler(request), template
        except Exception as error:
            return error_response(error, request_id), template

    def _match(self, method: str, path: bytes) -> Any:
        if method not in METHODS:
            return None
        match = self.router.get_match_by_method_and_path(method, path)
        fallback = self.router.fallback
        return None if match is None or (fallback and match.handler is fallback.handler) else match

    def _unmatched(self, method: str, path: bytes, request_id: str) -> Response:
        """OPTIONS, 405 or 404, by what the router knows of the path."""
        allowed = [name for name in METHODS if self._match(name, path) is not None]
        if not allowed:
            return error_response(_no_route(), request_id)
        allow = {"Allow": ", ".join([*allowed, "OPTIONS"])}
        if method == "OPTIONS":
            return empty_response(204, allow)
        error = EngineError(
            Code.METHOD_NOT_ALLOWED,
            f"this path answers {allow['Allow']}, not {method[:20]}",
            allowed=[*allowed, "OPTIONS"],
        )
        return error_response(error, request_id, allow)


def _no_route() -> EngineError:
    return EngineError(Code.ROUTE_NOT_FOUND, "no call of this API has this path; see /docs")


def _common_headers(response: Response) -> None:
    response.set_header(b"x-content-type-options", b"nosniff")
    if not response.has_header(b"cache-control"):
        response.set_header(b"cache-control", b"no-store")


def _endpoint(services: Services, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    """The whole way of one call, as a handler for the router."""

    async def endpoint(request: Request) -> Response:
        request_id = request_ids.get()
        key = await authenticate(services, request, operation)
        also = CREDENTIAL_PARAMETERS if operation.auth is Auth.BROWSER else ()
        query = read_query(request.scope["query_string"], operation.query, also)
        body = raw = None
        if operation.body is not None:
            body, raw = await read_body(request, operation.body, services.settings.max_body)
        elif operation.method != "GET":
            raw = await read_no_body(request, services.settings.max_body)
        path = {name: value or "" for name, value in (request.route_values or {}).items()}
        confirmed = operation.confirm is not Confirm.NONE and confirmed_by(request)
        if operation.confirm is Confirm.NEEDED and not confirmed:
            raise EngineError(
                Code.CONFIRMATION_REQUIRED, "this deletes many things at once: send X-Confirm-Delete: true"
            )
        call = Call(request, services, path, query, body, key, confirmed, request_id)
        token = idempotency_key_of(request) if operation.idempotent else None
        if token is None:
            return _finish(operation, await operation.handler(call))
        return await _once(services, operation, call, token, raw or b"")

    # With real types in place of their names the framework sees that nothing needs to be wrapped.
    endpoint.__annotations__ = {"request": Request, "return": Response}
    return endpoint


async def _once(services: Services, operation: Operation, call: Call, token: str, raw: bytes) -> Response:
    """Run the call, or give its kept answer again."""
    store = services.idempotency
    scope = call.request.scope
    digest = digest_of(token, operation.method, scope["path"], scope["query_string"], raw)
    first = await call.run(store.begin, call.key.id, token, digest)
    if isinstance(first, Kept):
        headers = {REPLAYED: "true"} | ({"Location": first.location} if first.location else {})
        return raw_response(first.status, first.body, operation.answer.media, headers)
    ticket: Ticket = first
    try:
        response = _finish(operation, await operation.handler(call))
    except BaseException:
        store.abandon(ticket)
        raise
    location = (response.get_first_header(b"location") or b"").decode("latin-1")
    kept = Kept(response.status, response.content.body if response.content else b"", location)
    try:
        await call.run(store.finish, ticket, kept)
    except Exception as error:
        # The call is done and its caller must hear so; only a repetition will not be recognized.
        store.abandon(ticket)
        log_unexpected("idempotency_not_kept", call.request_id, error)
    return response


def _finish(operation: Operation, result: Any) -> Response:
    """What a handler returned as a response; 201 and 202 say where the new thing is."""
    if isinstance(result, Response):
        return result
    headers: dict[str, str] = {}
    status = operation.answer.status
    if operation.location and isinstance(result, dict) and "id" in result:
        headers["Location"] = BASE + operation.location.replace("{id}", quote(str(result["id"])))
    return json_response(status, result, headers)


def create_app(
    engine: Engine, data_dir: Path | str, *, files_roots: Iterable[Path | str] = (), **limits: Any
) -> ApiApplication:
    """The application over an engine. It closes its own threads and files when it stops, not the engine.

    `limits` are the other fields of `Settings`. Raises ValueError when a files root is not a directory.
    """
    from server.routes import all_operations

    roots = tuple(Path(root).resolve() for root in files_roots)
    for root in roots:
        if not root.is_dir():
            raise ValueError(f"the files root {root} is not an existing directory")
    services = Services.of(engine, Settings(Path(data_dir).resolve(), roots, **limits))
    app = ApiApplication(services, all_operations())

    async def stop(_: Application) -> None:
        services.close()

    app.on_stop += stop
    return app
