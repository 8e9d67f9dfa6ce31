"""Reading a request strictly: query parameters, headers and bodies, each refused by name when wrong."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

import orjson
from blacksheep import Request
from blacksheep.contents import ASGIContent
from blacksheep.exceptions import MessageAborted
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from engine.config import validation_failed
from engine.errors import Code, EngineError
from server.operations import Body

MAX_LIMIT = 10_000
MAX_OFFSET = 2**53 - 1
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._~:/+=-]{1,128}$")
_IDEMPOTENCY_KEY = re.compile(r"^[\x21-\x7e]{1,255}$")
_INTEGER = re.compile(r"^-?\d{1,19}$")


def _digits(value: object) -> object:
    if isinstance(value, str) and not _INTEGER.match(value):
        raise ValueError("must be an integer in decimal digits")
    return value


def _truth(value: object) -> object:
    if isinstance(value, str) and value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value


DIGITS = BeforeValidator(_digits)
TRUTH = BeforeValidator(_truth)
Text = Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")]


class QueryModel(BaseModel):
    """Query parameters of a call: unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoQuery(QueryModel):
    """No query parameters at all."""


class Paging(QueryModel):
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="How many items at most"), DIGITS] = 100
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET, description="How many items to pass over"), DIGITS] = 0


class Search(Paging):
    search: Annotated[Text, Field(description="Only items that contain this text, in any case")] = ""


def read_pairs(raw: bytes) -> list[tuple[str, str]]:
    """The query string's pairs in order, percent-decoded strictly as UTF-8."""
    pairs = []
    for part in raw.split(b"&"):
        if not part:
            continue
        name, _, value = part.partition(b"=")
        try:
            pairs.append((_decode(name), _decode(value)))
        except UnicodeDecodeError:
            raise _refused("(query)", "the query string is not UTF-8") from None
    return pairs


def _decode(part: bytes) -> str:
    return unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8")


def read_query(raw: bytes, model: type[BaseModel] | None, also: tuple[str, ...] = ()) -> BaseModel | None:
    """Parameters as `model`; unknown and repeated ones raise VALIDATION_FAILED. Those in `also` were read
    by someone else (credentials)."""
    values: dict[str, str] = {}
    for name, value in read_pairs(raw):
        if name in also:
            continue
        if name in values:
            raise _refused(name, "given more than once")
        values[name] = value
    try:
        return (model or NoQuery).model_validate(values)
    except ValidationError as error:
        raise validation_failed(error) from None


async def read_body(request: Request, body: Body, limit: int) -> tuple[Any, bytes]:
    """(decoded, raw): a model where the table says parse, else a dict. At most `limit` bytes are held."""
    raw = await _read_bytes(request, limit)
    if not raw:
        if body.required:
            raise EngineError(Code.MALFORMED_JSON, "this call needs a JSON body and got none")
        return (body.model.model_validate({}) if body.parse else {}), raw
    return _decoded(request, body, raw), raw


async def read_no_body(request: Request, limit: int) -> bytes:
    """For calls that change something and take no body: an empty one, or an empty object. Fields that would
    be passed over in silence are refused."""
    raw = await _read_bytes(request, limit)
    if raw.strip() not in (b"", b"{}", b"null"):
        raise _refused("(body)", "this call takes no body")
    return raw


def _decoded(request: Request, body: Body, raw: bytes) -> Any:
    media, _, parameters = _header(request, b"content-type").partition(";")
    media = media.strip().lower()
    if _header(request, b"content-encoding") not in ("", "identity"):
        raise EngineError(Code.UNSUPPORTED_MEDIA_TYPE, "compressed request bodies are not accepted")
    if body.plain_text_field is not None and media == "text/plain":
        data: Any = {body.plain_text_field: _text(raw).strip()}
    elif media in ("", "application/json") and _is_utf8(parameters):
        data = _json(raw)
    else:
        wanted = "application/json" + (" or text/plain" if body.plain_text_field else "")
        raise EngineError(
            Code.UNSUPPORTED_MEDIA_TYPE, f"send the body as {wanted} in UTF-8", contentType=media[:100]
        )
    if not isinstance(data, dict):
        raise _refused("(body)", "must be a JSON object")
    if not body.parse:
        return data
    try:
        return body.model.model_validate(data)
    except ValidationError as error:
        raise validation_failed(error) from None


async def _read_bytes(request: Request, limit: int) -> bytes:
    declared = _header(request, b"content-length")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    try:
        assert isinstance(request.content, ASGIContent)
        async for part in request.content.stream():
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            parts.append(part)
    except MessageAborted:
        raise EngineError(Code.MALFORMED_JSON, "the client went away before the body was whole") from None
    return b"".join(parts)


def _is_utf8(parameters: str) -> bool:
    name, _, value = parameters.strip().lower().partition("=")
    return name != "charset" or value.strip('"') in ("utf-8", "utf8")


def _too_large(limit: int) -> EngineError:
    return EngineError(Code.BODY_TOO_LARGE, f"a request body may have {limit} bytes at most", limit=limit)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EngineError(Code.VALIDATION_FAILED, "the body is not UTF-8", byte=error.start) from None


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise EngineError(
            Code.MALFORMED_JSON,
            f"the body is not JSON: line {error.lineno}, column {error.colno}",
            line=error.lineno,
            column=error.colno,
        ) from None


def _refused(name: str, problem: str) -> EngineError:
    return EngineError(
        Code.VALIDATION_FAILED, f"{name}: {problem}", fields=[{"field": name, "problem": problem}]
    )


def _header(request: Request, name: bytes) -> str:
    value = request.get_first_header(name)
    return "" if value is None else value.decode("latin-1").strip()


def header(request: Request, name: bytes) -> str | None:
    """A header's first value, or None."""
    value = request.get_first_header(name)
    return None if value is None else value.decode("latin-1").strip()


def request_id_of(request: Request) -> str | None:
    """X-Request-ID when it is short and plain enough to be echoed and logged."""
    given = header(request, b"x-request-id")
    return given if given and _REQUEST_ID.match(given) else None


def idempotency_key_of(request: Request) -> str | None:
    """Idempotency-Key; VALIDATION_FAILED unless 1 to 255 visible ASCII characters."""
    given = header(request, b"idempotency-key")
    if given is not None and not _IDEMPOTENCY_KEY.match(given):
        raise _refused("Idempotency-Key", "must be 1 to 255 visible ASCII characters")
    return given


def confirmed_by(request: Request) -> bool:
    return (header(request, b"x-confirm-delete") or "").lower() == "true"
