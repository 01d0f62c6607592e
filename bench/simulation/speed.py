"""How fast hits, frames and frame sets are made: CPU seconds of one core."""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.simulation.physics import Row
from config.load import load
from sim.detector import Imperfections
from sim.hit_library import HitLibrary, shipped
from sim.particles import Particles, Pixels, quadrants_per_primary
from sim.photons import XRays
from sim.seeds import Seeds
from sim.telemetry import Telemetry

AIMED, READOUTS, PER_CLASS = 40_000, 500, 50_000


def figures(library: HitLibrary) -> dict[str, Row]:
    """Return all figures of speed."""
    large, small = (_in_a_process(path) for path in (library.path, shipped()))
    rows: dict[str, Row] = {
        "frames: quadrant frames": (large["rate"], "per CPU-s"),
        "frames: memory, large library": (large["peak_mb"], f"MB, library of {_mb(library.path)} MB"),
        "frames: memory, shipped library": (small["peak_mb"], f"MB, library of {_mb(shipped())} MB"),
    }
    return hits() | rows | frame_set(library)


def hits() -> dict[str, Row]:
    """Return the rate of a production in one worker, everything counted: start of Geant4, tables, joining."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hits.h5"
        cpu = _of_children(lambda: _raysieve("hits", str(path), "--aimed", str(AIMED), "--workers", "1"))
        with HitLibrary(path) as made:
            size = path.stat().st_size / len(made)
            sphere = made.production.sphere_primaries
    return {
        "hits: aimed primaries": (AIMED / cpu, "per CPU-s"),
        "hits: primaries of the sphere": (sphere / cpu, "per CPU-s"),
        "hits: size": (size, "bytes per primary with signal"),
    }


def frames(path: Path) -> dict[str, float]:
    """Return the rate of quadrant frames with noise, one X-ray and one particle event in each, and the memory."""
    config, seeds = load("wfi"), Seeds(3)
    pixels = Pixels(HitLibrary(path), config.simulate.sensor, config.detector)
    mean = len(config.detector.quadrants) / quadrants_per_primary(pixels)
    sources = [XRays(per_frame=1.0, sensor=config.simulate.sensor), Particles.of(pixels, mean, seeds)]
    camera = Telemetry(config, sources, Imperfections.of(config, seeds), seeds)
    for readout in range(20):
        camera.frames(readout)  # compile
    begun = time.process_time()
    for readout in range(20, 20 + READOUTS):
        camera.frames(readout)
    cpu = time.process_time() - begun
    # Not getrusage: that begins with the size of whoever started this process.
    peak_kb = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    peak_mb = int(peak_kb[1]) / 1024 if peak_kb else float("nan")
    return {"rate": READOUTS * len(config.detector.quadrants) / cpu, "peak_mb": peak_mb}


def _in_a_process(path: Path) -> dict[str, float]:
    """Return `frames` of a process of its own, whose memory holds nothing else."""
    command = [sys.executable, "-m", "bench.simulation.speed", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _mb(path: Path) -> int:
    return round(path.stat().st_size / 1e6)


def frame_set(library: HitLibrary) -> dict[str, Row]:
    """Return how long 200,000 sub-frames take, files and all."""
    with tempfile.TemporaryDirectory(dir=library.path.parent) as folder:
        path = Path(folder) / "set.h5"
        options = ("-c", "wfi", "--hits", str(library.path), "--per-class", str(PER_CLASS), "--part", "0", "0.7")
        begun = time.monotonic()
        cpu = _of_children(lambda: _raysieve("frames", str(path), *options))
        wall, size = time.monotonic() - begun, path.stat().st_size
    return {
        "200,000 sub-frames: time": (wall, "s"),
        "200,000 sub-frames: CPU": (cpu, "CPU-s"),
        "200,000 sub-frames: size": (size / 1e6, "MB"),
    }


def _raysieve(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "raysieve", "simulate", *words], check=True, env={**os.environ})


def _of_children(run: Callable[[], None]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    print(json.dumps(frames(Path(sys.argv[1]))))
