"""How a daemon is, read from what its processes have written: OUT/.status/PROCESS.json, new every second."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stream.errors import ConfigError
from stream.wiring import ASIDE, SKY, processes, rows_of

STALE_S = 3.0  # a process that has not written for so long is stuck in a message, or waits for its reader
DEAD_S = 30.0  # and after this time it is believed to be gone
DROPS = ("lost", "shape", "unknown_quadrant", "no_start", "other_stream", "duplicate", "wild_number", "before start")
"""What did not go on, as sources and stages count it; so did messages that are bad_FAULT."""
GAPS = ("overflow", "dead", "damaged", "shed")  # of frames that `receive` did not count as lost
KEYS = {"final", "counters", "source", "stages", "about", "latencies", "lag_s"}  # of the runner, and of its vitals
KEYS |= {"time_s", "rates", "cpu_s", "memory_bytes", "versions", "configuration"}

SUPERVISOR = "supervisor.json"  # restarts and the reason of the last one, by process

Status = dict[str, Any]


def read(out: Path, names: Sequence[str] = ()) -> dict[str, Status]:
    """Return the status of every process of the table, and what follows from it.

    names: of its processes; none: those of the daemon that writes there, or of a camera's if none does yet.
    Added: state (running, stale, dead, finished, absent), age_s, error (its last words, if any), restarts, reason (of
    the last one), waiting (messages on the way to it, None if that is not known), drops and notes by reason. An absent
    process has a state only, and perhaps an error. Latencies that nothing was measured of are left out.
    Raises ConfigError, naming the file, for one that is no status.
    """
    names = list(names) or _names(out)
    found = {name: _one(out / ".status" / f"{name}.json") for name in names}
    beside = {row.process: _one(out / ".status" / f"{row.process}.json") for row in ASIDE}
    found |= {name: status for name, status in beside.items() if status != {"state": "absent"}}  # not always there
    watched = _watched(out / ".status" / SUPERVISOR)
    before: Status = {"state": "absent"}
    for name, status in found.items():
        if status["state"] != "absent":
            status["waiting"] = _waiting(before, status, rows_of(name)[0].queue)
            status["drops"], status["notes"] = _account(status, first=name == names[0])
            status |= watched.get(name, {"restarts": 0, "reason": ""})
        before = status
    return found


def require(out: Path) -> None:
    """Raise ConfigError if no process of a daemon has written its status or its last words there."""
    paths = [out / ".status" / f"{name}.json" for name in _names(out)]
    if not any(path.is_file() or path.with_suffix(".error").is_file() for path in paths):
        expected = ", ".join(path.name for path in paths)
        raise ConfigError(f"{out / '.status'}: expected the status of a daemon (raysieve run --out {out}): {expected}")


def _names(out: Path) -> list[str]:
    """Return the processes of the daemon that writes there: of photons, if one of these does, else of a camera."""
    sky = list(dict.fromkeys(row.process for row in SKY))
    there = any((out / ".status" / f"{name}{end}").is_file() for name in sky for end in (".json", ".error"))
    return sky if there else processes()


def _one(path: Path) -> Status:
    last_words = path.with_suffix(".error")
    try:
        status = json.loads(path.read_text())
        missing = sorted(KEYS - status.keys())
    except FileNotFoundError:
        return {"state": "absent"} | ({"error": last_words.read_text().strip()} if last_words.is_file() else {})
    except (OSError, ValueError, AttributeError):
        raise ConfigError(f"{path}: expected the status of a process, in JSON") from None
    if missing:
        raise ConfigError(f"{path}: expected the status of a process of this version; it has no {', '.join(missing)}")
    age_s = max(0.0, time.time() - status["time_s"])
    status["latencies"] = {label: span for label, span in status["latencies"].items() if span["count"]}
    status |= {
        "age_s": round(age_s, 3),
        "state": "dead" if age_s > DEAD_S else "stale" if age_s > STALE_S else "running",
    }
    if status["final"]:
        status["state"] = "finished"
    elif last_words.is_file() and last_words.stat().st_mtime > status["time_s"] - 0.1:  # file times are coarse
        status |= {"state": "dead", "error": last_words.read_text().strip()}
    return status


def _watched(path: Path) -> dict[str, Status]:
    """Return what the supervisor says of each process that it has replaced."""
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        return {}


def _waiting(before: Status, after: Status, queue: int) -> int | None:
    """Return how many messages one process has given and the next one has not taken.

    The counts of running ones are brought to the same moment by the rate. None if it is not known: more than the link
    can hold, or fewer than none, means that one of them was started anew.
    """
    if before["state"] == "absent":
        return None
    running = before["state"] == after["state"] == "running"
    rate = before["rates"]["out"] if running else 0.0
    given = sum(number for name, number in before["counters"].items() if name.startswith("out_"))
    between = given - after["source"].get("messages", 0) - rate * (before["time_s"] - after["time_s"])
    return max(0, round(between)) if -1 - rate <= between <= 4 * queue else None


def _account(status: Status, *, first: bool) -> tuple[dict[str, int], dict[str, int]]:
    """Return what did not go on, and what else is worth a note, by reason.

    Gaps are those of the first process, the others pass them on.
    """
    drops: dict[str, int] = {}
    notes: dict[str, int] = {}
    for name, number in [item for counts in (status["source"], *status["stages"].values()) for item in counts.items()]:
        bad = name.startswith("bad_") and name != "bad_not_kept"
        if number and name != "messages":
            (drops if bad or name in DROPS else notes)[name] = number
    counters = status["counters"]
    drops |= {name: counters[f"gap_{name}"] for name in GAPS if first and f"gap_{name}" in counters}
    notes |= {name: counters[name] for name in ("source_lost", "source_back") if name in counters}
    return drops, notes
