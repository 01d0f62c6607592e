"""Flat patches of the sky: where they lie, and what is counted and expected in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.kernels.patches import cut_patch
from stream.lat.bands import GRIDS, NSIDE, TYPES, channels_of

Floats = NDArray[np.float64]
INNER_DEG: Final = 10.0  # sources are looked for in this square
SIDE_DEG: Final = 16.0  # and what lies around is there for their PSFs
PIXEL_DEG: Final = (0.4, 0.4, 0.2, 0.1, 0.1, 0.1)  # by band
SIDES: Final = tuple(round(SIDE_DEG / pixel) for pixel in PIXEL_DEG)
_SIZES: Final = [side * side for side in SIDES for _ in TYPES]
LAYOUT: Final = np.stack([np.cumsum([0, *_SIZES[:-1]]), np.repeat(SIDES, len(TYPES))], axis=1).astype(np.int64)
SCALE: Final = np.repeat(PIXEL_DEG, len(TYPES))
LENGTH: Final = sum(_SIZES)
# What moves photons besides the PSF: pixels of the patch and of the sphere, evenly within each.
BLUR_DEG: Final = np.sqrt((SCALE**2 + np.repeat([(58.6 / n) ** 2 for n in NSIDE], len(TYPES))) / 12)


@dataclass(frozen=True, slots=True)
class Patch:
    """All channels of a patch in one row, as LAYOUT says; first column at the highest longitude, first row lowest."""

    glon_deg: float
    glat_deg: float
    counts: Floats  # (LENGTH,)
    lit: Floats  # (LENGTH,) solid angle of the HEALPix pixels in each, sr
    at: Floats  # (LENGTH, 2) x and y of their mean centre, degrees from the corner

    def image(self, channel: int, values: Floats) -> Floats:
        """Return a channel of values (LENGTH,) as (rows, columns), a view."""
        return image_of(values, channel)


def image_of(values: Floats, channel: int) -> Floats:
    """Return a channel of values (LENGTH,) as (rows, columns), a view."""
    begin, side = LAYOUT[channel]
    return values[begin : begin + side * side].reshape(side, side)


def cut(maps: Sequence[NDArray[Any]], glon_deg: float, glat_deg: float) -> Patch:
    """Return the patch around a place. maps: an array (channels, 12 nside^2) of counts for each of GRIDS."""
    values, lit, at = np.zeros(LENGTH), np.empty(LENGTH), np.empty((LENGTH, 2))
    for (nside, bands), grid in zip(GRIDS, maps, strict=True):
        channels = channels_of(bands)
        side, pixel = SIDES[bands[0]], float(np.radians(PIXEL_DEG[bands[0]]))
        counts, share, middle = (np.zeros((n, side, side)) for n in (len(channels), 1, 2))
        cut_patch(nside, np.radians([glon_deg, glat_deg]), side, pixel, grid, counts, share[0], middle)
        middle = np.where(share > 0, middle / np.maximum(share, 1e-30), _corner_to_middle(side)) * PIXEL_DEG[bands[0]]
        for channel, image in zip(channels, counts, strict=True):
            image_of(values, channel)[:] = image
            image_of(lit, channel)[:] = share[0] * pixel**2
            for axis in (0, 1):
                image_of(at[:, axis], channel)[:] = middle[axis]
    return Patch(glon_deg, glat_deg, values, lit, at)


def _corner_to_middle(side: int) -> Floats:
    rows, columns = np.mgrid[:side, :side]
    return np.stack([columns + 0.5, rows + 0.5])


def to_sky(glon_deg: float, glat_deg: float, x_deg: Floats, y_deg: Floats) -> tuple[Floats, Floats]:
    """Return longitude and latitude, degrees, of places on the patch around (glon, glat), degrees from its corner."""
    x, y = -np.radians(np.asarray(x_deg) - SIDE_DEG / 2), np.radians(np.asarray(y_deg) - SIDE_DEG / 2)
    sin0, cos0 = np.sin(np.radians(glat_deg)), np.cos(np.radians(glat_deg))
    depth = cos0 - y * sin0
    lon = np.radians(glon_deg) + np.arctan2(x, depth)
    lat = np.arctan2(sin0 + y * cos0, np.hypot(x, depth))
    return np.degrees(lon) % 360, np.degrees(lat)


def to_patch(glon_deg: float, glat_deg: float, lon_deg: Floats, lat_deg: Floats) -> tuple[Floats, Floats]:
    """Return places on the patch around (glon, glat), degrees from its corner; NaN for the half of the sky behind."""
    away, lat = np.radians(np.asarray(lon_deg) - glon_deg), np.radians(lat_deg)
    sin0, cos0 = np.sin(np.radians(glat_deg)), np.cos(np.radians(glat_deg))
    depth = sin0 * np.sin(lat) + cos0 * np.cos(lat) * np.cos(away)
    depth = np.where(depth > 0.2, depth, np.nan)
    x = np.cos(lat) * np.sin(away) / depth
    y = (cos0 * np.sin(lat) - sin0 * np.cos(lat) * np.cos(away)) / depth
    return SIDE_DEG / 2 - np.degrees(x), SIDE_DEG / 2 + np.degrees(y)


def centres(overlap_deg: float = 1.0) -> NDArray[np.float64]:
    """Return centres (n, 2), degrees, of patches whose inner squares cover the sky, in rings of latitude."""
    step = INNER_DEG - overlap_deg
    rows = int(np.ceil(180 / step))
    found: list[Sequence[float]] = []
    for lat in (np.arange(rows) + 0.5) * 180 / rows - 90:
        # The narrow side of the square in longitude is at the latitude nearest to the equator.
        widest = np.cos(np.radians(max(abs(lat) - step / 2, 0.0)))
        number = max(1, int(np.ceil(360 * widest / step)))
        found += [(lon, lat) for lon in (np.arange(number) + 0.5) * 360 / number]
    return np.array(found)
