"""Flat patches of the sky: where they lie, and what is counted and expected in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.kernels.patches import cut_patch, place_pixels
from stream.lat.bands import BANDS, GRIDS, channels_of

Floats = NDArray[np.float64]
DEG_PER_NSIDE: Final = 58.6  # side of a HEALPix pixel times nside
INNER_DEG: Final = 10.0  # sources are looked for in this square
SIDE_DEG: Final = 16.0  # and what lies around is there for their PSFs


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The channels of a patch, and where each lies in one row of values."""

    grids: tuple[tuple[int, float, tuple[int, ...]], ...]  # nside, pixel in degrees, channels; in the order of the maps
    groups: tuple[tuple[int, ...], ...]  # channels that share a background: bands
    layout: NDArray[np.int64]  # (channels, 2): first value, pixels along a side
    scale: Floats  # (channels,) size of a pixel, degrees

    @classmethod
    def of(cls, grids: tuple[tuple[int, float, tuple[int, ...]], ...], groups: tuple[tuple[int, ...], ...]) -> "Plan":
        """Return a plan; each grid divides SIDE_DEG evenly."""
        scale = np.empty(sum(len(channels) for _, _, channels in grids))
        for _, pixel, channels in grids:
            scale[list(channels)] = pixel
        sides = np.rint(SIDE_DEG / scale).astype(np.int64)
        begin = np.concatenate([[0], np.cumsum(sides[:-1] ** 2)])
        return cls(grids, groups, np.stack([begin, sides], axis=1), scale)

    @property
    def length(self) -> int:
        """How many values there are."""
        return int(self.layout[-1, 0] + self.layout[-1, 1] ** 2)

    @property
    def blur_deg(self) -> Floats:
        """Return what moves photons besides the PSF, (channels,): half a pixel of the sphere and of the patch."""
        sphere = np.empty(len(self.scale))
        for nside, _, channels in self.grids:
            sphere[list(channels)] = DEG_PER_NSIDE / nside
        return np.sqrt((self.scale**2 + sphere**2) / 12)

    def image(self, values: Floats, channel: int) -> Floats:
        """Return a channel of values (length,) as (rows, columns), a view."""
        begin, side = self.layout[channel]
        return values[begin : begin + side * side].reshape(side, side)


_PIXEL: Final = {256: 0.4, 512: 0.2, 1024: 0.1}
LAT: Final = Plan.of(
    tuple((nside, _PIXEL[nside], tuple(channels_of(bands))) for nside, bands in GRIDS),
    tuple(tuple(channels_of((band,))) for band in range(BANDS)),
)


@dataclass(frozen=True, slots=True)
class Patch:
    """All channels of a patch in one row, as its plan says; first column at the highest longitude, first row lowest."""

    plan: Plan
    glon_deg: float
    glat_deg: float
    counts: Floats  # (length,)
    lit: Floats  # (length,) solid angle of the HEALPix pixels in each, sr
    at: Floats  # (length, 2) x and y of their mean centre, degrees from the corner


def cut(maps: Sequence[NDArray[Any]], glon_deg: float, glat_deg: float, plan: Plan = LAT) -> Patch:
    """Return the patch around a place. maps: counts (channels, 12 nside^2) for each grid of the plan."""
    values, lit, at = np.zeros(plan.length), np.empty(plan.length), np.empty((plan.length, 2))
    for (nside, pixel_deg, channels), grid in zip(plan.grids, maps, strict=True):
        side, pixel = round(SIDE_DEG / pixel_deg), float(np.radians(pixel_deg))
        begins, share, middle = plan.layout[list(channels), 0], np.zeros((side, side)), np.zeros((2, side, side))
        cut_patch(nside, np.radians([glon_deg, glat_deg]), side, pixel, grid, begins, values, share, middle)
        place_pixels(share, middle, pixel_deg, pixel**2, begins, lit, at)
    return Patch(plan, glon_deg, glat_deg, values, lit, at)


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
