"""Wall time, for liveness, deadlines and latencies only; detector time decides everything else."""

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
        self._counts = np.zeros(32 * STEPS_PER_OCTAVE, np.int64)
        self.max_ns = self.sum_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count one duration; below 1 us counts as 1 us."""
        place = int(np.log2(max(duration_ns, 1000) / 1000) * STEPS_PER_OCTAVE)
        self._counts[min(place, len(self._counts) - 1)] += 1
        self.max_ns = max(self.max_ns, duration_ns)
        self.sum_ns += duration_ns

    def quantile_ms(self, share: float) -> float:
        """Return the duration (ms) that `share` of all stay below; nan if there are none."""
        total = int(self._counts.sum())
        if total == 0:
            return float("nan")
        place = int(np.searchsorted(np.cumsum(self._counts), share * total))
        return float(min(1e-3 * 2 ** ((place + 1) / STEPS_PER_OCTAVE), self.max_ns * 1e-6))

    def summary(self) -> dict[str, Any]:
        """Return count, sum_ms, p50_ms, p99_ms, p999_ms, max_ms, and octaves: how many from 2**n to 2**(n + 1) us."""
        return {
            "count": int(self._counts.sum()),
            "sum_ms": round(self.sum_ns * 1e-6, 4),
            "p50_ms": round(self.quantile_ms(0.5), 4),
            "p99_ms": round(self.quantile_ms(0.99), 4),
            "p999_ms": round(self.quantile_ms(0.999), 4),
            "max_ms": round(self.max_ns * 1e-6, 4),
            "octaves": self._counts.reshape(-1, STEPS_PER_OCTAVE).sum(axis=1).tolist(),
        }
