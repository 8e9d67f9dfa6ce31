"""Answers: orjson for every JSON body, and the headers all of them carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from blacksheep import Content, Response

JSON = b"application/json"
JSON_TEXT = "application/json"


def encode(value: Any) -> bytes:
    """`value` as compact UTF-8 JSON. Raises TypeError for what JSON has no form for."""
    return orjson.dumps(value)


def json_response(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    return raw_response(status, encode(value), JSON_TEXT, headers)


def raw_response(status: int, body: bytes, media: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, _pairs(headers), Content(media.encode("latin-1"), body))


def empty_response(status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, _pairs(headers))


def _pairs(headers: Mapping[str, str] | None) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in (headers or {}).items()
    ]
