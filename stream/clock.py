"""Wall time, for liveness, deadlines and latencies only; detector time decides everything else."""

import math
import time
from typing import Any

import numpy as np

STEPS_PER_OCTAVE = 32  # resolution of a latency: 2**(1/32), 2 %


def now_ns() -> int:
    """Return monotonic time in ns; comparable between processes of one machine."""
    return time.monotonic_ns()


class Latencies:
    """Histogram of durations from 1 us to about an hour in bounded memory, 2 % wide bins."""

    def __init__(self) -> None:
        self._counts = [0] * (32 * STEPS_PER_OCTAVE)  # a list: four times for each frame, an array would be slow
        self.max_ns = self.sum_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count one duration; below 1 us counts as 1 us."""
        place = int(math.log2(max(duration_ns, 1000) / 1000) * STEPS_PER_OCTAVE)
        self._counts[min(place, len(self._counts) - 1)] += 1
        self.max_ns = max(self.max_ns, duration_ns)
        self.sum_ns += duration_ns

    def summary(self) -> dict[str, Any]:
        """Return count, sum_ms, p50_ms, p99_ms, p999_ms, max_ms, and octaves: how many from 2**n to 2**(n + 1) us.

        pNN_ms is the duration that so many stay below; nan if there are none.
        """
        counts = np.array(self._counts)
        until = np.cumsum(counts)
        found: dict[str, Any] = {"count": int(until[-1]), "sum_ms": round(self.sum_ns * 1e-6, 4)}
        for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999)):
            place = int(np.searchsorted(until, share * until[-1]))
            below = min(1e-3 * 2 ** ((place + 1) / STEPS_PER_OCTAVE), self.max_ns * 1e-6)
            found[name] = round(below, 4) if found["count"] else float("nan")
        found["max_ms"] = round(self.max_ns * 1e-6, 4)
        found["octaves"] = counts.reshape(-1, STEPS_PER_OCTAVE).sum(axis=1).tolist()
        return found
