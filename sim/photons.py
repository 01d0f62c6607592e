"""X-rays: uniform over the quadrants, with Fano noise, their charge shared by a Gaussian cloud."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from config.schema import Detector as Layout
from sim.charge import CHARGE, FANO, PAIR_ENERGY_EV, Deposit, how_many
from sim.check import require
from sim.kernels import share_charge

PHOTON = np.dtype(  # truth: x, y in pixels of the quadrant, the centre of a pixel at its whole number
    [
        ("frame", "<i8"),
        ("quadrant", "<u1"),
        ("x", "<f4"),
        ("y", "<f4"),
        ("energy_ev", "<f4"),
        ("electrons", "<f4"),  # after Fano noise
    ]
)
Spectrum = Literal["log_uniform", "uniform", "lines"]


@dataclass(frozen=True, slots=True, kw_only=True)
class XRays:
    """A source of X-rays (`Source`); truth table `photons`."""

    per_frame: float = 2.0  # of one quadrant
    fixed: bool = False  # exactly so many, not Poisson
    spectrum: Spectrum = "log_uniform"
    energy_min_ev: float = 300.0
    energy_max_ev: float = 10_000.0
    lines_ev: tuple[float, ...] = ()
    line_weights: tuple[float, ...] = ()  # empty: all alike
    cloud_px: float = 0.12  # Gaussian sigma of the charge cloud

    def __post_init__(self) -> None:
        lines = self.spectrum == "lines"
        weights = self.line_weights or (1.0,) * len(self.lines_ev)
        require(
            "X-rays",
            (math.isfinite(self.per_frame) and self.per_frame >= 0, "per_frame >= 0"),
            (not self.fixed or self.per_frame == round(self.per_frame), "a whole per_frame where fixed"),
            (self.spectrum in ("log_uniform", "uniform", "lines"), "spectrum log_uniform, uniform or lines"),
            (0 < self.energy_min_ev <= self.energy_max_ev < math.inf, "0 < energy_min_ev <= energy_max_ev"),
            (not lines or (bool(self.lines_ev) and min(self.lines_ev) > 0), "lines_ev, all > 0, for lines"),
            (len(weights) == len(self.lines_ev), "one of line_weights for each of lines_ev"),
            (not lines or (min(weights, default=0) >= 0 and sum(weights) > 0), "line_weights >= 0, not all 0"),
            (0 < self.cloud_px <= 1, "0 < cloud_px <= 1"),
        )

    def expose(self, readout: int, layout: Layout, rng: Generator) -> Deposit:
        """Return the shared charge of one read-out and its photons."""
        photons = self.draw(readout, layout, rng)
        half = max(1, math.ceil(6 * self.cloud_px))  # a photon at the edge of its pixel still has 6 sigma of room
        clouds = (photons["x"].astype(float), photons["y"].astype(float), photons["electrons"].astype(float))
        shape = (layout.rows, layout.columns)
        index, x, y, electrons = share_charge(*clouds, self.cloud_px, half, shape)
        charges = np.empty(index.size, CHARGE)
        charges["quadrant"] = photons["quadrant"][index]
        charges["x"], charges["y"], charges["electrons"] = x, y, electrons
        return Deposit(charges, {"photons": photons})

    def draw(self, readout: int, layout: Layout, rng: Generator) -> NDArray[Any]:
        """Return PHOTON rows, quadrant after quadrant."""
        counts = how_many(rng, self.per_frame, self.fixed, len(layout.quadrants))
        photons = np.empty(int(counts.sum()), PHOTON)
        photons["frame"] = readout
        photons["quadrant"] = np.repeat([q.id for q in layout.quadrants], counts)
        photons["x"] = rng.uniform(-0.5, layout.columns - 0.5, photons.size)
        photons["y"] = rng.uniform(-0.5, layout.rows - 0.5, photons.size)
        photons["energy_ev"] = energies = self._energies(photons.size, rng)
        pairs = energies / PAIR_ENERGY_EV
        photons["electrons"] = np.maximum(rng.normal(pairs, np.sqrt(FANO * pairs)), 0)
        return photons

    def _energies(self, n: int, rng: Generator) -> NDArray[np.float64]:
        if self.spectrum == "lines":
            weights = np.array(self.line_weights or np.ones(len(self.lines_ev)))
            return rng.choice(np.array(self.lines_ev, float), n, p=weights / weights.sum())
        if self.spectrum == "uniform":
            return rng.uniform(self.energy_min_ev, self.energy_max_ev, n)
        return np.exp(rng.uniform(math.log(self.energy_min_ev), math.log(self.energy_max_ev), n))
