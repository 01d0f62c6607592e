"""What a process tells of itself beside what it counts: when, made of what, how fast, how large."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("raysieve", "numpy", "pyzmq", "onnxruntime", "onnxruntime-gpu")


class Vitals:
    """Time, rates since they were told last, CPU seconds, memory, versions, digest of the configuration."""

    def __init__(self, digest: str) -> None:
        self._fixed = {"versions": versions(), "configuration": digest}
        self._last = (time.monotonic(), 0, 0, cpu_s())

    def told(self, counters: Mapping[str, int]) -> dict[str, Any]:
        """Return all of it. rates: in and out are messages per s (see `flow`), cpu is CPU seconds per s."""
        last, self._last = self._last, (time.monotonic(), *flow(counters), cpu_s())
        passed = max(self._last[0] - last[0], 1e-3)
        changes = (now - before for now, before in zip(self._last[1:], last[1:], strict=True))
        return {
            "time_s": round(time.time(), 3),
            "rates": {name: round(n / passed, 3) for name, n in zip(("in", "out", "cpu"), changes, strict=True)},
            "cpu_s": round(self._last[3], 3),
            "memory_bytes": memory_bytes(),
            **self._fixed,
        }


def flow(counters: Mapping[str, int]) -> tuple[int, int]:
    """Return how many frames or event lists a process has taken, and event lists or products it has given."""
    taken = counters.get("in_Frame", 0) + counters.get("in_EventList", 0)
    return taken, counters.get("out_EventList", 0) + counters.get("out_Product", 0)


def cpu_s() -> float:
    """Return the CPU seconds that this process has used."""
    times = os.times()
    return times.user + times.system


def memory_bytes() -> int | None:
    """Return the resident memory of this process, None where the system has no /proc."""
    with suppress(OSError), open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return None


def versions() -> dict[str, str]:
    """Return the versions of PACKAGES, without those that are not installed."""
    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
