"""docs/performance.md from docs/figures: what was asked for beside what was measured, then all of it."""

from collections.abc import Callable
from typing import Any

from bench.pages import ROOT, read, sections, show

Found = dict[str, dict[str, Any]]
NOT_YET = "not measured yet"
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
result, on the monotonic clock of one machine; a read-out is four frames, and waits for the last of them. Each section
says by which command, of which commit and on which machine it was measured; where it does not, it is older than that,
and of another machine.
"""


def growth(found: Found) -> str:
    """Return the growth of the processes over the hour, percent."""
    hour = found["hour"]
    parts = []
    for process in ("detect", "screen", "record"):
        now, more = (
            hour[f"memory of {process}"]["value"],
            hour[f"memory of {process}, growth"]["value"],
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


Shown = tuple[str, ...] | Callable[[Found], str]  # keys of the file, or what makes a text of all figures
LIVE, HALF, AT_RATE = "live, ipc: ", "500 Hz, without the network: ", ", at 800 frames/s: both ends"
SENT = ("frames sent", "frames not taken or lost")
ASKED: list[tuple[str, str, str, Shown]] = [  # what, what was asked for, file
    ("all stages at 200 Hz: sent; lost", "480,000 in 10 min; 0", "realtime", tuple(LIVE + key for key in SENT)),
    (
        "500 Hz, no network: sent; lost; taken",
        "120,000 in 60 s; 0",
        "realtime",
        tuple(HALF + k for k in (*SENT, "rate")),
    ),
    ("frame to events, p99", "< 5 ms", "realtime", (LIVE + "frame to events, p99",)),
    ("frame to decision, p99", "< 15 ms", "realtime", (LIVE + "frame to decision, p99",)),
    ("CPU of a hop at 800 frames/s, ZeroMQ over ipc, both ends", "< 0.15 core", "hops", ("ipc" + AT_RATE,)),
    ("the same through a ring in shared memory", "", "hops", ("ring" + AT_RATE,)),
    ("growth of memory over an hour", "< 1 %", "hour", growth),
    ("faults: every frame recorded once or a gap", "all, >= 12 kinds, >= 20 each", "faults", kinds),
    ("faults: longest recovery", "< 2 s", "faults", recovery),
    ("hostile messages without crash or hang", ">= 10^6", "hostile", ("messages",)),
    ("5 times the rate, shed: unaccounted", "0", "realtime", ("5 times the rate, shed: neither recorded nor a gap",)),
    ("kernels: full chain, 2 events", ">= 2,500", "speed", ("full chain, 2 events",)),
]


def shown(found: Found, name: str, what: Shown) -> str:
    """Return figures of a file as a text."""
    if name not in found:
        return NOT_YET
    if callable(what):
        return what(found)
    return "; ".join(show(found[name][key]) if key in found[name] else NOT_YET for key in what)


def page(found: Found) -> str:
    """Return docs/performance.md."""
    lines = [INTRODUCTION, "| | asked | measured |", "|---|---|---|"]
    lines += [f"| {what} | {goal} | {shown(found, name, keys)} |" for what, goal, name, keys in ASKED]
    return "\n".join([*lines, "", *sections(found, SECTIONS)])


def main() -> None:
    """Write the page."""
    (ROOT / "docs" / "performance.md").write_text(page(read()))


if __name__ == "__main__":
    main()
