"""Stands in for `engine.streams.run` in a worker, to inject what real servers cannot be made to do on time.

The config's description is the script, as JSON: `steps` commits of ten rows, `seconds` between them, `die_at`
(kill this process before that step, on a first attempt; `always` on every one), `error`, `leak`, `panic`,
`hang`, `log`, `differ`. What was committed lives in the file `ledger`, as a target would hold it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from engine.errors import Code, EngineError
from engine.streams.job import Control, Outcome, Report, StreamJob
from engine.streams.lifecycle import Status

ROWS = 10


class _Panic(BaseException):
    """As ConnectorX raises: not an Exception."""


def _script(job: StreamJob) -> dict[str, Any]:
    return dict(orjson.loads(job.config.description or "{}"))


def _committed(ledger: Path) -> int:
    return len(ledger.read_text().splitlines()) if ledger.exists() else 0


def run_stream(job: StreamJob, control: Control, report: Report) -> Outcome:
    script = _script(job)
    ledger = Path(script["ledger"])
    done = _committed(ledger)
    print("a library prints to stdout")
    report.stage(1)
    report.plan({"tables": [{"name": "t"}]})
    steps = script.get("steps", 3)
    report.stage(3)
    report.table(
        "public",
        "t",
        status="RUNNING",
        phase="data",
        estimatedRows=steps * ROWS,
        rows=done * ROWS,
        bytes=done * 100,
    )
    _misbehave(script, job)
    for number in range(script.get("log", 0)):
        report.log("info", f"entry {number}")
        report.sql({"query": "SELECT 1 -- " + "x" * 3000, "purpose": "test", "params": [number]})
    for step in range(done, steps):
        if script.get("die_at") == step and (script.get("always") or not job.resume):
            time.sleep(0.6)  # let the report of what was committed go out
            print(
                "last words",
                "password",
                next(iter(job.connections.values())).database.password.get_secret_value(),
            )
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        control.wait(script.get("seconds", 0.02))
        with ledger.open("a") as handle:
            handle.write(f"{step}\n")
        report.progress("public", "t", ROWS, 100)
    report.table("public", "t", status="FINISHED", phase="done")
    report.phase("data", 0.5)
    report.stage(5)
    return Outcome(Status.FINISHED, steps * ROWS, steps * 100, notes=[{"slug": "noted", "severity": "info"}])


def _misbehave(script: dict[str, Any], job: StreamJob) -> None:
    if script.get("error"):
        raise EngineError(Code.VALUE_NOT_REPRESENTABLE, "a zero date", table="t", column="d", key={"id": 7})
    if script.get("leak"):
        password = next(iter(job.connections.values())).database.password.get_secret_value()
        raise RuntimeError(f"cannot connect to mysql://user:{password}@host/")
    if script.get("panic"):
        raise _Panic("not implemented")
    if script.get("hang"):
        time.sleep(3600)


def verify_stream(job: StreamJob, control: Control, report: Report) -> dict[str, Any]:
    script = _script(job)
    report.table("public", "t", status="RUNNING", phase="verify")
    control.wait(script.get("seconds", 0.02))
    report.table("public", "t", status="FINISHED")
    return {"equal": not script.get("differ"), "tables": [{"table": "t", "equal": not script.get("differ")}]}


def cleanup_stream(job: StreamJob) -> None:
    script = _script(job)
    tried = Path(script["ledger"]).with_suffix(".tried")
    with tried.open("a") as handle:
        handle.write("1")
    if tried.stat().st_size <= script.get("busy", 0):
        raise EngineError(Code.CONNECTION_FAILED, "too many clients")
    Path(script["ledger"]).with_suffix(".forgotten").touch()
