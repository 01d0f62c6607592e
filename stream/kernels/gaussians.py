"""The maximum of the Poisson likelihood of one Gaussian source among others; as many sources as there are, in turn.

Expected counts of a pixel: mu = neighbours + c x background + flux x exposure x Gaussian(x, y, sigma), with a Gaussian
prior on c, since the background is known from a larger area. Fisher scoring with damping (Levenberg and Marquardt).
"""

import numpy as np
from numba import njit

from stream.kernels.sources import add_source

FLUX, X, Y, WIDTH, BACKGROUND = range(5)  # the parameters' places; WIDTH is ln sigma
PARAMETERS = 5
STEPS = 40
ENOUGH = 1e-5  # of the log-likelihood gained in a step: converged


@njit(cache=True, nogil=True)
def lines(theta, shape):
    """Return flux / (2 pi sigma^2), and the Gaussian along a row (columns,) and a column (rows,) of a window."""
    sigma2 = np.exp(2 * theta[WIDTH])
    across = np.exp(-((np.arange(shape[1]) - theta[X]) ** 2) / (2 * sigma2))
    down = np.exp(-((np.arange(shape[0]) - theta[Y]) ** 2) / (2 * sigma2))
    return theta[FLUX] / (2 * np.pi * sigma2), across, down


@njit(cache=True, nogil=True)
def log_likelihood(window, theta, spread):
    """Return ln L of a window, without its constant, and with the prior on the background.

    window = (counts, neighbours, background, exposure) each (rows, columns) float64; theta (5,) float64: flux, x, y in
    the window's pixels, ln sigma, c; spread: sigma of c. Pixels without exposure do not count.
    """
    counts, neighbours, background, exposure = window
    norm, across, down = lines(theta, counts.shape)
    total = -0.5 * ((theta[BACKGROUND] - 1) / spread) ** 2
    for v in range(counts.shape[0]):
        for u in range(counts.shape[1]):
            e = exposure[v, u]
            if e <= 0:
                continue
            mu = neighbours[v, u] + theta[BACKGROUND] * background[v, u] + norm * e * down[v] * across[u]
            total -= mu
            if counts[v, u] > 0:
                total += counts[v, u] * np.log(mu)
    return total


@njit(cache=True, nogil=True)
def derive(window, theta, spread, gradient, fisher):
    """Write gradient (5,) and Fisher matrix (5, 5) of `log_likelihood`.

    Returns d/d ln sigma of -(1/2) ln det of the Fisher matrix of x and y: what ln L gains when the position is
    integrated out instead of fitted (Patterson and Thompson 1971, Biometrika 58, 545). Without it the width of n
    counts comes out too small, by 1/(2 n).
    """
    counts, neighbours, background, exposure = window
    sigma2 = np.exp(2 * theta[WIDTH])
    norm, across, down = lines(theta, counts.shape)
    d = np.empty(PARAMETERS)
    gradient[:] = 0.0
    fisher[:] = 0.0
    change_x = change_y = 0.0
    for v in range(counts.shape[0]):
        for u in range(counts.shape[1]):
            e = exposure[v, u]
            if e <= 0:
                continue
            dx, dy = u - theta[X], v - theta[Y]
            q = (dx * dx + dy * dy) / sigma2
            own = norm * e * down[v] * across[u]
            unit = own / theta[FLUX]
            mu = neighbours[v, u] + theta[BACKGROUND] * background[v, u] + own
            d[FLUX], d[X], d[Y], d[WIDTH] = unit, own * dx / sigma2, own * dy / sigma2, own * (q - 2)
            d[BACKGROUND] = background[v, u]
            residual = counts[v, u] / mu - 1
            for i in range(PARAMETERS):
                gradient[i] += d[i] * residual
                for j in range(i + 1):
                    fisher[i, j] += d[i] * d[j] / mu
            slope = 2 * (q - 2) - 4 - own / mu * (q - 2)
            change_x += d[X] * d[X] / mu * slope
            change_y += d[Y] * d[Y] / mu * slope
    gradient[BACKGROUND] -= (theta[BACKGROUND] - 1) / spread**2
    fisher[BACKGROUND, BACKGROUND] += 1 / spread**2
    for i in range(PARAMETERS):
        for j in range(i):
            fisher[j, i] = fisher[i, j]
    if fisher[X, X] <= 0 or fisher[Y, Y] <= 0:
        return 0.0
    return -0.5 * (change_x / fisher[X, X] + change_y / fisher[Y, Y])


