"""Features of events from class activation maps; the same for training and in the stream."""

import numpy as np
from numba import njit

HALF = 2  # the maps are looked at in 5 x 5 pixels
LEAST = 1e-6  # of a denominator: maps go through 0
FEATURES = (
    "energy_ev",
    "p_xray",
    "p_particle",
    "max_xray",
    "max_particle",
    "median_particle",
    "f1",
    "f2",
    "f3",
    "f4",
)


@njit(cache=True, nogil=True)
def cam_features(maps, logits, frame, x, y, energy_ev, classes, side):
    """Return the ten features of each event (Poliszczuk et al. 2024, arXiv:2407.16768, section 4.2, Eq. 9).

    maps (n, k, h, h) and logits (n, k) float32 of n frames of `side` pixels; frame (m,) int64, which of them an event
    is in; x, y (m,) int64: its brightest pixel there; energy_ev (m,) float; classes: places of X-ray and particle in k.
    Returns (m, 10) float32 in the order of FEATURES; probabilities are the softmax of the logits, the maps are brought
    to the frame's pixels bilinearly, and of a window that leaves the frame only what is inside counts. Empty for none.
    """
    xray, particle = classes
    out = np.empty((frame.size, 10), np.float32)
    one, two = np.empty(25, np.float32), np.empty(25, np.float32)
    for i in range(frame.size):
        n = frame[i]
        count = 0
        for row in range(max(y[i] - HALF, 0), min(y[i] + HALF, side - 1) + 1):
            for column in range(max(x[i] - HALF, 0), min(x[i] + HALF, side - 1) + 1):
                one[count] = _between(maps[n, xray], row, column, side)
                two[count] = _between(maps[n, particle], row, column, side)
                count += 1
        low_x, high_x = one[:count].min(), one[:count].max()
        low_p, high_p = two[:count].min(), two[:count].max()
        top = logits[n].max()
        total = np.exp(logits[n] - top).sum()
        out[i, 0] = energy_ev[i]
        out[i, 1] = np.exp(logits[n, xray] - top) / total
        out[i, 2] = np.exp(logits[n, particle] - top) / total
        out[i, 3], out[i, 4], out[i, 5] = high_x, high_p, np.median(two[:count])
        out[i, 6] = high_p - low_x
        out[i, 7] = _over(high_p, high_x) - _over(low_p, low_x)
        out[i, 8] = _over(high_p, high_x) - _over(low_p, high_x)
        out[i, 9] = _over(high_p, low_x) - _over(low_p, high_x)
    return out


@njit(cache=True, nogil=True)
def _between(cells, row, column, side):
    """Return the value of a map (h, h) at a pixel, bilinearly between the middles of its cells, level beyond them."""
    size = cells.shape[0]
    at_y = min(max((row + 0.5) * size / side - 0.5, 0.0), size - 1.0)
    at_x = min(max((column + 0.5) * size / side - 0.5, 0.0), size - 1.0)
    below, left = min(int(at_y), size - 2), min(int(at_x), size - 2)
    up, right = at_y - below, at_x - left
    low = cells[below, left] * (1 - right) + cells[below, left + 1] * right
    high = cells[below + 1, left] * (1 - right) + cells[below + 1, left + 1] * right
    return low * (1 - up) + high * up


@njit(cache=True, nogil=True)
def _over(above, below):
    """Return a ratio; a denominator within LEAST of 0 counts as LEAST, with its sign."""
    if abs(below) < LEAST:
        below = -LEAST if below < 0 else LEAST
    return above / below
