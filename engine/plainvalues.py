"""Values of the ground ⇄ what JSON can hold: how structure is kept beside data."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any


def plain(value: Any) -> Any:
    """A dataclass of the ground as JSON values: what equals its default is left out, bytes are {"hex"}."""
    if dataclasses.is_dataclass(value):
        return {
            field.name: plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.default is dataclasses.MISSING or getattr(value, field.name) != field.default
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def rich(kind: Any, value: Any) -> Any:
    """The inverse of `plain` for a value of the annotated type `kind`. Unknown fields are of later releases
    and ignored."""
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        hints = typing.get_type_hints(kind)
        known = {field.name for field in dataclasses.fields(kind)}
        given = {name: rich(hints[name], item) for name, item in value.items() if name in known}
        return typing.cast(type, kind)(**given)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    origin = typing.get_origin(kind)
    if origin is tuple and isinstance(value, Sequence):
        return tuple(rich(typing.get_args(kind)[0], item) for item in value)
    if origin in (types.UnionType, typing.Union):
        if isinstance(value, Mapping) and set(value) == {"hex"}:
            return bytes.fromhex(value["hex"])
        if value is None or isinstance(value, str | int):
            return value
        return rich(next(arm for arm in typing.get_args(kind) if arm is not type(None)), value)
    return value
