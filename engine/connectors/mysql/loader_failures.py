"""What a MySQL or MariaDB target raises while it is loaded or changed, as EngineErrors."""

from __future__ import annotations

from engine.connectors.mysql.failures import LOST, query_failed
from engine.errors import Code, EngineError

_FULL = frozenset({3, 1021, 1030, 1041, 1114, 1118, 1197, 1206, 1534, 3675})
_CONSTRAINT = frozenset({1022, 1062, 1169, 1216, 1217, 1451, 1452, 1557, 1586, 3819, 4025})
_ROW = frozenset({1048, 1136, 1153, 1264, 1265, 1292, 1300, 1364, 1366, 1406, 1411, 1416, 3140, 3156})
_DENIED = frozenset({1227, 1290, 1792, 1836, 3572})
# Rolled back by the server for another transaction's sake: the same rows may go through next time.
_AGAIN = frozenset({1020, 1205, 1213, 1317, 3058})
_READ_ONLY_FULL = frozenset({28})  # ENOSPC, as the servers quote it

_ADVICE = {
    Code.TARGET_FULL: "the target is out of space or memory: make room, then resume the stream",
    Code.CONSTRAINT_VIOLATION: "a row breaks a constraint of the target",
    Code.ROW_REJECTED: "the target refused a row",
    Code.PERMISSION_DENIED: "this login may not do that on the target",
    Code.CONNECTION_LOST: "the transaction was ended by the server",
}


def explain(error: BaseException, table: str | None = None) -> EngineError:
    """The server's own words and number, told apart: CONNECTION_LOST, TARGET_FULL, CONSTRAINT_VIOLATION,
    ROW_REJECTED, PERMISSION_DENIED, QUERY_TIMEOUT, QUERY_FAILED."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else None
    where = f" ({table})" if table else ""
    plain = query_failed(error, f"the target refused a statement{where}", table=table)
    if number in LOST or plain.code is Code.CONNECTION_LOST:
        return EngineError(
            Code.CONNECTION_LOST,
            f"the connection to the target was lost: {plain.details.get('serverMessage')}",
            errno=number,
            table=table,
        )
    for numbers, code in (
        (_FULL, Code.TARGET_FULL),
        (_CONSTRAINT, Code.CONSTRAINT_VIOLATION),
        (_ROW, Code.ROW_REJECTED),
        (_DENIED, Code.PERMISSION_DENIED),
        (_AGAIN, Code.CONNECTION_LOST),
    ):
        if number in numbers:
            message = plain.details.get("serverMessage")
            return EngineError(
                code, f"{_ADVICE[code]}{where}: {message}", errno=number, serverMessage=message, table=table
            )
    return plain
