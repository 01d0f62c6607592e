"""How the processes of a daemon are: their status files, and whether they are alive at all. With a diary of changes."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from stream.errors import ConfigError
from stream.status import Status, read
from stream.wiring import rows_of

DIARY: Final = 60  # lines that are kept
ALARM_S: Final = 20.0  # so long what has just happened is shown in red
LOUD: Final = ("dead", "stale")
WHY: Final = {  # of a drop or gap, as docs/faults.md has them
    "lost": "frames never came",
    "shape": "frames of another shape than the camera's",
    "unknown_quadrant": "frames of a quadrant that the camera does not have",
    "no_start": "frames before any start of a stream",
    "other_stream": "frames of another stream than the open one",
    "duplicate": "frames that had come before",
    "wild_number": "frames whose number cannot be",
    "before start": "frames from before the start of the stream",
    "overflow": "frames with more hits than one can hold",
    "dead": "frames most of whose rows have no common mode: stuck, saturated, or not read",
    "damaged": "frames that were damaged on their way",
    "shed": "frames dropped because the daemon was too slow",
}


class Health:
    """Reads the status files of a daemon again and again; `look` is called by one thread, `told` by others."""

    def __init__(self, out: Path, names: Sequence[str] = (), clock: Callable[[], float] = time.time) -> None:
        """names: of the daemon's processes; none: of what is there."""
        self._out, self._names, self._clock = out, names, clock
        self._alive: set[tuple[str, int]] = set()  # processes that were seen alive: those of another machine never are
        self._before: dict[str, Status] = {}
        self._diary: deque[dict[str, Any]] = deque(maxlen=DIARY)
        self._told: dict[str, Any] = {"processes": {}, "diary": [], "state": "absent", "error": "", "looked": 0.0}

    def look(self) -> None:
        """Look at all processes."""
        now = self._clock()
        try:
            found, error = read(self._out, self._names), ""
        except (ConfigError, OSError) as fault:  # a file that is being replaced, or no status at all
            found, error = self._before, str(fault)
        for name, status in found.items():
            self._judge(name, status)
            self._compare(name, self._before.get(name, {"state": "absent"}), status, now)
        self._before = found
        processes = {name: _row(name, status) for name, status in found.items()}
        self._told = {
            "processes": processes,
            "diary": list(self._diary)[::-1],
            "alarm": [line for line in self._diary if line["loud"] and now - line["at"] < ALARM_S][::-1][:3],
            "state": _overall([row["state"] for row in processes.values()]),
            "error": error,
            "looked": now,
        }

    def told(self) -> dict[str, Any]:
        """Return what was seen last, for JSON; ages are of now."""
        told, now = self._told, self._clock()
        processes = {
            name: row | {"age_s": None if row["at"] is None else round(max(0.0, now - row["at"]), 2)}
            for name, row in told["processes"].items()
        }
        return told | {"processes": processes, "now": now}

    def _judge(self, name: str, status: Status) -> None:
        """Change the state of a process that is gone, whatever it wrote last."""
        pid = status.get("pid")
        if not isinstance(pid, int) or status["state"] not in ("running", "stale"):
            return
        letter = _letter(pid)
        if letter not in ("", "Z", "X"):
            self._alive.add((name, pid))
            if letter == "T":
                status |= {"state": "stale", "error": "halted by a signal"}
        elif (name, pid) in self._alive:
            status |= {"state": "dead", "error": status.get("error") or "the process is gone"}

    def _compare(self, name: str, before: Status, now: Status, at: float) -> None:
        """Write what has changed into the diary."""
        if now["state"] != before["state"]:
            why = f": {now['error']}" if now.get("error") else ""
            self._note(at, name, f"{before['state']} → {now['state']}{why}", now["state"] in LOUD)
        if now["state"] == "absent" or before["state"] == "absent":
            return
        if now["restarts"] > before["restarts"]:
            self._note(at, name, f"replaced, {now['restarts']} so far: {now['reason']}", True)
        for reason, number in now["drops"].items():
            more = number - before["drops"].get(reason, 0)
            if more > 0:
                self._note(at, name, f"{more:,} more dropped, {reason}: {why_of(reason)}", True)

    def _note(self, at: float, name: str, text: str, loud: bool) -> None:
        self._diary.append({"at": at, "process": name, "text": text[:300], "loud": loud})


def why_of(reason: str) -> str:
    """Return what a reason of drops and gaps means."""
    return WHY.get(reason, "messages that could not be read" if reason.startswith("bad_") else "see docs/faults.md")


def _overall(states: list[str]) -> str:
    """Return the state of all: the worst of them."""
    for state in ("dead", "stale", "absent", "running"):
        if state in states:
            return state
    return "finished" if states else "absent"


def _letter(pid: int) -> str:
    """Return the state letter of a process of this machine, empty if there is none, "?" where that is not known."""
    if not Path("/proc/self/stat").exists():
        return "?"
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def _row(name: str, status: Status) -> dict[str, Any]:
    """Return what the page shows of a process."""
    if status["state"] == "absent":
        return {"state": "absent", "error": status.get("error", ""), "at": None}
    counters, drops = status["counters"], status["drops"]
    names = ("events", "rejected", "tracks", "bad_pixels", "single", "double", "triple", "quad")
    return {
        "state": status["state"],
        "error": status.get("error", ""),
        "at": status["time_s"],
        "pid": status.get("pid"),
        "rates": status["rates"],
        "waiting": status["waiting"],
        "queue": 2 * rows_of(name)[0].queue,  # on each side of the link
        "lag_s": status["lag_s"],
        "memory_bytes": status["memory_bytes"],
        "restarts": status["restarts"],
        "reason": status["reason"],
        "drops": [[reason, number, why_of(reason)] for reason, number in drops.items()],
        "notes": status["notes"],
        "counters": {name: counters[name] for name in names if name in counters},
        "latencies": _latencies(status["latencies"]),
        "about": status["about"],
        "versions": status["versions"],
        "configuration": status["configuration"],
    }


def _latencies(spans: Mapping[str, Mapping[str, float]]) -> list[list[Any]]:
    """Return label, count, p50, p99 and the largest of each span, in ms."""
    keys = ("count", "p50_ms", "p99_ms", "max_ms")
    return [[{"arrive": "link to it"}.get(label, label), *(span[key] for key in keys)] for label, span in spans.items()]
