"""Likelihood of point sources on a patch of the gamma-ray sky, all channels together.

Pixels of all channels lie in one row: those of channel c from layout[c, 0] on, layout[c, 1] along a side, rows first;
scale[c] is their size in degrees. A source is (x, y, ln flux, index): degrees from the corner of the patch, flux in
units that `rate` (channels, k) turns into counts for k indices at steps of INDEX_STEP from INDEX_LOW. In a pixel it
makes rate x PSF x `lit` counts, lit being the solid angle of the pixel, sr, and `place` (n, 2) where it is, degrees.
`weight` (channels,) multiplies ln L of each channel: below 1 where the background is not known well enough (as 4FGL
does, Abdollahi et al. 2020, ApJS 247, 33).
"""

import numpy as np
from numba import njit

INDEX_LOW = 1.0
INDEX_STEP = 0.1
PARAMETERS = 4
SMALLEST = 1e-9  # counts expected in a pixel, at least


@njit(cache=True, nogil=True)
def at_index(rate, channel, index):
    """Return the rate of a channel at an index, and its derivative; log-linear between the steps."""
    low = int(min(max((index - INDEX_LOW) / INDEX_STEP, 0.0), rate.shape[1] - 1.001))
    slope = np.log(rate[channel, low + 1] / rate[channel, low]) / INDEX_STEP
    value = rate[channel, low] * np.exp(slope * (index - INDEX_LOW - low * INDEX_STEP))
    return value, slope * value


@njit(cache=True, nogil=True)
def window(source, reach, scale, side):
    """Return first and last row, first and last column (past the end) of the pixels within reach of a source."""
    x, y, r = source[0] / scale - 0.5, source[1] / scale - 0.5, reach / scale
    top, left = max(0, int(np.ceil(y - r))), max(0, int(np.ceil(x - r)))
    return top, min(side, int(y + r) + 1), left, min(side, int(x + r) + 1)


@njit(cache=True, nogil=True)
def add_source(model, layout, scale, lit, place, profile, step, rate, source, sign, reach):
    """Add sign times the counts of a source to the model, in place; profile (CHANNELS, n) sr-1 at steps of `step`.

    reach (CHANNELS,): degrees from it up to which it is added.
    """
    flux = np.exp(source[2])
    for c in range(layout.shape[0]):
        value, _ = at_index(rate, c, source[3])
        begin, side = layout[c, 0], layout[c, 1]
        top, bottom, left, right = window(source, reach[c], scale[c], side)
        for row in range(top, bottom):
            for column in range(left, right):
                at = begin + row * side + column
                away = np.hypot(place[at, 0] - source[0], place[at, 1] - source[1]) / step
                k = int(away)
                if k + 1 < profile.shape[1] and away * step <= reach[c]:
                    p = profile[c, k] + (away - k) * (profile[c, k + 1] - profile[c, k])
                    model[at] += sign * flux * value * p * lit[at]


@njit(cache=True, nogil=True)
def likelihood(
    counts, model, layout, scale, lit, place, profile, step, rate, source, reach, weight, gradient, information
):
    """Return ln L with the source less that without it; write its gradient (4,) and information (4, 4).

    model: counts expected of all else. Only pixels within reach[c] degrees count.
    """
    gradient[:] = 0.0
    information[:, :] = 0.0
    gain = 0.0
    flux = np.exp(source[2])
    d = np.empty(PARAMETERS)
    for c in range(layout.shape[0]):
        value, by_index = at_index(rate, c, source[3])
        begin, side = layout[c, 0], layout[c, 1]
        top, bottom, left, right = window(source, reach[c], scale[c], side)
        for row in range(top, bottom):
            for column in range(left, right):
                at = begin + row * side + column
                dx, dy = place[at, 0] - source[0], place[at, 1] - source[1]
                away = np.hypot(dx, dy)
                k = int(away / step)
                if away > reach[c] or k + 1 >= profile.shape[1]:
                    continue
                slope = (profile[c, k + 1] - profile[c, k]) / step
                p = profile[c, k] + (away - k * step) * slope
                mine = flux * value * p * lit[at]
                below = max(model[at], SMALLEST)
                expected = below + mine
                d[2] = mine
                d[3] = mine * by_index / value
                turn = -flux * value * slope * lit[at] / max(away, 1e-9)
                d[0], d[1] = turn * dx, turn * dy
                excess = weight[c] * (counts[at] / expected - 1)
                gain += weight[c] * (counts[at] * np.log(expected / below) - mine)
                for i in range(PARAMETERS):
                    gradient[i] += excess * d[i]
                    for j in range(i + 1):
                        information[i, j] += weight[c] * d[i] * d[j] / expected
    for i in range(PARAMETERS):
        for j in range(i):
            information[j, i] = information[i, j]
    return gain


@njit(cache=True, nogil=True)
def fit_source(
    counts, model, layout, scale, lit, place, profile, step, rate, source, reach, weight, limits, steps, covariance
):
    """Fit a source to what `model` leaves over, in place; return 2 ln of the likelihood ratio, and whether it settled.

    limits (6,): prior mean and sd of the index, farthest move in degrees, lowest and highest index, lowest ln flux.
    covariance (4, 4), out: the inverse information. Fisher's scoring, damped where it does not rise.
    """
    begun = source.copy()
    mean, sd, farthest, low, high, faintest = limits
    gradient, information = np.empty(PARAMETERS), np.empty((PARAMETERS, PARAMETERS))
    other, others = np.empty(PARAMETERS), np.empty((PARAMETERS, PARAMETERS))
    gain = likelihood(
        counts, model, layout, scale, lit, place, profile, step, rate, source, reach, weight, gradient, information
    )
    best = gain - 0.5 * ((source[3] - mean) / sd) ** 2
    damping, settled = 1e-3, False
    trial = np.empty(PARAMETERS)
    for _ in range(steps):
        full = information.copy()
        pull = gradient.copy()
        full[3, 3] += 1 / sd**2
        pull[3] -= (source[3] - mean) / sd**2
        for i in range(PARAMETERS):
            full[i, i] *= 1 + damping
            full[i, i] += 1e-12
        move = np.linalg.solve(full, pull)
        move[2] = min(max(move[2], -1.5), 1.5)
        move[3] = min(max(move[3], -0.5), 0.5)
        length = np.hypot(move[0], move[1])
        if length > 0.15:
            move[0] *= 0.15 / length
            move[1] *= 0.15 / length
        trial[:] = source + move
        trial[3] = min(max(trial[3], low), high)
        trial[2] = max(trial[2], faintest)
        away = np.hypot(trial[0] - begun[0], trial[1] - begun[1])
        if away > farthest:
            trial[0] = begun[0] + (trial[0] - begun[0]) * farthest / away
            trial[1] = begun[1] + (trial[1] - begun[1]) * farthest / away
        value = likelihood(
            counts, model, layout, scale, lit, place, profile, step, rate, trial, reach, weight, other, others
        )
        rated = value - 0.5 * ((trial[3] - mean) / sd) ** 2
        if rated >= best - 1e-9:
            rise = rated - best
            source[:] = trial
            gain, best = value, rated
            gradient[:] = other
            information[:, :] = others
            damping = max(damping / 10, 1e-6)
            if rise < 1e-3:
                settled = True
                break
        else:
            damping = max(damping, 1e-2) * 10
            if damping > 1e6:
                settled = True
                break
    full = information.copy()
    full[3, 3] += 1 / sd**2
    for i in range(PARAMETERS):
        full[i, i] += 1e-12
    covariance[:, :] = np.linalg.inv(full)
    return 2 * gain, settled
