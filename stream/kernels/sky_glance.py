"""Where photons of a patch of the gamma-ray sky lie close together, without images: for skies that are nearly empty."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def list_photons(counts, first, channel, pixel):
    """List the photons in maps (m, pixels): write channel, `first` being that of the first map, and pixel.

    Returns how many there are, and stops writing where the lists (n,) are full.
    """
    found = 0
    for m in range(counts.shape[0]):
        for at in range(counts.shape[1]):
            if counts[m, at] != 0:
                for _ in range(counts[m, at]):
                    if found < len(pixel):
                        channel[found], pixel[found] = first + m, at
                    found += 1
    return found


@njit(cache=True, nogil=True)
def between_cells(image, x, y):
    """Return the value of an image (n, n) at a place, pixels from its corner; linear, constant at the rim."""
    n = len(image)
    u, v = min(max(x - 0.5, 0.0), n - 1.000001), min(max(y - 0.5, 0.0), n - 1.000001)
    column, row = int(u), int(v)
    u, v = u - column, v - row
    above = image[row, column] * (1 - u) + image[row, column + 1] * u
    below = image[row + 1, column] * (1 - u) + image[row + 1, column + 1] * u
    return above * (1 - v) + below * v


@njit(cache=True, nogil=True)
def read_cells(images, channel, places, out):
    """Write what the images (c, n, n) have at places (m, 2), in pixels, each in its own channel (m,), out (m,)."""
    for i in range(len(out)):
        out[i] = between_cells(images[channel[i]], places[i, 0], places[i, 1])


@njit(cache=True, nogil=True)
def climb(photons, channel, background, profile, step, rates, starts, reach, begun, shifts, out):
    """Climb from photons to where a point source is most likely; write x, y and TS of the best, out (m, 3).

    photons (n, 2): x and y, degrees; background (n,): counts sr-1 expected at each, in its channel; profile (c, k),
    sr-1, at steps of `step`; rates (j, c): counts of a source of one unit for some spectra, of which the best is taken;
    starts (m,): rows of photons. Photons up to `reach` degrees from the start count. A source begins with `begun`
    counts, and each of `shifts` steps gives it the counts that are more likely its than the background's, and the place
    that they point to: the EM algorithm (Dempster et al. 1977, J. R. Stat. Soc. B 39, 1), which never leads downhill in
    counts.
    """
    near = np.empty(len(photons), np.int64)
    for k in range(len(starts)):
        number = 0
        for i in range(len(photons)):
            if np.hypot(photons[i, 0] - photons[starts[k], 0], photons[i, 1] - photons[starts[k], 1]) < reach:
                near[number] = i
                number += 1
        out[k, 2] = -1.0
        for rate in rates:
            source = photons[starts[k], 0], photons[starts[k], 1], begun / rate.sum()
            for _ in range(shifts):
                ts, moved = likely(photons, channel, background, profile, step, rate, near[:number], source)
                if ts > out[k, 2]:
                    out[k, 0], out[k, 1], out[k, 2] = source[0], source[1], ts
                source = moved


@njit(cache=True, nogil=True)
def likely(photons, channel, background, profile, step, rate, near, source):
    """Return TS of a source (x, y, units) for the photons `near`, and where a step of `climb` takes it."""
    x, y, units = source
    gain, mine, weight, to_x, to_y = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in near:
        away = np.hypot(photons[i, 0] - x, photons[i, 1] - y)
        c, low = channel[i], int(away / step)
        if low + 1 >= profile.shape[1]:
            continue
        fall = profile[c, low] - profile[c, low + 1]
        height = max(profile[c, low] - (away / step - low) * fall, 1e-30)
        ratio = units * rate[c] * height / background[i]
        share = ratio / (1 + ratio)
        gain += np.log1p(ratio)
        mine += share
        share *= fall / height / max(away, step)
        weight += share
        to_x += share * photons[i, 0]
        to_y += share * photons[i, 1]
    ts, total = 2 * (gain - units * rate.sum()), rate.sum()
    if weight > 0:
        x, y = to_x / weight, to_y / weight
    return ts, (x, y, mine / total)
