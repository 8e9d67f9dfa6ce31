"""Start and command worker processes on this machine: the seam at which other machines would join.

A worker gets its job, secrets included, as the first JSON line on stdin, so that nothing of it shows in the
process list or the environment; commands follow as further lines. It reports as JSON lines on a descriptor of
its own, because libraries print to stdout. Its stdout and stderr are kept as a short tail for the error of a
worker that died.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import orjson

from engine.errors import Code, EngineError
from engine.streams import process as processes
from engine.streams.job import StreamJob
from engine.streams.redaction import redact, secrets_of

_log = logging.getLogger(__name__)

Task = Literal["run", "verify", "cleanup"]
Message = dict[str, Any]

TAIL_BYTES = 8_192


class Listener(Protocol):
    """Told by one thread a worker, in order: messages, then exactly one `exited`."""

    def message(self, worker: Worker, message: Message) -> None: ...

    def exited(self, worker: Worker, returncode: int, tail: str) -> None:
        """The process is gone. Negative `returncode` is the signal; `tail` the end of its output, without
        secrets."""


class Worker:
    """One worker process."""

    def __init__(self, task: Task, job: StreamJob, options: Mapping[str, Any], listener: Listener) -> None:
        self.task = task
        self.stream_id = job.stream_id
        self._listener = listener
        self._secrets = secrets_of(job)
        self._job_sent = threading.Event()
        self._stdin_lock = threading.Lock()
        self._tail = bytearray()
        self.done = threading.Event()
        try:
            process = processes.take()
        except OSError as error:
            raise EngineError(
                Code.WORKER_DIED,
                f"a worker process could not be started: {error.strerror}",
                streamId=job.stream_id,
            ) from None
        self._process = process.popen
        self.pid = self._process.pid
        first = {"task": task, "job": job.to_json(), **options}
        name = f"worker {job.stream_id}"
        self._output = threading.Thread(target=self._collect_output, name=f"{name} output", daemon=True)
        self._output.start()
        threading.Thread(target=self._serve, args=(process.report, first), name=name, daemon=True).start()

    def command(self, name: Literal["pause", "stop", "forget", "sqlCapture"], **fields: Any) -> None:
        """Ask; the answer is the worker's result. A worker that is already gone is no error here."""
        self._job_sent.wait(30)
        self._write({"command": name, **fields})

    def hang_up(self) -> None:
        """Close its stdin: the worker checkpoints and leaves, as it does when this process dies."""
        self._job_sent.wait(30)
        with self._stdin_lock:
            self._close_stdin()

    def kill(self) -> None:
        """SIGKILL. Safe at any moment by the commit rule."""
        self._process.kill()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def _write(self, line: Mapping[str, Any]) -> None:
        with self._stdin_lock:
            stdin = self._process.stdin
            if stdin is None or stdin.closed:
                return
            try:
                stdin.write(orjson.dumps(line) + b"\n")
                stdin.flush()
            except OSError:
                self._close_stdin()  # it died: `exited` tells the listener

    def _close_stdin(self) -> None:
        stdin = self._process.stdin
        if stdin is not None and not stdin.closed:
            with contextlib.suppress(OSError):  # flushing to a dead worker
                stdin.close()

    def _serve(self, report: int, first: Mapping[str, Any]) -> None:
        self._write(first)
        self._job_sent.set()
        with os.fdopen(report, "rb", buffering=1 << 16) as lines:
            for line in lines:
                try:
                    message = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue  # the last line of a killed worker may be cut
                try:
                    self._listener.message(self, message)
                except Exception:  # whatever is wrong with one report, the end of the worker must be seen
                    _log.exception("a report of %s could not be taken in", self.stream_id)
        returncode = self._process.wait()
        with self._stdin_lock:
            self._close_stdin()
        self._output.join(5)
        tail = redact(bytes(self._tail).decode("utf-8", "replace").strip(), self._secrets)
        try:
            self._listener.exited(self, returncode, tail)
        finally:
            self.done.set()

    def _collect_output(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        with stdout:
            while part := os.read(stdout.fileno(), 1 << 16):
                self._tail += part
                del self._tail[:-TAIL_BYTES]


def start(task: Task, job: StreamJob, listener: Listener, **options: Any) -> Worker:
    """Start a worker. `options` go beside the job in its first line. WORKER_DIED when none can be made."""
    return Worker(task, job, options, listener)


Starter = Callable[..., Worker]
