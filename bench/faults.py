"""Faults at random moments in a running daemon: every read-out is recorded once or a gap, and how soon it goes on.

The small camera of the tests at its real rate; where a process dies or halts, a warm one of each kind in reserve. Each
kind of fault happens `--times` times, each time at another moment, several times in one stream where that can be. A
small disk and a network of its own need root and `ip`: where these are not, they are named and left out.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import msgpack
import zmq

from bench import figures
from bench.fault_run import HITS, PROCESSES, RESERVE, Run
from config.load import load
from stream.messages import Frame, Message
from stream.transport.link import Push
from stream.transport.recording import Recording
from tests.chain.books import books
from tests.chain.daemon import READOUTS, camera, raysieve, wait_for
from tests.chain.machines import ADDRESSES, CAMERA, DAEMON, NAMES, ip, possible, two_machines


def one_process(process: str, by: int) -> Callable[[Run], int]:
    """Return the fault of a process that dies or halts."""

    def fault(run: Run) -> int:
        def hit() -> None:
            run.settle()
            time.sleep(run.rng.uniform(0, 1))
            run.hit(process, by)

        run.open(*RESERVE)
        return run.several(hit)

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
    """Halt the last process for less than counts as stuck: what it should take waits before it."""

    def halt() -> None:
        pid = run.pid("record")
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.2)
        with suppress(ProcessLookupError):  # on a busy machine it may have been longer, and another has taken its place
            os.kill(pid, signal.SIGCONT)

    run.open()
    return run.several(halt, rate=4)


def full_disk(run: Run) -> int:
    """Fill the disk of the event lists for a while, and make room again."""
    run.out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(run.out)], check=True)

    def fill() -> None:
        run.settle()
        before, ballast = run.pid("record"), run.out / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        time.sleep(run.rng.uniform(0.2, 0.6))
        at = time.monotonic()
        ballast.unlink()
        wait_for(lambda: run.pid("record") != before)
        run.recovery_s = max(run.recovery_s, time.monotonic() - at)

    run.open(*RESERVE)
    return run.several(fill)


def clock_steps(run: Run) -> int:
    """Set the wall clock of the daemon on or back, by an hour or half a second."""
    clock = run.folder / "clock"
    clock.write_text("0")

    def step() -> None:
        clock.write_text(run.rng.choice(("3600", "-3600", "0.5", "-0.5")))

    run.open(env={"STEPPED_CLOCK": str(clock), "PYTHONPATH": str(Path(__file__).parent / "stepped")})
    return run.several(step)


def network_cut(run: Run) -> int:
    """Cut the network between camera and daemon, two machines as far as the kernel goes."""
    keys = run.folder / "keys"
    if not keys.is_dir():
        raysieve("keys", keys, "--peer", "camera")
    settings = ("links.transport=tcp", f"links.host={ADDRESSES[1]}", f"links.keys={keys}")
    run.open(*(word for setting in settings for word in ("--set", setting)), within=DAEMON)
    run.daemon.url = f"tcp://{ADDRESSES[1]}:{load('quick').links.first_port}"
    sender = run.feed("0.25", "--keys", keys, "--as", "camera", loops=24, within=CAMERA)
    for _ in range(HITS):
        run.wait()
        ip("-n", NAMES[0], "link", "set", "wire0", "down")
        time.sleep(run.rng.uniform(0.1, 1.0))
        at, taken = time.monotonic(), run.daemon.status()["detect"]["counters"]["in_Frame"]
        ip("-n", NAMES[0], "link", "set", "wire0", "up")
        wait_for(lambda taken=taken: run.daemon.status()["detect"]["counters"]["in_Frame"] > taken + 40)
        run.recovery_s = max(run.recovery_s, time.monotonic() - at)
    return run.close(sender)


def hostile_messages(run: Run) -> int:
    """Send garbage between the frames."""
    run.open()
    context = zmq.Context()
    rogue = context.socket(zmq.PUSH)
    rogue.connect(run.daemon.url)
    header = msgpack.packb({"kind": "frame", "version": 99})

    def garbage() -> None:
        for _ in range(40):
            parts = [header, run.rng.randbytes(run.rng.randint(0, 9000))]
            rogue.send_multipart(parts if run.rng.random() < 0.5 else parts[1:])
            time.sleep(0.005)

    code = run.several(garbage)
    rogue.close()
    context.term()
    return code


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
SEVERAL = (  # times in one stream
    *(f"{name} {how}" for name in PROCESSES for how in ("killed", "halted")),
    *("slow reader", "disk full for a while", "clock steps", "network cut", "hostile messages"),
)


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
            time.sleep(5)  # until its processes have seen that
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
            hits = HITS if name in SEVERAL else 1
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
    now = {key.split(":")[0] for key in found}
    return {key: row for key, row in figures.read("faults").items() if key.split(":")[0] not in now}


if __name__ == "__main__":
    main()
