"""Fits of a temperature, and of a column density if free, by templates of folded counts.

Templates hold the counts of a plasma at knots of ln kT (evenly spaced by `step` from `first`), and their derivatives,
for each of r shapes of absorption; u and its slopes du (knots of nH, evenly spaced by `nh_step` from 0, r) say how much
of each shape makes a column density. Between knots both are cubic Hermite. The norm is profiled out of C-stat: at its
best a model expects as many counts as there are. All arrays float64.

Another area than that of the templates is a ratio of counts in each channel: `tilt` (5, m) holds it for one spectrum at
one place, its derivatives by ln kT and nH there, and the place itself: exact to first order around it, and a ratio of
two areas hardly depends on the spectrum.
"""

import math

import numpy as np
from numba import njit

from stream.kernels.cstat import LEAST, cstat_of

STEPS = 60
ENOUGH = 1e-9  # of C-stat that a step may still gain: sd times the root of it is what is left
PAST = 1e30
EVERY = 8  # knots from one start that is tried to the next: a factor of 1.6 in kT for steps of 0.025 dex


@njit(cache=True, nogil=True)
def hermite(x, first, step, knots, weight):
    """Write to weight (2, 4) the factors of (value, value, slope, slope) at the knots around x, and their derivatives.

    Returns the place of the lower knot; x beyond the knots is moved to their end.
    """
    at = min(max((x - first) / step, 0.0), knots - 1.0)
    i = min(int(at), knots - 2)
    s = at - i
    weight[0, 0] = (1 + 2 * s) * (1 - s) ** 2
    weight[0, 1] = s * s * (3 - 2 * s)
    weight[0, 2] = step * s * (1 - s) ** 2
    weight[0, 3] = step * s * s * (s - 1)
    weight[1, 0] = 6 * s * (s - 1) / step
    weight[1, 1] = -weight[1, 0]
    weight[1, 2] = (1 - s) * (1 - 3 * s)
    weight[1, 3] = s * (3 * s - 2)
    return i


@njit(cache=True, nogil=True, fastmath=True)
def blend(templates, at, free, weight, model):
    """Write to model (3, m) the counts for norm 1 at (ln kT, nH) and their derivatives by both, (m,) each.

    templates: values and slopes (knots, r, m), axes (first, step, u, du, nh_step), tilt (5, m) or (5, 0) for none.
    free: whether nH has a derivative.
    """
    values, slopes, axes, tilt = templates
    first, step, u, du, nh_step = axes
    model[:] = 0.0
    k = 0
    if free:
        k = hermite(at[1], 0.0, nh_step, u.shape[0], weight)
        nh0, nh1, nh2, nh3 = weight[0]
        by0, by1, by2, by3 = weight[1]
    i = hermite(at[0], first, step, values.shape[0], weight)
    a, b, c, d = weight[0]
    e, f, g, h = weight[1]
    for r in range(values.shape[1]):
        much, by = u[0, r], 0.0
        if free:
            much = nh0 * u[k, r] + nh1 * u[k + 1, r] + nh2 * du[k, r] + nh3 * du[k + 1, r]
            by = by0 * u[k, r] + by1 * u[k + 1, r] + by2 * du[k, r] + by3 * du[k + 1, r]
        v0, v1, s0, s1 = values[i, r], values[i + 1, r], slopes[i, r], slopes[i + 1, r]
        for j in range(values.shape[2]):
            value = a * v0[j] + b * v1[j] + c * s0[j] + d * s1[j]
            model[0, j] += much * value
            model[1, j] += much * (e * v0[j] + f * v1[j] + g * s0[j] + h * s1[j])
            model[2, j] += by * value
    for j in range(tilt.shape[1]):
        ratio = tilt[0, j] + tilt[1, j] * (at[0] - tilt[3, j]) + tilt[2, j] * (at[1] - tilt[4, j])
        model[1, j] = model[1, j] * ratio + model[0, j] * tilt[1, j]
        model[2, j] = model[2, j] * ratio + model[0, j] * tilt[2, j]
        model[0, j] *= ratio


@njit(cache=True, nogil=True)
def profiled(counts, total, model, free, out):
    """Return C-stat at the best norm; write gradient (2) and information (3: xx, xn, nn), halved, to out (6,).

    out[5] is the norm. model (3, m) as `blend` writes it.
    """
    sums = np.zeros(3)
    for j in range(counts.size):
        model[0, j] = max(model[0, j], LEAST)
        sums += model[:, j]
    norm = total / sums[0]
    dx, dn = sums[1] / sums[0], sums[2] / sums[0]
    stat = gx = gn = xx = xn = nn = 0.0
    for j in range(counts.size):
        expected = norm * model[0, j]
        x = model[1, j] / model[0, j]
        n = model[2, j] / model[0, j]
        stat += cstat_of(counts[j], expected)
        gx += (expected - counts[j]) * x
        gn += (expected - counts[j]) * n
        xx += expected * (x - dx) ** 2
        xn += expected * (x - dx) * (n - dn)
        nn += expected * (n - dn) ** 2
    out[0], out[1], out[2], out[3], out[4], out[5] = gx, gn, xx, xn, nn, norm
    return stat


