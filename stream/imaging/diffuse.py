"""The diffuse map: what the sky emits between the sources, with its error in every pixel.

First by adaptive smoothing around masked sources, then jointly: point sources through the PSF on a log-Gaussian field
(`field`), the spectrum of which is the one with the greatest evidence. The sources' places are given, their fluxes are
fitted along with the field, and what the field cannot know because of them is in its error.

How good a map is (`scores`), over all pixels: rms = root of the mean of ((map - truth) / truth)^2; bias = mean of the
map / mean of the truth - 1; coverage = share of pixels with |map - truth| <= error, 68.3 % if the error is right.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from stream.imaging.detect import Detections
from stream.imaging.field import Grid, LogField, Modes, Spectrum
from stream.imaging.image import FWHM, Image, checked, local_mean, smooth
from stream.kernels.sources import add_source, fit_fluxes

FLUX = np.dtype([("id", "i4"), ("rate", "f8"), ("rate_error", "f8")])  # of a source, counts s-1


@dataclass(frozen=True, slots=True)
class DiffuseMap:
    """What was found; every map (rows, columns)."""

    rate: Image  # counts s-1 px-1; NaN if the image has no exposure at all
    error: Image  # 1 sigma
    first: Image  # counts s-1 px-1, by adaptive smoothing
    fluxes: NDArray[np.void]  # (n,) FLUX, in the order of the detections
    spectrum: Spectrum | None  # of the field; None where the counts are too few for one


FEWEST = 30.0  # counts of the diffuse field for which it has a spectrum
SMOOTHED = 250.0  # counts under the kernel of the adaptive smoothing: 6 %
MASK = 0.1  # a source's counts over the background's from which a pixel is masked
MOST_CELLS = 128  # along a side
COARSE = 64  # cells along a side, for the choice of the spectrum
SAMPLES = 64
EVALUATIONS = 90
SPREAD_SMOOTH = 7  # cells: the box over which the samples' variance is averaged


def diffuse_map(
    counts: ArrayLike, exposure: ArrayLike | None, detections: Detections, psf_sigma_px: float, seed: int = 0
) -> DiffuseMap:
    """Map the diffuse emission of the image in which `detections` were found.

    counts (rows, columns), counts per pixel; exposure (rows, columns) s or None: 1 s everywhere; psf_sigma_px: sigma of
    the PSF in the image; seed: of the samples that give the error. In gaps the map goes on, with a greater error. An
    image of fewer than FEWEST diffuse counts has a constant map. Raises ConfigError for images that are none.
    """
    image, time, longest_s = checked(counts, exposure, psf_sigma_px)
    sources = detections.sources
    table = np.stack([sources["x"], sources["y"], sources["sigma_px"]], axis=1).reshape(-1, 3)
    flux = np.array(sources["rate"] * longest_s)
    fluxes = np.zeros(len(sources), FLUX)
    fluxes["id"], fluxes["rate"], fluxes["rate_error"] = sources["id"], sources["rate"], sources["rate_error"]
    if longest_s == 0:
        nothing = np.full(image.shape, np.nan)
        return DiffuseMap(nothing, nothing, nothing, fluxes, None)
    model = np.zeros(image.shape)
    for (x, y, sigma), own in zip(table, flux, strict=True):
        add_source(model, time, (x, y, own, sigma), 1.0)
    mask = model > MASK * detections.background
    first = adaptive_map(image, time, model, mask, psf_sigma_px)
    left = float(image.sum() - model.sum())
    if left < FEWEST:
        flat = np.full(image.shape, (max(left, 0.0) + 0.5) / float(time.sum()) / longest_s)
        return DiffuseMap(flat, flat / np.sqrt(max(left, 0.0) + 0.5), first / longest_s, fluxes, None)
    spectrum = choose_spectrum(image, time, mask)
    rate, error, flux, flux_error = _joint(image, time, (table, flux), spectrum, psf_sigma_px, seed)
    fluxes["rate"], fluxes["rate_error"] = flux / longest_s, flux_error / longest_s
    return DiffuseMap(rate / longest_s, error / longest_s, first / longest_s, fluxes, spectrum)


def adaptive_map(counts: Image, exposure: Image, sources: Image, mask: NDArray[np.bool_], psf_sigma_px: float) -> Image:
    """Return the rate by smoothing around masked sources, until SMOOTHED counts are under the kernel."""
    side = 2 * int(2 * FWHM * psf_sigma_px) + 1
    return local_mean(counts, exposure, sources, mask, side, SMOOTHED, 1.5)


def choose_spectrum(counts: Image, exposure: Image, mask: NDArray[np.bool_]) -> Spectrum:
    """Return the spectrum with the greatest evidence times a broad prior, on coarse cells outside the mask.

    counts, exposure, mask (rows, columns). The logarithms of sigma and length, and the slope, are searched by the
    simplex of Nelder and Mead.
    """
    cell = max(1, -(-max(counts.shape) // COARSE))
    n, time = (_binned(np.where(mask, 0.0, image), cell) for image in (counts, exposure))
    grid = Grid(n.shape, 1)
    side = max(n.shape)
    mean = float(np.log(n.sum() / time.sum()))
    centre = np.array([np.log(0.5), np.log(side / 8), 3.0])
    width = np.array([1.0, 1.0, 1.0])
    low, high = np.array([np.log(0.01), np.log(0.5), 1.2]), np.array([np.log(5.0), np.log(2.0 * side), 6.0])
    last: list[Modes] = []

    def loss(at: NDArray[np.float64]) -> float:
        inside = np.clip(at, low, high)
        field = LogField.of(grid, _spectrum(inside), n, time, mean)
        field.xi = last[-1] if last else field.xi
        field.settle(settled=0.01)
        last[:] = [field.xi]
        prior = 0.5 * float(np.sum(((inside - centre) / width) ** 2)) + 100 * float(np.sum(np.abs(at - inside)))
        return prior - field.evidence()

    simplex = centre + np.array([[0, 0, 0], [0.5, 0, 0], [0, 0.7, 0], [0, 0, 0.8]])
    options = {"initial_simplex": simplex, "maxfev": EVALUATIONS, "xatol": 0.1, "fatol": 0.3}
    best = _spectrum(np.clip(minimize(loss, centre, method="Nelder-Mead", options=options).x, low, high))
    return replace(best, length_px=best.length_px * cell)


def _spectrum(at: NDArray[np.float64]) -> Spectrum:
    return Spectrum(float(np.exp(at[0])), float(np.exp(at[1])), float(at[2]))


def _binned(image: Image, cell: int) -> Image:
    """Return sums over cells; the last row and column of cells may be cut by the image."""
    rows, columns = (-(-side // cell) for side in image.shape)
    whole = np.zeros((rows * cell, columns * cell))
    whole[: image.shape[0], : image.shape[1]] = image
    return np.asarray(whole.reshape(rows, cell, columns, cell).sum(axis=(1, 3)))


def _joint(
    counts: Image,
    exposure: Image,
    sources: tuple[Image, NDArray[np.float64]],
    spectrum: Spectrum,
    psf_sigma_px: float,
    seed: int,
) -> tuple[Image, Image, NDArray[np.float64], NDArray[np.float64]]:
    """Fit field and fluxes together; return rate and error, fluxes and their errors, per unit of exposure."""
    table, flux = sources
    cell = max(1, round(FWHM * psf_sigma_px), -(-max(counts.shape) // MOST_CELLS))
    grid = Grid(counts.shape, cell)
    information, lost, model = np.zeros(len(table)), np.zeros(counts.shape), np.zeros(counts.shape)
    for (x, y, sigma), own in zip(table, flux, strict=True):
        add_source(model, exposure, (x, y, own, sigma), 1.0)

    def fit(diffuse: Image) -> tuple[Image, Image]:
        fit_fluxes((counts, diffuse, exposure, model), table, flux, information, lost)
        return np.maximum(model, 0.0), lost

    mean = float(np.log(max(counts.sum() - model.sum(), 1.0) / exposure.sum()))
    field = LogField.of(grid, spectrum, counts, exposure, mean)
    field.settle(fit)
    rate = field.rate(field.xi)
    spread = grid.to_pixels(_spread(field, seed))
    y = np.clip(np.rint(table[:, 1]).astype(int), 0, counts.shape[0] - 1)
    x = np.clip(np.rint(table[:, 0]).astype(int), 0, counts.shape[1] - 1)
    known = np.where(information > 0, information, np.nan)
    under = 4 * np.pi * table[:, 2] ** 2 * (rate * spread)[y, x]  # what the field's error moves a flux, at the most
    return rate, rate * spread, flux, np.sqrt(1 / known + under**2)


def _spread(field: LogField, seed: int) -> Image:
    """Return the posterior's sigma of the logarithm on the grid; the samples' variance is averaged over some cells."""
    variance = np.mean(field.samples(SAMPLES, seed) ** 2, axis=0)
    rows, columns = field.grid.inside
    seen = np.zeros_like(variance)
    seen[:rows, :columns] = 1.0
    mean = smooth(variance * seen, SPREAD_SMOOTH) / np.maximum(smooth(seen, SPREAD_SMOOTH), 1e-9)
    return np.sqrt(np.where(seen > 0, mean, variance))


def scores(found: Image, error: Image, truth: Image) -> dict[str, float]:
    """Return rms, bias and coverage of a map as defined above; all arrays (rows, columns) in one unit."""
    return {
        "rms": float(np.sqrt(np.mean(((found - truth) / truth) ** 2))),
        "bias": float(found.mean() / truth.mean() - 1),
        "coverage": float(np.mean(np.abs(found - truth) <= error)),
    }
