"""CPU time of a link with and without keys: frames of 512x512, each end in a process of its own."""

import multiprocessing
import os
import resource
import tempfile
from pathlib import Path

import numpy as np

from bench import figures
from stream.messages import Frame
from stream.transport.keys import Keys, create_keys, daemon_keys, peer_keys
from stream.transport.link import Pull, Push

FRAMES, RUNS = 1000, 5
WAIT_S = 60.0


def send(url: str, keys: Keys | None) -> None:
    """Send frames as fast as they are taken (the entry point of a child)."""
    pixels = np.random.default_rng(0).integers(0, 60_000, (512, 512)).astype("<u2")
    push = Push(url, queue=64, bind=False, keys=keys)
    for n in range(FRAMES):
        assert push.send(Frame(stream="s", sequence=n, time_ns=n, quadrant=0, pixels=pixels), WAIT_S)
    push.close(WAIT_S)


def take(daemon: Keys | None, camera: Keys | None) -> tuple[float, float]:
    """Return the CPU time of the reader and of the sender (ms for a frame), start of the process left out."""
    with Pull("tcp://127.0.0.1:*", queue=64, bind=True, keys=daemon) as pull:
        sender = multiprocessing.get_context("fork").Process(target=send, args=(pull.url, camera))
        child, own = resource.getrusage(resource.RUSAGE_CHILDREN), os.times()
        sender.start()
        for _ in range(FRAMES):
            assert pull.receive(WAIT_S) is not None
        now = os.times()
        sender.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = (
        now.user + now.system - own.user - own.system,
        after.ru_utime + after.ru_stime - child.ru_utime - child.ru_stime,
    )
    return spent[0] / FRAMES * 1e3, spent[1] / FRAMES * 1e3


def main() -> None:
    """Measure, write docs/figures/keys.json."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        create_keys(Path(folder) / "keys", ["camera"])
        keys = daemon_keys(Path(folder) / "keys", inside=False), peer_keys(Path(folder) / "keys", "camera")
        for name, pair in (("tcp", (None, None)), ("tcp with keys", keys)):
            runs = np.array([take(*pair) for _ in range(RUNS)])
            for end, column in (("reader", runs[:, 0]), ("sender", runs[:, 1])):
                low, middle, high = np.percentile(column, [16, 50, 84])
                found[f"{name}: CPU of the {end}"] = (middle, "ms per frame", (low, high))
    figures.write("keys", "python -m bench.keys", found)


if __name__ == "__main__":
    main()
