"""How fast hits, frames and frame sets are made: CPU seconds of one core."""

import os
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
from sim.hit_library import HitLibrary
from sim.particles import Particles, Pixels, quadrants_per_primary
from sim.photons import XRays
from sim.schedule import Schedule
from sim.seeds import Seeds
from sim.telemetry import Telemetry

AIMED, READOUTS, PER_CLASS = 40_000, 500, 50_000


def figures(library: HitLibrary) -> dict[str, Row]:
    """Return all figures of speed."""
    return hits() | frames(library) | frame_set(library)


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


def frames(library: HitLibrary) -> dict[str, Row]:
    """Return the rate of quadrant frames with noise, one X-ray and one particle event in each, and the memory."""
    config, seeds = load("wfi"), Seeds(3)
    pixels = Pixels(library, config.simulate.sensor, config.detector)
    mean = len(config.detector.quadrants) / quadrants_per_primary(pixels)
    sources = [XRays(per_frame=1.0, sensor=config.simulate.sensor), Particles.of(pixels, Schedule(mean, seeds))]
    camera = Telemetry(config, sources, Imperfections.of(config, seeds), seeds)
    for readout in range(20):
        camera.frames(readout)  # compile
    begun = time.process_time()
    for readout in range(20, 20 + READOUTS):
        camera.frames(readout)
    cpu = time.process_time() - begun
    return {
        "frames: quadrant frames": (READOUTS * len(config.detector.quadrants) / cpu, "per CPU-s"),
        "frames: largest memory of the process": (_peak_mb(), "MB"),
    }


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


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