@njit(cache=True, nogil=True)
def fit_from(counts, total, templates, limits, frees, at, work, told):
    """Move at (ln kT, nH) to the least C-stat there; returns (C-stat, whether it is one). told (6,) as `profiled`.

    limits (2, 2): low and high of each; frees: whether each is free. work: weight (2, 4), model (3, m), trial (3, m).
    """
    weight, model, trial = work
    free_nh = frees[1]
    blend(templates, at, free_nh, weight, model)
    stat = profiled(counts, total, model, free_nh, told)
    damping, new, place = 1e-4, np.empty(6), np.empty(2)
    for _ in range(STEPS):
        move_x = frees[0] and not ((at[0] <= limits[0, 0] and told[0] > 0) or (at[0] >= limits[0, 1] and told[0] < 0))
        move_n = free_nh and not ((at[1] <= limits[1, 0] and told[1] > 0) or (at[1] >= limits[1, 1] and told[1] < 0))
        if not (move_x or move_n):
            return stat, True
        xx, nn = told[2] * (1 + damping), told[4] * (1 + damping)
        if move_x and move_n:
            det = max(xx * nn - told[3] ** 2, 1e-10 * xx * nn) + LEAST
            dx, dn = -(nn * told[0] - told[3] * told[1]) / det, -(xx * told[1] - told[3] * told[0]) / det
        else:
            dx, dn = -told[0] / (xx + LEAST) if move_x else 0.0, -told[1] / (nn + LEAST) if move_n else 0.0
        gain = -(told[0] * dx + told[1] * dn) * (1 + damping)
        if not gain > ENOUGH:
            return stat, True
        place[0] = min(max(at[0] + min(max(dx, -1.0), 1.0), limits[0, 0]), limits[0, 1])
        place[1] = min(max(at[1] + dn, limits[1, 0]), limits[1, 1])
        blend(templates, place, free_nh, weight, trial)
        found = profiled(counts, total, trial, free_nh, new)
        if found < stat:
            better = stat - found
            at[:], told[:], stat = place, new, found
            damping = damping * 5 + 0.03 if better < 0.5 * gain else max(damping * 0.1, 1e-9)
        elif damping > 1e8:
            return stat, gain < 1e-4
        else:
            damping = max(damping, 1e-4) * 10
    return stat, False


@njit(cache=True, nogil=True)
def scan(counts, total, templates, at, every, work, told):
    """Move at[0] to the knot of least C-stat, of every so many, with nH as it is."""
    first, step, u = templates[2][:3]
    weight, model, _ = work
    least, best, place = PAST, at[0], at.copy()
    for i in range(0, templates[0].shape[0], every):
        place[0] = first + i * step
        blend(templates, place, u.shape[0] > 1, weight, model)
        stat = profiled(counts, total, model, False, told)
        if stat < least:
            least, best = stat, place[0]
    at[0] = best


@njit(cache=True, nogil=True)
def fit_temperatures(counts, values, slopes, axes, tilts, limits, start_nh, ratios, found, curve):
    """Fit spectra (k, m) by templates; write found (k, 6) and the curves (k, c) of C-stat less its least.

    found: ln kT, its sd, nH, norm, C-stat, whether it converged off the ends of kT. curve: at ln kT + ratios (c,),
    nH and norm at their best there, NaN beyond the templates; none for no ratios. nH is free if u has several knots.
    tilts (k, 5, m), or (k, 5, 0) for the area of the templates.
    """
    first, u = axes[0], axes[2]
    m = counts.shape[1]
    work = np.empty((2, 4)), np.empty((3, m)), np.empty((3, m))
    told, at, side = np.empty(6), np.empty(2), np.empty(2)
    free_nh = u.shape[0] > 1
    middle = np.searchsorted(ratios, 0.0)
    for k in range(counts.shape[0]):
        total = counts[k].sum()
        at[0], at[1] = first, start_nh
        templates = values, slopes, axes, tilts[k]
        scan(counts[k], total, templates, at, EVERY, work, told)
        stat, good = fit_from(counts[k], total, templates, limits, (True, free_nh), at, work, told)
        inside = limits[0, 0] < at[0] < limits[0, 1]
        bound = not free_nh or at[1] <= limits[1, 0] or at[1] >= limits[1, 1]
        information = told[2] if bound else told[2] - told[3] ** 2 / max(told[4], LEAST)
        found[k, 0], found[k, 1], found[k, 2] = at[0], 1 / math.sqrt(max(information, LEAST)), at[1]
        found[k, 3], found[k, 4], found[k, 5] = told[5], stat, 1.0 if good and inside else 0.0
        for direction in (-1, 1):
            side[:] = at
            c = middle if direction > 0 else middle - 1
            while 0 <= c < ratios.size:
                side[0] = at[0] + ratios[c]
                if limits[0, 0] <= side[0] <= limits[0, 1]:
                    there, _ = fit_from(counts[k], total, templates, limits, (False, free_nh), side, work, told)
                    curve[k, c] = max(there - stat, 0.0)
                else:
                    curve[k, c] = np.nan
                c += direction
