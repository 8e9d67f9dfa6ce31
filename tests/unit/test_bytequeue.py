"""The queue between reader and loader: order, bound, failure and giving up."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest

from engine.streams.bytequeue import ByteQueue, Closed


def batch(size: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([b"x" * size], pa.binary())], ["b"])


def test_batches_come_out_in_order_and_end() -> None:
    queue = ByteQueue(1 << 20)
    sizes = [1, 2, 3]
    for size in sizes:
        queue.put(batch(size))
    queue.end()
    assert [len(item.column(0)[0].as_py()) for item in queue] == sizes


def test_put_waits_for_room_and_never_holds_more_than_the_limit() -> None:
    queue = ByteQueue(1_000)
    produced = threading.Event()

    def produce() -> None:
        for _ in range(50):
            queue.put(batch(400))
        produced.set()
        queue.end()

    thread = threading.Thread(target=produce)
    thread.start()
    count = 0
    for _ in queue:
        count += 1
        assert queue._held <= 1_000
    thread.join()
    assert count == 50
    assert produced.is_set()


def test_a_batch_larger_than_the_limit_passes_alone() -> None:
    queue = ByteQueue(10)
    queue.put(batch(5_000))
    queue.end()
    assert [item.num_rows for item in queue] == [1]


def test_a_failure_of_the_producer_reaches_the_consumer() -> None:
    queue = ByteQueue(10)
    queue.end(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        list(queue)


def test_abandoning_releases_a_waiting_producer() -> None:
    queue = ByteQueue(10)
    queue.put(batch(100))
    raised = []

    def produce() -> None:
        try:
            queue.put(batch(100))
        except Closed as error:
            raised.append(error)

    thread = threading.Thread(target=produce)
    thread.start()
    queue.abandon()
    thread.join(10)
    assert not thread.is_alive()
    assert len(raised) == 1
