"""The spectrum of a source band by band, and its light curve year by year: only fluxes free, place and shape as fitted.

In a band the norms of the diffuse light are free, and the fluxes of bright neighbours. A year's exposure is the share
of the mission's that its good time has: what a source is doing is told to some percent by that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import chi2

from analyse.lat.fit import FLUX, Fit, Part, fit
from analyse.lat.region import Optics, Region, region_of
from analyse.lat.source import NEAR_DEG, away_deg, upper_limit
from analyse.lat.spectra import ERG
from stream.lat.bands import BANDS, EDGES_MEV, TYPES
from stream.lat.cube import YEAR_NSIDE
from stream.lat.exposure import ENERGY_MEV, WEIGHT_MEV, Exposure
from stream.lat.patch import Plan, cut
from stream.lat.scene import INDICES, Scene
from stream.lat.sky import Expected

Floats = NDArray[np.float64]
LIMIT_TS: Final = 4.0  # below it a 95 % limit is given
BRIGHT_TS: Final = 25.0  # neighbours whose fluxes are free in a band, in a year
YEARLY: Final = Plan.of(((YEAR_NSIDE, 0.25, tuple(range(BANDS))),), tuple((band,) for band in range(BANDS)))
YEAR_SD: Final = (0.05, 0.05, 0.02, 0.02)  # of a year's norms about those of all years
LEAST_YEAR_S: Final = 86_400.0  # good time; less is no year


@dataclass(frozen=True, slots=True)
class Point:
    """A flux in a band or a year, over that of the fit."""

    scale: float
    error: float
    ts: float
    limit: float | None  # 95 %, where TS is below LIMIT_TS


@dataclass(frozen=True, slots=True)
class Band:
    """A point of the spectrum; photons cm-2 s-1 and erg cm-2 s-1 (E^2 dN/dE in the middle, by ln E)."""

    low_mev: float
    high_mev: float
    flux: float
    error: float
    ts: float
    limit: float | None
    e2dnde: float
    e2dnde_error: float
    e2dnde_limit: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """Fluxes by year over that of the fit, and whether they vary."""

    years: tuple[int, ...]
    points: tuple[Point, ...]
    ts_var: float
    constant: float  # the best flux for all
    p_value: float


def shaped(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with the spectra that were fitted, of which only fluxes are free: near and bright ones."""
    out = []
    for k, part in enumerate(parts):
        theta = part.theta.copy()
        base, theta[FLUX:] = part.spectrum(part.theta), 0.0
        still = replace(part, base=base, kind="powerlaw", theta=theta, begun=None)
        near = away_deg(part) < NEAR_DEG and part.ts > BRIGHT_TS
        out.append(still.freed(FLUX) if k == 0 or near else still.freed())
    return out


def point_of(region: Region, parts: Sequence[Part], norms: Floats) -> Point:
    """Return the flux of the first part."""
    found = fit(region, parts, norms)
    without = fit(region, found.parts[1:], found.norms)
    ts = max(2 * (found.value - without.value), 0.0)
    scale, error = float(np.exp(found.parts[0].theta[FLUX])), found.error(0, FLUX)
    limit = float(np.exp(upper_limit(found))) if ts < LIMIT_TS else None
    return Point(scale, scale * error if np.isfinite(error) else 0.0, ts, limit)


def by_band(best: Fit) -> list[Band]:
    """Return the spectrum in bands of the first part of a fit."""
    parts, out = shaped(best.parts), []
    assert parts[0].base is not None
    whole = (parts[0].base * WEIGHT_MEV).sum(axis=1)
    middle = ENERGY_MEV.shape[1] // 2
    for band in range(BANDS):
        one = point_of(best.region.of_groups([band]), parts, best.norms)
        e2 = ERG * float(ENERGY_MEV[band, middle] ** 2 * parts[0].base[band, middle])
        flux = float(whole[band])
        limits = (None, None) if one.limit is None else (flux * one.limit, e2 * one.limit)
        flux_told = flux * one.scale, flux * one.error, one.ts, limits[0]
        out.append(Band(EDGES_MEV[band], EDGES_MEV[band + 1], *flux_told, e2 * one.scale, e2 * one.error, limits[1]))
    return out


def by_year(
    best: Fit, years: Mapping[int, NDArray[Any]], good_s: Mapping[int, float], expected: Expected, optics: Optics
) -> Curve | None:
    """Return the light curve; None for fewer than two years. optics: of the plan YEARLY, both types together.

    years: counts (BANDS, 12 YEAR_NSIDE^2) of each; expected: diffuse light of all of them, by channel.
    """
    numbers = [y for y in sorted(years) if good_s.get(y, 0.0) >= LEAST_YEAR_S]
    if len(numbers) < 2:
        return None
    share = np.array([good_s[y] for y in numbers]) / sum(good_s.values())
    centre = best.region.patch.glon_deg, best.region.patch.glat_deg
    every = [np.asarray(cut([years[y]], *centre, YEARLY).counts) for y in numbers]
    whole = _yearly_region(best, expected, optics, np.sum(every, axis=0), share.sum())
    parts = shaped(best.parts)
    mean = fit(whole, [_lit(p, share.sum()) for p in parts])
    regions, own = [], []
    for counts, part in zip(every, share, strict=True):
        one = _yearly_region(best, expected, optics, counts, part)
        one.norm_mean, one.norm_sd = mean.norms, np.tile(YEAR_SD, (BANDS, 1))
        regions.append(one)
        own.append([_lit(p, part) for p in parts])
    points = tuple(point_of(r, p, mean.norms) for r, p in zip(regions, own, strict=True))
    held = [partial(_held, r, p, mean.norms) for r, p in zip(regions, own, strict=True)]
    return _judged(numbers, points, held)


def _held(region: Region, parts: Sequence[Part], norms: Floats, at: float) -> float:
    theta = parts[0].theta.copy()
    theta[FLUX] = at
    return fit(region, [parts[0].freed(theta=theta), *parts[1:]], norms).value


def _judged(numbers: Sequence[int], points: tuple[Point, ...], held: Sequence[Any]) -> Curve:
    """Return the curve with 2 ln of the likelihood of free fluxes over that of one flux for all."""
    middle = np.log(max(np.average([p.scale for p in points]), 1e-3))
    total = minimize_scalar(
        lambda at: -sum(one(at) for one in held), bracket=(middle - 0.1, middle + 0.1), options={"xtol": 1e-3}
    )
    free = sum(one(np.log(max(p.scale, 1e-4))) for one, p in zip(held, points, strict=True))
    ts_var = max(2 * (free + float(total.fun)), 0.0)
    return Curve(
        tuple(numbers), points, ts_var, float(np.exp(total.x)), float(chi2.sf(ts_var, len(numbers) - 1))
    )  # fmt: skip


def _lit(part: Part, share: float) -> Part:
    return replace(part, seen=part.seen * share)


def _yearly_region(best: Fit, expected: Expected, optics: Optics, counts: Floats, share: float) -> Region:
    centre, empty = best.region.patch, [np.zeros((BANDS, 12 * YEAR_NSIDE**2), np.uint8)]
    patch = replace(cut(empty, centre.glon_deg, centre.glat_deg, YEARLY), counts=counts)
    both = [v.reshape(BANDS, len(TYPES), -1).sum(axis=1) * share for v in (expected.iem, expected.iso)]
    iem, iso = Expected(*both).on(patch)
    scene = Scene(patch, iem * patch.lit, iso * patch.lit, np.ones((BANDS, len(INDICES))), optics.profiles())
    seen: Exposure = best.region.exposure
    return region_of(scene, optics, seen)
