"""Radial profiles of sources."""

import numpy as np
from numba import njit

from stream.kernels.gaussians import BACKGROUND, FLUX, WIDTH, X, Y


@njit(cache=True, nogil=True)
def add_up_rings(images, theta, edges, counts, expected, area):
    """Add up counts, what background and other sources put there, and exposed pixels in rings around each source.

    images = (counts, background, exposure, model) each (rows, columns) float64, model the counts of all sources; theta
    (n, 5) float64, the sources as in `gaussians`; edges (rings + 1,) float64 px, rising from 0; counts, expected, area
    (n, rings) float64, out, must be 0. A pixel belongs to the ring of its centre. Pixels without exposure do not count.
    """
    image, background, exposure, model = images
    rows, columns = image.shape
    reach = edges[-1]
    for k in range(theta.shape[0]):
        x, y, flux, sigma = theta[k, X], theta[k, Y], theta[k, FLUX], np.exp(theta[k, WIDTH])
        norm = flux / (2 * np.pi * sigma * sigma)
        for v in range(max(0, int(np.ceil(y - reach))), min(rows, int(np.floor(y + reach)) + 1)):
            for u in range(max(0, int(np.ceil(x - reach))), min(columns, int(np.floor(x + reach)) + 1)):
                r2 = (u - x) ** 2 + (v - y) ** 2
                if exposure[v, u] <= 0 or r2 >= reach * reach:
                    continue
                ring = np.searchsorted(edges, np.sqrt(r2), side="right") - 1
                own = norm * exposure[v, u] * np.exp(-r2 / (2 * sigma * sigma))
                others = max(model[v, u] - own, 0.0)
                counts[k, ring] += image[v, u]
                expected[k, ring] += theta[k, BACKGROUND] * background[v, u] + others
                area[k, ring] += 1.0
