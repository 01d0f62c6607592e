"""Patches of a simulated sky, as the stream would cut them from its maps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import astropy_healpix.healpy as hp
import numpy as np
from numpy.typing import NDArray

from sim.lat.background import Sky, vary
from sim.lat.catalogue import make_catalogue
from sim.lat.photons import Scatter
from stream.lat.bands import CHANNELS, GRIDS, NSIDE, TYPES
from stream.lat.exposure import Exposure
from stream.lat.patch import SIDE_DEG, Patch, cut, to_patch, to_sky
from stream.lat.sky import Diffuse, Expected, expect

Floats = NDArray[np.float64]
AROUND_DEG: Final = 4.0  # sources so far beyond the patch shine into it
TEXTURE_DEG: Final = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """One simulated sky, to cut patches from."""

    sources: NDArray[Any]  # SOURCE
    sky: Sky
    exposure: Exposure
    expected: Expected

    @classmethod
    def drawn(
        cls, model: Diffuse, exposure: Exposure, rng: np.random.Generator, strength: float = 1.0,
        smear: Floats | None = None,
    ) -> "Truth":  # fmt: skip
        """Return a sky whose diffuse light is the model, varied. smear: of the model, by the PSF; none: as it comes."""
        sky = vary(model, rng, strength)
        return cls(make_catalogue(rng), sky, exposure, expect(sky.diffuse, exposure, smear))

    def near(self, glon_deg: float, glat_deg: float) -> NDArray[np.int64]:
        """Return the rows of the sources on a patch or near it."""
        x, y = to_patch(glon_deg, glat_deg, self.sources["glon_deg"], self.sources["glat_deg"])
        reach = SIDE_DEG / 2 + AROUND_DEG
        return np.flatnonzero((np.abs(x - SIDE_DEG / 2) < reach) & (np.abs(y - SIDE_DEG / 2) < reach))


def draw_patch(
    truth: Truth, scatter: Scatter, glon_deg: float, glat_deg: float, rng: np.random.Generator
) -> tuple[Patch, NDArray[np.int64]]:
    """Return a patch of a sky, and the rows of the sources on it or near."""
    empty = cut([np.zeros((0, 12 * nside**2), np.uint8) for nside, _ in GRIDS], glon_deg, glat_deg)
    iem, iso = truth.expected.on(empty)
    plan = empty.plan
    texture = _texture(truth.sky, glon_deg, glat_deg)
    for c in range(CHANNELS):
        plan.image(iem, c)[:] *= texture(int(plan.layout[c, 1]))
    counts = rng.poisson((iem + iso) * empty.lit).astype(np.float64)
    near = truth.near(glon_deg, glat_deg)
    photons = scatter.draw(truth.sources[near], truth.exposure, rng)
    for c in range(CHANNELS):
        mine = photons[photons["channel"] == c]
        nside = NSIDE[c // len(TYPES)]
        pixel = hp.ang2pix(nside, mine["glon_deg"], mine["glat_deg"], lonlat=True)
        x, y = to_patch(glon_deg, glat_deg, *hp.pix2ang(nside, pixel, lonlat=True))
        side, scale = int(plan.layout[c, 1]), plan.scale[c]
        with np.errstate(invalid="ignore"):
            column, row = np.floor(x / scale), np.floor(y / scale)
            inside = (column >= 0) & (row >= 0) & (column < side) & (row < side)
        place = row[inside].astype(np.int64) * side + column[inside].astype(np.int64)
        plan.image(counts, c)[:] += np.bincount(place, minlength=side * side).reshape(side, side)
    return Patch(plan, glon_deg, glat_deg, counts, empty.lit, empty.at), near


def _texture(sky: Sky, glon_deg: float, glat_deg: float) -> Callable[[int], Floats]:
    """Return the fine structure's factor by pixels along a side, read off every TEXTURE_DEG."""
    side = round(SIDE_DEG / TEXTURE_DEG)
    at = (np.arange(side) + 0.5) * TEXTURE_DEG
    x, y = np.meshgrid(at, at)
    factor = sky.factor(*to_sky(glon_deg, glat_deg, x.ravel(), y.ravel())).reshape(side, side)

    def of(pixels: int) -> Floats:
        if pixels >= side:
            return np.repeat(np.repeat(factor, pixels // side, axis=0), pixels // side, axis=1)
        step = side // pixels
        return np.asarray(factor.reshape(pixels, step, pixels, step).mean(axis=(1, 3)))

    return of
