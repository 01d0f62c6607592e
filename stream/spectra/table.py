"""Spectra of a hot plasma in a table: emission by temperature, at solar abundance and low density."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.spectra.grid import Floats, Grid

KELVIN_PER_KEV: Final = 1.160451812e7
LEAST: Final = 1e-30  # photons of a bin: its logarithm is interpolated


@dataclass(frozen=True, slots=True, eq=False)
class PlasmaTable:
    """Photons cm-2 s-1 per bin for a norm of 1, that is 1e-14/(4 pi D^2) int n_e n_H dV in cm, as XSPEC's apec."""

    log_t: Floats  # (k,) log10 of kelvin, rising
    edges_kev: Floats  # (n + 1,)
    photons: NDArray[np.float32]  # (k, n)
    about: str = ""

    def __post_init__(self) -> None:
        if self.photons.shape != (len(self.log_t), len(self.edges_kev) - 1) or np.any(np.diff(self.log_t) <= 0):
            raise ConfigError("plasma table: expected rising log_t (k,), edges_kev (n + 1,), photons (k, n)")

    @property
    def kt_kev(self) -> tuple[float, float]:
        """Its lowest and highest temperature."""
        return tuple(10 ** self.log_t[[0, -1]] / KELVIN_PER_KEV)

    def rebinned(self, grid: Grid) -> Floats:
        """Return log photons (k, n) in the bins of a grid: a bin of the table is shared by overlap."""
        edges = np.append(grid.low, grid.high[-1]) if np.array_equal(grid.low[1:], grid.high[:-1]) else None
        out = np.empty((len(self.log_t), len(grid.low)))
        for row, photons in zip(out, self.photons, strict=True):
            total = np.concatenate([[0.0], np.cumsum(photons, dtype=np.float64)])
            if edges is not None:
                row[:] = np.diff(np.interp(edges, self.edges_kev, total))
            else:
                row[:] = np.interp(grid.high, self.edges_kev, total) - np.interp(grid.low, self.edges_kev, total)
        return np.log(np.maximum(out, LEAST))

    def weights(self, kt_kev: float) -> tuple[slice, Floats, Floats]:
        """Return the rows used for a temperature, their weights and the derivatives of these by ln kT.

        A cubic through the four nearest temperatures; the table's ends hold beyond them.
        """
        t = self.log_t
        at = float(np.clip(np.log10(max(kt_kev, 1e-10) * KELVIN_PER_KEV), t[0], t[-1]))
        first = int(np.clip(np.searchsorted(t, at) - 2, 0, max(len(t) - 4, 0)))
        rows = slice(first, min(first + 4, len(t)))
        knots = t[rows]
        value, slope = np.ones(len(knots)), np.zeros(len(knots))
        for i, knot in enumerate(knots):  # Lagrange's polynomials and their derivatives
            others = np.delete(knots, i)
            factors = (at - others) / (knot - others)
            value[i] = factors.prod()
            slope[i] = sum(np.delete(factors, j).prod() / (knot - other) for j, other in enumerate(others))
        inside = t[0] < at < t[-1]
        return rows, value, slope / np.log(10) * inside


@cache
def shipped_table() -> PlasmaTable:
    """Return the table that ships with this package. Raises ConfigError where there is none."""
    path = files("stream.spectra") / "data" / "plasma.npz"
    if not path.is_file():
        raise ConfigError("apec: this installation has no stream/spectra/data/plasma.npz: give a table")
    with as_file(path) as real, np.load(real) as held:
        return PlasmaTable(held["log_t"].astype(float), held["edges_kev"].astype(float), held["photons"], "shipped")
