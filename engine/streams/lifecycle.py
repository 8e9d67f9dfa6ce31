"""The states of a stream and the legal ways between them, in one table."""

from __future__ import annotations

from enum import StrEnum

from engine.errors import Code, EngineError


class Status(StrEnum):
    READY = "READY"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    PAUSING = "PAUSING"
    PAUSED = "PAUSED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    TIME_LIMIT_REACHED = "TIME_LIMIT_REACHED"
    EVENT_LIMIT_REACHED = "EVENT_LIMIT_REACHED"

    @property
    def has_worker(self) -> bool:
        """A worker process exists, or is coming up or going down."""
        return self in (Status.STARTING, Status.RUNNING, Status.PAUSING, Status.STOPPING)

    @property
    def is_final(self) -> bool:
        """Nothing can be done with the stream any more but looking at it."""
        return self in (Status.FINISHED, Status.TIME_LIMIT_REACHED, Status.EVENT_LIMIT_REACHED)


class Command(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    FORCE_STOP = "force_stop"


_NEXT: dict[tuple[Status, Command], Status] = {
    (Status.STARTING, Command.PAUSE): Status.PAUSING,
    (Status.RUNNING, Command.PAUSE): Status.PAUSING,
    (Status.PAUSED, Command.RESUME): Status.STARTING,
    (Status.FAILED, Command.RESUME): Status.STARTING,
    (Status.STOPPED, Command.RESUME): Status.STARTING,
    (Status.STARTING, Command.STOP): Status.STOPPING,
    (Status.RUNNING, Command.STOP): Status.STOPPING,
    (Status.PAUSING, Command.STOP): Status.STOPPING,
    (Status.PAUSED, Command.STOP): Status.STOPPED,
    (Status.STARTING, Command.FORCE_STOP): Status.STOPPED,
    (Status.RUNNING, Command.FORCE_STOP): Status.STOPPED,
    (Status.PAUSING, Command.FORCE_STOP): Status.STOPPED,
    (Status.STOPPING, Command.FORCE_STOP): Status.STOPPED,
    (Status.PAUSED, Command.FORCE_STOP): Status.STOPPED,
}


def after(status: Status, command: Command) -> Status:
    """The state a command leads to; INVALID_STREAM_STATE when it is not legal now."""
    try:
        return _NEXT[status, command]
    except KeyError:
        verb = command.value.replace("_", " ")
        raise EngineError(
            Code.INVALID_STREAM_STATE,
            f"cannot {verb} a stream that is {status.value}",
            state=status.value,
            command=command.value,
        ) from None