@njit(cache=True, nogil=True)
def fit_gaussian(window, theta, free, limits, spread, fisher):
    """Move theta (5,) to the maximum of the likelihood, in place; write its Fisher matrix (5, 5), of all parameters.

    free (5,) bool; limits (5, 2) float64, low and high of each parameter. Where x, y and the width are all free, the
    width is that with the position integrated out. Returns (ln L, whether it converged).
    """
    gradient = np.empty(PARAMETERS)
    places = np.flatnonzero(free)
    integrated = free[X] and free[Y] and free[WIDTH]
    damping = 1e-3
    now = log_likelihood(window, theta, spread)
    converged = False
    for _ in range(STEPS):
        gain = derive(window, theta, spread, gradient, fisher)
        if integrated:
            gradient[WIDTH] += gain
        # a parameter at its limit that would go beyond is held
        kept = places[((theta[places] > limits[places, 0]) | (gradient[places] > 0))
                      & ((theta[places] < limits[places, 1]) | (gradient[places] < 0))]  # fmt: skip
        if kept.size == 0:
            converged = True
            break
        size, pull = 0.0, 0.0
        accepted = False
        for _ in range(8):
            matrix = np.empty((kept.size, kept.size))
            for i in range(kept.size):
                for j in range(kept.size):
                    matrix[i, j] = fisher[kept[i], kept[j]]
                matrix[i, i] = matrix[i, i] * (1 + damping) + 1e-12
            step = np.linalg.solve(matrix, gradient[kept])
            trial = theta.copy()
            size, pull = 0.0, 0.0
            for i in range(kept.size):
                k = kept[i]
                trial[k] = min(max(theta[k] + step[i], limits[k, 0]), limits[k, 1])
                size += gradient[k] * (trial[k] - theta[k])
            pull = gain * (trial[WIDTH] - theta[WIDTH]) if integrated else 0.0
            then = log_likelihood(window, trial, spread)
            if then + pull >= now - ENOUGH:
                accepted = True
                break
            damping *= 8
        if not accepted:
            break
        damping = max(damping / 8, 1e-6)
        theta[:] = trial
        now = then
        if size < ENOUGH:
            converged = True
            break
    derive(window, theta, spread, gradient, fisher)
    return now, converged


@njit(cache=True, nogil=True)
def fit_sources(images, inside, theta, setup, fisher, out):
    """Fit sources one after the other, each among the others as they are in `model` then.

    images = (counts, background, exposure, model) each (rows, columns) float64, model the counts of all sources out to
    5.5 sigma; inside (n, 5) float64, the sources as they are in the model; theta (n, 5) float64, start and result, x
    and y in the image's pixels; where both are one array the model is kept up to date; setup = (free (5,) bool; reach
    (n,) int64: half the window's side, px; move: how far x and y may go, px; width (2,): lowest and highest ln sigma;
    spread (n,): sigma of c); fisher (n, 5, 5) float64; out (n, 2) float64: ln L, 1 where the fit converged.
    """
    counts, background, exposure, model = images
    free, reach, move, width, spread = setup
    rows, columns = counts.shape
    limits = np.empty((PARAMETERS, 2))
    for k in range(theta.shape[0]):
        own = theta[k]
        old = inside[k]
        add_source(model, exposure, (old[X], old[Y], old[FLUX], np.exp(old[WIDTH])), -1.0)
        x0, y0 = int(np.rint(own[X])), int(np.rint(own[Y]))
        top, left = max(0, y0 - reach[k]), max(0, x0 - reach[k])
        bottom, right = min(rows, y0 + reach[k] + 1), min(columns, x0 + reach[k] + 1)
        neighbours = np.maximum(model[top:bottom, left:right], 0.0)  # what is left of the subtraction may be -1e-17
        window = (
            counts[top:bottom, left:right],
            neighbours,
            background[top:bottom, left:right],
            exposure[top:bottom, left:right],
        )
        own[X] -= left
        own[Y] -= top
        limits[FLUX] = 1e-9, np.inf
        limits[X] = max(own[X] - move, -0.5 - left), min(own[X] + move, columns - 0.5 - left)
        limits[Y] = max(own[Y] - move, -0.5 - top), min(own[Y] + move, rows - 0.5 - top)
        limits[WIDTH] = width
        limits[BACKGROUND] = 0.1, 10.0
        value, converged = fit_gaussian(window, own, free, limits, spread[k], fisher[k])
        own[X] += left
        own[Y] += top
        out[k, 0], out[k, 1] = value, converged
        add_source(model, exposure, (old[X], old[Y], old[FLUX], np.exp(old[WIDTH])), 1.0)
