"""Memory over a million frames: the stages in one process, event lists dropped."""

import argparse
import os
from dataclasses import replace

import numpy as np

from bench import figures, scenes
from stream.messages import Frame
from stream.stages.record import Record

DISTINCT = 50  # frames that are sent again and again under new numbers


def resident_mb() -> float:
    """Return the resident memory of this process (MB)."""
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Run, print the memory ten times, write docs/figures/soak.json."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--frames", type=int, default=1_000_000)
    total = arguments.parse_args().frames
    camera = scenes.camera(2, tracks=1.0)
    frames = [m for m in camera.messages(DISTINCT) if isinstance(m, Frame)]
    chain, record = scenes.chain(scenes.config()), Record(scenes.config())
    list(record.process(camera.start))
    memory = []
    for n in range(total):
        frame = frames[n % DISTINCT]
        for events in chain(replace(frame, sequence=n, time_ns=n * camera.start.frame_time_ns)):
            list(record.process(events))
        if (n + 1) % (total // 20) == 0:
            memory.append(resident_mb())
            print(f"{n + 1:9d} frames: {memory[-1]:.0f} MB", flush=True)
    half = memory[len(memory) // 2 :]
    slope = np.polyfit(np.arange(len(half)), half, 1)[0] * 20
    figures.write(
        "soak",
        f"python -m bench.soak --frames {total}",
        {
            "memory at the end": (memory[-1], "MB"),
            "growth over the second half, per million frames": (float(slope * 1e6 / total), "MB"),
        },
    )


if __name__ == "__main__":
    main()
