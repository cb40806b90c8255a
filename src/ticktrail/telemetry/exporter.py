"""The registry in Prometheus' form, and the small server that Prometheus reads it from."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from ticktrail.errors import PortTaken, StackError
from ticktrail.telemetry.metrics import catalogue, registry

__all__ = ["MetricsServer", "prometheus_registry"]

_LOOPBACK = "127.0.0.1"


def prometheus_registry() -> CollectorRegistry:
    """Give a registry of prometheus_client that reads ours whenever it is collected.

    Beside ours stand the usual ``process_…`` metrics: memory, processor time, open files (on Linux).
    """
    result = CollectorRegistry()
    result.register(_Collector())
    ProcessCollector(registry=result)
    return result


class _Collector(Collector):
    def collect(self) -> Iterable[Family]:
        families: dict[str, Family] = {}
        for series in registry().series():
            for family, add in _FAMILIES[series.metric.kind](series.metric):
                add(families.setdefault(family.name, family), tuple(series.labels.values()), series.value)
        for family, add in _untouched(families):
            families[family.name] = family
            add(family, (), 0)
        return families.values()

    def describe(self) -> Iterable[Family]:
        return ()  # spares prometheus_client a first collection at registration


def _untouched(families: Container[str]) -> Iterator[tuple[Family, Add]]:
    """Give the counters of which nothing was counted yet.

    Prometheus sees a rise only from a value that it knows: a first retry would be none.
    """
    for metric in catalogue():
        if metric.kind == "counter" and not metric.label_names:
            yield from ((family, add) for family, add in _counter(metric) if family.name not in families)


Add = Callable[[Any, tuple[str, ...], Any], None]


def _counter(metric: Any) -> Iterator[tuple[Family, Add]]:
    yield CounterMetricFamily(metric.name, metric.description, labels=metric.label_names), _add_number


def _gauge(metric: Any) -> Iterator[tuple[Family, Add]]:
    yield GaugeMetricFamily(metric.name, metric.description, labels=metric.label_names), _add_number


def _latency(metric: Any) -> Iterator[tuple[Family, Add]]:
    """Export the negative ones as a counter of their own: a histogram's sum must not fall."""
    yield HistogramMetricFamily(metric.name, metric.description, labels=metric.label_names), _add_histogram
    negative = metric.name.removesuffix("_seconds") + "_negative"
    text = f"How many were negative, the venue's clock being ahead of ours. {metric.description}"
    yield CounterMetricFamily(negative, text, labels=metric.label_names), _add_negative


def _add_number(family: Any, labels: tuple[str, ...], value: Any) -> None:
    family.add_metric(labels, value)


def _add_histogram(family: Any, labels: tuple[str, ...], value: Any) -> None:
    buckets = [(repr(bound), count) for bound, count in value.cumulative_seconds()]
    buckets.append(("+Inf", value.count - value.negative))
    family.add_metric(labels, buckets=buckets, sum_value=value.sum_ns / 1e9)


def _sizes(metric: Any) -> Iterator[tuple[Family, Add]]:
    yield HistogramMetricFamily(metric.name, metric.description, labels=metric.label_names), _add_sizes


def _add_sizes(family: Any, labels: tuple[str, ...], value: Any) -> None:
    buckets = [(repr(float(bound)), count) for bound, count in value.cumulative()]
    buckets.append(("+Inf", value.count))
    family.add_metric(labels, buckets=buckets, sum_value=value.total)


def _add_negative(family: Any, labels: tuple[str, ...], value: Any) -> None:
    family.add_metric(labels, value.negative)


_FAMILIES: dict[str, Callable[[Any], Iterator[tuple[Family, Add]]]] = {
    "counter": _counter,
    "gauge": _gauge,
    "latency": _latency,
    "sizes": _sizes,
}


class MetricsServer:
    """Serves the registry to Prometheus at ``http://127.0.0.1:PORT/metrics``, from a thread of its own.

    Loopback only. Requests for another host's name are refused, so that a page in a browser cannot read
    it by pointing its own name here.

    Parameters
    ----------
    port
        0 takes a free one; see `port`.

    Raises
    ------
    PortTaken
        Another program listens there.
    """

    def __init__(self, port: int) -> None:
        app = make_wsgi_app(prometheus_registry())
        try:
            self._server = make_server(_LOOPBACK, port, _guarded(app), WSGIServer, _Handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise StackError(
                    what=f"Cannot serve metrics on port {port}",
                    why=error.strerror or str(error),
                    next_step="Give another telemetry.metrics_port, or 0 for none.",
                ) from error
            raise PortTaken(
                what=f"Cannot serve metrics on port {port}",
                why="another program listens there",
                next_step="Give another telemetry.metrics_port, or 0 for none.",
                port=port,
            ) from error
        self.port: int = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True, kwargs={"poll_interval": 0.1}
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving; returns when the port is free again."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> MetricsServer:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def _guarded(app: Any) -> Any:
    def guarded(environ: dict[str, Any], start_response: Any) -> Any:
        host = environ.get("HTTP_HOST", "").rpartition(":")[0] or environ.get("HTTP_HOST", "")
        if host not in {_LOOPBACK, "localhost"} or environ.get("HTTP_ORIGIN"):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"Ask for this page as 127.0.0.1 or localhost.\n"]
        return app(environ, start_response)

    return guarded


class _Handler(WSGIRequestHandler):
    # A client that connects and says nothing must not hold the only thread for ever.
    timeout = 5

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it
        """Stay quiet: a line per scrape is noise."""
