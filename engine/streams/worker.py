"""The process that runs one stream: `python -m engine.streams.worker REPORT_FD [SOURCE_TYPE TARGET_TYPE]`.

First line on stdin: `{task, job, sqlCapture}`; without one the process leaves. It may come long after the
start: what a stream needs is loaded first, with the connectors of the two types where they are given. Further
lines: `{command}`, one of pause, stop, sqlCapture (with `mode`) and forget (drop the checkpoints: the store
says that the stream is over). End of stdin: the supervisor is gone, so the worker pauses at the next safe
point and leaves. SIGTERM stops it.

`DBSTREAMS_WORKER_RUNNER=module:attribute` puts another object in the place of the module
`engine.streams.run`; it exists for tests that inject faults and is not set in production.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from engine.connectors import registry
from engine.errors import Code, EngineError
from engine.streams.job import Control, Interrupted, StreamJob
from engine.streams.lifecycle import Status
from engine.streams.redaction import redact, secrets_of
from engine.streams.reporting import PipeReport

RUNNER_VARIABLE = "DBSTREAMS_WORKER_RUNNER"
FORGET_PAUSES = (0.5, 2.0)  # between attempts at dropping them
FORGET_SECONDS = 60.0  # for the order to drop the checkpoints of a finished stream
LEAVE_SECONDS = 60.0  # after the supervisor is gone; the epoch in the target guards what comes later


def main(report_fd: int, kinds: Sequence[str] = ()) -> None:
    """Run the task of the first line and end the process."""
    os.set_inheritable(report_fd, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _load(kinds)
    lines = _lines(0)
    line = next(lines, None)
    if line is None:
        return
    first = orjson.loads(line)
    job = StreamJob.from_json(first["job"])
    control = Control()
    orders = _Orders(control)
    signal.signal(signal.SIGTERM, lambda _signal, _frame: control.request("stop"))
    report = PipeReport(report_fd, first.get("sqlCapture", "off"), on_broken=orders.abandon)
    threading.Thread(target=orders.obey, args=(lines, report), name="commands", daemon=True).start()
    report.started()
    try:
        result = _carry_out(first["task"], job, control, report)
    except BaseException as error:  # ConnectorX panics are BaseExceptions; nothing may leave without a result
        result = _failure(error, job)
    report.finish(result)
    if first["task"] == "run" and Status(result["status"]).is_final:
        _forget(job, report, orders)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a library's thread left behind must not keep a finished worker alive


def _load(kinds: Sequence[str]) -> None:
    with contextlib.suppress(Exception):  # what is missing is told when the job needs it
        _runner()
        registry.load_ends(*kinds)


def _runner() -> Any:
    named = os.environ.get(RUNNER_VARIABLE)
    module, _, attribute = (named or "engine.streams.run").partition(":")
    runner: Any = importlib.import_module(module)
    return getattr(runner, attribute) if attribute else runner


def _carry_out(task: str, job: StreamJob, control: Control, report: PipeReport) -> dict[str, Any]:
    if task == "verify":
        return {"status": Status.FINISHED.value, "value": _runner().verify_stream(job, control, report)}
    if task == "cleanup":
        _runner().cleanup_stream(job)
        return {"status": Status.FINISHED.value}
    outcome = _runner().run_stream(job, control, report)
    return {
        "status": outcome.status.value,
        "rows": outcome.rows,
        "bytes": outcome.bytes,
        "error": outcome.error,
        "notes": outcome.notes,
    }


def _forget(job: StreamJob, report: PipeReport, orders: _Orders) -> None:
    """Drop the checkpoints, but only when the store says that the stream is over: until then they are what
    keeps a repeated run from loading the rows again."""
    if not orders.forget.wait(FORGET_SECONDS) or orders.abandoned:
        return
    # A target that is busy for a moment must not leave rows behind for good.
    for pause in (*FORGET_PAUSES, None):
        try:
            _runner().cleanup_stream(job)
        except Exception as error:
            if pause is None or orders.abandoned:
                report.send({"t": "forgotten", "error": _failure(error, job)["error"]["error"]})
                return
            time.sleep(pause)
        else:
            report.send({"t": "forgotten"})
            return


def _failure(error: BaseException, job: StreamJob) -> dict[str, Any]:
    if isinstance(error, Interrupted):
        status = Status.PAUSED if error.reason == "pause" else Status.STOPPED
        return {"status": status.value}
    if isinstance(error, EngineError):
        return {"status": Status.FAILED.value, "error": error.as_dict()}
    # An error nobody foresaw may quote a DSN.
    text = redact(f"{type(error).__name__}: {error}", secrets_of(job))
    unforeseen = EngineError(
        Code.INTERNAL_ERROR, f"the worker failed with {text[:2000]}", streamId=job.stream_id
    )
    return {"status": Status.FAILED.value, "error": unforeseen.as_dict()}


def _lines(descriptor: int) -> Iterator[bytes]:
    with os.fdopen(descriptor, "rb", closefd=False) as stdin:
        yield from stdin


class _Orders:
    """What comes in on stdin after the job."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self.forget = threading.Event()
        self.abandoned = False

    def obey(self, lines: Iterator[bytes], report: PipeReport) -> None:
        for line in lines:
            order = orjson.loads(line)
            match order["command"]:
                case "pause" | "stop" as reason:
                    self._control.request(reason)
                case "sqlCapture":
                    report.sql_capture = order["mode"]
                case "forget":
                    self.forget.set()
        self.abandon()

    def abandon(self) -> None:
        """The supervisor is gone: leave at the next safe point, and at the latest after a minute."""
        if not self.forget.is_set():
            self.abandoned = True
            self.forget.set()
        if not self._control.requested:
            self._control.request("pause")
        timer = threading.Timer(LEAVE_SECONDS, os._exit, args=(1,))
        timer.daemon = True
        timer.start()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
