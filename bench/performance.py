"""docs/performance.md from docs/figures: what was asked for beside what was measured, then all of it."""

from collections.abc import Callable
from typing import Any

from bench.pages import ROOT, read, sections, show

Found = dict[str, dict[str, Any]]
SECTIONS = {
    "realtime": "The daemon: four quadrants of 512x512, two cores",
    "hour": "An hour of the daemon",
    "hops": "A hop of a frame between two processes",
    "faults": "Faults at random moments",
    "hostile": "Hostile messages: read, or refused in one line",
    "soak": "Memory over a million frames, all stages in one process",
    "keys": "What keys cost (CURVE over tcp)",
}
INTRODUCTION = """# Performance

Made by `make performance` (three hours; `python -m bench.performance` makes the page alone from `docs/figures`).
Intervals are 68 %. Latency is from the stamp of the sender before it sends a frame until the stage has given its
result, on the monotonic clock of one machine; a read-out is four frames, and waits for the last of them. Faults,
hops and the hour are of a virtual machine with two cores of an AMD EPYC (AVX2, no AMX), shared with others; the kernels
and the daemon at 200 Hz were measured before the books and the tap, on a machine with AMX.
"""


def growth(found: Found) -> str:
    """Return the growth of the processes over the hour, percent."""
    hour = found["hour"]
    parts = []
    for process in ("detect", "screen", "record"):
        now, more = (
            hour[f"memory of {process}"]["value"],
            hour[f"memory of {process}, growth since a twentieth"]["value"],
        )
        parts.append(f"{process} {100 * more / (now - more):+.2f} %")
    return ", ".join(parts)


def kinds(found: Found) -> str:
    """Return after how many faults of how many kinds the books were balanced."""
    rows = [f for key, f in found["faults"].items() if key.endswith("balanced books")]
    runs = sum(int(f["unit"].split()[1]) for f in rows)
    return f"{sum(f['value'] for f in rows)} of {runs}, {len(rows)} kinds"


def recovery(found: Found) -> str:
    """Return the longest recovery of all faults."""
    slowest = max((f["value"], key) for key, f in found["faults"].items() if key.endswith("recovery, longest"))
    return f"{slowest[0]:.2g} s ({slowest[1].split(':')[0]})"


def of(name: str, *keys: str) -> Callable[[Found], str]:
    """Return what shows these figures."""
    return lambda found: "; ".join(show(found[name][key]) if key in found[name] else "not measured yet" for key in keys)


ASKED: list[tuple[str, str, str, Callable[[Found], str]]] = [
    (
        "correct, reconstruct, screen, record at 200 Hz: frames sent; lost",
        "480,000 in 10 minutes; 0",
        "realtime",
        of("realtime", "live, ipc: frames sent", "live, ipc: frames not taken or lost"),
    ),
    (
        "at 500 Hz without the network: frames sent; lost",
        "120,000 in 60 s; 0",
        "realtime",
        of(
            "realtime",
            "500 Hz, without the network: frames sent",
            "500 Hz, without the network: frames not taken or lost",
        ),
    ),
    ("frame to events, p99", "< 5 ms", "realtime", of("realtime", "live, ipc: frame to events, p99")),
    ("frame to decision, p99", "< 15 ms", "realtime", of("realtime", "live, ipc: frame to decision, p99")),
    (
        "CPU of a ZeroMQ hop at 800 frames/s, both ends",
        "< 0.15 core",
        "hops",
        of("hops", "ipc, at 800 frames/s: both ends"),
    ),
    ("the same through a ring in shared memory", "", "hops", of("hops", "ring, at 800 frames/s: both ends")),
    ("growth of memory over an hour", "< 1 %", "hour", growth),
    ("faults: every frame recorded once or a gap", "all, >= 12 kinds, >= 20 each", "faults", kinds),
    ("faults: longest recovery", "< 2 s", "faults", recovery),
    ("hostile messages without crash or hang", ">= 10^6", "hostile", of("hostile", "messages")),
    (
        "five times the rate, shed: neither recorded nor a gap",
        "0",
        "realtime",
        of("realtime", "5 times the rate, shed: neither recorded nor a gap"),
    ),
    ("kernels: full chain, 2 events", ">= 2,500", "speed", of("speed", "full chain, 2 events")),
]


def page(found: Found) -> str:
    """Return docs/performance.md."""
    lines = [INTRODUCTION, "| | asked | measured |", "|---|---|---|"]
    for what, goal, name, value in ASKED:
        lines.append(f"| {what} | {goal} | {value(found) if name in found else 'not measured yet'} |")
    return "\n".join([*lines, "", *sections(found, SECTIONS)])


def main() -> None:
    """Write the page."""
    (ROOT / "docs" / "performance.md").write_text(page(read()))


if __name__ == "__main__":
    main()
