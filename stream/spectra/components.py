"""Components of spectral models, with the parameters, units and norms of XSPEC.

Additive ones give photons cm-2 s-1 in each bin for a norm of 1, multiplicative ones a factor; each with the derivatives
by its other parameters where asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from scipy.special import ndtr

from stream.spectra.absorption import mean_cross_section
from stream.spectra.gaunt import gaunt_sum
from stream.spectra.grid import Floats, Grid
from stream.spectra.table import PlasmaTable

Slopes = list[Floats]
Free = tuple[bool, ...]
Density = Callable[[Floats, float], tuple[Floats, Floats]]
BBODY_NORM: Final = 8.0525  # XSPEC's manual: L39 / D10^2


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number of a model."""

    name: str  # "powerlaw.PhoIndex"
    unit: str
    value: float  # where a fit begins
    low: float
    high: float
    frozen: bool = False
    log: bool = False  # a fit steps in its logarithm
    starts: tuple[float, ...] = ()  # other values that a fit tries before it begins


class Component(Protocol):
    """One factor or term."""

    additive: bool
    parameters: tuple[Parameter, ...]  # of an additive one without its norm

    def shape(self, grid: Grid, values: Floats, slopes: Free) -> tuple[Floats, Slopes]:
        """Return (n,) and its derivatives, (n,) by parameter; slopes: which are wanted, empty: none is."""
        ...


class TBabs:
    """Absorption: exp(-nH sigma), the cross section averaged over each bin."""

    additive: bool = False
    parameters: tuple[Parameter, ...] = (Parameter("nH", "1e22 cm-2", 0.3, 0.0, 1e3, starts=(0.05, 0.3, 2.0)),)

    def shape(self, grid: Grid, values: Floats, slopes: Free) -> tuple[Floats, Slopes]:
        """Return the factor in each bin."""
        sigma = grid.keep("tbabs", mean_cross_section)
        through = np.exp(-values[0] * sigma)
        return through, [-sigma * through] if slopes else []


class PowerLaw:
    """E^-PhoIndex, norm: photons keV-1 cm-2 s-1 at 1 keV; integrated over each bin."""

    additive: bool = True
    parameters: tuple[Parameter, ...] = (Parameter("PhoIndex", "", 1.7, -3.0, 10.0, starts=(1.0, 1.7, 3.0)),)

    def shape(self, grid: Grid, values: Floats, slopes: Free) -> tuple[Floats, Slopes]:
        """Return photons in each bin."""
        middle, half = grid.keep("powerlaw", _log_bins)
        x = (1.0 - values[0]) * half
        power = np.exp((1.0 - values[0]) * middle)
        ratio, slope = _sinhc(x)
        value = 2.0 * half * power * ratio
        return value, [-(middle * value + 2.0 * half * half * power * slope)] if slopes else []


class Bremss:
    """Thermal bremsstrahlung, norm 3.02e-15 / (4 pi D^2) int n_e n_I dV (cm), He at 8.5 % by number."""

    additive: bool = True
    parameters: tuple[Parameter, ...] = (Parameter("kT", "keV", 5.0, 0.03, 200.0, log=True, starts=(0.5, 2.0, 8.0)),)

    def shape(self, grid: Grid, values: Floats, slopes: Free) -> tuple[Floats, Slopes]:
        """Return photons in each bin."""
        return _integrated(_bremss, grid, float(values[0]), slopes)


class BBody:
    """Black body, norm L39 / D10^2."""

    additive: bool = True
    parameters: tuple[Parameter, ...] = (Parameter("kT", "keV", 0.5, 0.005, 100.0, log=True, starts=(0.1, 0.4, 1.5)),)

    def shape(self, grid: Grid, values: Floats, slopes: Free) -> tuple[Floats, Slopes]:
        """Return photons in each bin."""
        return _integrated(_bbody, grid, float(values[0]), slopes)


