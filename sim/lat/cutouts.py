"""Cut-outs of a simulated sky around sources and around what only looks like one: year by year, band by band.

A cut-out is 1 x 1 degree in SIDE x SIDE pixels about a detection (seed 004: (6, 6, 10 years, 6 energies)), front and
back together. Sources and fakes are chosen by the same filter on the same background, smooth as a fit leaves it: fakes
are maxima of noise, and of the fine structure that no model knows.
"""

from collections.abc import Iterator
from typing import Any, Final

import astropy_healpix.healpy as hp
import numpy as np
from astropy_healpix import neighbours
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.signal import fftconvolve

from sim.lat.catalogue import CLASSES, YEARS
from sim.lat.patches import Truth
from sim.lat.photons import Scatter
from stream.lat.bands import BANDS, CHANNELS, TYPES
from stream.lat.exposure import counts, power_law
from stream.lat.patch import SIDE_DEG, to_patch, to_sky
from stream.lat.psf import Profiles
from stream.lat.sky import NSIDE as SMOOTH_NSIDE
from stream.lat.sky import Expected

Floats = NDArray[np.float64]

SIDE: Final = 6  # pixels
PIXEL_DEG: Final = 1 / SIDE
FAKE: Final = len(CLASSES)
KINDS: Final = (*CLASSES, "FAKE")
CUTOUT: Final = np.dtype(
    [
        ("counts", "<u2", (BANDS, YEARS, SIDE, SIDE)),  # rows to the north, columns to the west
        ("background", "<f4", (BANDS,)),  # counts expected of the smooth model in the whole cut-out
        ("label", "i1"),  # place in KINDS
        ("glon_deg", "<f8"),
        ("glat_deg", "<f8"),
        ("sigma", "<f4"),  # of the filter, at the middle
        ("flux", "<f4"),  # photons cm-2 s-1 from 1 to 100 GeV; 0: fake
    ]
)
LEAST_SIGMA: Final = 4.0
FAINTEST: Final = 1.5e-10  # photons cm-2 s-1: fainter sources shine, but are not looked at
FIELD: Final = 48  # pixels along a side of a field in which fakes are looked for: 8 degrees
PER_FIELD: Final = 8  # of them at most
TYPICAL: Final = (3e-10, 2.2)  # flux and index of the source that the filter is made for
CELLS: Final = 64  # nside of the cells that photons are sorted into: 0.9 degrees
OFF_DEG: Final = 0.3  # over sigma: how far a detection is from its source


