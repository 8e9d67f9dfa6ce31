"""Runs streams: owns their workers, takes in what they report, restarts what died, writes the store.

Locking: `_lock` guards the table of running streams and is held over every change of a status, so a command
and the end of a worker cannot cross. The listener methods run on one thread a worker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from engine import clock
from engine.config import StreamConfig
from engine.connections import Connections, connections_of
from engine.errors import Code, EngineError
from engine.feed import Feed
from engine.keys import Keys
from engine.running import Recorder, Running
from engine.stream_rows import StreamRows
from engine.streams import dispatch
from engine.streams.dispatch import Message, Worker
from engine.streams.job import StreamJob
from engine.streams.lifecycle import Command, Status, after
from engine.streams.progress import Progress

RESTARTS = 3
BACKOFF = (0.5, 2.0, 8.0)  # seconds before the first, second, third restart
HEALTHY_SECONDS = 300.0  # an attempt that lived so long and committed rows starts the count anew
KEY_CHECK_SECONDS = 5.0
STORE_RETRY = 2.0  # seconds before a store that refused is tried again
_ALIVE = [status for status in Status if status.has_worker]


class Supervisor:
    def __init__(
        self, rows: StreamRows, connections: Connections, keys: Keys, feed: Feed, *, restarts: int = RESTARTS
    ) -> None:
        self._rows = rows
        self._connections = connections
        self._keys = keys
        self._feed = feed
        self._recorder = Recorder(rows, keys)
        self._restarts = restarts
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._runs: dict[str, Running] = {}
        self._closing = False
        self._ended = threading.Event()
        self._keys_due = 0.0
        self._ticker = threading.Thread(target=self._tick_loop, name="supervisor", daemon=True)
        self._ticker.start()

    # ------------------------------------------------------------ commands

    def adopt(self) -> list[str]:
        """After a start of the server: take up what ran before. Gives the ids that run again."""
        resumed = []
        for row in reversed(self._rows.of(statuses=_ALIVE)):
            status = Status(row.status)
            if status in (Status.STOPPING, Status.PAUSING):
                # What the user asked for last holds; a dead worker's rows are committed or not there at all.
                to = Status.STOPPED if status is Status.STOPPING else Status.PAUSED
                self._rows.move(row.id, [status], to, ended=clock.now())
                continue
            self._rows.move(row.id, [status], Status.STARTING)
            self._feed.log(row.id, "info", "the server was restarted; the stream is resumed")
            try:
                self.launch(row.id, resume=True)
            except EngineError as error:
                self._feed.log(row.id, "error", error.message)
            else:
                resumed.append(row.id)
        return resumed

    def launch(self, stream_id: str, *, resume: bool) -> None:
        """Give a stream in STARTING its worker. When that cannot be done it is FAILED, and so is the call."""
        row = self._rows.get(stream_id)
        with self._lock:
            if self._closing:
                raise EngineError(Code.NOT_READY, "the engine is closing")
            if self._rows.status(stream_id) is not Status.STARTING:
                return  # it was stopped or paused before it got its worker
            try:
                config = StreamConfig.parse(row.config)
                ends = (config.source.connections[0].connection_id, config.target.id)
                source, target = (self._connections.model(id_).type.value for id_ in ends)
                progress = Progress(source, target, row.stats)
                run = Running(stream_id, row.config_id, row.key_id, config, progress)
                run.charged_bytes, run.charged_elapsed = progress.bytes, progress.elapsed
                self._spawn(run, resume)
            except EngineError as error:
                self._rows.move(
                    stream_id, [Status.STARTING], Status.FAILED, ended=clock.now(), error=error.as_dict()
                )
                self._changed.notify_all()
                raise

    def pause(self, stream_id: str, reason: str | None = None) -> None:
        with self._lock:
            self._command(stream_id, Command.PAUSE, reason)

    def stop(self, stream_id: str, *, force: bool = False) -> None:
        with self._lock:
            worker = self._command(stream_id, Command.FORCE_STOP if force else Command.STOP, None)
        if force and worker is not None:
            worker.done.wait(10)

    def _command(self, stream_id: str, command: Command, reason: str | None) -> Worker | None:
        status = self._rows.status(stream_id)
        to = after(status, command)
        run = self._runs.get(stream_id)
        if run is None or run.worker is None:
            # Paused, or between two attempts: nobody has to be asked.
            to = Status.PAUSED if command is Command.PAUSE else Status.STOPPED
        values = {"ended": clock.now()} if not to.has_worker else {}
        self._rows.move(stream_id, [status], to, reason=reason, **values)
        if run is not None and run.worker is not None:
            if command is Command.FORCE_STOP:
                run.wish = "kill"
                run.worker.kill()
            else:
                run.wish = "pause" if command is Command.PAUSE else "stop"
                _in_background(run.worker.command, run.wish)
        elif run is not None:
            self._drop(run)
        asked = f"{command.value.replace('_', ' ')} asked for"
        self._feed.log(stream_id, "info", f"{asked}: {reason}" if reason else asked)
        self._changed.notify_all()
        return run.worker if run is not None else None

    # ------------------------------------------------------------ looking

    def progress(self, stream_id: str) -> Progress | None:
        with self._lock:
            return run.progress if (run := self._runs.get(stream_id)) is not None else None

    def wait(self, stream_id: str, timeout: float | None = None) -> Status:
        """Until the stream has no worker and will get none by itself; the status then, or at the timeout."""
        deadline = None if timeout is None else clock.monotonic() + timeout
        with self._lock:
            while (status := self._rows.status(stream_id)).has_worker or stream_id in self._runs:
                left = None if deadline is None else deadline - clock.monotonic()
                if self._closing or (left is not None and left <= 0):
                    break
                self._changed.wait(left)
            return status

    def wait_planned(self, stream_id: str) -> dict[str, Any] | None:
        """Until the stream has its plan; None when it ends without one."""
        with self._lock:
            while (row := self._rows.get(stream_id)).plan is None:
                if self._closing or not (Status(row.status).has_worker or stream_id in self._runs):
                    return None
                self._changed.wait()
            return dict(row.plan)

    def counts(self) -> dict[str, int]:
        """`{running, workers}` for the service status."""
        with self._lock:
            workers = sum(run.worker is not None for run in self._runs.values())
            return {"running": len(self._runs), "workers": workers}

    def sql_capture_changed(self, mode: str) -> None:
        with self._lock:
            workers = [run.worker for run in self._runs.values() if run.worker is not None]
        for worker in workers:
            worker.command("sqlCapture", mode=mode)

    # ------------------------------------------------------------ workers

    def _spawn(self, run: Running, resume: bool) -> None:
        models = {id_: self._connections.model(id_) for id_ in connections_of(run.config.to_json())}
        job = StreamJob(run.stream_id, run.config, models, resume)
        run.result, run.timer = None, None
        run.rows_at_spawn, run.spawned = run.progress.rows, clock.monotonic()
        self._runs[run.stream_id] = run
        try:
            run.worker = dispatch.start("run", job, self, sqlCapture=self._feed.sql_capture)
        except EngineError:
            del self._runs[run.stream_id]
            raise
        run.progress.begin()

    def message(self, worker: Worker, message: Message) -> None:
        run = self._runs.get(worker.stream_id)
        if run is None or run.worker not in (worker, None):
            return
        run.progress.feed(message)
        try:
            self._take(run, worker, message)
        except EngineError as error:  # the store: a full disk must not stop the reading of reports
            self._feed.publish_only("error", error.message)

    def _take(self, run: Running, worker: Worker, message: Message) -> None:
        match message["t"]:
            case "started":
                with self._lock:
                    self._rows.move(run.stream_id, [Status.STARTING], Status.RUNNING)
                    self._changed.notify_all()
            case "plan":
                with self._lock:
                    self._rows.update(run.stream_id, plan=message["plan"])
                    self._changed.notify_all()
            case "logs":
                self._feed.worker_logs(run.stream_id, message["entries"])
            case "sql":
                self._feed.worker_sql(run.stream_id, message["entries"])
            case "dropped":
                self._feed.log(run.stream_id, "warning", f"{message['count']} log entries were dropped")
            case "forgotten":
                self._forgotten(run, message.get("error"))
            case "result":
                run.result = message
                if Status(message["status"]).is_final:
                    self._conclude_surely(run, worker, message)

    def _conclude_surely(self, run: Running, worker: Worker, result: Message) -> None:
        """Bring a final end into the store, and only then let the worker drop its checkpoints."""
        try:
            with self._lock:
                if run.concluded or self._closing:
                    return
                run.progress.end()
                self._conclude(run, Status(result["status"]), result)
        except EngineError as error:
            self._feed.publish_only("error", error.message)
            _later(STORE_RETRY, self._conclude_surely, run, worker, result)
        else:
            worker.command("forget")

    def exited(self, worker: Worker, returncode: int, tail: str) -> None:
        with self._lock:
            run = self._runs.get(worker.stream_id)
            if run is None or run.worker is not worker:
                return
            run.progress.end()
            run.worker = None
            self._settle_surely(run, returncode, tail)

    def _settle_surely(self, run: Running, returncode: int, tail: str) -> None:
        """Settle, again and again while the store refuses: until then the stream counts as running."""
        with self._lock:
            try:
                self._settle(run, returncode, tail)
            except EngineError as error:
                self._feed.publish_only("error", error.message)
                if not self._closing:
                    run.timer = _later(STORE_RETRY, self._settle_surely, run, returncode, tail)
            self._changed.notify_all()

    def _settle(self, run: Running, returncode: int, tail: str) -> None:
        """The worker is gone: decide what the stream is now."""
        result = run.result
        error = (result or {}).get("error")
        if tail and error and error["code"] == Code.INTERNAL_ERROR:
            self._feed.log(run.stream_id, "error", "the worker's last output", category="debug", output=tail)
        if run.concluded:
            self._drop(run)
        elif run.wish == "kill":
            self._finish(run, Status.STOPPED)
        elif run.wish == "leave" and (result is None or result["status"] in (Status.PAUSED, Status.STOPPED)):
            self._recorder.save(run)  # this server is closing; RUNNING stays, and the next one resumes it
            self._drop(run)
        elif result is not None:
            # A stop that crossed with the end of stdin comes back as a pause.
            crossed = run.wish == "stop" and result["status"] == Status.PAUSED
            self._finish(run, Status.STOPPED if crossed else Status(result["status"]), result)
        elif run.wish in ("pause", "stop"):
            self._finish(run, Status.PAUSED if run.wish == "pause" else Status.STOPPED)
        else:
            self._restart_or_fail(run, returncode, tail)

    def _restart_or_fail(self, run: Running, returncode: int, tail: str) -> None:
        if run.progressed and clock.monotonic() - run.spawned >= HEALTHY_SECONDS:
            run.restarts = 0
        cause = f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
        if run.restarts < self._restarts and (run.progressed or run.restarts < 2) and not self._closing:
            delay = BACKOFF[min(run.restarts, len(BACKOFF) - 1)]
            run.restarts += 1
            self._feed.log(
                run.stream_id,
                "warning",
                f"the worker died ({cause}); restart {run.restarts} of {self._restarts} in {delay} s",
                output=tail[-2000:],
            )
            self._recorder.save(run)
            run.timer = _later(delay, self._restart, run)
            return
        error = EngineError(
            Code.WORKER_DIED,
            f"the worker died ({cause}) and was restarted {run.restarts} times; what it had committed is "
            "safe, and the stream can be resumed",
            streamId=run.stream_id,
            returncode=returncode,
            restarts=run.restarts,
            output=tail[-2000:] or None,
        )
        self._finish(run, Status.FAILED, {"error": error.as_dict()})

    def _restart(self, run: Running) -> None:
        with self._lock:
            if self._closing or self._runs.get(run.stream_id) is not run or run.worker is not None:
                return
            try:
                self._spawn(run, resume=True)
            except EngineError as error:
                self._runs[run.stream_id] = run
                self._finish(run, Status.FAILED, {"error": error.as_dict()})
            self._changed.notify_all()

    # ------------------------------------------------------------ the store

    def _finish(self, run: Running, status: Status, result: Mapping[str, Any] | None = None) -> None:
        self._conclude(run, status, result)
        self._drop(run)

    def _conclude(self, run: Running, status: Status, result: Mapping[str, Any] | None = None) -> None:
        result = result or {}
        error = result.get("error")
        if status is Status.FAILED:
            message = f"the stream is FAILED: {error['error']}" if error else "the stream is FAILED"
            self._feed.log(run.stream_id, "error", message, category="error", code=error and error["code"])
        else:
            self._feed.log(run.stream_id, "info", f"the stream is {status.value}")
        if status is Status.FINISHED:
            run.progress.complete()
        self._recorder.save(run, status, error)
        self._rows.move(run.stream_id, _ALIVE, status, ended=clock.now(), error=error)
        run.concluded = True
        self._changed.notify_all()

    def _forgotten(self, run: Running, problem: str | None) -> None:
        if problem is None:
            self._rows.update(run.stream_id, cleaned=True)
        else:
            self._feed.log(run.stream_id, "warning", f"its checkpoints are still on the target: {problem}")

    def _drop(self, run: Running) -> None:
        if run.timer is not None:
            run.timer.cancel()
        self._feed.flush()
        self._runs.pop(run.stream_id, None)

    # ------------------------------------------------------------ the clock

    def _tick_loop(self) -> None:
        while not self._ended.wait(0.5):
            try:
                self._tick()
            except EngineError as error:
                # A full disk must not end supervision: say so, try again at the next tick.
                self._feed.publish_only("error", error.message)

    def _tick(self) -> None:
        self._feed.flush()
        moment = clock.monotonic()
        with self._lock:
            self._recorder.save_all([run for run in self._runs.values() if run.save_due(moment)])
        if moment >= self._keys_due:
            self._keys_due = moment + KEY_CHECK_SECONDS
            self.check_keys()

    def check_keys(self) -> None:
        """Pause the streams whose key's subscription has lapsed."""
        with self._lock:
            for run in list(self._runs.values()):
                if run.key_id is None or run.wish is not None or run.concluded:
                    continue
                why = self._keys.get(run.key_id).lapsed
                if why is not None and self._rows.status(run.stream_id) in (Status.STARTING, Status.RUNNING):
                    self._command(run.stream_id, Command.PAUSE, why)

    def close(self, timeout: float = 60.0) -> None:
        """Let every worker checkpoint and leave; their streams stay RUNNING in the store, to be resumed by
        the next owner. Workers that do not leave in time are killed, which is safe by the commit rule."""
        with self._lock:
            self._closing = True
            runs = list(self._runs.values())
            for run in runs:
                if run.timer is not None:
                    run.timer.cancel()
                if run.worker is not None and run.wish is None:
                    run.wish = "leave"
            self._changed.notify_all()
        workers = [run.worker for run in runs if run.worker is not None]
        for worker in workers:
            worker.hang_up()
        deadline = clock.monotonic() + timeout
        for worker in workers:
            if not worker.done.wait(max(0.0, deadline - clock.monotonic())):
                worker.kill()
                worker.done.wait(10)
        self._ended.set()
        self._ticker.join(10)


def _later(seconds: float, call: Callable[..., None], *args: Any) -> threading.Timer:
    timer = threading.Timer(seconds, call, args=args)
    timer.daemon = True
    timer.start()
    return timer


def _in_background(call: Callable[..., None], *args: Any) -> None:
    """A pipe to a process that stands still must not hold the lock."""
    threading.Thread(target=call, args=args, daemon=True).start()
