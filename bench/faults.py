"""Faults at random moments in a running daemon: every read-out is recorded once or a gap, and how soon it goes on.

The small camera of the tests at its real rate; where a process dies or halts, a warm one of each kind in reserve. Each
kind of fault happens `--times` times, each time at another moment, those of processes several times in one stream. A
small disk and a network of its own need root and `ip`: where these are not, they are named and left out.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgpack
import zmq

from bench import figures
from config.load import load
from stream.clock import now_ns
from stream.messages import End, Frame, Message
from stream.transport.link import Push
from stream.transport.recording import Recording
from tests.chain.books import books
from tests.chain.daemon import READOUTS, Daemon, camera, raysieve, start, wait_for
from tests.chain.machines import ADDRESSES, CAMERA, DAEMON, NAMES, ip, possible, two_machines

SETTINGS = ("--set", "record.interval_s=0.2", "--set", "supervise.restarts=20")
RESERVE = ("--set", "supervise.standby=true")
LOOPS = 8  # of the recording: 480 read-outs, 2.4 s
HITS = 5  # of a process in one stream
SENT = {(n, q) for n in range(LOOPS * READOUTS) for q in range(4)}
PROCESSES = ("detect", "screen", "record")


class Camera(threading.Thread):
    """Sends a recording again and again at its real rate, until it is told to end."""

    def __init__(self, path: Path, url: str) -> None:
        super().__init__(daemon=True)
        with Recording(path) as recording:
            self._start = recording.start
            self._frames = [m for m in recording.messages() if isinstance(m, Frame)]
        self._url, self._over, self._turns = url, threading.Event(), 0

    def run(self) -> None:
        """Send."""
        length_ns = READOUTS * self._start.frame_time_ns
        with Push(self._url, queue=64, bind=False) as push:
            push.send(self._start, timeout_s=120)
            began = time.monotonic()
            while not self._over.is_set():
                for m in self._frames:
                    time_ns = m.time_ns + self._turns * length_ns
                    time.sleep(max(0.0, began + time_ns * 1e-9 - time.monotonic()))
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
    sent: set[tuple[int, int]] = field(default_factory=lambda: set(SENT))
    recovery_s: float = 0.0  # from the fault until the process that takes over says that it is there

    def open(self, *more: str, once: bool = True, **how: Any) -> None:
        """Start the daemon, and wait until all of its processes are warm."""
        self.daemon = Daemon(self.folder, self.out, *SETTINGS, *more, once=once, **how)

    def feed(self, rate: str = "1", *more: object, **how: Any) -> "subprocess.Popen[bytes]":
        """Send the recording; return the sender."""
        words = ("replay", self.folder / "sky.h5", "--to", self.daemon.url, "--loop", LOOPS, "--rate", rate)
        return start(*words, *more, **how)

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


def one_process(process: str, by: int) -> Callable[[Run], int]:
    """Return the fault of a process that dies or halts, `HITS` times in one stream."""

    def fault(run: Run) -> int:
        run.open(*RESERVE)
        sender = Camera(run.folder / "sky.h5", run.daemon.url)
        sender.start()
        for _ in range(HITS):
            run.settle()
            time.sleep(run.rng.uniform(0, 1))
            run.hit(process, by)
        run.sent = sender.end()
        return run.close()

    return fault


def everything_killed(run: Run) -> int:
    """Kill the daemon and all of its processes; another daemon goes on."""
    run.open(once=False)
    sender = run.feed()
    run.wait()
    victims, at = [run.daemon.process.pid, *map(run.pid, PROCESSES)], time.monotonic()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    run.daemon.process.communicate()
    run.open(once=False)
    run.recovery_s = time.monotonic() - at
    sender.wait(timeout=120)
    wait_for(lambda: list(run.out.glob("*/events.fits")))
    run.daemon.process.send_signal(signal.SIGTERM)
    return run.close()


def camera_again(run: Run) -> int:
    """Kill the camera; it begins its run again."""
    run.open()
    sender = run.feed()
    run.wait()
    sender.kill()
    sender.wait()
    return run.close(run.feed("max"))


def slow_reader(run: Run) -> int:
    """Halt the last process for less than counts as stuck: the links fill, the camera waits."""
    run.open()
    sender = run.feed("4")
    run.wait()
    pid = run.pid("record")
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.3)
    os.kill(pid, signal.SIGCONT)
    return run.close(sender)


def full_disk(run: Run) -> int:
    """Fill the disk of the event lists for a while, and make room again."""
    run.out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(run.out)], check=True)
    run.open()
    sender = run.feed()
    run.wait()
    before, ballast = run.pid("record"), run.out / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    time.sleep(run.rng.uniform(0.2, 0.6))
    at = time.monotonic()
    ballast.unlink()
    wait_for(lambda: run.pid("record") != before)
    run.recovery_s = time.monotonic() - at
    return run.close(sender)


def clock_steps(run: Run) -> int:
    """Set the wall clock of the daemon an hour on or back, several times."""
    clock = run.folder / "clock"
    clock.write_text("0")
    run.open(env={"STEPPED_CLOCK": str(clock), "PYTHONPATH": str(Path(__file__).parent / "stepped")})
    sender = run.feed()
    for _ in range(3):
        time.sleep(run.rng.uniform(0.2, 0.7))
        clock.write_text(run.rng.choice(("3600", "-3600", "0.5", "-0.5")))
    return run.close(sender)


def network_cut(run: Run) -> int:
    """Cut the network between camera and daemon, two machines as far as the kernel goes."""
    keys = run.folder / "keys"
    if not keys.is_dir():
        raysieve("keys", keys, "--peer", "camera")
    settings = ("links.transport=tcp", f"links.host={ADDRESSES[1]}", f"links.keys={keys}")
    run.open(*(word for setting in settings for word in ("--set", setting)), within=DAEMON)
    run.daemon.url = f"tcp://{ADDRESSES[1]}:{load('quick').links.first_port}"
    sender = run.feed("0.25", "--keys", keys, "--as", "camera", within=CAMERA)  # it must not be over before the cut is
    run.wait()
    ip("-n", NAMES[0], "link", "set", "wire0", "down")
    time.sleep(run.rng.uniform(0.1, 1.0))
    at, taken = time.monotonic(), run.daemon.status()["detect"]["counters"]["in_Frame"]
    ip("-n", NAMES[0], "link", "set", "wire0", "up")
    wait_for(lambda: run.daemon.status()["detect"]["counters"]["in_Frame"] > taken + 40)
    run.recovery_s = time.monotonic() - at
    return run.close(sender)


def hostile_messages(run: Run) -> int:
    """Send garbage between the frames."""
    run.open()
    sender, context = run.feed(), zmq.Context()
    rogue = context.socket(zmq.PUSH)
    rogue.connect(run.daemon.url)
    header = msgpack.packb({"kind": "frame", "version": 99})
    for _ in range(200):
        parts = [header, run.rng.randbytes(run.rng.randint(0, 9000))]
        rogue.send_multipart(parts if run.rng.random() < 0.5 else parts[1:])
        time.sleep(0.005)
    rogue.close()
    context.term()
    return run.close(sender)


def messages_of(run: Run) -> list[Message]:
    """Return one turn of the recording."""
    run.sent = {(n, q) for n in range(READOUTS) for q in range(4)}
    with Recording(run.folder / "sky.h5") as recording:
        return list(recording.messages())


def by_hand(change: Callable[[list[Message], random.Random], list[Message]]) -> Callable[[Run], int]:
    """Return a fault of the frames themselves."""

    def fault(run: Run) -> int:
        messages = messages_of(run)
        run.open()
        with Push(run.daemon.url, queue=64, bind=False) as push:
            for message in [messages[0], *change(messages[1:-1], run.rng), messages[-1]]:
                push.send(message, timeout_s=30)
            push.close()
        return run.close()

    return fault


def lost_and_doubled(frames: list[Message], rng: random.Random) -> list[Message]:
    """Leave out some frames, send some twice, swap neighbours; the first and last read-out stay."""
    ends = range(8, len(frames) - 8)
    kept = [m for k, m in enumerate(frames) if k not in ends or rng.random() > 0.05]
    kept += [m for m in kept[8:-8] if rng.random() < 0.05][:5]
    for k in range(8, len(kept) - 16):
        if rng.random() < 0.1:
            kept[k], kept[k + 1] = kept[k + 1], kept[k]
    return kept


def silent_quadrant(frames: list[Message], rng: random.Random) -> list[Message]:
    """One quadrant ends before the others."""
    quadrant, last = rng.randrange(4), rng.randint(5, READOUTS - 2)
    return [m for m in frames if not (isinstance(m, Frame) and m.quadrant == quadrant and m.sequence > last)]


def shed(run: Run) -> int:
    """Send as fast as can be to a daemon that sheds."""
    run.open("--set", "links.frames_when_full=shed")
    return run.close(run.feed("max"))


FAULTS: dict[str, Callable[[Run], int]] = {
    **{f"{name} killed": one_process(name, signal.SIGKILL) for name in PROCESSES},
    **{f"{name} halted": one_process(name, signal.SIGSTOP) for name in PROCESSES},
    "everything killed": everything_killed,
    "camera killed, begins again": camera_again,
    "slow reader": slow_reader,
    "hostile messages": hostile_messages,
    "frames lost, doubled, swapped": by_hand(lost_and_doubled),
    "a quadrant falls silent": by_hand(silent_quadrant),
    "more frames than can be taken, shed": shed,
    "disk full for a while": full_disk,
    "clock steps": clock_steps,
    "network cut": network_cut,
}
ROOT_ONLY = ("disk full for a while", "network cut")


def missing(name: str) -> str:
    """Return what a kind of fault needs that is not here; empty: nothing."""
    return "root and `ip`" if name in ROOT_ONLY and not possible() else ""


def once(name: str, folder: Path, rng: random.Random) -> tuple[str, int, float]:
    """Run one fault; return what is wrong with the books (empty: nothing), frames lost, and recovery, s."""
    run = Run(folder, folder / "out", rng)
    try:
        code = FAULTS[name](run)
        frames, gaps = books(run.out)
    except (AssertionError, OSError, subprocess.TimeoutExpired) as fault:
        if hasattr(run, "daemon"):  # it was there already
            run.daemon.process.kill()
        return f"{type(fault).__name__}: {fault}", 0, 0.0
    finally:
        subprocess.run(["umount", str(run.out)], check=False, capture_output=True)
        shutil.rmtree(run.out, ignore_errors=True)
    wrong = [f"exit {code}"] if code else []
    for what, found in (
        ("twice recorded", {one for one, count in Counter(frames).items() if count > 1}),
        ("recorded and a gap", set(frames) & set(gaps)),
        ("unaccounted for", run.sent - set(frames) - set(gaps)),
        ("never sent", (set(frames) | set(gaps)) - run.sent),
    ):
        if found:
            wrong.append(f"{len(found)} {what}, from {min(found)} to {max(found)}")
    return ", ".join(wrong), len(gaps), run.recovery_s


def main() -> None:
    """Run all faults; write docs/figures/faults.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=FAULTS, action="append")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="raysieve-faults-"))
    camera(READOUTS, folder)
    found: dict[str, tuple[object, ...]] = {}
    with nullcontext() if missing("network cut") else two_machines():
        for name in given.only or FAULTS:
            if needed := missing(name):
                print(f"{name}: left out, needs {needed}")
                continue
            hits = HITS if name.split()[0] in PROCESSES else 1
            turns = range(-(-given.times // hits))
            runs = [once(name, folder, random.Random(f"{given.seed} {name} {turn}")) for turn in turns]
            faults = [f"run {turn}: {wrong}" for turn, (wrong, _, _) in enumerate(runs) if wrong]
            lost, recovery = max(row[1] for row in runs), max(row[2] for row in runs)
            good = hits * (len(runs) - len(faults))
            print(f"{name}: {good} of {hits * len(runs)}; {recovery:.2f} s; {'; '.join(faults)}", flush=True)
            found[f"{name}: faults with balanced books"] = (good, f"of {hits * len(runs)}")
            found[f"{name}: frames lost in a stream, most"] = (lost, "frames")
            if recovery:
                found[f"{name}: recovery, longest"] = (recovery, "s")
    shutil.rmtree(folder)
    command = f"python -m bench.faults --times {given.times} --seed {given.seed}"
    figures.write("faults", command, found, keep=_others(found))


def _others(found: dict[str, tuple[object, ...]]) -> dict[str, Any]:
    """Return the rows of the kinds that were not run now."""
    path = figures.FOLDER / "faults.json"
    rows = json.loads(path.read_text()) if path.is_file() else {}
    now = {key.split(":")[0] for key in found}
    return {key: row for key, row in rows.items() if key.split(":")[0] not in now}


if __name__ == "__main__":
    main()
