"""Hostile messages by the million: each is read or refused in one line, `receive` goes on, and memory stays."""

import argparse
import faulthandler
import signal
import time
from collections import Counter
from collections.abc import Callable

from bench import figures
from bench.soak import resident_mb
from stream.stages.receive import Receive
from stream.transport.wire import FAULTS, BadMessageError
from tests.stream.stages.streams import CONFIG
from tests.stream.transport.hostile_cases import cases, outcome, streams, survive
from tests.stream.transport.hostile_wire import GOOD

BATCH = 100
HANG_S = 20  # of CPU time: a batch that takes so long hangs, the bench ends and says where
PER_STREAM = 100  # messages for one whole stream
KINDS = ("Start", "Frame", "EventList", "Product", "Gap", "End")
Figures = dict[str, tuple[object, ...]]


def watched(name: str, total: int, run: Callable[[], None]) -> Figures:
    """Run so many cases; return their rate, the time of the slowest, and the memory."""
    slowest, began, memory = 0, time.process_time_ns(), 0.0
    faulthandler.register(signal.SIGPROF, chain=True)
    for number in range(total):
        if number % BATCH == 0:
            signal.setitimer(signal.ITIMER_PROF, HANG_S)
        if number == total // 20:
            memory = resident_mb()
        before = time.process_time_ns()
        try:
            run()
        except BaseException as fault:
            fault.add_note(f"{name}: number {number}")
            raise
        slowest = max(slowest, time.process_time_ns() - before)
    signal.setitimer(signal.ITIMER_PROF, 0)
    return {
        name: (total, "cases"),
        f"{name}: rate, with the making of them": (total * 1e9 / (time.process_time_ns() - began), "per CPU-s"),
        f"{name}: the slowest": (slowest * 1e-6, "CPU-ms"),
        f"{name}: memory after the first twentieth": (memory, "MB"),
        f"{name}: memory at the end": (resident_mb(), "MB"),
    }


def messages(total: int, seed: int) -> Figures:
    """Decode hostile messages of every kind."""
    found: Counter[str] = Counter()
    hostile = cases(seed, list(GOOD.values()))

    def read() -> None:
        result = outcome(next(hostile))
        found[result.fault if isinstance(result, BadMessageError) else type(result).__name__] += 1

    names = {name: f"messages refused: {name}" for name in FAULTS} | {name: f"messages read: {name}" for name in KINDS}
    return watched("messages", total, read) | {key: (found[name], "cases") for name, key in names.items()}


def whole_streams(total: int, seed: int) -> Figures:
    """Give streams with hostile messages in them to one `receive`."""
    found: Counter[str] = Counter()
    hostile, stage = streams(seed), Receive(CONFIG)

    def receive() -> None:
        found.update(survive(stage, next(hostile)))

    given = watched("streams", total, receive)
    return given | {f"streams, out of receive: {name}": (n, "messages") for name, n in sorted(found.items())}


def main() -> None:
    """Run, write docs/figures/hostile.json; the first case that is neither read nor refused ends it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cases", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    found = messages(given.cases, given.seed) | whole_streams(given.cases // PER_STREAM, given.seed)
    figures.write("hostile", f"python -m bench.hostile --cases {given.cases} --seed {given.seed}", found)


if __name__ == "__main__":
    main()
