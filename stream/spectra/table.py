"""Spectra of a hot plasma in a table: emission by temperature, at low density."""

from dataclasses import dataclass, field
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
    metals: NDArray[np.float32] | None = None  # (k, n) the part of the metals; None: not known
    kept: dict[str, tuple[Floats, Floats]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.photons.shape != (len(self.log_t), len(self.edges_kev) - 1) or np.any(np.diff(self.log_t) <= 0):
            raise ConfigError("plasma table: expected rising log_t (k,), edges_kev (n + 1,), photons (k, n)")

    @property
    def kt_kev(self) -> tuple[float, float]:
        """Its lowest and highest temperature."""
        return tuple(10 ** self.log_t[[0, -1]] / KELVIN_PER_KEV)

    @property
    def logs(self) -> tuple[Floats, Floats]:
        """Log photons (k, n) in the table's own bins: of all, and of the metals (nothing where they are not known)."""
        if "logs" not in self.kept:
            metals = np.zeros_like(self.photons) if self.metals is None else self.metals
            both = (np.log(np.maximum(part.astype(np.float64), LEAST)) for part in (self.photons, metals))
            whole, metals_only = both
            self.kept["logs"] = whole, metals_only
        return self.kept["logs"]

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

        A cubic between neighbours with the slopes of the chords around them (Catmull-Rom): smooth, so that a fit does
        not stick at a knot. The table's ends hold beyond them.
        """
        t = self.log_t
        at = float(np.clip(np.log10(max(kt_kev, 1e-10) * KELVIN_PER_KEV), t[0], t[-1]))
        i = int(np.clip(np.searchsorted(t, at) - 1, 0, len(t) - 2))
        first, last = max(i - 1, 0), min(i + 3, len(t))
        wide = t[i + 1] - t[i]
        x = (at - t[i]) / wide
        value, slope = np.zeros(last - first), np.zeros(last - first)
        tangents = ((x * (1 - x) ** 2, (1 - x) * (1 - 3 * x)), (x * x * (x - 1), x * (3 * x - 2)))
        for knot, (of, by) in zip((i, i + 1), tangents, strict=True):
            before, after = max(knot - 1, 0), min(knot + 1, len(t) - 1)
            chord = wide / (t[after] - t[before])
            value[[before - first, after - first]] += of * chord * np.array([-1, 1])
            slope[[before - first, after - first]] += by * chord * np.array([-1, 1])
        value[[i - first, i + 1 - first]] += (1 + 2 * x) * (1 - x) ** 2, x * x * (3 - 2 * x)
        slope[[i - first, i + 1 - first]] += 6 * x * (x - 1), 6 * x * (1 - x)
        inside = t[0] < at < t[-1]
        return slice(first, last), value, slope / (wide * np.log(10)) * inside


@cache
def shipped_table() -> PlasmaTable:
    """Return the table that ships with this package. Raises ConfigError where there is none."""
    path = files("stream.spectra") / "data" / "plasma.npz"
    if not path.is_file():
        raise ConfigError("apec: this installation has no stream/spectra/data/plasma.npz: give a table")
    with as_file(path) as real, np.load(real) as held:
        return PlasmaTable(
            held["log_t"].astype(float), held["edges_kev"].astype(float), held["photons"], "shipped", held["metals"]
        )
