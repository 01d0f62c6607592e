"""Cut-outs of the counted sky about places, year by year: what classes and fakes are told by (seed 004).

A cut-out is 1.5 x 1.5 degrees in SIDE x SIDE pixels, front and back together. Photons of a HEALPix pixel are shared out
by area among those that it covers: pixels of both are as large.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import astropy_healpix.healpy as hp
import numpy as np
from numpy.typing import NDArray

from stream.lat.bands import BANDS, TYPES
from stream.lat.cube import YEAR_NSIDE
from stream.lat.patch import SIDE_DEG, to_sky
from stream.lat.sky import NSIDE as SMOOTH_NSIDE
from stream.lat.sky import Expected
from stream.lat.sphere import unit_vectors

Floats = NDArray[np.float64]

SIDE: Final = 6  # pixels
PIXEL_DEG: Final = 0.25
YEARS: Final = 10  # at most: the last ones
WHOLE_YEAR_S: Final = 1.2e7  # of good time: half of what a year of the survey has; less tells nothing of its own
FINE: Final = 4  # points along a side of a pixel, for the areas
CELLS: Final = 32  # nside of the cells in which the norm of the background is read off: 1.8 degrees
NEAR_DEG: Final = 4.5  # radius of that: some 19 cells
QUIET: Final = 2 / 3  # share of these cells, the darkest against what is expected: the others have sources

_AREA: Final = (PIXEL_DEG / FINE) ** 2 / (41_252.96 / (12 * YEAR_NSIDE**2))  # of a point, in HEALPix pixels


@dataclass(frozen=True, slots=True)
class Cutouts:
    """n of them."""

    counts: NDArray[np.float32]  # (n, BANDS, YEARS, SIDE, SIDE); rows to the north, columns to the west
    background: NDArray[np.float32]  # (n, BANDS) counts of all these years expected of diffuse light in the whole one
    good_s: NDArray[np.float32]  # (n, YEARS) good time; 0: no such year

    def __len__(self) -> int:
        """Return n."""
        return len(self.counts)

    def __getitem__(self, some: slice) -> "Cutouts":
        """Return some of them."""
        return Cutouts(self.counts[some], self.background[some], self.good_s[some])


def last_years(years: Mapping[int, NDArray[Any]], years_s: Mapping[int, float]) -> list[int]:
    """Return the last YEARS years that have photons and good time, rising."""
    return sorted(year for year in years if years_s.get(year, 0.0) > 0)[-YEARS:]


def whole_years(years: list[int], years_s: Mapping[int, float]) -> int:
    """Return how many of the years are seen for long enough to be compared with others."""
    return sum(years_s[year] >= WHOLE_YEAR_S for year in years)


def cut_out(
    years: Mapping[int, NDArray[Any]], years_s: Mapping[int, float], expected: Floats, places: tuple[Floats, Floats]
) -> Cutouts:
    """Return cut-outs about places (n,), longitude and latitude, degrees.

    years: counts (BANDS, 12 YEAR_NSIDE^2) by number, with good time, s; expected: of `by_band`, of the same photons,
    whose norm is adjusted to the counts around each place. More than YEARS years: the last ones.
    """
    chosen, pixels = last_years(years, years_s), _pixels(*places)
    counts = np.zeros((len(pixels), BANDS, YEARS, SIDE, SIDE), np.float32)
    good_s = np.zeros((len(pixels), YEARS), np.float32)
    total = np.zeros((BANDS, 12 * YEAR_NSIDE**2), np.uint32)
    for slot, year in enumerate(chosen):
        counts[:, :, slot] = resample(years[year], pixels)
        good_s[:, slot] = years_s[year]
        total += years[year]
    background = around(total, expected, places) * (SIDE * np.radians(PIXEL_DEG)) ** 2
    return Cutouts(counts, background.astype(np.float32), good_s)


def by_band(expected: Expected) -> Floats:
    """Return counts sr-1 of all diffuse light, front and back together, (BANDS, 12 SMOOTH_NSIDE^2)."""
    both = np.asarray(expected.iem + expected.iso)
    return both.reshape(BANDS, len(TYPES), -1).sum(axis=1)


def resample(maps: NDArray[Any], pixels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return counts (n, BANDS, h, w) of maps (BANDS, 12 YEAR_NSIDE^2) at pixels (n, h, FINE, w, FINE)."""
    out = np.empty((len(pixels), len(maps), *pixels.shape[1::2]), np.float32)
    for band, one in enumerate(maps):
        out[:, band] = one[pixels].sum(axis=(2, 4), dtype=np.float32) * _AREA
    return out


