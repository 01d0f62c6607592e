"""Counts maps of a whole simulated sky, as the stream would have accumulated them."""

from typing import Any, Final

import astropy_healpix.healpy as hp
import numpy as np
from numpy.typing import NDArray

from sim.lat.patches import Truth
from sim.lat.photons import Scatter
from stream.lat.bands import GRIDS, channels_of
from stream.lat.sky import NSIDE as SMOOTH_NSIDE

TEXTURE_NSIDE: Final = 256  # 0.23 degrees: half of the shortest wave
AT_A_TIME: Final = 400_000  # pixels


def draw_maps(truth: Truth, scatter: Scatter, rng: np.random.Generator) -> list[NDArray[Any]]:
    """Return counts (channels, 12 nside^2) for each of GRIDS: diffuse light, then the photons of all sources."""
    texture = _texture(truth)
    maps: list[NDArray[Any]] = []
    for nside, bands in GRIDS:
        channels = channels_of(bands)
        grid: Any = np.empty((len(channels), 12 * nside**2), np.uint16)
        number = 12 * int(nside) ** 2
        for begin in range(0, number, AT_A_TIME):
            part = np.arange(begin, min(begin + AT_A_TIME, number))
            lon, lat = hp.pix2ang(nside, part, lonlat=True)
            smooth, weights = hp.get_interp_weights(SMOOTH_NSIDE, lon, lat, lonlat=True)
            factor = texture[hp.ang2pix(TEXTURE_NSIDE, lon, lat, lonlat=True)]
            solid_angle = 4 * np.pi / number
            for row, c in enumerate(channels):
                iem = (truth.expected.iem[c][smooth] * weights).sum(axis=0)
                iso = (truth.expected.iso[c][smooth] * weights).sum(axis=0)
                grid[row, part] = rng.poisson((iem * factor + iso) * solid_angle)
        maps.append(grid)
    photons = scatter.draw(truth.sources, truth.exposure, rng)
    for counts, (level, these) in zip(maps, GRIDS, strict=True):
        for row, c in enumerate(channels_of(these)):
            mine = photons[photons["channel"] == c]
            pixel = hp.ang2pix(level, mine["glon_deg"], mine["glat_deg"], lonlat=True)
            counts[row] += np.bincount(pixel, minlength=counts.shape[1]).astype(np.uint16)
    return maps


def _texture(truth: Truth) -> NDArray[Any]:
    number = 12 * TEXTURE_NSIDE**2
    out = np.empty(number)
    for part in np.array_split(np.arange(number), 64):
        out[part] = truth.sky.factor(*hp.pix2ang(TEXTURE_NSIDE, part, lonlat=True))
    return out
