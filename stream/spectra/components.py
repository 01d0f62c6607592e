"""Components of spectral models, with the parameters, units and norms of XSPEC.

Additive ones give photons cm-2 s-1 in each bin for a norm of 1, multiplicative ones a factor; each with the derivatives
by its other parameters where asked for.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from scipy.special import ndtr

from stream.spectra.absorption import mean_cross_section
from stream.spectra.gaunt import gaunt_factor
from stream.spectra.grid import Floats, Grid

Slopes = list[Floats]
BREMSS_NORM: Final = 1.0  # XSPEC's 3.02e-15 as it stands; 2^5 pi e^6/(3 m c^3) (2 pi/(3 k m))^0.5/h is 0.4 % more
HELIUM: Final = 0.085  # by number: XSPEC's bremss
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

    def shape(self, grid: Grid, values: Floats, slopes: bool) -> tuple[Floats, Slopes]:
        """Return (n,) and, if asked, its derivatives, (n,) by parameter."""
        ...


class TBabs:
    """Absorption: exp(-nH sigma), the cross section averaged over each bin."""

    additive: bool = False
    parameters: tuple[Parameter, ...] = (Parameter("nH", "1e22 cm-2", 0.3, 0.0, 1e3, starts=(0.05, 0.3, 2.0)),)

    def shape(self, grid: Grid, values: Floats, slopes: bool) -> tuple[Floats, Slopes]:
        """Return the factor in each bin."""
        sigma = grid.keep("tbabs", mean_cross_section)
        through = np.exp(-values[0] * sigma)
        return through, [-sigma * through] if slopes else []


class PowerLaw:
    """E^-PhoIndex, norm: photons keV-1 cm-2 s-1 at 1 keV; integrated over each bin."""

    additive: bool = True
    parameters: tuple[Parameter, ...] = (Parameter("PhoIndex", "", 1.7, -3.0, 10.0, starts=(1.0, 1.7, 3.0)),)

    def shape(self, grid: Grid, values: Floats, slopes: bool) -> tuple[Floats, Slopes]:
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

    def shape(self, grid: Grid, values: Floats, slopes: bool) -> tuple[Floats, Slopes]:
        """Return photons in each bin."""
        return _by_steps(_bremss, grid, float(values[0]), slopes)


class BBody:
    """Black body, norm L39 / D10^2."""

    additive: bool = True
    parameters: tuple[Parameter, ...] = (Parameter("kT", "keV", 0.5, 0.005, 100.0, log=True, starts=(0.1, 0.4, 1.5)),)

    def shape(self, grid: Grid, values: Floats, slopes: bool) -> tuple[Floats, Slopes]:
        """Return photons in each bin."""
        return _by_steps(_bbody, grid, float(values[0]), slopes)


class Gaussian:
    """A line, norm: photons cm-2 s-1 in all of it."""

    additive: bool = True
    parameters: tuple[Parameter, ...] = (
        Parameter("LineE", "keV", 6.4, 0.0, 1e6),
        Parameter("Sigma", "keV", 0.1, 0.0, 20.0, frozen=True),
    )

    def shape(self, grid: Grid, values: Floats, slopes: bool) -> tuple[Floats, Slopes]:
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


def _by_steps(density, grid: Grid, kt: float, slopes: bool) -> tuple[Floats, Slopes]:  # type: ignore[no-untyped-def]
    """Return photons per bin of a smooth density by Gauss-Legendre at 2 points, and its derivative by kT."""
    low, high = grid.keep("gauss", _gauss_points)
    half = 0.5 * grid.width
    value = half * (density(low, kt) + density(high, kt))
    if not slopes:
        return value, []
    step = 1e-4 * kt
    up = density(low, kt + step) + density(high, kt + step)
    down = density(low, kt - step) + density(high, kt - step)
    return value, [half * (up - down) / (2 * step)]


def _gauss_points(grid: Grid) -> tuple[Floats, Floats]:
    off = grid.width * (0.5 / np.sqrt(3.0))
    return grid.middle - off, grid.middle + off


def _bremss(energy: Floats, kt: float) -> Floats:
    gaunt = gaunt_factor(energy, kt, 1) + 4 * HELIUM * gaunt_factor(energy, kt, 2)
    return BREMSS_NORM * gaunt * np.exp(-energy / kt) / (energy * np.sqrt(kt))


def _bbody(energy: Floats, kt: float) -> Floats:
    with np.errstate(over="ignore"):
        return BBODY_NORM * energy**2 / (kt**4 * np.expm1(energy / kt))