def _pixels(glon_deg: Floats, glat_deg: Floats) -> NDArray[np.int64]:
    return np.concatenate(
        [np.empty((0, SIDE, FINE, SIDE, FINE), np.int64)]
        + [grid_about(float(lon), float(lat), SIDE)[None] for lon, lat in zip(glon_deg, glat_deg, strict=True)]
    )


def grid_about(glon_deg: float, glat_deg: float, side: int) -> NDArray[np.int64]:
    """Return the HEALPix pixels under the points of a square of side x side pixels, (side, FINE, side, FINE)."""
    at = SIDE_DEG / 2 + ((np.arange(side * FINE) + 0.5) / FINE - side / 2) * PIXEL_DEG
    x, y = np.meshgrid(at, at)
    lon, lat = to_sky(glon_deg, glat_deg, x.ravel(), y.ravel())
    return np.asarray(hp.ang2pix(YEAR_NSIDE, lon, lat, lonlat=True)).reshape(side, FINE, side, FINE)


def smooth_at(expected: Floats, glon_deg: Floats, glat_deg: Floats) -> Floats:
    """Return what is expected at places (n,), interpolated: (n, BANDS) of `by_band`'s maps."""
    pixels, weights = hp.get_interp_weights(SMOOTH_NSIDE, glon_deg, glat_deg, lonlat=True)
    return np.asarray((expected[:, pixels] * weights).sum(axis=1).T)


def around(total: NDArray[Any], expected: Floats, places: tuple[Floats, Floats]) -> Floats:
    """Return counts sr-1 of diffuse light at places (n,), (n, BANDS): as expected, with the norm of the cells around.

    Of cells within NEAR_DEG those with sources are left out: the brightest against what is expected, all bands
    together. No light of a band there: as expected.
    """
    found, model = _in_cells(total), _expected_in_cells(expected)
    ratio = found.sum(axis=0) / np.maximum(model.sum(axis=0), 1e-9)
    middle = np.stack(hp.pix2vec(CELLS, np.arange(12 * CELLS**2)), axis=1)
    direction = unit_vectors(*places)
    norm = np.empty((len(direction), len(total)))
    for row, one in zip(norm, direction, strict=True):
        near = np.flatnonzero(middle @ one > np.cos(np.radians(NEAR_DEG)))
        near = near[np.argsort(ratio[near], kind="stable")][: max(1, round(QUIET * len(near)))]
        row[:] = (found[:, near].sum(axis=1) + 1) / (model[:, near].sum(axis=1) + 1)
    return norm * smooth_at(expected, *places)


@cache
def _cell(nside: int) -> NDArray[np.int64]:
    lon, lat = hp.pix2ang(nside, np.arange(12 * nside**2), lonlat=True)
    return np.asarray(hp.ang2pix(CELLS, lon, lat, lonlat=True))


def _in_cells(maps: NDArray[Any]) -> Floats:
    cell = _cell(YEAR_NSIDE)
    return np.stack([np.bincount(cell, one, 12 * CELLS**2) for one in maps])


def _expected_in_cells(expected: Floats) -> Floats:
    per_pixel = 4 * np.pi / (12 * SMOOTH_NSIDE**2)
    return np.asarray(np.stack([np.bincount(_cell(SMOOTH_NSIDE), one, 12 * CELLS**2) for one in expected]) * per_pixel)
