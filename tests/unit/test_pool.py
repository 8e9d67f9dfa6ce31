"""The thread pool of blocking calls: its bounds, and that every place is given back."""

from __future__ import annotations

import asyncio
import threading

import pytest

from engine.errors import Code, EngineError
from server.pool import Pool


def test_results_and_errors_come_through() -> None:
    async def scenario() -> None:
        pool = Pool("t", 2, 0)
        assert await pool.run(lambda a, b: a + b, 1, b=2) == 3
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda: 1 / 0)
        assert pool.taken == 0
        pool.close()

    asyncio.run(scenario())


def test_calls_beyond_the_queue_are_refused() -> None:
    async def scenario() -> None:
        pool, gate = Pool("t", 1, 2), threading.Event()
        calls = [asyncio.create_task(pool.run(gate.wait, 30)) for _ in range(3)]
        await asyncio.sleep(0)
        assert pool.taken == 3
        with pytest.raises(EngineError) as caught:
            await pool.run(gate.wait, 30)
        assert caught.value.code is Code.RATE_LIMITED
        gate.set()
        await asyncio.gather(*calls)
        assert pool.taken == 0
        pool.close()

    asyncio.run(scenario())


def test_a_caller_that_gives_up_keeps_its_place_until_the_thread_is_done() -> None:
    async def scenario() -> None:
        pool, gate, running = Pool("t", 1, 0), threading.Event(), threading.Event()

        def work() -> None:
            running.set()
            gate.wait(30)

        call = asyncio.create_task(pool.run(work))
        await asyncio.to_thread(running.wait, 30)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert pool.taken == 1
        gate.set()
        while pool.taken:
            await asyncio.sleep(0.001)
        pool.close()

    asyncio.run(scenario())
