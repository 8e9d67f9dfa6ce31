"""What depends on the version of the PostgreSQL the tests run on."""

from __future__ import annotations

import pytest

from engine.connectors.postgres.native import since


def has_type(version: int, type_: str) -> bool:
    """Whether a server of that server_version_num has the type."""
    return since(type_) <= version


def needs_type(version: int, type_: str) -> None:
    """Leave a case of a type out on a server that is older than the type."""
    if not has_type(version, type_):
        pytest.skip(f"PostgreSQL {version // 10000} has no {type_}")
