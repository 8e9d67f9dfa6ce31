"""Prometheus metrics: requests by route template, streams by status, what was moved, the process."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from engine.streams.lifecycle import Status

if TYPE_CHECKING:
    from engine.api import Engine

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class StreamCollector(Collector):
    """Reads the engine's streams at the moment of a scrape. Totals cover the streams still in the store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Any]:
        statuses: Tally[str] = Tally()
        rows = size = 0
        for stream in self._streams():
            statuses[stream["status"]] += 1
            rows += stream.get("rowsInserted") or 0
            size += stream.get("dataSize") or 0
        by_status = GaugeMetricFamily(
            "dbstreams_streams", "Streams in the store by status", labels=["status"]
        )
        for status in Status:
            by_status.add_metric([status.value], statuses[status.value])
        yield by_status
        yield CounterMetricFamily(
            "dbstreams_rows_moved", "Rows committed on targets by kept streams", value=rows
        )
        yield CounterMetricFamily("dbstreams_bytes_moved", "Bytes moved by kept streams", value=size)

    def _streams(self) -> Iterable[dict[str, Any]]:
        offset = 0
        while True:
            page = self._engine.streams.list(limit=1000, offset=offset)
            items = page["items"]
            yield from items
            offset += len(items)
            if len(items) < 1000:
                return


class Metrics:
    """One registry an application, so that two in one process do not share counts."""

    def __init__(self, engine: Engine) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "dbstreams_http_requests",
            "Answered requests",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "dbstreams_http_request_seconds",
            "Time from the request's head to its answer's head",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge("dbstreams_http_in_flight", "Requests being answered", registry=self.registry)
        self.event_clients = Gauge(
            "dbstreams_event_clients", "Clients following the event stream", registry=self.registry
        )
        self.registry.register(StreamCollector(engine))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def render(self) -> bytes:
        """Blocking: it reads the store."""
        return generate_latest(self.registry)
