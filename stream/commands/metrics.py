"""The daemon for Prometheus: its status as metrics, read anew for every scrape."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

from stream.errors import LinkError
from stream.status import DROPS, GAPS, Status, read
from stream.transport.wire_format import FAULTS

HOST = "127.0.0.1"  # whoever wants it from elsewhere puts a proxy with a password before it
OCTAVES = range(5, 25)  # of the latencies that are told apart: up to 64 us, and by factors of two to 34 s

Samples = Iterable[tuple[tuple[str, ...], float | None]]


def serve(port: int, out: Path) -> WSGIServer:
    """Serve the metrics of the daemon that writes to `out`, from a thread of this process.

    Raises LinkError if the port cannot be had.
    """
    registry = CollectorRegistry()
    registry.register(Metrics(out))
    try:
        return start_http_server(port, HOST, registry)[0]
    except OSError as fault:
        raise LinkError(f"{url_of(port)}: cannot listen here (links.metrics_port): {fault.strerror}") from None


def url_of(port: int) -> str:
    """Return the address of the metrics."""
    return f"http://{HOST}:{port}/metrics"


class Metrics:
    """The collector: what the processes of a daemon have last written."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def collect(self) -> Iterator[Metric]:
        """Yield every family of metrics; processes that have written nothing are only not up."""
        found = read(self._out)
        yield _gauge("up", "1 if the status of the process is fresh", [((n,), _is_up(s)) for n, s in found.items()])
        here = {name: status for name, status in found.items() if status["state"] != "absent"}
        yield from _gauges(here)
        yield from _counters(here)
        yield _latencies(here)
        yield from _infos(here)


def _is_up(status: Status) -> float:
    return float(status["state"] == "running")


def _gauges(here: dict[str, Status]) -> Iterator[Metric]:
    for key, name, text in (
        ("age_s", "status_age_seconds", "Since the process wrote its status"),
        ("lag_s", "lag_seconds", "Since the capture of the newest frame that the process has taken, in an open stream"),
        ("waiting", "waiting_messages", "Messages on the way to the process"),
        ("memory_bytes", "resident_memory_bytes", "Resident memory"),
    ):
        yield _gauge(name, text, [((process,), s[key]) for process, s in here.items()])
    spans = [((process, span), t["max_ms"] * 1e-3) for process, s in here.items() for span, t in s["latencies"].items()]
    yield _gauge("latency_max_seconds", "The longest since the start", spans, "span")


def _counters(here: dict[str, Status]) -> Iterator[Metric]:
    yield _counter("cpu_seconds", "CPU time", [((process,), s["cpu_s"]) for process, s in here.items()])
    yield _counter(
        "restarts", "Times that it was replaced", [((process,), s["restarts"]) for process, s in here.items()]
    )
    for key, text in (
        ("events", "Valid events that the process has given"),
        ("rejected", "Rejected events that the process has given"),
        ("tracks", "Particle tracks that the process has given"),
        ("bad_pixels", "Bad pixels that were found"),
    ):
        yield _counter(key, text, [((process,), s["counters"].get(key, 0)) for process, s in here.items()])
    for key, text in (("in", "Messages taken"), ("out", "Messages given")):
        yield _counter(f"messages_{key}", text, _prefixed(here, f"{key}_"), "kind")
    yield _counter("gap_frames", "Frames in the gaps that the process has given", _prefixed(here, "gap_"), "reason")
    yield _counter("dropped", "Frames that did not go on; lost: also if they came late", _dropped(here), "reason")
    bad = [((p, fault), s["drops"].get(f"bad_{fault}", 0)) for p, s in here.items() for fault in FAULTS]
    yield _counter("bad_messages", "Messages that could not be read", bad, "fault")
    notes = [((p, what), n) for p, s in here.items() for what, n in s["notes"].items()]
    yield _counter("noted", "What else was counted: late frames, judged candidates", notes, "what")


def _dropped(here: dict[str, Status]) -> Samples:
    """Yield what was dropped by reason, from 0 on: a rate does not see what begins with 1."""
    for process, s in here.items():
        for reason in (*DROPS, *GAPS):
            late = s["notes"].get("late", 0) if reason == "lost" else 0  # taken back, but a counter must never fall
            yield (process, reason), s["drops"].get(reason, 0) + late


def _prefixed(here: dict[str, Status], prefix: str) -> Samples:
    for process, s in here.items():
        for key, number in s["counters"].items():
            if key.startswith(prefix):
                yield (process, key.removeprefix(prefix)), number


def _latencies(here: dict[str, Status]) -> Metric:
    family = HistogramMetricFamily("raysieve_latency_seconds", "From one place to another", labels=["process", "span"])
    for process, s in here.items():
        for label, span in s["latencies"].items():
            up_to = list(accumulate(span["octaves"]))
            buckets = [(floatToGoString(round(2e-6 * 2**n, 6)), up_to[n]) for n in OCTAVES]
            family.add_metric([process, label], [*buckets, ("+Inf", span["count"])], span["sum_ms"] * 1e-3)
    return family


def _infos(here: dict[str, Status]) -> Iterator[Metric]:
    process = InfoMetricFamily("raysieve", "Versions, and the digest of the configuration", labels=["process"])
    stage = InfoMetricFamily("raysieve_stage", "What a stage runs, and where", labels=["process", "stage"])
    for name, s in here.items():
        versions = {package.replace("-", "_"): number for package, number in s["versions"].items()}
        process.add_metric([name], {"configuration": s["configuration"], **versions})
        for runs, about in s["about"].items():
            if about:
                stage.add_metric([name, runs], about)
    yield from (process, stage)


def _gauge(name: str, text: str, samples: Samples, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(f"raysieve_{name}", text, labels=["process", *labels]), samples)


def _counter(name: str, text: str, samples: Samples, *labels: str) -> Metric:
    return _filled(CounterMetricFamily(f"raysieve_{name}", text, labels=["process", *labels]), samples)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: Samples) -> Metric:
    for labels, value in samples:
        if value is not None:
            family.add_metric(labels, value)
    return family
