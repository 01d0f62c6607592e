"""Cut-outs of a simulated sky around sources and around what only looks like one: year by year, band by band.

The sky is counted in the stream's own yearly maps and cut by the stream's own function. What is expected of diffuse
light is that of the model which the stream has, not of the varied one that shines. Sources and fakes are chosen by the
same filter: fakes are maxima of noise, of the fine structure that no model knows, and of sources too faint to be found.
"""

from dataclasses import dataclass
from typing import Any, Final

import astropy_healpix.healpy as hp
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.signal import fftconvolve

from sim.lat.catalogue import CLASSES
from sim.lat.patches import Truth
from sim.lat.photons import Scatter
from stream.lat.bands import BANDS, CHANNELS, TYPES
from stream.lat.cube import YEAR_NSIDE, YEAR_S
from stream.lat.cutouts import (
    PIXEL_DEG,
    SIDE,
    YEARS,
    cut_out,
    grid_about,
    resample,
    smooth_at,
)
from stream.lat.exposure import SURVEY_LIVE, counts, power_law
from stream.lat.patch import SIDE_DEG, centres, to_sky
from stream.lat.psf import Profiles
from stream.lat.sphere import unit_vectors

Floats = NDArray[np.float64]

FAKE: Final = len(CLASSES)
KINDS: Final = (*CLASSES, "FAKE")
CUTOUT: Final = np.dtype(
    [
        ("counts", "<f2", (BANDS, YEARS, SIDE, SIDE)),  # as of `stream.lat.cutouts.Cutouts`
        ("background", "<f4", (BANDS,)),
        ("good_s", "<f4", (YEARS,)),
        ("label", "i1"),  # place in KINDS
        ("glon_deg", "<f8"),
        ("glat_deg", "<f8"),
        ("sigma", "<f4"),  # of the filter, at the middle
        ("flux", "<f4"),  # photons cm-2 s-1 from 1 to 100 GeV; 0: fake
    ]
)
LEAST_SIGMA: Final = 3.7
FAINTEST: Final = 1.0e-10  # photons cm-2 s-1: fainter sources shine, but are not looked at
FAINT_FAKE: Final = 5e-11  # no source brighter than that lies within NEAR_DEG of a fake
NEAR_DEG: Final = 0.5
FIELD: Final = 46  # pixels along a side of a field in which fakes are looked for: 10 degrees and a rim
RIM: Final = 3
TYPICAL: Final = 3e-10  # flux of the sources that the filter is made for
INDICES: Final = (1.8, 2.2, 2.8)
DOUBT: Final = (0.02, 0.04, 4.0)  # of the background: far from the plane, more in it, within so many degrees
OFF_DEG: Final = 0.3  # over sigma: how far a detection is from its source
AT_ONCE: Final = 2000  # sources whose photons are drawn together


