"""Point sources in an image of few counts: where one more would explain the counts better than what is known.

A source of `flux` adds flux x exposure x psf counts to a pixel. The PSF is a Gaussian sampled at the pixel centres: its
sigma is that of the image, the width of a pixel (1/12 px^2) within.
"""

import numpy as np
from numba import njit

STEPS = 12  # of Newton's iteration, which takes 3 to 5


@njit(cache=True, nogil=True)
def significance_map(counts, expected, exposure, stamp, least, significance):
    """Fit one more point source at every pixel; write the signed root of its likelihood ratio.

    counts, expected (rows, columns) float64, counts per pixel, measured and without the source; exposure (rows, columns)
    float64, 0 where nothing is measured; stamp (k, k) float64, PSF, sum 1, k odd; significance (rows, columns) float64,
    out: sqrt(2 ln(L / L without)) (Cash 1979, ApJ 228, 939), but the score test's sigma where that is below `least` >=
    0, so negative where the counts are too few. Pixels without exposure get 0. `expected` must be positive wherever
    there is exposure.

    With n_i counts the best flux f solves S = sum n_i p_i / (b_i + f p_i). The inverse of the right-hand side is nearly
    a straight line in f, so that Newton's method on it takes few steps.
    """
    rows, columns = counts.shape
    radius = stamp.shape[0] // 2
    n = np.empty(stamp.size)
    p = np.empty(stamp.size)
    b = np.empty(stamp.size)
    for y in range(rows):
        for x in range(columns):
            significance[y, x] = 0.0
            if exposure[y, x] <= 0:
                continue
            size, total, information = gather(counts, expected, exposure, stamp, (y - radius, x - radius), (n, p, b))
            slope = -total
            for i in range(size):
                slope += n[i] * p[i] / b[i]
            score = slope / np.sqrt(information) if information > 0 else 0.0
            if score <= least:
                significance[y, x] = score
                continue
            f = best_flux(n, p, b, size, total)
            gain = -f * total
            for i in range(size):
                gain += n[i] * np.log1p(f * p[i] / b[i])
            significance[y, x] = np.sqrt(2 * max(gain, 0.0))


@njit(cache=True, nogil=True)
def gather(counts, expected, exposure, stamp, corner, out):
    """List counts, PSF x exposure and expected counts of the pixels with counts under a stamp.

    corner: row and column of the stamp's first pixel, may lie outside. Returns (how many are listed, the sum of PSF x
    exposure over all pixels, the sum of its square over expected).
    """
    rows, columns = counts.shape
    n, p, b = out
    size = 0
    total = information = 0.0
    top, left = corner
    for v in range(max(0, -top), min(stamp.shape[0], rows - top)):
        for u in range(max(0, -left), min(stamp.shape[1], columns - left)):
            e = exposure[top + v, left + u]
            if e <= 0:
                continue
            q = e * stamp[v, u]
            total += q
            information += q * q / expected[top + v, left + u]
            if counts[top + v, left + u] > 0:
                n[size], p[size], b[size] = counts[top + v, left + u], q, expected[top + v, left + u]
                size += 1
    return size, total, information


@njit(cache=True, nogil=True)
def best_flux(n, p, b, size, total):
    """Return the flux that solves total = sum n p / (b + flux p); 0 if none does above 0."""
    f = 0.0
    for _ in range(STEPS):
        first = second = 0.0
        for i in range(size):
            part = p[i] / (b[i] + f * p[i])
            first += n[i] * part
            second += n[i] * part * part
        step = first * (first / total - 1) / second
        f = max(f + step, 0.0)
        if abs(step) <= 1e-6 * f:
            break
    return f


@njit(cache=True, nogil=True)
def add_source(image, exposure, source, weight):
    """Add a source's counts times `weight` to an image, in place, out to 5.5 sigma (3e-7 of them are farther out).

    image, exposure (rows, columns) float64; source = (x, y, flux, sigma) px, px, counts per unit of exposure, px.
    """
    x, y, flux, sigma = source
    rows, columns = image.shape
    reach = 5.5 * sigma
    norm = weight * flux / (2 * np.pi * sigma * sigma)
    for v in range(max(0, int(np.ceil(y - reach))), min(rows, int(np.floor(y + reach)) + 1)):
        for u in range(max(0, int(np.ceil(x - reach))), min(columns, int(np.floor(x + reach)) + 1)):
            r2 = (u - x) ** 2 + (v - y) ** 2
            image[v, u] += norm * exposure[v, u] * np.exp(-r2 / (2 * sigma * sigma))
