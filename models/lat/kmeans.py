"""Seed 004's way from a mask to places: K-Means on the pixels of the regions. Slower than `places_of` by far.

How many clusters there are is scanned, as in AutoSourceID (Panes et al. 2021, A&A 656, A62): the most of the mask
within a radius of the centres wins, what two of them cover counts against.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from sklearn.cluster import KMeans

from stream.lat.masks import RADIUS_DEG, THRESHOLD, Places
from stream.lat.patch import SIDE_DEG

Floats = NDArray[np.float64]
MOST: Final = 12  # clusters in one connected region
TWICE: Final = 10.0  # what a pixel counts against that two centres cover


def places_by_kmeans(mask: NDArray[np.floating], threshold: float = THRESHOLD) -> Places:
    """Return the places of the regions of a mask (side, side), region by connected region; none: empty."""
    radius = RADIUS_DEG / SIDE_DEG * len(mask)
    numbered, regions = label(mask > threshold, np.ones((3, 3)))
    found = [np.zeros((0, 2))]
    for k in range(1, regions + 1):
        rows, columns = np.nonzero(numbered == k)
        found.append(
            _centres(np.stack([columns, rows], axis=1) + np.float64(0.5), mask[rows, columns].astype(float), radius)
        )
    places = np.concatenate(found)
    column, row = places.astype(int).T
    p = np.asarray(mask[row, column], float)
    order = np.argsort(-p, kind="stable")
    x, y = (places[order] * SIDE_DEG / len(mask)).T
    return Places(x, y, p[order])


def _centres(at: Floats, value: Floats, radius: float) -> Floats:
    """Return the centres (k, 2) of the pixels of one region, (n, 2), k the best of all up to MOST."""
    most = min(MOST, len(at), 1 + int(2 * len(at) / (np.pi * radius**2)))
    best, kept = -np.inf, at[:1]
    for k in range(1, most + 1):
        centres = KMeans(k, n_init=1, random_state=0).fit(at, sample_weight=value).cluster_centers_
        cover = (np.hypot(*(at[:, None] - centres[None]).transpose(2, 0, 1)) <= radius).sum(axis=1)
        rated = float(value[cover > 0].sum() - TWICE * np.sum(cover > 1))
        if rated > best:
            best, kept = rated, centres
    return kept
