"""The route table: one declaration per call, read by the router and by the OpenAPI generator alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from blacksheep import Request
from pydantic import BaseModel

from engine.errors import Code

if TYPE_CHECKING:
    from engine.api import Engine
    from server.services import Services

Query = TypeVar("Query", bound=BaseModel)


class Auth(StrEnum):
    """What a call wants to know of its caller."""

    NONE = "none"
    FULL = "full"  # X-API-Key and X-Install-ID
    KEY = "key"  # X-API-Key; an X-Install-ID that is sent must still match
    BROWSER = "browser"  # like FULL, each also as a query parameter (EventSource cannot set headers)


class Confirm(StrEnum):
    """Whether X-Confirm-Delete matters."""

    NONE = "none"
    ACCEPTED = "accepted"
    NEEDED = "needed"


@dataclass(frozen=True, slots=True)
class Body:
    """A request body. `model` describes it; with `parse` the server validates it by that model,
    else the engine does (connections and stream configs, whose models are the engine's own)."""

    model: type[BaseModel]
    example: Mapping[str, Any] | None = None
    required: bool = True
    parse: bool = True
    plain_text_field: str | None = None  # text/plain is accepted too and means this one field


@dataclass(frozen=True, slots=True)
class Answer:
    """The successful answer. Without a model the body is of `media` and not described further."""

    model: type[BaseModel] | None = None
    status: int = 200
    description: str = "The answer"
    media: str = "application/json"
    example: Any = None
    listed: bool = False  # the body is an array of the model
    structured: bool = False  # without a model: an object, in whatever form


@dataclass(frozen=True, slots=True)
class Link:
    """An OpenAPI link: from this answer's id to another operation's path parameter."""

    operation_id: str
    parameter: str = "id"
    expression: str = "$response.body#/id"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked: what a handler gets."""

    request: Request
    services: Services
    path: Mapping[str, str]
    query: BaseModel | None
    body: Any  # a model when the table says parse, else decoded JSON
    key: Any  # the engine's KeyInfo; None where no key is wanted
    confirmed: bool
    request_id: str

    @property
    def engine(self) -> Engine:
        return self.services.engine

    def params(self, model: type[Query]) -> Query:
        """The query parameters, as the model the table names."""
        assert isinstance(self.query, model)
        return self.query

    async def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A blocking engine call that touches only our own store, off the event loop."""
        return await self.services.local.run(function, *args, **kwargs)

    async def reach(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A blocking engine call that waits for other servers: it has threads of its own, so that a
        database that does not answer cannot hold up the calls that need only our store."""
        return await self.services.remote.run(function, *args, **kwargs)


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the API. `path` is relative to the base path, parameters in braces."""

    method: str
    path: str
    id: str
    summary: str
    tag: str
    handler: Handler
    answer: Answer
    description: str = ""
    query: type[BaseModel] | None = None
    body: Body | None = None
    errors: tuple[Code, ...] = ()
    auth: Auth = Auth.FULL
    subscription: bool = False
    confirm: Confirm = Confirm.NONE
    idempotent: bool = False
    at_root: bool = False  # also served without the base path
    location: str = ""  # the path of what was made, `{id}` standing for the answer's id
    links: Mapping[str, Link] = field(default_factory=dict)

    @property
    def path_parameters(self) -> list[str]:
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @property
    def all_errors(self) -> tuple[Code, ...]:
        """The codes of the call's own and those its conventions bring along, ordered by status."""
        codes = {*self.errors, Code.VALIDATION_FAILED, Code.INTERNAL_ERROR}
        if self.auth is not Auth.NONE:
            codes |= {Code.AUTHENTICATION_FAILED, Code.INSTALL_ID_MISMATCH}
            codes |= {Code.RATE_LIMITED, Code.STORE_UNAVAILABLE}
        if self.auth in (Auth.FULL, Auth.BROWSER):
            codes.add(Code.INSTALL_ID_REQUIRED)
        if self.subscription:
            codes.add(Code.SUBSCRIPTION_REQUIRED)
        if self.method != "GET":
            codes |= {Code.MALFORMED_JSON, Code.BODY_TOO_LARGE}
        if self.body is not None:
            codes.add(Code.UNSUPPORTED_MEDIA_TYPE)
        if self.confirm is Confirm.NEEDED:
            codes.add(Code.CONFIRMATION_REQUIRED)
        if self.idempotent:
            codes.add(Code.IDEMPOTENCY_CONFLICT)
        return tuple(sorted(codes, key=lambda code: (code.status, code.value)))


class Table:
    """The calls of one resource, in the order they are declared."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self._operations: list[Operation] = []

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations)

    def call(
        self, method: str, path: str, id: str, summary: str, **rest: Any
    ) -> Callable[[Handler], Handler]:
        """Declare a call; the decorated coroutine handles it and returns the answer's body or a Response."""

        def declare(handler: Handler) -> Handler:
            rest.setdefault("answer", Answer())
            rest.setdefault("description", (handler.__doc__ or "").strip())
            self._operations.append(
                Operation(
                    method=method, path=path, id=id, summary=summary, tag=self.tag, handler=handler, **rest
                )
            )
            return handler

        return declare
