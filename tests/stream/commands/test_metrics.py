"""What Prometheus and the example dashboard get."""

import json
import re
import socket
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from stream.commands.metrics import Metrics, serve
from stream.errors import LinkError
from tests.stream.daemons import change

DASHBOARD = Path(__file__).parents[3] / "deploy" / "grafana.json"


def scraped(out):
    """Return the samples of each name as {labels: value}."""
    registry = CollectorRegistry()
    registry.register(Metrics(out))
    return parsed(generate_latest(registry).decode())


def parsed(text):
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = tuple(sorted(sample.labels.items()))
            assert key not in samples.setdefault(sample.name, {}), (sample.name, key)
            samples[sample.name][key] = sample.value
    return samples


def of(process, **labels):
    return tuple(sorted({"process": process, **labels}.items()))


def test_counters_and_gauges(out):
    change(out, "detect", lag_s=0.25, memory_bytes=1000, cpu_s=7.5)
    (out / ".status/record.json").unlink()
    found = scraped(out)
    assert found["raysieve_up"] == {of("detect"): 1, of("screen"): 0, of("record"): 0}
    assert found["raysieve_messages_in_total"][of("detect", kind="Frame")] == 11
    assert found["raysieve_messages_out_total"][of("detect", kind="EventList")] == 3
    assert found["raysieve_events_total"] == {of("detect"): 7, of("screen"): 7}
    assert found["raysieve_dropped_total"][of("detect", reason="lost")] == 1
    assert found["raysieve_dropped_total"][of("detect", reason="overflow")] == 0
    assert found["raysieve_gap_frames_total"][of("detect", reason="lost")] == 1
    assert found["raysieve_bad_messages_total"][of("screen", fault="version")] == 0
    assert found["raysieve_lag_seconds"] == {of("detect"): 0.25}
    assert found["raysieve_resident_memory_bytes"][of("detect")] == 1000
    assert found["raysieve_cpu_seconds_total"][of("detect")] == 7.5
    assert found["raysieve_waiting_messages"] == {of("screen"): 0}


def test_a_frame_that_comes_late_takes_nothing_back(out):
    change(out, "detect", stages={"receive": {"lost": 4, "late": 3}})
    found = scraped(out)
    assert found["raysieve_dropped_total"][of("detect", reason="lost")] == 7
    assert found["raysieve_noted_total"] == {of("detect", what="late"): 3}


def test_latencies_are_histograms_in_seconds(out):
    octaves = [0] * 32
    octaves[3], octaves[10], octaves[31] = 2, 5, 1  # 8-16 us, 1.0-2.0 ms, longer than an hour
    span = {"count": 8, "sum_ms": 4_000_010.0, "max_ms": 4_000_000.0, "octaves": octaves}
    change(out, "detect", latencies={"arrive": span})
    found = scraped(out)
    buckets = found["raysieve_latency_seconds_bucket"]
    counts = {
        float(dict(key)["le"]): n
        for key, n in buckets.items()
        if {("process", "detect"), ("span", "arrive")} <= set(key)
    }
    assert list(counts) == sorted(counts)
    assert (counts[6.4e-5], counts[0.001024], counts[0.002048], counts[33.554432]) == (2, 2, 7, 7)
    assert counts[float("inf")] == found["raysieve_latency_seconds_count"][of("detect", span="arrive")] == 8
    assert found["raysieve_latency_seconds_sum"][of("detect", span="arrive")] == pytest.approx(4000.01)
    assert found["raysieve_latency_max_seconds"][of("detect", span="arrive")] == 4000


def test_what_runs(out):
    change(out, "screen", about={"screen": {"network": "net 12ab on cpu f32"}})
    found = scraped(out)
    assert found["raysieve_stage_info"] == {of("screen", stage="screen", network="net 12ab on cpu f32"): 1}
    labels = [dict(key) for key in found["raysieve_info"]]
    assert {label["configuration"] for label in labels} == {"0123456789abcdef"}
    assert all(label["numpy"] for label in labels)


def test_before_any_status_the_processes_are_only_not_up(tmp_path):
    found = scraped(tmp_path)
    assert set(found["raysieve_up"].values()) == {0}
    assert list(found) == ["raysieve_up"]


def test_the_dashboard_asks_for_nothing_else(out):
    change(out, "detect", lag_s=0.25)
    change(out, "screen", about={"screen": {"network": "net"}})
    board = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    names = {name for expression in asked for name in re.findall(r"raysieve_\w+", expression)}
    assert len(names) > 10
    assert names <= set(scraped(out))


def test_they_are_served_to_this_machine_alone(out):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = serve(port, out)
    try:
        assert server.server_address == ("127.0.0.1", port)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert "raysieve_up" in parsed(answer.read().decode())
        with pytest.raises(
            LinkError, match=rf"127\.0\.0\.1:{port}/metrics: cannot listen here \(links\.metrics_port\)"
        ):
            serve(port, out)
    finally:
        server.shutdown()
        server.server_close()
