"""Numba kernels of the simulation: arrays and numbers only."""

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def share_charge(x, y, electrons, sigma, half, shape):
    """Spread Gaussian clouds over the pixels around their centres.

    x, y (n,) float: centres in pixels, pixel i reaches from i - 0.5 to i + 0.5; electrons (n,) float;
    sigma: of the clouds, pixels; half: pixels on each side of the central one that are looked at;
    shape: (rows, columns). Returns photon (index, int64), x, y (int16), electrons (float32) of every pixel that
    gets at least 1e-4 electrons. What falls off the edge is lost. Empty input gives empty arrays.
    """
    width = 2 * half + 1
    room = x.size * width * width
    photon, at_x, at_y = np.empty(room, np.int64), np.empty(room, np.int16), np.empty(room, np.int16)
    part = np.empty(room, np.float32)
    in_x, in_y = np.empty(width), np.empty(width)
    scale = 1 / (sigma * math.sqrt(2))
    n = 0
    for i in range(x.size):
        column, row = int(np.rint(x[i])), int(np.rint(y[i]))
        for k in range(width):
            low = column - half + k - 0.5 - x[i]
            in_x[k] = 0.5 * (math.erf((low + 1) * scale) - math.erf(low * scale))
            low = row - half + k - 0.5 - y[i]
            in_y[k] = 0.5 * (math.erf((low + 1) * scale) - math.erf(low * scale))
        for j in range(width):
            for k in range(width):
                px, py, e = column - half + k, row - half + j, electrons[i] * in_x[k] * in_y[j]
                if e >= 1e-4 and 0 <= px < shape[1] and 0 <= py < shape[0]:
                    photon[n], at_x[n], at_y[n], part[n] = i, px, py, e
                    n += 1
    return photon[:n], at_x[:n], at_y[:n], part[:n]


@njit(cache=True, nogil=True)
def scale_noise(level, offset, noise, common):
    """Turn `level` (rows, columns) float32, standard normal, into offset + common[row] + noise * level, in place."""
    rows, columns = level.shape
    for y in range(rows):
        for x in range(columns):
            level[y, x] = offset[y, x] + common[y] + noise[y, x] * level[y, x]


@njit(cache=True, nogil=True)
def digitise(level, top):
    """Return `level` (rows, columns) float32 ADU as an ADC gives it: rounded, within 0..top, uint16."""
    rows, columns = level.shape
    out = np.empty((rows, columns), np.uint16)
    for y in range(rows):
        for x in range(columns):
            out[y, x] = np.uint16(min(max(np.rint(level[y, x]), np.float32(0)), top))
    return out
