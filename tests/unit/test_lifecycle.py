from __future__ import annotations

import itertools

import pytest

from engine.errors import Code, EngineError
from engine.streams.lifecycle import Command, Status, after

LEGAL = {
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


@pytest.mark.parametrize(("status", "command"), list(itertools.product(Status, Command)))
def test_every_command_in_every_state(status: Status, command: Command) -> None:
    """slug: stream-states"""
    if (status, command) in LEGAL:
        assert after(status, command) is LEGAL[status, command]
        return
    with pytest.raises(EngineError) as caught:
        after(status, command)
    assert caught.value.code is Code.INVALID_STREAM_STATE
    assert caught.value.details == {"state": status.value, "command": command.value}


def test_a_state_either_has_a_worker_or_is_at_rest() -> None:
    with_worker = {status for status in Status if status.has_worker}
    assert with_worker == {Status.STARTING, Status.RUNNING, Status.PAUSING, Status.STOPPING}
    assert not any(status.has_worker for status in Status if status.is_final)