class Filter:
    """What typical sources add to the pixels around them, by band, and how surely they are seen there."""

    def __init__(self, truth: Truth, profiles: Profiles) -> None:
        at = truth.exposure.at([0.0], [0.0])
        rate = counts(power_law([TYPICAL] * len(INDICES), INDICES), at)  # (spectra, TYPES, BANDS)
        fine = 5  # sub-pixels: a PSF may be narrower than a pixel
        grid = (np.arange((2 * SIDE + 1) * fine) + 0.5) / fine - (2 * SIDE + 1) / 2
        r = np.hypot(*np.meshgrid(grid, grid)) * PIXEL_DEG
        self.kernel = np.zeros((len(INDICES), BANDS, 2 * SIDE + 1, 2 * SIDE + 1))
        for channel in range(CHANNELS):
            band, kind = divmod(channel, len(TYPES))
            light = profiles.at(channel, r) * np.radians(PIXEL_DEG / fine) ** 2
            image = light.reshape(2 * SIDE + 1, fine, 2 * SIDE + 1, fine).sum(axis=(1, 3))
            self.kernel[:, band] += rate[:, kind, band, None, None] * image
        one = self.kernel[0]
        self._pixels = one.sum(axis=(1, 2)) ** 2 / (one**2).sum(axis=(1, 2))  # under the PSF, by band

    def trust(self, background: Floats, glat_deg: Floats) -> Floats:
        """Return the share of the weight (n, BANDS) that is left where the background (n, BANDS) is never exact."""
        far, more, width = DOUBT
        doubt = far + more * np.exp(-np.abs(np.asarray(glat_deg)) / width)
        return np.asarray(1 / (1 + doubt[:, None] ** 2 * background * self._pixels))

    def sigma(self, image: Floats, level: Floats, glat_deg: float) -> Floats:
        """Return the significance at every pixel of counts (BANDS, h, w) over a background of the same shape."""
        middle = level.mean(axis=(1, 2))
        trust = self.trust(middle[None], np.array([glat_deg]))[0]
        best = np.full(image.shape[1:], -np.inf)
        for kernel in self.kernel:
            weight = kernel * (trust / (middle + kernel.max(axis=(1, 2))))[:, None, None]
            signal = fftconvolve(image - level, weight, "same", axes=(1, 2)).sum(axis=0)
            square = weight**2 / trust[:, None, None]
            noise = (fftconvolve(level, square, "same", axes=(1, 2))).sum(axis=0)
            best = np.maximum(best, signal / np.sqrt(np.maximum(noise, 1e-12)))
        return best

    def at_middle(self, image: Floats, background: Floats, glat_deg: Floats) -> Floats:
        """Return the significance of cut-outs (n, BANDS, SIDE, SIDE) about their middle, (n,)."""
        edge = slice(SIDE - SIDE // 2, SIDE + SIDE // 2 + 1)
        trust, level = self.trust(background, glat_deg), background[:, :, None, None]
        best = np.full(len(image), -np.inf)
        for kernel in self.kernel[:, :, edge, edge]:  # about a pixel; a cut-out's middle is between four
            mid = (kernel[:, 1:, 1:] + kernel[:, :-1, 1:] + kernel[:, 1:, :-1] + kernel[:, :-1, :-1]) / 4
            weight = mid[None] * (trust / (background + mid.max(axis=(1, 2))))[:, :, None, None]
            noise = np.sqrt((weight**2 * level / trust[:, :, None, None]).sum(axis=(1, 2, 3)))
            best = np.maximum(best, (weight * (image - level)).sum(axis=(1, 2, 3)) / noise)
        return best


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """A sky as the stream counts it."""

    years: dict[int, NDArray[np.uint16]]  # (BANDS, 12 YEAR_NSIDE^2)
    quiet: NDArray[np.uint32]  # (BANDS, 12 YEAR_NSIDE^2) of all years, without sources that are looked at
    good_s: dict[int, float]


def count(truth: Truth, scatter: Scatter, years: int, rng: np.random.Generator) -> Counted:
    """Return the counts of so many whole years, of a truth whose exposure is of the same time."""
    number = 12 * YEAR_NSIDE**2
    expected = _diffuse(truth)
    maps = {year: rng.poisson(expected / years).astype(np.uint16) for year in range(years)}
    quiet = np.asarray(np.sum(list(maps.values()), axis=0, dtype=np.uint32))
    for first in range(0, len(truth.sources), AT_ONCE):
        some = truth.sources[first : first + AT_ONCE]
        photons = scatter.draw(some, truth.exposure, rng)
        year = shared_out(some["yearly"][:, :years], photons["source"], rng)
        pixel = hp.ang2pix(YEAR_NSIDE, photons["glon_deg"], photons["glat_deg"], lonlat=True)
        place = (photons["channel"] // len(TYPES)).astype(np.int64) * number + pixel
        for k, one in maps.items():
            one += np.bincount(place[year == k], minlength=BANDS * number).reshape(BANDS, number).astype(np.uint16)
        faint = some["flux"][photons["source"]] < FAINTEST
        quiet += np.bincount(place[faint], minlength=BANDS * number).reshape(BANDS, number).astype(np.uint32)
    return Counted(maps, quiet, dict.fromkeys(range(years), SURVEY_LIVE * YEAR_S))


def _diffuse(truth: Truth) -> Floats:
    """Return the counts of diffuse light expected in each pixel, (BANDS, 12 YEAR_NSIDE^2)."""
    number = 12 * YEAR_NSIDE**2
    lon, lat = hp.pix2ang(YEAR_NSIDE, np.arange(number), lonlat=True)
    light, iso = (maps.reshape(BANDS, len(TYPES), -1).sum(axis=1) for maps in (truth.expected.iem, truth.expected.iso))
    out = np.empty((BANDS, number))
    for part in np.array_split(np.arange(number), 48):
        factor = truth.sky.factor(lon[part], lat[part])
        out[:, part] = smooth_at(light, lon[part], lat[part]).T * factor + smooth_at(iso, lon[part], lat[part]).T
    return out * (4 * np.pi / number)


def shared_out(yearly: Floats, source: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the year in which each photon came: Poisson counts of all years, thinned."""
    bounds = np.cumsum(yearly / yearly.sum(axis=1, keepdims=True), axis=1)
    drawn, year = rng.random(len(source)), np.zeros(len(source), np.int64)
    for k in range(yearly.shape[1] - 1):
        year += drawn > bounds[source, k]
    return year


def cutouts_of(
    truth: Truth, counted: Counted, model: Floats, profiles: Profiles, rng: np.random.Generator, fakes: int
) -> NDArray[Any]:
    """Return CUTOUT rows of the sources of a sky that the filter sees, and of as many fakes as asked for.

    model: what the stream expects of diffuse light, of `stream.lat.cutouts.by_band`.
    """
    chosen = Filter(truth, profiles)
    bright = truth.sources[truth.sources["flux"] > FAINTEST]
    off = OFF_DEG * rng.standard_normal((2, len(bright))) / np.maximum(4.0 * bright["flux"] / 2e-10, 4.0)
    where = [
        to_sky(lon, lat, np.atleast_1d(SIDE_DEG / 2 + a), np.atleast_1d(SIDE_DEG / 2 + b))
        for lon, lat, a, b in zip(bright["glon_deg"], bright["glat_deg"], *off, strict=True)
    ]
    seen = _rows(counted, model, chosen, np.concatenate([np.empty((2, 0)), *map(np.array, where)], axis=1))
    kept = np.isfinite(seen["sigma"]) & (seen["sigma"] >= LEAST_SIGMA)
    seen["label"], seen["flux"] = bright["class"], bright["flux"]
    return np.concatenate([seen[kept], _fakes(truth, counted, model, chosen, rng, fakes)])


def _rows(counted: Counted, model: Floats, chosen: Filter, places: Floats) -> NDArray[Any]:
    """Return CUTOUT rows about places (2, n), without label and flux."""
    given = cut_out(counted.years, counted.good_s, model, (places[0], places[1]))
    rows = np.zeros(len(given), CUTOUT)
    rows["counts"], rows["background"] = np.minimum(given.counts, 65_000), given.background
    rows["good_s"], (rows["glon_deg"], rows["glat_deg"]) = given.good_s, places
    rows["sigma"] = chosen.at_middle(
        given.counts.sum(axis=2).astype(float), given.background.astype(float) / SIDE**2, places[1]
    )
    return rows


def _fakes(
    truth: Truth, counted: Counted, model: Floats, chosen: Filter, rng: np.random.Generator, number: int
) -> NDArray[Any]:
    source = truth.sources[truth.sources["flux"] > FAINT_FAKE]
    known = unit_vectors(source["glon_deg"], source["glat_deg"])
    places = [np.empty((2, 0))]
    for lon, lat in centres(0.0):
        found = _maxima(counted, model, chosen, (lon, lat))
        alone = (unit_vectors(*found) @ known.T).max(axis=1, initial=-1) < np.cos(np.radians(NEAR_DEG))
        places.append(found[:, alone])
    rows = _rows(counted, model, chosen, np.concatenate(places, axis=1))
    rows["label"] = FAKE
    return rng.permutation(rows[rows["sigma"] >= LEAST_SIGMA])[:number]


def _maxima(counted: Counted, model: Floats, chosen: Filter, centre: tuple[float, float]) -> Floats:
    """Return places (2, n) of the highest points of the filter in a field of the sky without bright sources."""
    image = resample(counted.quiet, grid_about(*centre, FIELD)[None])[0].astype(float)
    at = SIDE_DEG / 2 + (np.arange(FIELD) - (FIELD - 1) / 2) * PIXEL_DEG
    x, y = (v.ravel() for v in np.meshgrid(at, at))
    there = to_sky(*centre, x, y)
    level = smooth_at(model, *there).T.reshape(image.shape) * np.radians(PIXEL_DEG) ** 2
    level *= (image.sum(axis=(1, 2)) / level.sum(axis=(1, 2)))[:, None, None]
    sigma = chosen.sigma(image, level, centre[1])
    peak = (sigma == maximum_filter(sigma, SIDE)) & (sigma >= LEAST_SIGMA)
    peak[:RIM], peak[-RIM:], peak[:, :RIM], peak[:, -RIM:] = False, False, False, False
    return np.stack(there)[:, np.flatnonzero(peak)]