class Apec:
    """Collisionally ionised plasma from a table, norm 1e-14 / (4 pi (D_A (1 + z))^2) int n_e n_H dV (cm).

    Abundanc multiplies the metals of the table's solar set. Redshift moves the photons of each source bin, and time
    runs slower: photons(E) = those of the plasma between (1 + z) times the edges, over 1 + z, as XSPEC's apec.
    """

    additive: bool = True

    def __init__(self, table: PlasmaTable) -> None:
        self.table = table
        low, high = table.kt_kev
        starts = tuple(kt for kt in (0.3, 0.8, 2.0, 6.0) if low < kt < high)
        middle = min(max(1.0, low), high)
        metals = (0.0, 5.0) if table.metals is not None else (1.0, 1.0)  # a table of solar spectra only: as they are
        self.parameters: tuple[Parameter, ...] = (
            Parameter("kT", "keV", middle, low, high, log=True, starts=starts),
            Parameter("Abundanc", "solar", 1.0, *metals, frozen=True),
            Parameter("Redshift", "", 0.0, -0.9, 10.0, frozen=True),
        )

    def shape(self, grid: Grid, values: Floats, slopes: Free) -> tuple[Floats, Slopes]:
        """Return photons in each bin."""
        kt, abundance, z = (float(value) for value in values[:3])
        rows, weight, slope = self.table.weights(kt)
        if abundance == 1 and z == 0 and not any(slopes[1:3]):
            logs = grid.keep(("apec", self.table), self.table.rebinned)
            value = np.exp(weight @ logs[rows])
            none = np.zeros_like(value)
            return value, [value * (slope @ logs[rows]) / kt, none, none] if slopes else []
        return self._shifted(grid, (abundance, z), (weight, slope / kt), rows)

    def _shifted(
        self, grid: Grid, at: tuple[float, float], weights: tuple[Floats, Floats], rows: slice
    ) -> tuple[Floats, Slopes]:
        """Return photons and all derivatives for an abundance and a redshift, by the table's own bins."""
        (abundance, z), (weight, slope) = at, weights
        logs, metal_logs = self.table.logs
        whole, metals = np.exp(weight @ logs[rows]), np.exp(weight @ metal_logs[rows])
        by_kt, metals_by_kt = whole * (slope @ logs[rows]), metals * (slope @ metal_logs[rows])
        photons = np.maximum(whole + (abundance - 1) * metals, 0.0)
        edges = self.table.edges_kev
        low, high = grid.low * (1 + z), grid.high * (1 + z)

        def between(table: Floats) -> Floats:
            total = np.concatenate([[0.0], np.cumsum(table)])
            return (np.interp(high, edges, total) - np.interp(low, edges, total)) / (1 + z)

        value = between(photons)
        density = np.append(photons / np.diff(edges), 0.0)
        at_low, at_high = (
            np.where(
                (e >= edges[0]) & (e < edges[-1]),
                density[np.clip(np.searchsorted(edges, e, side="right") - 1, 0, len(density) - 1)],
                0.0,
            )
            for e in (low, high)
        )
        by_z = (at_high * grid.high - at_low * grid.low - value) / (1 + z)
        return value, [between(by_kt + (abundance - 1) * metals_by_kt), between(metals), by_z]


class Gaussian:
    """A line, norm: photons cm-2 s-1 in all of it."""

    additive: bool = True
    parameters: tuple[Parameter, ...] = (
        Parameter("LineE", "keV", 6.4, 0.0, 1e6),
        Parameter("Sigma", "keV", 0.1, 1e-3, 20.0, frozen=True),
    )

    def shape(self, grid: Grid, values: Floats, slopes: Free) -> tuple[Floats, Slopes]:
        """Return photons in each bin."""
        centre, sigma = values[0], max(float(values[1]), 1e-5)
        low, high = (grid.low - centre) / sigma, (grid.high - centre) / sigma
        value = np.where(low > 0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
        if not slopes:
            return value, []
        at_low, at_high = (np.exp(-0.5 * x * x) / (np.sqrt(2 * np.pi) * sigma) for x in (low, high))
        return value, [at_low - at_high, low * at_low - high * at_high]


def _log_bins(grid: Grid) -> tuple[Floats, Floats]:
    """Return the middle and the half width of each bin in log energy."""
    low, high = np.log(grid.low), np.log(grid.high)
    return 0.5 * (low + high), 0.5 * (high - low)


def _sinhc(x: Floats) -> tuple[Floats, Floats]:
    """Return sinh(x)/x and its derivative."""
    square = x * x
    if square.max(initial=0.0) < 0.01:  # series, exact to 1e-13
        return 1 + square / 6 * (1 + square / 20 * (1 + square / 42)), x / 3 * (1 + square / 10 * (1 + square / 28))
    safe = np.where(np.abs(x) < 1e-3, 1.0, x)
    ratio = np.where(np.abs(x) < 1e-3, 1 + square / 6, np.sinh(safe) / safe)
    return ratio, np.where(np.abs(x) < 1e-3, x / 3, (np.cosh(safe) - ratio) / safe)


def _integrated(density: Density, grid: Grid, kt: float, slopes: Free) -> tuple[Floats, Slopes]:
    """Return photons per bin of a smooth density by Gauss-Legendre at 2 points, and the derivative by kT."""
    low, high = grid.keep("gauss", _gauss_points)
    value, slope = density(np.concatenate([low, high]), kt)
    weight = np.tile(0.5 * grid.width, 2)
    n = len(low)
    each, by = value * weight, slope * weight
    return each[:n] + each[n:], [by[:n] + by[n:]] if slopes else []


def _gauss_points(grid: Grid) -> tuple[Floats, Floats]:
    off = grid.width * (0.5 / np.sqrt(3.0))
    return grid.middle - off, grid.middle + off


def _bremss(energy: Floats, kt: float) -> tuple[Floats, Floats]:
    """Return photons keV-1 cm-2 s-1 and their derivative by kT. The norm's 3.02e-15 is XSPEC's as it stands.

    2^5 pi e^6/(3 m c^3) (2 pi/(3 k m))^0.5 / h is 0.4 % more.
    """
    gaunt, by_log = gaunt_sum(energy, kt)
    front = np.exp(-energy / kt) / (energy * np.sqrt(kt))
    return front * gaunt, front * (gaunt * (energy / kt - 0.5) + by_log) / kt


def _bbody(energy: Floats, kt: float) -> tuple[Floats, Floats]:
    u = np.minimum(energy / kt, 600.0)
    value = BBODY_NORM * energy**2 / (kt**4 * np.expm1(u))
    return value, value * (u / -np.expm1(-u) - 4.0) / kt