class Filter:
    """What a typical source adds to the pixels around it, by band, and how surely it is seen there."""

    def __init__(self, truth: Truth, profiles: Profiles) -> None:
        at = truth.exposure.at([0.0], [0.0])
        rate = counts(power_law(*TYPICAL), at)[0]  # (TYPES, BANDS)
        fine = 5  # sub-pixels: a PSF may be narrower than a pixel
        grid = (np.arange((2 * SIDE + 1) * fine) + 0.5) / fine - (2 * SIDE + 1) / 2
        r = np.hypot(*np.meshgrid(grid, grid)) * PIXEL_DEG
        self.kernel = np.zeros((BANDS, 2 * SIDE + 1, 2 * SIDE + 1))
        for channel in range(CHANNELS):
            band, kind = divmod(channel, len(TYPES))
            light = profiles.at(channel, r) * rate[kind, band] * np.radians(PIXEL_DEG / fine) ** 2
            self.kernel[band] += light.reshape(2 * SIDE + 1, fine, 2 * SIDE + 1, fine).sum(axis=(1, 3))

    def sigma(self, image: Floats, background: Floats) -> Floats:
        """Return the significance at every pixel of counts (BANDS, h, w) over a background (BANDS,) per pixel."""
        level = background[:, None, None]
        peak = self.kernel.max(axis=(1, 2))[:, None, None]
        weight = self.kernel / (level + peak)
        signal = sum(fftconvolve(a, k[::-1, ::-1], "same") for a, k in zip(image - level, weight, strict=True))
        return np.asarray(signal / np.sqrt((weight**2 * level).sum()))

    def at_middle(self, image: Floats, background: Floats) -> Floats:
        """Return the significance of cut-outs (n, BANDS, SIDE, SIDE) about their middle, (n,)."""
        edge = slice(SIDE - SIDE // 2, SIDE + SIDE // 2 + 1)
        k = self.kernel[:, edge, edge]  # about a pixel; a cut-out's middle is between four
        mid = (k[:, 1:, 1:] + k[:, :-1, 1:] + k[:, 1:, :-1] + k[:, :-1, :-1]) / 4
        level = background[:, :, None, None]
        weight = mid[None] / (level + mid.max(axis=(1, 2))[None, :, None, None])
        noise = np.sqrt((weight**2 * level).sum(axis=(1, 2, 3)))
        return np.asarray((weight * (image - level)).sum(axis=(1, 2, 3)) / noise)


def cutouts_of(
    truth: Truth, scatter: Scatter, profiles: Profiles, rng: np.random.Generator, fakes: int
) -> NDArray[Any]:
    """Return CUTOUT rows of the sources of a sky that the filter sees, and of as many fakes as asked for."""
    chosen = Filter(truth, profiles)
    return np.concatenate([_sources(truth, scatter, chosen, rng), _fakes(truth, chosen, rng, fakes)])


def _smooth(expected: Expected, glon_deg: Floats, glat_deg: Floats) -> tuple[Floats, Floats]:
    """Return counts per pixel of a cut-out of interstellar and isotropic light, (BANDS, n) each."""
    pixels, weights = hp.get_interp_weights(SMOOTH_NSIDE, glon_deg, glat_deg, lonlat=True)
    both = []
    for maps in (expected.iem, expected.iso):
        by_channel = (maps[:, pixels] * weights).sum(axis=1) * np.radians(PIXEL_DEG) ** 2
        both.append(by_channel.reshape(BANDS, len(TYPES), -1).sum(axis=1))
    return both[0], both[1]


def _grid(side: int) -> tuple[Floats, Floats]:
    at = SIDE_DEG / 2 + (np.arange(side) - (side - 1) / 2) * PIXEL_DEG
    x, y = np.meshgrid(at, at)
    return x.ravel(), y.ravel()


def _diffuse(truth: Truth, place: tuple[float, float], side: int) -> Floats:
    """Return the counts of diffuse light expected in the pixels of a square, (BANDS, side, side)."""
    lon, lat = to_sky(*place, *_grid(side))
    iem, iso = _smooth(truth.expected, lon, lat)
    return (iem * truth.sky.factor(lon, lat) + iso).reshape(BANDS, side, side)


def _sources(truth: Truth, scatter: Scatter, chosen: Filter, rng: np.random.Generator) -> NDArray[Any]:
    table = truth.sources
    photons = scatter.draw(table, truth.exposure, rng)
    year = _years(table["yearly"], photons["source"], rng)
    cell = hp.ang2pix(CELLS, photons["glon_deg"], photons["glat_deg"], lonlat=True)
    order = np.argsort(cell, kind="stable")
    first = np.searchsorted(cell[order], np.arange(12 * CELLS**2 + 1))
    places = photons["glon_deg"][order], photons["glat_deg"][order]
    when = (photons["channel"][order] // len(TYPES)).astype(np.int64) * YEARS + year[order]  # band and year
    bright = np.flatnonzero(table["flux"] > FAINTEST)
    rows = np.zeros(len(bright), CUTOUT)
    off = np.radians(OFF_DEG) * rng.standard_normal((len(bright), 2)) / _signal(table["flux"][bright])[:, None]
    for row, one, (a, b) in zip(rows, table[bright], np.degrees(off), strict=True):
        lon, lat = to_sky(one["glon_deg"], one["glat_deg"], SIDE_DEG / 2 + a, SIDE_DEG / 2 + b)
        place = float(lon), float(lat)
        near = _within(place, first)
        near = near[np.abs(places[1][near] - place[1]) < 0.75]  # half a diagonal is 0.71
        x, y = to_patch(*place, places[0][near], places[1][near])
        column, line = (np.floor((v - SIDE_DEG / 2) / PIXEL_DEG + SIDE / 2) for v in (x, y))
        kept = (column >= 0) & (column < SIDE) & (line >= 0) & (line < SIDE)
        cell = (when[near[kept]] * SIDE + line[kept].astype(np.int64)) * SIDE + column[kept].astype(np.int64)
        image = rng.poisson(np.repeat(_diffuse(truth, place, SIDE)[:, None] / YEARS, YEARS, axis=1))
        image += np.bincount(cell, minlength=image.size).reshape(image.shape)
        row["counts"], row["label"], row["flux"] = np.minimum(image, 65535), one["class"], one["flux"]
        row["glon_deg"], row["glat_deg"] = place
    return _judged(rows, truth.expected, chosen)


def _signal(flux: Floats) -> Floats:
    """Return about how many sigma a source has: enough for how far off it is seen."""
    return np.maximum(4.0 * flux / 2e-10, 4.0)


def _within(place: tuple[float, float], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where in the sorted list the photons of a place's cell and of those around it are."""
    own = int(hp.ang2pix(CELLS, *place, lonlat=True))
    with np.errstate(invalid="ignore"):  # a corner of eight has no neighbour there: -1
        around = neighbours(own, CELLS, order="ring")
    return np.concatenate([np.arange(first[k], first[k + 1]) for k in (own, *around[around >= 0])])


def _years(yearly: Floats, source: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the year in which each photon came: Poisson counts of ten years, thinned."""
    bounds = np.cumsum(yearly / yearly.sum(axis=1, keepdims=True), axis=1)
    drawn, year = rng.random(len(source)), np.zeros(len(source), np.int64)
    for k in range(YEARS - 1):
        year += drawn > bounds[source, k]
    return year


def _judged(rows: NDArray[Any], expected: Expected, chosen: Filter) -> NDArray[Any]:
    """Return the rows that the filter sees, with background and sigma."""
    iem, iso = _smooth(expected, rows["glon_deg"], rows["glat_deg"])
    level = (iem + iso).T
    rows["background"] = level * SIDE**2
    rows["sigma"] = chosen.at_middle(rows["counts"].sum(axis=2).astype(float), level)
    return rows[rows["sigma"] >= LEAST_SIGMA]


def _fakes(truth: Truth, chosen: Filter, rng: np.random.Generator, number: int) -> NDArray[Any]:
    found = [np.zeros(0, CUTOUT)]
    total = 0
    for row in _maxima(truth, chosen, rng):
        kept = _judged(row, truth.expected, chosen)
        found.append(kept)
        total += len(kept)
        if total >= number:
            break
    return np.concatenate(found)


def _maxima(truth: Truth, chosen: Filter, rng: np.random.Generator, most: int = 5000) -> Iterator[NDArray[Any]]:
    """Yield cut-outs about the highest points of the filter in fields without a source, some for each field."""
    half, rim = SIDE // 2, SIDE
    for _ in range(most):
        place = rng.uniform(0, 360), float(np.degrees(np.arcsin(rng.uniform(-1, 1))))
        image = rng.poisson(_diffuse(truth, place, FIELD)).astype(float)
        iem, iso = _smooth(truth.expected, *(np.atleast_1d(v) for v in place))
        sigma = chosen.sigma(image, (iem + iso)[:, 0])
        peak = (sigma == maximum_filter(sigma, SIDE)) & (sigma >= LEAST_SIGMA)
        peak[:rim], peak[-rim:], peak[:, :rim], peak[:, -rim:] = False, False, False, False
        places = np.argwhere(peak)
        rows = np.zeros(min(len(places), PER_FIELD), CUTOUT)
        rows["label"] = FAKE
        for row, (y, x) in zip(rows, rng.permutation(places).tolist(), strict=False):
            top, left = y - half, x - half
            there = image[:, top : top + SIDE, left : left + SIDE].astype(np.int64)
            split = rng.multinomial(there, np.full(YEARS, 1 / YEARS))  # (BANDS, SIDE, SIDE, YEARS)
            row["counts"] = np.moveaxis(split, -1, 1)
            off = (np.array([left, top]) + half - FIELD / 2) * PIXEL_DEG
            row["glon_deg"], row["glat_deg"] = to_sky(*place, SIDE_DEG / 2 + off[0], SIDE_DEG / 2 + off[1])
        yield rows
