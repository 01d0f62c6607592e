"""The prior of the classes by Galactic latitude: where a source lies, not what it is like."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from models.sources.dataset import Sources

Array = NDArray[np.float64]
KNOTS_DEG = (0, 0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 11, 15, 20, 30, 45, 60, 90)
FALLBACK = 5.0  # sources that the density of all classes counts for in that of a class
LEAST_WIDTH = 0.25  # of a kernel, in asinh(|b| / 1 deg)


@dataclass(frozen=True, slots=True)
class SkyPrior:
    """ln P(class | |b|) at knots of Galactic latitude, linear in asinh(|b| / 1 deg) between them."""

    latitude_deg: Array  # (m,) rising
    log_p: Array  # (m, C)

    def at(self, latitude_deg: Array) -> Array:
        """Return ln P (n, C) at latitudes (n,) in degrees, of either sign."""
        place = np.arcsinh(np.abs(latitude_deg))
        knots = np.arcsinh(self.latitude_deg)
        return np.stack([np.interp(place, knots, column) for column in self.log_p.T], axis=1)

    def tempered(self, exponent: float, log_prior: Array) -> "SkyPrior":
        """Return P(class) [P(class | b) / P(class)]^exponent."""
        log = log_prior + exponent * (self.log_p - log_prior)
        return SkyPrior(self.latitude_deg, log - logsumexp(log, axis=1, keepdims=True))


def sky_prior(given: Sources) -> SkyPrior:
    """Return the prior of sources with positions, from kernel densities of asinh(|b| / 1 deg), mirrored at 0."""
    if given.sky is None:
        raise ValueError("sources without positions have no prior by latitude")
    place, knots = np.arcsinh(np.abs(given.sky[:, 1])), np.arcsinh(np.array(KNOTS_DEG, float))
    total = _density(place, knots)
    count = np.bincount(given.label, minlength=len(given.classes))
    log = np.empty((len(knots), len(given.classes)))
    for c, number in enumerate(count):
        own = _density(place[given.label == c], knots) if number else total
        log[:, c] = np.log((number * own + FALLBACK * total) / (number + FALLBACK))
    log += np.log(given.frequencies())
    return SkyPrior(np.array(KNOTS_DEG, float), log - logsumexp(log, axis=1, keepdims=True))


def _density(place: Array, at: Array) -> Array:
    """Return a kernel density (m,), Silverman's width."""
    width = max(LEAST_WIDTH, 1.06 * float(np.std(place)) * len(place) ** -0.2)
    apart = np.stack([at[:, None] - place, at[:, None] + place])
    return np.exp(-0.5 * (apart / width) ** 2).sum(axis=(0, 2)) / (len(place) * width * np.sqrt(2 * np.pi)) + 1e-6
