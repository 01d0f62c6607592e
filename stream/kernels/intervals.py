"""Intervals of time, in integer nanoseconds."""

import numpy as np
from numpy.typing import NDArray

Ns = NDArray[np.int64]


def union(start_ns: Ns, stop_ns: Ns, bridge_ns: int) -> tuple[Ns, Ns]:
    """Return the union of the intervals [start, stop), rising; gaps up to `bridge_ns` are closed.

    `start_ns`, `stop_ns`: (n,) int64 ns in any order. The union of unions is the union of all.
    No interval gives two empty arrays.
    """
    if not len(start_ns):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    order = np.argsort(start_ns, kind="stable")
    start = start_ns[order]
    stop = np.maximum.accumulate(stop_ns[order])
    first = np.flatnonzero(np.concatenate([[True], start[1:] > stop[:-1] + bridge_ns]))
    last = np.concatenate([first[1:], [len(start)]]) - 1
    return start[first], stop[last]


def seconds(time_ns: Ns) -> NDArray[np.float64]:
    """Return (n,) int64 ns as float64 s; whole seconds apart, so that nothing is rounded twice."""
    rest = np.fmod(time_ns, 1_000_000_000)  # of the sign of the time
    result: NDArray[np.float64] = (time_ns - rest) // 1_000_000_000 + rest / 1e9
    return result
