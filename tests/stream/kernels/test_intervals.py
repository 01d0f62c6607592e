import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.kernels.intervals import seconds, union

INTERVALS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=12)


def slow_union(intervals, bridge):
    found = []
    for start, stop in sorted(intervals):
        if found and start <= found[-1][1] + bridge:
            found[-1][1] = max(found[-1][1], stop)
        else:
            found.append([start, stop])
    return found


def as_arrays(intervals):
    return np.array([[a, b] for a, b in intervals], np.int64).reshape(-1, 2).T


@settings(deadline=None)
@given(INTERVALS, st.integers(0, 3))
def test_union_equals_the_plain_one(intervals, bridge):
    intervals = [(start, start + length) for start, length in intervals]
    start, stop = union(*as_arrays(intervals), bridge)
    assert np.stack([start, stop], 1).tolist() == slow_union(intervals, bridge)


@settings(deadline=None)
@given(INTERVALS, INTERVALS, st.integers(0, 3))
def test_union_of_unions_is_the_union(first, second, bridge):
    first, second = ([(s, s + length) for s, length in part] for part in (first, second))
    parts = [union(*as_arrays(part), bridge) for part in (first, second)]
    start, stop = union(*(np.concatenate(side) for side in zip(*parts, strict=True)), bridge)
    assert np.stack([start, stop], 1).tolist() == slow_union(first + second, bridge)


def test_seconds_are_the_nearest_float():
    times = np.array([0, 1, -1, 820_000_000_123_456_789, -2_500_000_000, 5_000_000], np.int64)
    expected = [int(t) / 10**9 for t in times]
    np.testing.assert_array_max_ulp(seconds(times), np.array(expected), 1)
