"""The row common mode: what all pixels of a row share in one read-out."""

import numpy as np
from numba import njit

NO_LIMIT = np.int32(2**30)
MIN_SHARE = 0.5  # of the pixels must be within the window for a row to have a common mode


@njit(cache=True, nogil=True)
def sum_near(row, offset, centre, window):
    """Sum and count of row * 256 - offset - centre over the pixels within +-window (all in 1/256 unit)."""
    total = np.int32(0)
    count = np.int32(0)
    for i in range(row.size):  # a select, not a branch: the loop must stay vectorised
        d = (np.int32(row[i]) << np.int32(8)) - offset[i] - centre
        near = np.int32(1) if abs(d) < window else np.int32(0)
        total += d * near
        count += near
    return total, count


@njit(cache=True, nogil=True)
def row_median(row, offset):
    """Median of row * 256 - offset, int32 (1/256 unit)."""
    d = np.empty(row.size, np.int32)
    for i in range(row.size):
        d[i] = (np.int32(row[i]) << np.int32(8)) - offset[i]
    return np.int32(np.median(d))


@njit(cache=True, nogil=True)
def mean_of_row(row, offset, rule):
    """Robust mean of row * 256 - offset of one row, 1/256 ADU, and 1 if it has none (the mean is 0 then).

    row (columns,) uint16 ADU; offset (columns,) int32, 1/256 ADU; rule as in `row_common_mode`.
    """
    window, limit = rule
    enough = max(np.int32(1), np.int32(MIN_SHARE * row.size))
    centre = np.int32(0)
    total, count = sum_near(row, offset, centre, window)
    if count < enough:
        centre = row_median(row, offset)
        total, count = sum_near(row, offset, centre, window)
    for _ in range(3):
        if count < enough or np.int64(abs(total)) * 16 < np.int64(count) * window:
            break
        centre += np.int32(np.rint(total / count))
        total, count = sum_near(row, offset, centre, window)
    if count < enough or abs(centre) > limit:
        return np.float64(0), 1
    return centre + total / count, 0


@njit(cache=True, nogil=True)
def row_common_mode(pixels, offset, rule, out):
    """Robust mean of pixels - offset in each row, written to `out`; returns how many rows have none.

    pixels (rows, columns) uint16 ADU; offset (rows, columns) int32, 1/256 ADU; rule = (window, limit), 1/256 ADU: half
    width of what counts as noise (4 sigma), and the largest common mode that a working detector has; out (rows,)
    float32 ADU, 0 where no common mode is found.
    The mean is taken around 0 first and again around itself when it is off centre; a row that left the window
    altogether starts from its median: a step of any height below the limit is found in the frame in which it happens.
    Rows without enough quiet pixels (saturated, masked, not read, stuck) get 0.
    """
    lost = 0
    for y in range(pixels.shape[0]):
        value, has_none = mean_of_row(pixels[y], offset[y], rule)
        out[y] = np.float32(value) * np.float32(1 / 256)
        lost += has_none
    return lost
