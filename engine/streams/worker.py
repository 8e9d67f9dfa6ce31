"""The process that runs one stream: `python -m engine.streams.worker REPORT_FD`.

First line on stdin: `{task, job, sqlCapture}`. Further lines: `{command: pause|stop|sqlCapture}`. End of
stdin: the supervisor is gone, so the worker pauses at the next safe point and leaves. SIGTERM stops it.

`DBSTREAMS_WORKER_RUNNER=module:attribute` puts another object in the place of the module
`engine.streams.run`; it exists for tests that inject faults and is not set in production.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import orjson

from engine import config as contract
from engine.errors import Code, EngineError
from engine.streams.job import Control, Interrupted, StreamJob
from engine.streams.lifecycle import Status
from engine.streams.reporting import PipeReport

RUNNER_VARIABLE = "DBSTREAMS_WORKER_RUNNER"
LEAVE_SECONDS = 60.0  # after the supervisor is gone; the epoch in the target guards what comes later


def main(report_fd: int) -> None:
    """Run the task of the first line and end the process."""
    os.set_inheritable(report_fd, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lines = _lines(0)
    first = orjson.loads(next(lines))
    job = StreamJob.from_json(first["job"])
    control = Control()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: control.request("stop"))
    report = PipeReport(report_fd, first.get("sqlCapture", "off"), on_broken=lambda: _abandon(control))
    threading.Thread(target=_obey, args=(lines, control, report), name="commands", daemon=True).start()
    report.started()
    try:
        result = _carry_out(first["task"], job, control, report)
    except BaseException as error:  # ConnectorX panics are BaseExceptions; nothing may leave without a result
        result = _failure(error, job)
    report.finish(result)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a library's thread left behind must not keep a finished worker alive


def _carry_out(task: str, job: StreamJob, control: Control, report: PipeReport) -> dict[str, Any]:
    named = os.environ.get(RUNNER_VARIABLE)
    module, _, attribute = (named or "engine.streams.run").partition(":")
    runner: Any = importlib.import_module(module)
    if attribute:
        runner = getattr(runner, attribute)
    if task == "verify":
        return {"status": Status.FINISHED.value, "value": runner.verify_stream(job, control, report)}
    if task == "cleanup":
        runner.cleanup_stream(job)
        return {"status": Status.FINISHED.value}
    outcome = runner.run_stream(job, control, report)
    return {
        "status": outcome.status.value,
        "rows": outcome.rows,
        "bytes": outcome.bytes,
        "error": outcome.error,
        "notes": outcome.notes,
    }


def _failure(error: BaseException, job: StreamJob) -> dict[str, Any]:
    if isinstance(error, Interrupted):
        status = Status.PAUSED if error.reason == "pause" else Status.STOPPED
        return {"status": status.value}
    if isinstance(error, EngineError):
        return {"status": Status.FAILED.value, "error": error.as_dict()}
    # An error nobody foresaw may quote a DSN: what it says is cleaned of every secret of the job.
    text = f"{type(error).__name__}: {error}"
    for secret in secrets_of(job):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", contract.MASK, text)
    unforeseen = EngineError(
        Code.INTERNAL_ERROR, f"the worker failed with {text[:2000]}", streamId=job.stream_id
    )
    return {"status": Status.FAILED.value, "error": unforeseen.as_dict()}


def secrets_of(job: StreamJob) -> list[str]:
    """Every secret value in the job's connections, longest first."""
    found: set[str] = set()

    def walk(revealed: Any, masked: Any) -> None:
        if isinstance(revealed, dict):
            for key, value in revealed.items():
                walk(value, masked[key])
        elif isinstance(revealed, str) and masked == contract.MASK and revealed:
            found.add(revealed)

    for connection in job.connections.values():
        walk(connection.to_json(reveal=True), connection.to_json())
    return sorted(found, key=len, reverse=True)


def _lines(descriptor: int) -> Iterator[bytes]:
    with os.fdopen(descriptor, "rb", closefd=False) as stdin:
        yield from stdin


def _obey(lines: Iterator[bytes], control: Control, report: PipeReport) -> None:
    for line in lines:
        order = orjson.loads(line)
        match order["command"]:
            case "pause" | "stop" as reason:
                control.request(reason)
            case "sqlCapture":
                report.sql_capture = order["mode"]
    _abandon(control)


def _abandon(control: Control) -> None:
    """The supervisor is gone: leave at the next safe point, and at the latest after a minute."""
    if not control.requested:
        control.request("pause")
    timer = threading.Timer(LEAVE_SECONDS, os._exit, args=(1,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    main(int(sys.argv[1]))
