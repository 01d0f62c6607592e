"""Finds the sources of an image and measures each: one row of features for a judge of source classes.

The same function makes the rows that a model is trained on and those that it judges while an observation goes on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kstwobign

from stream.imaging.detect import Detections, detect
from stream.imaging.image import FWHM
from stream.imaging.morphology import measure
from stream.judges.sources import features_of
from stream.spectra.fit import Fit, fit_spectrum
from stream.spectra.model import Model, parse_model
from stream.spectra.response import Response
from stream.spectra.spectrum import Spectrum
from stream.spectra.statistic import expected_cstat, expected_wstat

Floats = NDArray[np.float64]
Columns = dict[str, NDArray[np.float64]]

BAND_KEV: Final = (0.5, 8.0)  # of images, fits and fluxes
HARDNESS_KEV: Final = (0.5, 1.2, 2.0, 8.0)  # soft, medium, hard: Evans et al. 2010, ApJS 189, 37 (hard to 7 keV there)
HELD: Final = 0.9  # of a point source's light in its circle
RING: Final = (1.5, 5.0)  # radii of the background over that of the circle
KEPT_OUT: Final = 1.5  # radius around other sources that is no background, likewise
LEAST_BACKGROUND_PX: Final = 40.0
BIN_KEV: Final = 0.08  # of a spectrum, as wide as a silicon detector resolves at 1 keV: W-stat wants counts in its bins
SAME_PX: Final = 1.0  # how far a source may seem to move from one catalogue to the next
LEAST_FIT: Final = 10.0  # net counts below which a spectrum is not fitted
LEAST_COMPARED: Final = 40.0  # net counts below which other models are not tried
DRAWS: Final = 40
MODELS: Final = ("tbabs*powerlaw", "tbabs*bremss", "tbabs*bbody")
MORE_FEATURES: Final[dict[str, str]] = {  # beside `FEATURES` of `stream.judges.sources`
    "log_kt_bbody": "dex of keV",
    "delta_c_bremss": "",  # C of thermal bremsstrahlung less that of the power law
    "delta_c_bbody": "",  # of the black body, likewise
    "log_median_kev": "dex of keV",  # of the counts in its circle less background
    "log_fwhm_ratio": "dex",  # of its width and that of the PSF
    "log_net_over_background": "dex",  # in its circle
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a camera saw of a field; events of the band and of others, in any order."""

    x: NDArray[Any]  # (m,) column, px; pixel centres at integers
    y: NDArray[Any]  # (m,) row
    energy_kev: NDArray[Any]  # (m,) measured
    time_s: NDArray[Any]  # (m,)
    channel: NDArray[Any]  # (m,) number, as of the response
    exposure_s: Floats  # (rows, columns): 0 in gaps and bad pixels
    response: Response
    psf_sigma_px: float

    def image(self, low_kev: float, high_kev: float) -> Floats:
        """Return the counts in a band, (rows, columns)."""
        rows, columns = self.exposure_s.shape
        x, y = np.rint(self.x).astype(np.int64), np.rint(self.y).astype(np.int64)
        on = (self.energy_kev >= low_kev) & (self.energy_kev < high_kev)
        on &= (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
        counts = np.bincount(y[on] * columns + x[on], minlength=rows * columns)
        return counts.reshape(rows, columns).astype(float)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What was found, brightest first, and what is known of it."""

    columns: Columns  # (n,) each: x, y, and features by name with NAME_error; NaN: not measured
    detections: Detections
    morphology: NDArray[Any]  # (n,) MORPHOLOGY
    spectra: tuple[Spectrum, ...]  # (n,) with their backgrounds
    fits: dict[str, list[Fit | None]]  # by model, (n,); None: too few counts

    def __len__(self) -> int:
        """Return how many were found."""
        return len(self.morphology)


def make_catalogue(seen: Seen, threshold: float = 5.0, like: Catalogue | None = None) -> Catalogue:
    """Find sources at a threshold in sigma, measure them, fit their spectra. No events: no rows.

    Without an area of the response nothing is fitted: fluxes would be photons per second, slopes those of the area.
    like: an earlier one of the same field; fits of sources that were there begin where they ended, in half the time.
    """
    counts = seen.image(*BAND_KEV)
    found = detect(counts, seen.exposure_s, seen.psf_sigma_px, threshold)
    shapes = measure(counts, seen.exposure_s, found, seen.psf_sigma_px)
    regions = list(_regions(seen, found))
    spectra = tuple(_spectrum(seen, region) for region in regions)
    net = np.array([net_counts(spectrum, seen.response)[0] for spectrum in spectra])
    earlier, has_area = _earlier(found, like), seen.response.has_area
    fits = {
        text: [
            _fit(text, s, seen.response, like.fits[text][k] if like is not None and k >= 0 else None)
            if n >= least and has_area
            else None
            for s, n, k in zip(spectra, net, earlier, strict=True)
        ]
        for text, least in zip(MODELS, (LEAST_FIT, LEAST_COMPARED, LEAST_COMPARED), strict=True)
    }
    others = _of_fits(fits) | _of_counts(seen, regions) | _of_places(found, shapes, seen.psf_sigma_px)
    columns = features_of([_measured(fit) for fit in fits[MODELS[0]]], shapes, others)
    return Catalogue(columns, found, shapes, spectra, fits)


@dataclass(frozen=True, slots=True)
class _Region:
    """Events of a circle and of the ring around it."""

    on: NDArray[np.int64]  # places among the events
    off: NDArray[np.int64]
    share: float  # of its light that falls on the pixels of the circle
    on_s: float  # mean exposure of these pixels
    on_px: int
    off_s: float
    off_px: int

    @property
    def scale(self) -> float:
        """Background counts of the circle for each of the ring."""
        return self.on_s * self.on_px / max(self.off_s * self.off_px, 1e-30)


def _regions(seen: Seen, found: Detections) -> Iterator[_Region]:
    """Yield the region of each source. A pixel belongs to the nearest source; a poor ring is widened."""
    rows, columns = seen.exposure_s.shape
    x, y = np.rint(seen.x).astype(np.int64), np.rint(seen.y).astype(np.int64)
    inside = np.flatnonzero((x >= 0) & (x < columns) & (y >= 0) & (y < rows))
    pixel = y[inside] * columns + x[inside]
    order = np.argsort(pixel, kind="stable")
    inside, begins = inside[order], np.searchsorted(pixel[order], np.arange(rows * columns + 1))
    place = np.stack([found.sources["x"], found.sources["y"]], axis=1)
    radius = seen.psf_sigma_px * np.sqrt(-2 * np.log(1 - HELD))
    for number, (cx, cy) in enumerate(place):
        near = place[np.hypot(*(place - place[number]).T) < (4 * RING[1] + 2) * radius]
        for wide in (1.0, 2.0, 4.0):
            reach = RING[1] * wide * radius
            top, left = max(int(cy - reach), 0), max(int(cx - reach), 0)
            gy, gx = np.mgrid[top : min(int(cy + reach) + 2, rows), left : min(int(cx + reach) + 2, columns)]
            away = np.hypot(gx - cx, gy - cy)
            nearest = np.full(away.shape, np.inf)
            for ox, oy in near:
                if ox != cx or oy != cy:
                    nearest = np.minimum(nearest, np.hypot(gx - ox, gy - oy))
            exposure = seen.exposure_s[gy, gx]
            on = (away <= radius) & (nearest >= away) & (exposure > 0)
            off = (away > RING[0] * radius) & (away <= reach) & (nearest > KEPT_OUT * radius) & (exposure > 0)
            if off.sum() >= LEAST_BACKGROUND_PX * wide:
                break
        at = gy * columns + gx
        psf = np.exp(-(away**2) / (2 * seen.psf_sigma_px**2)) / (2 * np.pi * seen.psf_sigma_px**2)
        yield _Region(
            _events(at[on], begins, inside),
            _events(at[off], begins, inside),
            max(float(psf[on].sum()), 0.05),
            float(exposure[on].mean()) if on.any() else 0.0,
            int(on.sum()),
            float(exposure[off].mean()) if off.any() else 0.0,
            int(off.sum()),
        )


def _events(pixels: NDArray[np.int64], begins: NDArray[np.int64], inside: NDArray[np.int64]) -> NDArray[np.int64]:
    first, number = begins[pixels], begins[pixels + 1] - begins[pixels]
    done = np.cumsum(number) - number  # events of the pixels before
    return inside[np.repeat(first - done, number) + np.arange(number.sum())]


def _spectrum(seen: Seen, region: _Region) -> Spectrum:
    """Return counts in channels; the exposure holds the share of the light, so that fluxes are of all of it."""
    off = Spectrum.of(_channels(seen, region.off), max(region.off_s, 1e-3), backscal=max(region.off_px, 1))
    on_s = max(region.on_s * region.share, 1e-3)
    on = _channels(seen, region.on)
    wide = max(1, round(BIN_KEV / float(np.median(seen.response.e_max_kev - seen.response.e_min_kev))))
    grouping = np.where(np.arange(len(on)) % wide == 0, 1, -1)
    return Spectrum.of(on, on_s, off, backscal=max(region.on_px, 1) / region.share, grouping=grouping)


def _channels(seen: Seen, events: NDArray[np.int64]) -> Floats:
    place = seen.channel[events].astype(np.int64) - int(seen.response.channel[0])
    kept = place[(place >= 0) & (place < len(seen.response.channel))]
    return np.bincount(kept, minlength=len(seen.response.channel)).astype(float)


def net_counts(spectrum: Spectrum, response: Response, band: tuple[float, float] = BAND_KEV) -> tuple[float, float]:
    """Return net counts in a band, keV, and their variance."""
    inside = (response.e_min_kev >= band[0]) & (response.e_max_kev <= band[1])
    off = spectrum.background
    on = float(spectrum.counts[inside].sum())
    if off is None:
        return on, on
    scale = spectrum.exposure_s * spectrum.backscal[0] / (off.exposure_s * off.backscal[0])
    back = float(off.counts[inside].sum())
    return on - scale * back, on + scale**2 * back


@cache
def _model(text: str) -> Model:
    return parse_model(text)


def _earlier(found: Detections, like: Catalogue | None) -> NDArray[np.int64]:
    """Return the place (n,) of each source in an earlier catalogue, -1: it was not there."""
    place = np.full(len(found.sources), -1)
    if like is None or not len(like):
        return place
    before = like.detections.sources
    for i, source in enumerate(found.sources):
        away = np.hypot(before["x"] - source["x"], before["y"] - source["y"])
        if away.min() <= SAME_PX:
            place[i] = away.argmin()
    return place


def _fit(text: str, spectrum: Spectrum, response: Response, earlier: Fit | None) -> Fit:
    """Return the fit of a model; from where an earlier one ended, if that leads anywhere."""
    if earlier is not None and earlier.converged and not earlier.at_bound.any():
        fit = fit_spectrum(_model(text), spectrum, response, band_kev=BAND_KEV, start=earlier.values)
        if fit.converged and not fit.at_bound.any():
            return fit
    return fit_spectrum(_model(text), spectrum, response, band_kev=BAND_KEV)


@dataclass(slots=True)
class _Measured:
    """What `features_of` reads of a fit."""

    names: Sequence[str]
    values: Floats
    errors: Floats
    at_bound: NDArray[np.bool_]
    value: float
    expected: float
    expected_sd: float
    converged: bool


def _measured(fit: Fit | None) -> _Measured | None:
    """Return a fit with what its W-stat is expected to be, from few draws: to 0.15 sd, in a fifth of the time."""
    if fit is None:
        return None
    data, predicted = fit.data, fit.source_counts
    if fit.statistic == "cstat":
        expected = expected_cstat(predicted)
    else:
        expected = expected_wstat((data.counts, data.off), data.alpha, predicted, DRAWS)
    return _Measured(fit.names, fit.values, fit.errors, fit.at_bound, fit.value, *expected, fit.converged)


def _of_fits(fits: dict[str, list[Fit | None]]) -> Columns:
    """Return fluxes, temperatures, and how other models compare, (n,) each."""
    law, thermal, black = (fits[text] for text in MODELS)
    n = len(law)
    names = ("log_flux", "log_kt", "log_kt_bbody")
    out = {name + end: np.full(n, np.nan) for name in names for end in ("", "_error")}
    out |= {"delta_c_bremss": np.full(n, np.nan), "delta_c_bbody": np.full(n, np.nan)}
    for i, fit in enumerate(law):
        if fit is None:
            continue
        flux = fit.flux(*BAND_KEV)
        if flux.erg > 0 and np.isfinite(flux.erg_error):
            out["log_flux"][i] = np.log10(flux.erg)
            out["log_flux_error"][i] = flux.erg_error / flux.erg / np.log(10)
        for name, rival in (("delta_c_bremss", thermal[i]), ("delta_c_bbody", black[i])):
            if rival is not None:
                out[name][i] = rival.value - fit.value
        for name, rival, parameter in (("log_kt", thermal[i], "bremss.kT"), ("log_kt_bbody", black[i], "bbody.kT")):
            if rival is not None and rival.converged:
                kt, error = rival[parameter]
                if error > 0:  # not at a bound
                    out[name][i], out[f"{name}_error"][i] = np.log10(kt), error / kt / np.log(10)
    return out


def _of_counts(seen: Seen, regions: Sequence[_Region]) -> Columns:
    """Return hardness ratios, median energy, variability and contrast, (n,) each."""
    names = ("hardness_soft", "hardness_hard", "log_median_kev", "variability", "log_net_over_background")
    out = {name + end: np.full(len(regions), np.nan) for name in names for end in ("", "_error")}
    del out["variability_error"]
    every = np.sort(seen.time_s)
    for i, region in enumerate(regions):
        on, off = np.asarray(seen.energy_kev[region.on], float), np.asarray(seen.energy_kev[region.off], float)
        counts = np.histogram(on, HARDNESS_KEV)[0].astype(float)
        back = np.histogram(off, HARDNESS_KEV)[0].astype(float)
        net = (
            np.maximum(counts - region.scale * back, 0.0) + 0.5
        )  # half a count: Jeffreys; Park et al. 2006, ApJ 652, 610
        variance = counts + region.scale**2 * back + 0.5
        for name, low in (("hardness_soft", 0), ("hardness_hard", 1)):
            (a, b), (va, vb) = net[low : low + 2], variance[low : low + 2]
            out[name][i] = (b - a) / (a + b)
            out[f"{name}_error"][i] = min(2 * np.sqrt(a**2 * vb + b**2 * va) / (a + b) ** 2, 1.0)
        total, under = counts.sum() - region.scale * back.sum(), region.scale * back.sum()
        if total > 0:
            out["log_net_over_background"][i] = np.log10(total / max(under, 0.5))
            out["log_net_over_background_error"][i] = np.sqrt(counts.sum() + 1) / total / np.log(10)
        _set_median(out, i, on, off, region.scale)
        within = (on >= BAND_KEV[0]) & (on < BAND_KEV[1])
        out["variability"][i] = variability(seen.time_s[region.on][within], every)
    return out


def _set_median(out: Columns, i: int, on: Floats, off: Floats, scale: float) -> None:
    """Set the energy with half of the net counts below it."""
    edges = np.linspace(*BAND_KEV, 151)
    net = np.cumsum(np.histogram(on, edges)[0] - scale * np.histogram(off, edges)[0])
    if net[-1] < 3:
        return
    median = float(np.interp(net[-1] / 2, np.maximum.accumulate(net), edges[1:]))
    spread = np.subtract(*np.interp(net[-1] * np.array([0.84, 0.16]), np.maximum.accumulate(net), edges[1:])) / 2
    out["log_median_kev"][i] = np.log10(median)
    out["log_median_kev_error"][i] = max(1.25 * spread / np.sqrt(net[-1]), 0.02) / median / np.log(10)


def variability(time_s: NDArray[Any], every: NDArray[Any]) -> float:
    """Return ln(p / (1 - p)), within 10, of the probability p that a source varies; NaN below 5 events.

    Kolmogorov and Smirnov's test of its times (k,) against all times of the field, (m,) rising: gaps are in both.
    """
    k = len(time_s)
    if k < 5 or len(every) < 2:
        return float("nan")
    at = np.searchsorted(every, np.sort(time_s), side="left") / len(every)
    steps = np.arange(k + 1) / k
    away = max(float((steps[1:] - at).max()), float((at - steps[:-1]).max()))
    chance = float(kstwobign.sf(away * (np.sqrt(k) + 0.12 + 0.11 / np.sqrt(k))))  # Stephens 1970
    chance = float(np.clip(chance, 4.5e-5, 1 - 4.5e-5))
    return float(np.log((1 - chance) / chance))


def _of_places(found: Detections, shapes: NDArray[Any], psf_sigma_px: float) -> Columns:
    """Return positions, significance and width over the PSF's, (n,) each."""
    sources, whole = found.sources, FWHM * psf_sigma_px
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log10(np.asarray(shapes["fwhm_px"], float) / whole)
        error = np.asarray(shapes["fwhm_error_px"], float) / shapes["fwhm_px"] / np.log(10)
        significance = np.log10(np.asarray(sources["significance"], float))
    return {
        "x": np.asarray(sources["x"], float),
        "y": np.asarray(sources["y"], float),
        "log_significance": np.where(np.isfinite(significance), significance, np.nan),
        "log_fwhm_ratio": np.where(np.isfinite(ratio), ratio, np.nan),
        "log_fwhm_ratio_error": np.where(np.isfinite(error), error, np.nan),
    }
