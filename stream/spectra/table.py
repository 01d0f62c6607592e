"""Spectra of a hot plasma in a table: emission by temperature, at low density, of the metals and of all elements."""

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
EVEN: Final = 16.0  # of the logarithm of metals over the rest: the table is float32, which knows no more than 1e-7


@dataclass(frozen=True, slots=True)
class Shifted:
    """Photons of some rows of a table at a redshift, (r, n) each, and their derivatives by it, if asked for."""

    photons: Floats
    by: Floats
    metals: Floats = field(default_factory=lambda: np.zeros(0))
    metals_by: Floats = field(default_factory=lambda: np.zeros(0))

    def logs(self) -> tuple[Floats, Floats]:
        """Return log photons and their derivatives."""
        least = np.maximum(self.photons, LEAST)
        return np.log(least), self.by / least

    def ratios(self) -> tuple[Floats, Floats]:
        """Return the logarithm of metals over the rest and its derivatives."""
        rest, ratio = self.photons - self.metals, _log_ratio(self.metals, self.photons - self.metals)
        known = (np.abs(ratio) < EVEN - 1e-6) & (self.metals > 0) & (rest > 0)
        metals, rest = (np.where(known, part, 1.0) for part in (self.metals, rest))
        return ratio, np.where(known, self.metals_by / metals - (self.by - self.metals_by) / rest, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class PlasmaTable:
    """Photons cm-2 s-1 per bin for a norm of 1, that is 1e-14/(4 pi D^2) int n_e n_H dV in cm, as XSPEC's apec."""

    log_t: Floats  # (k,) log10 of kelvin, rising
    edges_kev: Floats  # (n + 1,)
    photons: NDArray[np.float32]  # (k, n) at solar abundance
    about: str = ""
    metals: NDArray[np.float32] | None = None  # (k, n) the part that goes with the abundance; None: not known
    _totals: dict[str, Floats] = field(default_factory=dict, repr=False)  # by part, made at first use

    def __post_init__(self) -> None:
        wanted = (len(self.log_t), len(self.edges_kev) - 1)
        fits = self.photons.shape == wanted and (self.metals is None or self.metals.shape == wanted)
        if not fits or np.any(np.diff(self.log_t) <= 0):
            raise ConfigError("plasma table: expected rising log_t (k,), edges_kev (n + 1,), photons, metals (k, n)")

    @property
    def kt_kev(self) -> tuple[float, float]:
        """Its lowest and highest temperature."""
        return tuple(10 ** self.log_t[[0, -1]] / KELVIN_PER_KEV)

    def rebinned(self, grid: Grid) -> Floats:
        """Return log photons (k, n) in the bins of a grid: a bin of the table is shared by overlap."""
        return np.log(np.maximum(self._rebinned(grid, "photons"), LEAST))

    def know_metals(self) -> None:
        """Raise ConfigError for a table of solar abundance only."""
        if self.metals is None:
            raise ConfigError(
                f"apec.Abundanc: expected 1, frozen: the plasma table is of solar abundance ({self.about})"
            )

    def ratios(self, grid: Grid) -> Floats:
        """Return the logarithm of metals over the rest, (k, n) as `rebinned`. Raises ConfigError as `know_metals`."""
        metals = self._rebinned(grid, "metals")
        return _log_ratio(metals, self._rebinned(grid, "photons") - metals)

    def _rebinned(self, grid: Grid, name: str) -> Floats:
        edges = np.append(grid.low, grid.high[-1]) if np.array_equal(grid.low[1:], grid.high[:-1]) else None
        out = np.empty((len(self.log_t), len(grid.low)))
        for row, total in zip(out, self.total(name), strict=True):
            if edges is not None:
                row[:] = np.diff(np.interp(edges, self.edges_kev, total))
            else:
                row[:] = np.interp(grid.high, self.edges_kev, total) - np.interp(grid.low, self.edges_kev, total)
        return out

    def shifted(self, grid: Grid, redshift: float, rows: slice, asked: tuple[bool, bool]) -> "Shifted":
        """Return some rows in the bins of a grid at a redshift; asked: for the metals too, for derivatives too.

        Photons of the source's bins E (1 + z), divided by 1 + z as in XSPEC: its norm has D_A (1 + z) for the distance,
        and photons arrive as much more seldom. The derivatives take the photons at an edge as their mean over a bin's
        width: a line of the table is narrower, and would say nothing of z until an edge meets it.
        """
        more, half, (metals, slopes) = 1.0 + redshift, 0.5 * grid.width, asked
        ends = [grid.low, grid.high]
        if slopes:
            ends += [grid.low - half, grid.low + half, grid.high - half, grid.high + half]
        at = [self._place(energy * more) for energy in ends]
        parts = []
        for name in ("photons", "metals")[: 1 + metals]:
            totals = self.total(name)[rows]
            below = [totals[:, i] * (1 - x) + totals[:, i + 1] * x for i, x in at]
            value = by = (below[1] - below[0]) / more
            if slopes:
                flow = (below[5] - below[4]) * grid.high - (below[3] - below[2]) * grid.low
                by = flow / (2 * half * more**2) - value / more
            parts += [value, by]
        return Shifted(*parts)

    def _place(self, energy_kev: Floats) -> tuple[NDArray[np.intp], Floats]:
        """Return the bins of energies (n,), and how far in them they lie, 0 to 1."""
        edges = self.edges_kev
        i = np.clip(np.searchsorted(edges, energy_kev, side="right") - 1, 0, len(edges) - 2)
        return i, np.clip((energy_kev - edges[i]) / (edges[i + 1] - edges[i]), 0.0, 1.0)

    def total(self, name: str) -> Floats:
        """Return the photons (k, n + 1) above each edge, negative, of "photons" or "metals".

        From the top, for spectra fall: differences of sums from the bottom would be rounding where there is little.
        """
        if name not in self._totals:
            self.know_metals() if name == "metals" else None
            above = np.cumsum(getattr(self, name)[:, ::-1], axis=1, dtype=np.float64)[:, ::-1]
            self._totals[name] = np.concatenate([-above, np.zeros((len(above), 1))], axis=1)
        return self._totals[name]

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
        log_t, edges = (held[name].astype(float) for name in ("log_t", "edges_kev"))
        return PlasmaTable(log_t, edges, held["photons"], "shipped", held["metals"])


def _log_ratio(metals: Floats, rest: Floats) -> Floats:
    """Return ln(metals / rest) within +- EVEN; 0 without photons."""
    least = np.exp(-EVEN) * np.maximum(metals + rest, LEAST)
    return np.log(np.maximum(metals, least) / np.maximum(rest, least))
