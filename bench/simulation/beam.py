"""Protons straight through one wafer: `python -m bench.simulation.beam OUT.npz N`, a process of its own for Geant4."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from sim.geant4.aim import Primaries
from sim.geant4.compact import Names, compact
from sim.geant4.data_files import default_folder, provide, variables
from sim.geant4.geometry import load_geometry
from sim.geant4.transport import Engine, to_arrays

ENERGY_GEV = 1.0
LARGEST_KEV = 1000.0  # more is a nuclear reaction
BIN_KEV = 2.5


def run(path: Path, protons: int) -> NDArray[np.float64]:
    """Return the deposit (keV) of each proton that lost less than LARGEST_KEV; made if the file is not there."""
    if not path.is_file():
        subprocess.run([sys.executable, "-m", "bench.simulation.beam", str(path), str(protons)], check=True)
    with np.load(path) as file:
        deposit: NDArray[np.float64] = file["deposit_kev"]
    return deposit[deposit < LARGEST_KEV]


def most_probable(deposit_kev: NDArray[np.float64]) -> tuple[float, float]:
    """Return the peak of the distribution and its error (keV), from a parabola through the logarithm of the peak."""
    generator = default_rng(0)
    peaks = [_peak(generator.choice(deposit_kev, deposit_kev.size)) for _ in range(50)]
    return _peak(deposit_kev), float(np.std(peaks))


def _peak(deposit_kev: NDArray[np.float64]) -> float:
    counts, edges = np.histogram(deposit_kev, np.arange(80, 260, BIN_KEV))
    middle = (edges[1:] + edges[:-1]) / 2
    near = counts > 0.75 * counts.max()
    a, b, _ = np.polyfit(middle[near], np.log(counts[near]), 2, w=np.sqrt(counts[near]))
    return float(-b / (2 * a))


def _shoot(path: Path, protons: int) -> None:
    os.environ.update(variables(provide(default_folder())))
    geometry, _ = load_geometry("close")
    geometry = geometry.model_copy(update={"board": None})
    engine = Engine(geometry)
    x, y = geometry.corner_mm(geometry.wafers.quadrants[0])
    middle = geometry.wafers.rows * geometry.wafers.pixel_um * 0.5e-3
    above = geometry.wafers.z_mm + geometry.wafers.thickness_um * 0.5e-3 + 0.01
    start = np.tile([x + middle, y + middle, above], (protons, 1))
    down = np.tile([0.0, 0.0, -1.0], (protons, 1))
    seeds = default_rng(1).integers(1, 2**31 - 1, (protons, 2))
    beam = Primaries(start, down, np.full(protons, ENERGY_GEV), seeds)
    names = {"processes": Names(), "volumes": Names()}
    rows: Any = compact(to_arrays(engine.track(beam)), beam, geometry, 0, names)[0]
    np.savez(path, deposit_kev=rows["deposit_kev"].astype(float))


if __name__ == "__main__":
    _shoot(Path(sys.argv[1]), int(sys.argv[2]))
