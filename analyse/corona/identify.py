"""Which lines are there: by a matched filter, and where all lines are off by one offset of the wavelength scale."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyse.corona.features import Features
from analyse.corona.measure import FOUND, profile
from stream.corona.forward import Forward
from stream.corona.instrument import FWHM
from stream.corona.observed import Observed
from stream.spectra.grid import Floats

AROUND_A: Final = 1.0  # to either side, where the continuum below a line is seen
BESIDE: Final = 1.5  # FWHM of any feature: not continuum
LEAST: Final = 0.02  # counts in a bin, of what is expected below a line: none seen is not none
MOST_OFFSET: Final = 3.0  # FWHM
STEPS: Final = 61
BRIGHT: Final = 40  # features that an offset is found by


def continuum_of(observed: Observed, features: Features) -> Floats:
    """Return counts expected in each bin (B,) without lines: the mean of the line-free bins around, as the area is."""
    kept = observed.instrument
    middle, light = kept.middle_a, kept.area_cm2 * kept.width_a
    free = observed.usable()
    for at, wide in zip(features.wavelength_a, features.fwhm_a, strict=True):
        free[slice(*np.searchsorted(middle, (at - BESIDE * wide, at + BESIDE * wide)))] = False
    reach = max(int(AROUND_A / np.median(kept.width_a)), 1)
    if free.sum() < 0.05 * len(free):
        free = observed.usable()
    counts, area = (np.convolve(v * free, np.ones(2 * reach + 1), "same") for v in (observed.counts, light))
    whole = observed.counts[free].sum() / max(light[free].sum(), 1e-300)
    density = np.where(area > 0.05 * light.mean() * reach, counts / np.maximum(area, 1e-300), whole)
    return np.maximum(density * light, LEAST)


def filter_lines(observed: Observed, features: Features, background: Floats | None = None) -> Floats:
    """Return by how many sigma each feature (F,) stands out: counts weighted by its profile, against the continuum.

    0 where the instrument sees nothing. background: counts (B,) without lines; None: `continuum_of`.
    """
    below = continuum_of(observed, features) if background is None else background
    usable = observed.usable()
    weight = profile(observed.instrument.edges_a, features.wavelength_a, features.fwhm_a / FWHM) * usable
    over = weight @ (observed.counts - below)
    spread = np.sqrt(np.maximum((weight * weight) @ below, 1e-12))
    return np.where(weight.sum(axis=1) > 0.5, over / spread, 0.0)


def identify(observed: Observed, features: Features) -> NDArray[np.bool_]:
    """Return which features stand out by FOUND sigma, (F,)."""
    return filter_lines(observed, features) >= FOUND


def align(observed: Observed, forward: Forward, features: Features) -> float:
    """Return what is to be taken from all wavelengths, Angstrom, so that the brightest features are where they belong.

    0 for a camera, and where no feature stands out.
    """
    if observed.instrument.response is not None:
        return 0.0
    light = np.array([forward.line_area_cm2[rows].max() for rows in features.rows])
    below = continuum_of(observed, features)
    bright = np.argsort(-np.where(light > 0, filter_lines(observed, features, below), -np.inf))[:BRIGHT]
    some = Features(
        features.wavelength_a[bright],
        features.ion[bright],
        tuple(features.rows[i] for i in bright),
        features.fwhm_a[bright],
    )
    reach = MOST_OFFSET * float(np.median(some.fwhm_a))
    offsets = np.linspace(-reach, reach, STEPS)
    scores = np.array([filter_lines(observed.moved(x), some, below).clip(0).sum() for x in offsets])
    i = int(np.argmax(scores))
    if scores[i] < 2 * FOUND or i in (0, STEPS - 1):
        return 0.0
    low, high = scores[i - 1] - scores[i], scores[i + 1] - scores[i]
    return float(offsets[i] + 0.5 * (offsets[1] - offsets[0]) * (low - high) / min(low + high, -1e-12))
