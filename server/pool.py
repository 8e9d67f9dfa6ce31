"""Blocking engine calls run here: a bounded number of threads, and a bounded number waiting for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from engine.errors import Code, EngineError


class Pool:
    """`threads` calls at once, `waiting` more in the queue; RATE_LIMITED beyond."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self.name = name
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"dbstreams-{name}")
        self._limit = threads + waiting
        self._taken = 0

    @property
    def taken(self) -> int:
        """Calls running or waiting now."""
        return self._taken

    async def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The result of `function`. A caller that is cancelled leaves the call running in its thread, and the
        place in the pool is freed only when the thread is."""
        if self._taken >= self._limit:
            raise EngineError(Code.RATE_LIMITED, "the server is busy; try again shortly", pool=self.name)
        self._taken += 1
        loop = asyncio.get_running_loop()
        try:
            future = loop.run_in_executor(self._executor, partial(function, *args, **kwargs))
        except BaseException:
            self._taken -= 1
            raise
        future.add_done_callback(self._free)
        return await asyncio.shield(future)

    def _free(self, future: asyncio.Future[Any]) -> None:
        self._taken -= 1
        if not future.cancelled():
            future.exception()  # seen, though nobody may be waiting any more

    def close(self) -> None:
        """Take no more calls; those that run are left to finish with the process."""
        self._executor.shutdown(wait=False, cancel_futures=True)
