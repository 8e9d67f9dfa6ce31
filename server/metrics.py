"""Prometheus metrics: requests by route template, streams by status, what was moved, the process."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from server.schemas.streams import StreamStatus

if TYPE_CHECKING:
    from engine.api import Engine

disable_created_metrics()  # type: ignore[no-untyped-call] # a series a label set that no one asks for

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
_ALL = 1 << 31
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
            rows += stream["rowsInserted"]
            size += stream["dataSize"]
        by_status = GaugeMetricFamily(
            "dbstreams_streams", "Streams in the store by status", labels=["status"]
        )
        for status in get_args(StreamStatus):
            by_status.add_metric([status], statuses[status])
        yield by_status
        yield CounterMetricFamily(
            "dbstreams_rows_moved", "Rows committed on targets by kept streams", value=rows
        )
        yield CounterMetricFamily("dbstreams_bytes_moved", "Bytes moved by kept streams", value=size)

    def _streams(self) -> Iterable[dict[str, Any]]:
        page: Iterable[dict[str, Any]] = self._engine.streams.list(limit=_ALL)["items"]
        return page


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
