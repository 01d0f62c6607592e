"""The energies of X-rays, as they are sent out or as a telescope of known effective area passes them on."""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from config.errors import ConfigError
from sim.check import require
from stream.transport.fitsfile import open_fits

Shape = Literal["log_uniform", "uniform", "power_law", "lines", "table"]
SHAPES = ("log_uniform", "uniform", "power_law", "lines", "table")
CELLS = 4000  # of the energy range; the density is taken as constant in each


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """A distribution of photons over energy.

    log_uniform, uniform, power_law (photons per eV go with energy ** -index): between the two limits; lines; table: a
    text file with two columns, energy in eV (rising) and photons per eV in any unit, with # before comments, straight
    lines between its points, cut at the limits. With `arf` (a FITS file, extension SPECRESP, OGIP CAL/GEN/92-002a)
    every energy counts as often as the effective area says.
    """

    shape: Shape = "log_uniform"
    energy_min_ev: float = 200.0
    energy_max_ev: float = 10_000.0
    index: float = 1.7
    lines_ev: tuple[float, ...] = ()
    line_weights: tuple[float, ...] = ()  # empty: all alike
    table: str = ""
    arf: str = ""

    def __post_init__(self) -> None:
        lines = self.shape == "lines"
        weights = self.line_weights or (1.0,) * len(self.lines_ev)
        require(
            "spectrum",
            (self.shape in SHAPES, f"shape one of {', '.join(SHAPES)}"),
            (0 < self.energy_min_ev < self.energy_max_ev < math.inf, "0 < energy_min_ev < energy_max_ev"),
            (-10 <= self.index <= 10, "-10 <= index <= 10"),
            (not lines or (bool(self.lines_ev) and min(self.lines_ev) > 0), "lines_ev, all > 0, for lines"),
            (len(weights) == len(self.lines_ev), "one of line_weights for each of lines_ev"),
            (not lines or (min(weights, default=0) >= 0 and sum(weights) > 0), "line_weights >= 0, not all 0"),
            ((self.shape == "table") == bool(self.table), "the file `table` for the shape table, and only then"),
        )

    def draw(self, n: int, rng: Generator) -> NDArray[np.float64]:
        """Return n energies, eV. Raises ConfigError if a file cannot be used or nothing gets through."""
        edges, cumulative = _cells(self)
        cell = np.searchsorted(cumulative, rng.random(n), side="right")
        return edges[cell, 0] + (edges[cell, 1] - edges[cell, 0]) * rng.random(n)


@cache
def _cells(spectrum: Spectrum) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the edges of the cells, (n, 2) eV, and the cumulative share of photons, (n,), the last one 1."""
    if spectrum.shape == "lines":
        edges = np.repeat(np.array(spectrum.lines_ev, float)[:, None], 2, axis=1)
        weight = np.array(spectrum.line_weights or np.ones(len(edges)), float)
    else:
        cuts = np.geomspace(spectrum.energy_min_ev, spectrum.energy_max_ev, CELLS)
        if spectrum.arf:
            own = read_arf(spectrum.arf)[0].ravel()
            cuts = np.union1d(cuts, own[(own > cuts[0]) & (own < cuts[-1])])
        edges = np.stack([cuts[:-1], cuts[1:]], axis=1)
        weight = _density(spectrum, edges.mean(axis=1)) * np.diff(edges, axis=1)[:, 0]
    if spectrum.arf:
        weight = weight * area_cm2(spectrum.arf, edges.mean(axis=1))
    if not weight.sum() > 0:
        raise ConfigError(f"spectrum {spectrum.table or spectrum.shape} {spectrum.arf}: expected photons in its limits")
    kept = weight > 0
    cumulative = np.cumsum(weight[kept])
    return edges[kept], cumulative / cumulative[-1]


def _density(spectrum: Spectrum, energy_ev: NDArray[np.float64]) -> NDArray[np.float64]:
    if spectrum.shape == "table":
        energy, flux = _read_table(spectrum.table)
        return np.interp(energy_ev, energy, flux, left=0, right=0)
    index = {"log_uniform": 1.0, "uniform": 0.0}.get(spectrum.shape, spectrum.index)
    return (energy_ev / spectrum.energy_min_ev) ** -index


def _read_table(path: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    try:
        text = Path(path).read_text(encoding="utf-8")
        rows = np.array([words for line in text.splitlines() if (words := line.partition("#")[0].split())], float)
    except (OSError, ValueError) as fault:
        raise ConfigError(f"{path}: {fault}; expected two columns, energy in eV and photons per eV") from None
    shaped = rows.ndim == 2 and rows.shape[1] == 2 and len(rows) >= 2
    if not shaped or not (np.diff(rows[:, 0]) > 0).all() or not (rows >= 0).all() or not np.isfinite(rows).all():
        raise ConfigError(f"{path}: expected two columns, rising energy in eV and photons per eV >= 0")
    return rows[:, 0], rows[:, 1]


@cache
def read_arf(path: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the bins of an ARF, (n, 2) eV, and the effective area, (n,) cm2. Raises ConfigError if it is none."""
    with open_fits(Path(path)) as file:
        try:
            rows: Any = file["SPECRESP"].data
            bins = 1000 * np.stack([rows["ENERG_LO"], rows["ENERG_HI"]], axis=1).astype(float)
            area = np.array(rows["SPECRESP"], float)
        except (KeyError, AttributeError) as fault:
            wanted = "expected an ARF, with ENERG_LO, ENERG_HI, SPECRESP in SPECRESP"
            raise ConfigError(f"{path}: {fault}; {wanted}") from None
    if not (np.diff(bins[:, 0]) > 0).all() or not (area >= 0).all():
        raise ConfigError(f"{path}: expected rising energies and no negative effective area")
    return bins, area


def area_cm2(path: str, energy_ev: ArrayLike) -> NDArray[np.float64]:
    """Return the effective area of an ARF at some energies, cm2, of the shape of `energy_ev`; 0 outside its bins."""
    bins, area = read_arf(path)
    place = np.clip(np.searchsorted(bins[:, 0], energy_ev, side="right") - 1, 0, None)
    inside = (np.asarray(energy_ev) >= bins[0, 0]) & (np.asarray(energy_ev) < bins[place, 1])
    return np.where(inside, area[place], 0)
