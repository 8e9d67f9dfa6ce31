"""What DuckDB raises, as errors of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from engine.connectors.base import LoadTable
from engine.errors import Code, EngineError

_FULL = ("no space left", "could not allocate", "out of memory", "disk quota", "file too large")
_KINDS: tuple[tuple[tuple[type[Exception], ...], Code, str], ...] = (
    ((duckdb.ConstraintException,), Code.CONSTRAINT_VIOLATION, "a row breaks a constraint of the target"),
    (
        (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.DataError),
        Code.ROW_REJECTED,
        "a value cannot be converted",
    ),
    ((duckdb.PermissionException,), Code.PERMISSION_DENIED, "the database does not allow that"),
    (
        (duckdb.FatalException, duckdb.InternalException),
        Code.CONNECTION_LOST,
        "the embedded database had to be closed",
    ),
)


def said(error: BaseException) -> str:
    """DuckDB's own sentence, without its picture of the statement."""
    return str(error).split("\n\n", 1)[0].strip()[:500] or type(error).__name__


def explain(error: Exception, table: LoadTable | None = None) -> EngineError:
    """A failure of DuckDB with its own words. A full disk and a full memory are TARGET_FULL."""
    message = said(error)
    lowered = message.lower()
    name = f"{table.schema}.{table.name}" if table else None
    where = f" ({name})" if name else ""
    if isinstance(error, duckdb.OutOfMemoryException) or any(text in lowered for text in _FULL):
        return EngineError(
            Code.TARGET_FULL,
            f"the embedded database is out of disk or memory{where}: make room, then resume the stream:"
            f" {message}",
            table=name,
            serverMessage=message,
        )
    if isinstance(error, duckdb.TransactionException) and "constraint" in lowered:
        code, advice = Code.CONSTRAINT_VIOLATION, "a row breaks a constraint of the target"
    elif isinstance(error, duckdb.TransactionException):
        code, advice = Code.CONNECTION_LOST, "another session of the embedded database changed the same"
    elif "read-only" in lowered or "permission denied" in lowered:
        code, advice = Code.PERMISSION_DENIED, "the file cannot be written"
    else:
        code, advice = next(
            ((code, advice) for kinds, code, advice in _KINDS if isinstance(error, kinds)),
            (Code.QUERY_FAILED, "the embedded database refused a statement"),
        )
    return EngineError(code, f"{advice}{where}: {message}", table=name, serverMessage=message)


@contextmanager
def explained(what: str, **details: object) -> Iterator[None]:
    """What DuckDB raises inside, as an EngineError that begins with `what`."""
    try:
        yield
    except duckdb.Error as error:
        found = explain(error)
        raise EngineError(found.code, f"{what}: {found.message}", **{**found.details, **details}) from error
