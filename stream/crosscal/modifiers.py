"""Families of corrections of an effective area: the true area is the nominal one times a factor of the energy."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline
from scipy.special import ndtr

from stream.errors import ConfigError
from stream.spectra.grid import Floats
from stream.spectra.response import Response

FAMILIES: Final = "gaussian, gaussian-code, gaussians:N, spline:N, edge"
SPLINE_KEV: Final = (0.3, 10.0)  # first and last knot
MOST: Final = 32  # Gaussians of a sum, knots of a spline


@dataclass(frozen=True, slots=True)
class FamilyParameter:
    """One number of theta; low and high are the box that grids and priors are made in."""

    name: str
    unit: str
    low: float
    high: float
    log: bool = False  # grids step in its logarithm


@dataclass(frozen=True, slots=True)
class Family:
    """A family of factors, each named by theta."""

    name: str
    parameters: tuple[FamilyParameter, ...]  # in the order of theta
    shape: Callable[[Floats, Floats], Floats]  # (k, p), (n,) keV -> (k, n)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters."""
        return tuple(p.name for p in self.parameters)

    @property
    def low(self) -> Floats:
        """(p,) lower ends of the box."""
        return np.array([p.low for p in self.parameters])

    @property
    def high(self) -> Floats:
        """(p,) upper ends of the box."""
        return np.array([p.high for p in self.parameters])

    def factor(self, theta: ArrayLike, energy_kev: ArrayLike) -> Floats:
        """Return the factors (k, n) of thetas (k, p), or (1, n) of one (p,), at energies (n,) keV.

        They may be 0 or less for a large negative amplitude: `modify` refuses those. Raises ConfigError for another p.
        """
        rows = np.atleast_2d(np.asarray(theta, float))
        if rows.shape[1] != len(self.parameters):
            wanted = f"{len(self.parameters)} values of theta, {', '.join(self.names)}"
            raise ConfigError(f"family {self.name}: expected {wanted}; got {rows.shape[1]}")
        return self.shape(rows, np.asarray(energy_kev, float))


def family(name: str) -> Family:
    """Return a family by its name, one of FAMILIES. Raises ConfigError for another.

    gaussian: 1 + A exp(-(E - mu)^2 / (2 sigma^2)), the text of xrmodifier (seed 002); gaussian-code: its published
    code, 1 + A exp(-((E - mu) / sigma)^2), narrower by the root of two. gaussians:N: 1 + the sum of N such terms of
    the text. spline:N: ln factor is a natural cubic spline in ln E, values at N knots evenly spaced in ln E from 0.3
    to 10 keV, constant beyond. edge: exp(-depth (E / E_edge)^-3) above the edge as XSPEC's edge, smeared by a Gaussian
    width.
    """
    kind, colon, number = name.partition(":")
    if not colon and kind in ("gaussian", "gaussian-code", "edge"):
        if kind == "edge":
            return Family(name, EDGE, _edge)
        return Family(name, _bump(), partial(_gaussians, 2.0 if kind == "gaussian" else 1.0))
    if kind in ("gaussians", "spline") and number.isdecimal() and (2 if kind == "spline" else 1) <= int(number) <= MOST:
        n = int(number)
        if kind == "gaussians":
            return Family(name, tuple(p for i in range(n) for p in _bump(f"_{i + 1}")), partial(_gaussians, 2.0))
        return Family(name, tuple(FamilyParameter(f"ln_factor_{i + 1}", "", -0.5, 0.5) for i in range(n)), _spline)
    raise ConfigError(f"family {name!r}: expected one of {FAMILIES} (N at most {MOST}, of a spline at least 2)")


def spline_knots_kev(n: int) -> Floats:
    """Return where the values of spline:N stand, (n,) keV."""
    return np.geomspace(*SPLINE_KEV, n)


def modify(response: Response, factor: ArrayLike) -> Response:
    """Return the response with its area times a factor (n,). Raises ConfigError where it is not above 0."""
    by = np.asarray(factor, float).reshape(-1)
    n = len(response.area_cm2)
    if by.size != n:
        raise ConfigError(f"factor of the area: expected {n} values, one for each bin of energy; got {by.size}")
    check_positive(by, response)
    return replace(response, area_cm2=response.area_cm2 * by, _bands={})


def check_positive(factor: Floats, response: Response, of: str = "factor of the area") -> None:
    """Raise ConfigError, naming the energy, where a factor (n,) is not a number above 0: an area is not negative."""
    good = np.isfinite(factor) & (factor > 0)
    if not good.all():
        at = int(np.flatnonzero(~good)[np.argmin(np.nan_to_num(factor[~good], nan=-np.inf))])
        where = f"{response.energy_lo_kev[at]:.3g}-{response.energy_hi_kev[at]:.3g} keV"
        raise ConfigError(f"{of}: {factor[at]:.3g} at {where}: expected values above 0, an area cannot be negative")


def middle_kev(response: Response) -> Floats:
    """Return where factors are taken: the middle of each bin of energy, (n,) keV."""
    return 0.5 * (response.energy_lo_kev + response.energy_hi_kev)


def _bump(label: str = "") -> tuple[FamilyParameter, ...]:
    return (
        FamilyParameter(f"mu_kev{label}", "keV", 0.3, 10.0, log=True),
        FamilyParameter(f"sigma_kev{label}", "keV", 0.1, 3.0, log=True),
        FamilyParameter(f"amplitude{label}", "", -0.3, 0.3),
    )


EDGE: Final = (
    FamilyParameter("edge_kev", "keV", 0.3, 10.0, log=True),
    FamilyParameter("depth", "", -0.5, 0.5),
    FamilyParameter("width_kev", "keV", 0.01, 0.5, log=True),
)


def _gaussians(two: float, theta: Floats, energy: Floats) -> Floats:
    out = np.ones((len(theta), energy.size))
    for mu, sigma, amplitude in theta.reshape(len(theta), -1, 3).transpose(1, 2, 0):
        off = energy - mu[:, None]
        out += amplitude[:, None] * np.exp(-(off**2) / (two * sigma[:, None] ** 2))
    return out


def _spline(theta: Floats, energy: Floats) -> Floats:
    knots = np.log(spline_knots_kev(theta.shape[1]))
    at = np.clip(np.log(np.maximum(energy, 1e-6)), knots[0], knots[-1])
    return np.exp(CubicSpline(knots, theta, axis=1, bc_type="natural")(at))


def _edge(theta: Floats, energy: Floats) -> Floats:
    edge, depth, width = theta.T[:, :, None]
    above = ndtr((energy - edge) / width)
    return np.exp(-depth * above * (np.maximum(energy, edge / 3) / edge) ** -3)
