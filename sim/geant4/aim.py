"""Primaries that meet the box, drawn as from an isotropic flux through the sphere around it.

The lines of an isotropic flux that meet a convex body enter it uniformly over its surface, with a cosine law about
the inward normal. So they are drawn at the box itself: exactly those of the sphere that can make a signal, none in
vain, each standing for 1 / aimed_fraction primaries of the sphere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import SFC64, Generator, SeedSequence
from numpy.typing import NDArray

from sim.geant4.geometry import Geometry
from sim.geant4.spectrum import PHI_GV, energies

BACK_OFF_MM = 0.1  # a primary starts this far outside the box


@dataclass(frozen=True, slots=True)
class Primaries:
    """Protons about to enter the box: start (n, 3) mm, direction (n, 3), kinetic energy (n,) GeV, all float64.

    seeds (n, 2) int64, 1 .. 2**31 - 2: of the random numbers of each one's physics.
    """

    start_mm: NDArray[np.float64]
    direction: NDArray[np.float64]
    energy_gev: NDArray[np.float64]
    seeds: NDArray[np.int64]


def aim(geometry: Geometry, n: int, seed: int, batch: int, phi_gv: float = PHI_GV) -> Primaries:
    """Return n primaries; they depend on the geometry, the seed and the number of their batch only."""
    rng = Generator(SFC64(SeedSequence(seed, spawn_key=(batch,))))
    half = np.array(geometry.outer_mm)
    areas = np.repeat([half[1] * half[2], half[2] * half[0], half[0] * half[1]], 2)
    face = rng.choice(6, n, p=areas / areas.sum())
    axis, side = face // 2, np.where(face % 2, 1.0, -1.0)
    start = rng.uniform(-1, 1, (n, 3)) * half
    rows = np.arange(n)
    start[rows, axis] = side * half[axis]
    cosine, turn = np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
    sine = np.sqrt(1 - cosine**2)
    direction = np.empty((n, 3))
    direction[rows, axis] = -side * cosine
    direction[rows, (axis + 1) % 3] = sine * np.cos(turn)
    direction[rows, (axis + 2) % 3] = sine * np.sin(turn)
    energy = energies(rng.random(n), phi_gv)
    return Primaries(start - BACK_OFF_MM * direction, direction, energy, rng.integers(1, 2**31 - 1, (n, 2)))


def on_sphere(primaries: Primaries, radius_mm: float) -> NDArray[np.float64]:
    """Return where the primaries came through the sphere, (n, 3) float64 mm."""
    along = np.einsum("ij,ij->i", primaries.start_mm, primaries.direction)
    distance2 = np.einsum("ij,ij->i", primaries.start_mm, primaries.start_mm) - along**2
    back = along + np.sqrt(radius_mm**2 - distance2)
    result: NDArray[np.float64] = primaries.start_mm - back[:, None] * primaries.direction
    return result
