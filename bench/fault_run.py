"""One run of a daemon that faults happen to: the small camera of the tests at its real rate."""

import os
import random
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stream.clock import now_ns
from stream.messages import End, Frame
from stream.transport.link import Push
from stream.transport.recording import Recording
from tests.chain.daemon import READOUTS, Daemon, start, wait_for

SETTINGS = ("--set", "record.interval_s=0.2", "--set", "supervise.restarts=20")
RESERVE = ("--set", "supervise.standby=true")
LOOPS = 8  # of the recording: 480 read-outs, 2.4 s
HITS = 5  # in one stream, where more than one can be
PROCESSES = ("detect", "screen", "record")


class Camera(threading.Thread):
    """Sends a recording again and again at `rate` times its real rate, until it is told to end."""

    def __init__(self, path: Path, url: str, rate: float = 1.0) -> None:
        super().__init__(daemon=True)
        with Recording(path) as recording:
            self._start = recording.start
            self._frames = [m for m in recording.messages() if isinstance(m, Frame)]
        self._url, self._rate, self._over, self._turns = url, rate, threading.Event(), 0

    def run(self) -> None:
        """Send."""
        length_ns = READOUTS * self._start.frame_time_ns
        with Push(self._url, queue=64, bind=False) as push:
            push.send(self._start, timeout_s=120)
            began = time.monotonic()
            while not self._over.is_set():
                for m in self._frames:
                    time_ns = m.time_ns + self._turns * length_ns
                    time.sleep(max(0.0, began + time_ns * 1e-9 / self._rate - time.monotonic()))
                    sequence = m.sequence + self._turns * READOUTS
                    push.send(replace(m, sequence=sequence, time_ns=time_ns, trace=(now_ns(),)), timeout_s=120)
                self._turns += 1
            push.send(End(stream=self._start.stream, frames=self._turns * len(self._frames)), timeout_s=120)
            push.close(timeout_s=120)

    def end(self) -> set[tuple[int, int]]:
        """End the stream; return what was sent."""
        self._over.set()
        self.join()
        return {(n, q) for n in range(self._turns * READOUTS) for q in range(4)}


@dataclass
class Run:
    """One run of a daemon with a fault."""

    folder: Path
    out: Path
    rng: random.Random
    sent: set[tuple[int, int]] = field(default_factory=set)
    recovery_s: float = 0.0  # from the fault until the process that takes over says that it is there

    def open(self, *more: str, once: bool = True, **how: Any) -> None:
        """Start the daemon, and wait until all of its processes are warm."""
        self.daemon = Daemon(self.folder, self.out, *SETTINGS, *more, once=once, **how)

    def feed(self, rate: str = "1", *more: object, loops: int = LOOPS, **how: Any) -> "subprocess.Popen[bytes]":
        """Send the recording by a process of its own; return that."""
        self.sent = {(n, q) for n in range(loops * READOUTS) for q in range(4)}
        words = ("replay", self.folder / "sky.h5", "--to", self.daemon.url, "--loop", loops, "--rate", rate)
        return start(*words, *more, **how)

    def several(self, fault: Callable[[], None], rate: float = 1.0) -> int:
        """Let a fault happen `HITS` times at random moments of one stream; return the exit code of the daemon."""
        sender = Camera(self.folder / "sky.h5", self.daemon.url, rate)
        sender.start()
        for _ in range(HITS):
            time.sleep(self.rng.uniform(0, 1))
            fault()
        time.sleep(self.rng.uniform(0, 1))
        self.sent = sender.end()
        return self.close()

    def wait(self) -> None:
        """Let some of the stream pass."""
        due = self.rng.randint(10, LOOPS * READOUTS // 2)
        wait_for(lambda: self.daemon.status()["detect"]["counters"].get("in_Frame", 0) > 4 * due)
        time.sleep(self.rng.random())  # a status is a second old

    def settle(self) -> None:
        """Wait until the reserve is warm: until what waits for its turn has imported and compiled all, and is idle."""
        used: dict[str, int] = {}

        def idle() -> bool:
            nonlocal used
            before, used = used, self._waiting()
            time.sleep(0.5)
            return len(used) > len(PROCESSES) and used == before  # with the one that multiprocessing has for itself

        wait_for(idle, 120)

    def _waiting(self) -> dict[str, int]:
        """Return the CPU time of those processes of the daemon that do not work yet, in ticks."""
        at_work = {str(status["pid"]) for status in self.daemon.status().values()}
        used = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[1]) == self.daemon.process.pid and stat.parent.name not in at_work:
                    used[stat.parent.name] = sum(map(int, fields[11:13]))
        return used

    def pid(self, process: str) -> int:
        """Return the process that works."""
        return int(self.daemon.status()[process]["pid"])

    def hit(self, process: str, by: int) -> None:
        """Send a signal to a process, and wait until another has taken its place."""
        before, at = self.pid(process), time.monotonic()
        os.kill(before, by)
        wait_for(lambda: self.pid(process) != before)
        self.recovery_s = max(self.recovery_s, time.monotonic() - at)

    def close(self, sender: "subprocess.Popen[bytes] | None" = None) -> int:
        """Wait for the end of the stream; return the exit code of the daemon."""
        if sender is not None:
            sender.wait(timeout=120)
        return self.daemon.end(timeout=120)[0]
