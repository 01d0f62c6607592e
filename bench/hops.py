"""CPU time of one hop of a frame between two processes: ZeroMQ over ipc and tcp, and a ring in shared memory.

The ring is the least that one can be: the sender copies the pixels into a slot and sends the number of the slot over
ipc; the reader looks at them where they lie and gives the slot back by a counter. At the rate of four quadrants at
200 Hz, or as fast as can be.
"""

import multiprocessing
import os
import resource
import tempfile
import time
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from numpy.typing import NDArray

from bench import figures
from stream.messages import Frame
from stream.transport.link import Pull, Push

FRAMES, RUNS, SLOTS = 4000, 5, 64
RATE = 800.0  # frames/s: four quadrants at 200 Hz
WAIT_S = 60.0
SIDE = 512
EMPTY = np.zeros((1, 1), "<u2")
DISTINCT = 32  # frames sent in turn: more than a cache holds, as from a camera


def send(url: str, ring: str | None, rate: float) -> None:
    """Send frames (the entry point of a child)."""
    pixels = np.random.default_rng(0).integers(0, 60_000, (DISTINCT, SIDE, SIDE)).astype("<u2")
    push = Push(url, queue=SLOTS // 2, bind=False)
    shared = SharedMemory(ring) if ring else None
    slots, given_back = _parts(shared) if shared else (EMPTY, EMPTY)
    began = time.monotonic()
    for n in range(FRAMES):
        time.sleep(max(0.0, began + n / rate - time.monotonic()))
        frame = pixels[n % DISTINCT]
        if shared:
            while n - int(given_back[0]) >= SLOTS:
                time.sleep(0.0002)
            slots[n % SLOTS] = frame
            frame = EMPTY
        assert push.send(Frame(stream="s", sequence=n, time_ns=n, quadrant=0, pixels=frame), WAIT_S)
    push.close(WAIT_S)
    del slots, given_back


def take(transport: str, rate: float) -> tuple[float, float]:
    """Return the CPU time of the reader and of the sender, ms for a frame. The reader reads every pixel once."""
    shared = SharedMemory(create=True, size=SLOTS * SIDE * SIDE * 2 + 64) if transport == "ring" else None
    slots, given_back = _parts(shared) if shared else (EMPTY, EMPTY)
    given_back[0] = 0
    with tempfile.TemporaryDirectory() as folder:
        url = "tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{folder}/hop.sock"
        with Pull(url, queue=SLOTS // 2, bind=True) as pull:
            words = (pull.url, shared.name if shared else None, rate)
            sender = multiprocessing.get_context("fork").Process(target=send, args=words)
            child, own = resource.getrusage(resource.RUSAGE_CHILDREN), os.times()
            sender.start()
            for n in range(FRAMES):
                frame = pull.receive(WAIT_S)
                assert isinstance(frame, Frame)
                pixels = slots[n % SLOTS] if shared else frame.pixels
                pixels.max()
                given_back[0] = n + 1
            now = os.times()
            sender.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if shared:
        del slots, given_back, pixels
        shared.close()
        shared.unlink()
    spent = now.user + now.system - own.user - own.system
    return spent / FRAMES * 1e3, (after.ru_utime + after.ru_stime - child.ru_utime - child.ru_stime) / FRAMES * 1e3


def _parts(shared: SharedMemory) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Return the slots and the counter of those given back."""
    counter = np.frombuffer(shared.buf, np.int64, 1)
    return np.frombuffer(shared.buf, "<u2", SLOTS * SIDE * SIDE, 64).reshape(SLOTS, SIDE, SIDE), counter


def main() -> None:
    """Measure, write docs/figures/hops.json."""
    found: dict[str, tuple[object, ...]] = {}
    for rate, name in ((RATE, "at 800 frames/s"), (1e6, "as fast as can be")):
        runs = {t: np.array([take(t, rate) for _ in range(RUNS)]) for t in ("ipc", "tcp", "ring")}
        for transport, measured in runs.items():
            for end, column in (("reader", measured[:, 0]), ("sender", measured[:, 1])):
                low, middle, high = np.percentile(column, [16, 50, 84])
                found[f"{transport}, {name}: CPU of the {end}"] = (middle, "ms per frame", (low, high))
            both = np.percentile(measured.sum(axis=1), [16, 50, 84]) * RATE / 1e3  # CPU-s in a second of 800 frames
            found[f"{transport}, {name}: both ends"] = (both[1], "cores", (both[0], both[2]))
    figures.write("hops", "python -m bench.hops", found)


if __name__ == "__main__":
    main()
