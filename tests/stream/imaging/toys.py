"""Images of known truth."""

import numpy as np

from stream.imaging.image import FWHM

SIGMA = 4.0 / FWHM


def ridge(rows, columns):
    """A Galactic ridge, 0.15 to 0.75 counts per pixel."""
    y, x = np.mgrid[:rows, :columns]
    return 0.15 + 0.6 * np.exp(-(((y - rows / 2) / (0.12 * rows)) ** 2)) * (0.7 + 0.3 * np.sin(x / 70))


def expected(background, sources, exposure=None, sigma=SIGMA):
    """Counts of background + sources (x, y, counts[, sigma]), slowly and plainly."""
    time = np.ones(background.shape) if exposure is None else exposure
    y, x = np.mgrid[: background.shape[0], : background.shape[1]]
    image = background * time
    for u, v, counts, *own in sources:
        s = own[0] if own else sigma
        image = image + time * counts * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * s * s)) / (2 * np.pi * s * s)
    return image


def drawn(background, sources=(), exposure=None, seed=0, sigma=SIGMA):
    return np.random.default_rng(seed).poisson(expected(background, sources, exposure, sigma)).astype(float)


def matched(found, truth, radius=4.0):
    """For each detection the row of the true source (x, y, ...) that is its own, nearest pairs first, or -1."""
    if not len(truth):
        return np.full(len(found), -1)
    apart = np.hypot(found["x"][:, None] - np.array(truth)[:, 0], found["y"][:, None] - np.array(truth)[:, 1])
    own = np.full(len(found), -1)
    for k in np.argsort(apart, axis=None):
        i, j = np.unravel_index(k, apart.shape)
        if apart[i, j] < radius and own[i] < 0 and j not in own:
            own[i] = j
    return own
