"""What is expected on a patch of the gamma-ray sky, and what of it a matched filter sees, pixel by pixel.

Pixels of all channels lie in one row, as in `sky_fit`: a channel has side^2 of them from `begin` on, rows first.
"""

import numpy as np
from numba import njit

SMALLEST = 1e-9  # counts expected in a cell, at least
LEAST_NORM = 0.05  # of interstellar light, anywhere on the patch
ENOUGH = 0.01  # a rise of ln L that is none any more


@njit(cache=True, nogil=True)
def enlarge(coarse, out):
    """Add an image (n, n) to a larger one (m, m), linear between the middles of its pixels, constant beyond them."""
    n, side = len(coarse), len(out)
    line, before, part = np.empty(n), np.empty(side, np.int64), np.empty(side)
    for i in range(side):
        place = min(max((i + 0.5) * n / side - 0.5, 0.0), n - 1.0)
        before[i] = max(min(int(place), n - 2), 0)
        part[i] = place - before[i]
    for row in range(side):
        i, u = before[row], part[row]
        for k in range(n):
            line[k] = coarse[i, k] * (1 - u) + coarse[min(i + 1, n - 1), k] * u
        for column in range(side):
            j, v = before[column], part[column]
            out[row, column] += line[j] * (1 - v) + line[min(j + 1, n - 1)] * v


@njit(cache=True, nogil=True)
def sum_cells(values, begin, side, step, out):
    """Write the sums of a channel's values over cells of step x step pixels, out (side // step squared,)."""
    cells = side // step
    out[:] = 0.0
    for row in range(cells * step):
        for column in range(cells * step):
            out[row // step * cells + column // step] += values[begin + row * side + column]


@njit(cache=True, nogil=True)
def design_cells(iem, iso, begin, side, step, out):
    """Write what each norm is multiplied with in cells of step x step pixels, out (4, side // step squared).

    In order: interstellar light, isotropic light, the first times x and times y, which go from -1 to 1.
    """
    cells = side // step
    out[:, :] = 0.0
    for row in range(cells * step):
        y = (row + 0.5) / side * 2 - 1
        for column in range(cells * step):
            x = (column + 0.5) / side * 2 - 1
            cell, light = row // step * cells + column // step, iem[begin + row * side + column]
            out[0, cell] += light
            out[1, cell] += iso[begin + row * side + column]
            out[2, cell] += light * x
            out[3, cell] += light * y


@njit(cache=True, nogil=True)
def lay_background(iem, iso, begin, side, norms, out):
    """Write the counts of a channel's background with its norms (4,): those of `design_cells`."""
    a, b, by_x, by_y = norms
    for row in range(side):
        tilt = a + by_y * ((row + 0.5) / side * 2 - 1)
        for column in range(side):
            at = begin + row * side + column
            norm = max(tilt + by_x * ((column + 0.5) / side * 2 - 1), LEAST_NORM)
            out[at] = iem[at] * norm + iso[at] * b


@njit(cache=True, nogil=True)
def rate_norms(design, observed, known, norms, prior, expected):
    """Return the penalised ln L of norms (4,), prior (2, 4) being their means and 1 / sd^2; write expected (m,)."""
    value = 0.0
    for i in range(len(norms)):
        value -= 0.5 * prior[1, i] * (norms[i] - prior[0, i]) ** 2
    for k in range(len(observed)):
        made = known[k]
        for i in range(len(norms)):
            made += norms[i] * design[i, k]
        expected[k] = max(made, SMALLEST)
        value -= expected[k]
        if observed[k] != 0:
            value += observed[k] * np.log(expected[k])
    return value


@njit(cache=True, nogil=True)
def fit_norms(design, observed, known, norms, prior, bounds, steps):
    """Fit norms (4,), in place, so that norms @ design (4, m) + known (m,) is most likely for the counts (m,).

    prior (2, 4): Gaussian, means and 1 / sd^2; bounds (2, 4): lowest and highest. Newton's steps, shortened where the
    penalised ln L does not rise.
    """
    n, m = design.shape
    expected, made, trial = np.empty(m), np.empty(m), np.empty(n)
    gradient, full = np.empty(n), np.empty((n, n))
    best = rate_norms(design, observed, known, norms, prior, expected)
    for _ in range(steps):
        full[:, :] = 0.0
        for i in range(n):
            gradient[i] = -prior[1, i] * (norms[i] - prior[0, i])
            full[i, i] = prior[1, i]
        for k in range(m):
            excess, share = observed[k] / expected[k] - 1, 1 / expected[k]
            for i in range(n):
                gradient[i] += excess * design[i, k]
                for j in range(i + 1):
                    full[i, j] += share * design[i, k] * design[j, k]
        for i in range(n):
            for j in range(i):
                full[j, i] = full[i, j]
        step, value = np.linalg.solve(full, gradient), best
        for length in (1.0, 0.5, 0.1):
            for i in range(n):
                trial[i] = min(max(norms[i] + length * step[i], bounds[0, i]), bounds[1, i])
            value = rate_norms(design, observed, known, trial, prior, made)
            if value > best:
                break
        if not value > best:
            return
        rise, best = value - best, value
        norms[:], expected[:] = trial, made
        if rise < ENOUGH:
            return


@njit(cache=True, nogil=True)
def filter_images(counts, background, light, lit, begin, side, doubt, under, rate, more, least, out):
    """Write what a matched filter folds with the PSF and its square, out (3, side, side) float32, of a channel.

    light: counts of the sources; doubt (side,): how far the background is doubted in each row; under: pixels under
    the PSF; rate: counts of a source of one unit; more: counts per pixel at its peak that the variance has beyond what
    is expected, which is `least` at least. out: weight times excess, times signal, times the signal's variance.
    """
    for row in range(side):
        for column in range(side):
            at = begin + row * side + column
            expected = max(background[at] + light[at], least)
            variance = expected + more
            weight = 1 / (1 + doubt[row] ** 2 * background[at] * under)
            seen = weight * rate * lit[at] / variance
            signal = seen * rate * lit[at]
            out[0, row, column] = seen * (counts[at] - expected)
            out[1, row, column] = signal
            out[2, row, column] = signal * expected / variance
