"""Windows of a frame around events: what a network that looks at their surroundings is given."""

import numpy as np
from numba import njit

from stream.kernels.events import signal_of


@njit(cache=True, nogil=True)
def place_windows(x, y, shape, side, margin, places):
    """Write the corners of windows that hold all events to `places` (m, 2) int16: left, bottom; return how many.

    x, y: (n,) brightest pixels, in a frame of shape (rows, columns). The window of an event has it in the middle, or
    ends where the frame ends. An event needs none of its own if an earlier window has it at least `margin` pixels
    inside, or where that window ends with the frame. A frame smaller than `side` has one, at (0, 0). None for no
    events; at most m.
    """
    rows, columns = shape
    n = 0
    for k in range(x.size):
        left = min(max(x[k] - side // 2, 0), max(columns - side, 0))
        bottom = min(max(y[k] - side // 2, 0), max(rows - side, 0))
        known = False
        for j in range(n):
            known |= _inside(x[k], places[j, 0], columns, side, margin) and _inside(
                y[k], places[j, 1], rows, side, margin
            )
        if not known and n < places.shape[0]:
            places[n, 0], places[n, 1] = left, bottom
            n += 1
    return n


@njit(cache=True, nogil=True)
def _inside(at, first, length, side, margin):
    low = margin if first > 0 else 0
    high = side - margin if first + side < length else side
    return low <= at - first < high


@njit(cache=True, nogil=True)
def cut_windows(pixels, offset, common_mode, bad, gain_ev, places, windows):
    """Write the energies (eV) of the windows at `places` to `windows`, (n, side, side) float32.

    places: (n, 2) int16, left and bottom. Other arrays as in `find_events`. Bad pixels, pixels without data, and what
    lies beyond the frame are 0.
    """
    rows, columns = pixels.shape
    side = windows.shape[1]
    for n in range(places.shape[0]):
        left, bottom = places[n, 0], places[n, 1]
        for v in range(side):
            y = bottom + v
            if y >= rows:
                windows[n, v] = 0
                continue
            for u in range(side):
                x = left + u
                value = np.float32(0)
                if x < columns and bad[y, x] == 0:
                    value = signal_of(pixels, offset, common_mode, y, x) * np.float32(gain_ev)
                windows[n, v, u] = value if np.isfinite(value) else np.float32(0)


@njit(cache=True, nogil=True, error_model="numpy")
def fill_energies(pixels, offset, common_mode, bad, gain_ev, energies):
    """Write the energies (eV, rounded) of a whole frame to `energies`, (rows, columns) int16, cut at +-32767.

    Other arrays as in `find_events`. Bad pixels and those without data are 0.
    """
    gain, most = np.float32(gain_ev), np.float32(32767)
    for y in range(pixels.shape[0]):
        common = common_mode[y]
        for x in range(pixels.shape[1]):
            value = np.float32(pixels[y, x])
            if offset.size:
                value -= np.float32(offset[y, x]) * np.float32(1 / 256) + common
            value *= gain
            value = min(max(value, -most), most) if value == value and bad[y, x] == 0 else np.float32(0)
            energies[y, x] = np.int16(np.floor(value + np.float32(0.5)))
