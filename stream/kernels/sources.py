"""Point sources in an image of few counts: where one more would explain the counts better than what is known.

A source of `flux` adds flux x exposure x psf counts to a pixel. The PSF is a Gaussian sampled at the pixel centres: its
sigma is that of the image, the width of a pixel (1/12 px^2) within.
"""

import numpy as np
from numba import njit

STEPS = 12  # of Newton's iteration, which takes 3 to 5


@njit(cache=True, nogil=True)
def significance_map(counts, expected, exposure, stamp, score, significance):
    """Fit one more point source at every pixel; write the signed root of its likelihood ratio.

    counts, expected (rows, columns) float64, counts per pixel, measured and without the source; exposure (rows,
    columns) float64, 0 where nothing is measured; stamp (k, k) float64, PSF, sum 1, k odd; score (rows, columns)
    float64: NaN where the fit is to be left out; significance (rows, columns) float64, out: sqrt(2 ln(L / L without))
    (Cash 1979, ApJ 228, 939), 0 where the best flux is, else left as it is. `expected` must be positive where there is
    exposure.

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
            if np.isnan(score[y, x]):
                continue
            size, total = gather(counts, expected, exposure, stamp, (y - radius, x - radius), (n, p, b))
            f = best_flux(n, p, b, size, total)
            gain = -f * total
            for i in range(size):
                gain += n[i] * np.log1p(f * p[i] / b[i])
            significance[y, x] = np.sqrt(2 * max(gain, 0.0))


@njit(cache=True, nogil=True)
def gather(counts, expected, exposure, stamp, corner, out):
    """List counts, PSF x exposure and expected counts of the pixels with counts under a stamp.

    corner: row and column of the stamp's first pixel, may lie outside. Returns (how many are listed, the sum of PSF x
    exposure over all pixels).
    """
    rows, columns = counts.shape
    n, p, b = out
    size = 0
    total = 0.0
    top, left = corner
    for v in range(max(0, -top), min(stamp.shape[0], rows - top)):
        for u in range(max(0, -left), min(stamp.shape[1], columns - left)):
            q = exposure[top + v, left + u] * stamp[v, u]
            total += q
            if counts[top + v, left + u] > 0 and q > 0:
                n[size], p[size], b[size] = counts[top + v, left + u], q, expected[top + v, left + u]
                size += 1
    return size, total


@njit(cache=True, nogil=True)
def best_flux(n, p, b, size, total):
    """Return the flux that solves total = sum n p / (b + flux p); 0 if none does above 0, or nothing is listed."""
    f = 0.0
    if size == 0:
        return f
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
    """Add a source's counts times `weight` to an image, in place, out to 5.5 sigma (beyond are 3e-7 of them).

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


@njit(cache=True, nogil=True)
def fit_fluxes(images, table, flux, information, lost):
    """Fit the fluxes of sources of known place over a known diffuse field, in turn, each among the others; in place.

    images = (counts, diffuse, exposure, model) each (rows, columns) float64: the diffuse counts, and those of all
    sources with `flux`, kept up to date; table (n, 3) float64: x, y, sigma in px; flux (n,) float64, counts per unit of
    exposure; information (n,) float64, out: the inverse of its variance; lost (rows, columns) float64, out: what of the
    diffuse field's information, diffuse^2 / expected, goes into the fluxes. A source without exposure keeps flux 0.
    """
    counts, diffuse, exposure, model = images
    rows, columns = counts.shape
    lost[:] = 0.0
    for k in range(table.shape[0]):
        x, y, sigma = table[k]
        add_source(model, exposure, (x, y, flux[k], sigma), -1.0)
        reach = 4 * sigma
        top, bottom = max(0, int(np.ceil(y - reach))), min(rows, int(np.floor(y + reach)) + 1)
        left, right = max(0, int(np.ceil(x - reach))), min(columns, int(np.floor(x + reach)) + 1)
        area = max(0, bottom - top) * max(0, right - left)
        unit, n, p, b = np.zeros(area), np.empty(area), np.empty(area), np.empty(area)
        size, total, i = 0, 0.0, 0
        for v in range(top, bottom):
            for u in range(left, right):
                r2 = (u - x) ** 2 + (v - y) ** 2
                unit[i] = exposure[v, u] * np.exp(-r2 / (2 * sigma * sigma)) / (2 * np.pi * sigma * sigma)
                total += unit[i]
                if counts[v, u] > 0 and unit[i] > 0:
                    others = max(diffuse[v, u] + max(model[v, u], 0.0), 1e-12)
                    n[size], p[size], b[size] = counts[v, u], unit[i], others
                    size += 1
                i += 1
        flux[k] = best_flux(n, p, b, size, total) if total > 0 else 0.0
        add_source(model, exposure, (x, y, flux[k], sigma), 1.0)
        own = cross = 0.0
        i = 0
        for v in range(top, bottom):
            for u in range(left, right):
                expected = max(diffuse[v, u] + model[v, u], 1e-12)
                own += unit[i] * unit[i] / expected
                cross += unit[i] * diffuse[v, u] / expected
                i += 1
        information[k] = own
        i = 0
        for v in range(top, bottom):
            for u in range(left, right):
                expected = max(diffuse[v, u] + model[v, u], 1e-12)
                if own > 0:
                    lost[v, u] += unit[i] * diffuse[v, u] / expected * cross / own
                i += 1
