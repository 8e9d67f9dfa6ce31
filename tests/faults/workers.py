"""A stream in a worker process of its own, run to its end or its death."""

from __future__ import annotations

import threading
from typing import Any

from engine.streams import dispatch
from engine.streams.job import StreamJob


class Ended:
    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.done = threading.Event()
        self.code = 0

    def message(self, worker: dispatch.Worker, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if message["t"] == "result":
            worker.hang_up()  # nobody will tell it to forget

    def exited(self, worker: dispatch.Worker, returncode: int, tail: str) -> None:
        self.code = returncode
        self.done.set()

    @property
    def result(self) -> dict[str, Any]:
        return next(message for message in self.messages if message["t"] == "result")


def in_a_worker(stream: StreamJob) -> Ended:
    ended = Ended()
    worker = dispatch.start("run", stream, ended)
    assert ended.done.wait(120)
    assert not worker.alive
    return ended
