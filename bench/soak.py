"""Memory over a million frames: all stages of the table in one process, products dropped."""

import argparse
import os
from dataclasses import replace

import numpy as np

from bench import figures, scenes
from stream.messages import Frame, Product
from stream.transport.inproc import chain
from stream.wiring import build_all

DISTINCT = 50  # frames of noise that are used again and again, with new photons in new places


def resident_mb() -> float:
    """Return the resident memory of this process (MB)."""
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Run, print the memory twenty times, write docs/figures/soak.json."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--frames", type=int, default=1_000_000)
    total = arguments.parse_args().frames
    camera = scenes.camera(0)
    frames = [m for m in camera.messages(DISTINCT) if isinstance(m, Frame)]
    stages = build_all(scenes.config(), scenes.maps())
    for _ in chain(stages, camera.start):
        pass
    rng = np.random.default_rng(0)
    memory, events = [], 0
    for n in range(total):
        pixels = frames[n % DISTINCT].pixels.copy()
        y, x = rng.integers(2, 509, (2, 2))
        pixels[y, x] += np.uint16(500)  # two photons, in two pixels each
        pixels[y, x + 1] += np.uint16(200)
        if n % 4 == 0:  # and a track in every fourth frame
            pixels[y[0], max(0, x[0] - 30) : x[0]] += np.uint16(4000)
        frame = replace(frames[n % DISTINCT], sequence=n, time_ns=n * camera.start.frame_time_ns, pixels=pixels)
        for message in chain(stages, frame):
            if isinstance(message, Product):
                events += len(message.tables["EVENTS"])
        if (n + 1) % (total // 20) == 0:
            memory.append(resident_mb())
            print(f"{n + 1:9d} frames: {memory[-1]:.0f} MB, {events} events", flush=True)
    figures.write(
        "soak",
        f"python -m bench.soak --frames {total}",
        {
            "memory after the first twentieth": (memory[0], "MB"),
            "memory at the end": (memory[-1], "MB"),
            "valid events recorded": (events, "events"),
        },
    )


if __name__ == "__main__":
    main()
