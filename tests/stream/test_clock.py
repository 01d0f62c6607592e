import math

import numpy as np
import pytest

from stream.clock import Latencies


def test_quantiles_are_right_to_a_bin():
    latencies = Latencies()
    durations = np.random.default_rng(1).lognormal(14, 1, 5000).astype(int)
    for duration in durations:
        latencies.add(int(duration))
    summary = latencies.summary()
    for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999)):
        assert summary[name] == pytest.approx(np.quantile(durations, share) * 1e-6, rel=0.05)
    assert summary["max_ms"] == pytest.approx(durations.max() * 1e-6, abs=1e-4)
    assert summary["sum_ms"] == pytest.approx(durations.sum() * 1e-6, rel=1e-6)


def test_octaves_count_what_lies_between_powers_of_two():
    latencies = Latencies()
    for duration_us in (0.5, 1, 1.9, 1023, 1024, 2047):
        latencies.add(int(duration_us * 1000))
    octaves = latencies.summary()["octaves"]
    assert {n: count for n, count in enumerate(octaves) if count} == {0: 3, 9: 1, 10: 2}


def test_without_durations_there_is_no_quantile():
    assert math.isnan(Latencies().summary()["p50_ms"])
    assert Latencies().summary()["count"] == 0


def test_extremes_are_counted():
    latencies = Latencies()
    for duration in (0, 1, 10**15):
        latencies.add(duration)
    assert latencies.summary()["count"] == 3
