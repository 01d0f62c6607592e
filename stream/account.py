"""The books of a daemon at its end: every frame that came is recorded or accounted for, stage by stage."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

DROPPED = {  # by stage: counters of frames that come and do not go on
    "receive": ("duplicate", "no_start", "other_stream", "wild_number", "unknown_quadrant", "shape", "shed"),
    "record": ("recorded before", "repeated exposure", "before start"),
}
Status = Mapping[str, Mapping[str, Any]]


def faults_of(status: Status) -> list[str]:
    """Return what does not add up, one line for each; `status`: the last one of every process, in the table's order.

    A process that was replaced took its counters with it: then only what is recorded is held against the gaps.
    """
    found = list(_unbalanced(status))
    if all(process.get("final") and not process.get("restarts") for process in status.values()):
        found += _lost_within(status)
    return found


def _unbalanced(status: Status) -> Iterator[str]:
    for process in status.values():
        for stage, balance in process.get("balance", {}).items():
            if balance["due"] != balance["recorded"] + balance["lost"]:
                yield f"{stage}: {balance['due']} due, {balance['recorded']} recorded, {balance['lost']} lost"


def _lost_within(status: Status) -> Iterator[str]:
    for name, process in status.items():
        counters = process["counters"]
        came = counters.get("in_Frame", 0) + counters.get("rows_in", 0)
        dropped = sum(process["stages"].get(stage, {}).get(why, 0) for stage, all_ in DROPPED.items() for why in all_)
        books = process.get("balance", {}).values()
        recorded = sum(balance["recorded"] - balance.get("before", 0) for balance in books)
        gone = counters.get("rows_out", 0) + recorded
        if came != dropped + gone:
            yield f"{name}: {came} frames came, {dropped} were dropped, {gone} went on"
    for (before, one), (after, other) in pairwise(status.items()):
        sent, taken = one["counters"].get("rows_out", 0), other["counters"].get("rows_in", 0)
        if sent != taken:
            yield f"{before} has given {sent} frames to {after}, which took {taken}"
