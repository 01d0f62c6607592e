"""What every function of this package asks of its images, and how it smooths them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter

from stream.errors import ConfigError

Image = NDArray[np.float64]
NARROWEST = 0.5  # px, sigma of the PSF: a narrower one cannot be sampled at pixel centres
FWHM = 2 * np.sqrt(2 * np.log(2))  # of a Gaussian, in sigma


def checked(counts: ArrayLike, exposure: ArrayLike | None, psf_sigma_px: float) -> tuple[Image, Image, float]:
    """Return counts and exposure (rows, columns) float64, the latter relative to its maximum, and that maximum in s.

    exposure None: 1 s everywhere. Where there is no exposure counts are 0. Raises ConfigError for images of other
    shapes, values that are not finite or negative, and a PSF narrower than can be sampled.
    """
    image = _finite("counts", counts)
    time_s = np.ones(image.shape) if exposure is None else _finite("exposure", exposure)
    if image.shape != time_s.shape:
        raise ConfigError(f"exposure: expected the shape of counts, {image.shape}, found {time_s.shape}")
    if not (np.isfinite(psf_sigma_px) and psf_sigma_px >= NARROWEST):
        raise ConfigError(f"psf_sigma_px: expected at least {NARROWEST} px, found {psf_sigma_px}")
    longest = float(time_s.max(initial=0.0))
    relative = time_s / longest if longest > 0 else time_s
    return np.where(relative > 0, image, 0.0), relative, longest


def _finite(name: str, values: ArrayLike) -> Image:
    image = np.ascontiguousarray(values, np.float64)
    if image.ndim != 2:
        raise ConfigError(f"{name}: expected an image (rows, columns), found the shape {image.shape}")
    bad = ~((image >= 0) & (image < np.inf))
    if bad.any():
        y, x = np.argwhere(bad)[0]
        raise ConfigError(
            f"{name}: expected finite values, none negative; {int(bad.sum())} are not, first row {y}, column {x}: "
            f"{image[y, x]}"
        )
    return image


def smooth(image: Image, side: int) -> Image:
    """Return the mean of an image in a triangular kernel, twice a box of `side` px; outside the image it is 0."""
    once: Any = uniform_filter(image, side, mode="constant")
    return np.maximum(uniform_filter(once, side, mode="constant"), 0.0)  # running sums leave -1e-17


def effective_area(side: int) -> float:
    """Return the area in px over which `smooth` averages: 1 / sum of the squared kernel."""
    return (1.5 * side) ** 2


LEAST_COUNTS = 60.0  # under the kernel: a background known to 13 %


def local_mean(
    counts: Image,
    exposure: Image,
    sources: Image,
    mask: NDArray[np.bool_],
    side: int,
    least: float = LEAST_COUNTS,
    growth: float = 2.0,
) -> Image:
    """Return the background in counts per unit of exposure, > 0: a masked mean over as large an area as it takes.

    counts, exposure (rows, columns); sources: expected counts of sources, subtracted outside the mask; mask: pixels
    that do not count; side: px of the smallest box, which grows by `growth` until `least` counts are under the kernel.
    A mean, never a median: that of sparse counts is 0.
    """
    seen = ~mask & (exposure > 0)
    total, time = float(counts[seen].sum()), float(exposure[seen].sum())
    rate = np.full(counts.shape, (total + 0.5) / max(time, 1.0))  # the mean of the posterior of Jeffreys' prior
    known = np.zeros(counts.shape, np.bool_)
    left = np.where(seen, counts - sources, 0.0)
    open_time = np.where(seen, exposure, 0.0)
    while side < max(counts.shape) and not known.all():
        here, there = smooth(left, side), smooth(open_time, side)
        enough = ~known & (here * effective_area(side) >= least) & (there > 0.05)
        rate[enough] = here[enough] / there[enough]
        known |= enough
        side = 2 * int(growth * side / 2) + 1
    return rate
