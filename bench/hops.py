"""CPU time of one hop of a frame between two processes: ZeroMQ over ipc and tcp, and a ring in shared memory.

The ring is the least that one can be: the sender copies the pixels into a slot and sends the number of the slot over
ipc; the reader looks at them where they lie and gives the slot back by a counter. At the rate of four quadrants at
200 Hz, or as fast as can be. The reader reads every pixel, as whoever takes a frame will; what that costs of a frame
that is in memory already is shown by itself.
"""

import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from numpy.typing import NDArray

from bench import figures
from stream.messages import Frame
from stream.transport.link import Pull, Push
from stream.vitals import cpu_s

FRAMES, RUNS, SLOTS = 4000, 5, 64
RATE = 800.0  # frames/s: four quadrants at 200 Hz
WAIT_S = 60.0
SIDE = 512
EMPTY = np.zeros((1, 1), "<u2")
DISTINCT = 32  # frames sent in turn: more than a cache holds, as from a camera


def send(url: str, ring: str | None, rate: float, told: Connection) -> None:
    """Send frames (the entry point of a child); tell the CPU seconds that it took."""
    pixels = frames()
    push = Push(url, queue=SLOTS // 2, bind=False)
    shared = SharedMemory(ring) if ring else None
    slots, given_back = _parts(shared) if shared else (None, None)
    own, began = cpu_s(), time.monotonic()
    for n in range(FRAMES):
        time.sleep(max(0.0, began + n / rate - time.monotonic()))
        frame = pixels[n % DISTINCT]
        if slots is not None and given_back is not None:
            while n - int(given_back[0]) >= SLOTS:
                time.sleep(0.0002)
            slots[n % SLOTS] = frame
            frame = EMPTY
        assert push.send(Frame(stream="s", sequence=n, time_ns=n, quadrant=0, pixels=frame), WAIT_S)
    push.close(WAIT_S)
    told.send(cpu_s() - own)


def take(transport: str, rate: float) -> tuple[float, float]:
    """Return the CPU time of the reader and of the sender, ms for a frame. The reader reads every pixel once."""
    shared = SharedMemory(create=True, size=SLOTS * SIDE * SIDE * 2 + 64) if transport == "ring" else None
    slots, given_back = _parts(shared) if shared else (None, None)
    with tempfile.TemporaryDirectory() as folder:
        url = "tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{folder}/hop.sock"
        with Pull(url, queue=SLOTS // 2, bind=True) as pull:
            heard, told = multiprocessing.Pipe(duplex=False)
            words = (pull.url, shared.name if shared else None, rate, told)
            sender = multiprocessing.get_context("fork").Process(target=send, args=words)
            sender.start()
            own = cpu_s()
            for n in range(FRAMES):
                frame = pull.receive(WAIT_S)
                assert isinstance(frame, Frame)
                pixels = frame.pixels if slots is None else slots[n % SLOTS]
                pixels.max()
                if given_back is not None:
                    given_back[0] = n + 1
            spent = cpu_s() - own
            theirs = heard.recv()
            sender.join()
    if shared:
        del slots, given_back, pixels
        shared.close()
        shared.unlink()
    return spent / FRAMES * 1e3, theirs / FRAMES * 1e3


def look() -> float:
    """Return the CPU time of reading the pixels of a frame, ms: what is in the above and no hop."""
    pixels, own = frames(), cpu_s()
    for n in range(FRAMES):
        pixels[n % DISTINCT].max()
    return (cpu_s() - own) / FRAMES * 1e3


def frames() -> NDArray[np.uint16]:
    """Return frames (DISTINCT, SIDE, SIDE) to send in turn."""
    return np.random.default_rng(0).integers(0, 60_000, (DISTINCT, SIDE, SIDE)).astype("<u2")


def _parts(shared: SharedMemory) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Return the slots and the counter of those given back."""
    counter = np.frombuffer(shared.buf, np.int64, 1)
    return np.frombuffer(shared.buf, "<u2", SLOTS * SIDE * SIDE, 64).reshape(SLOTS, SIDE, SIDE), counter


def main() -> None:
    """Measure, write docs/figures/hops.json."""
    low, middle, high = np.percentile([look() for _ in range(RUNS)], [16, 50, 84])
    found: dict[str, tuple[object, ...]] = {"reading the pixels alone": (middle, "ms per frame", (low, high))}
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
