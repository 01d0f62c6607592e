"""The common mode and the hits of a frame in one pass.

Most rows hold no signal, and 16 bits of each pixel tell that: eight of them fit where two of 32 bits do, and the maps
that must be read are half as large. What a row sums to is exact all the same, see `round_offset`. Whatever does not fit
is left to `row_common_mode` and `find_hits`, whose results these are, bit for bit.
"""

import numpy as np
from numba import njit

from stream.kernels.common_mode import mean_of_row
from stream.kernels.hits import HALF, hits_of_row

BELOW = 256  # ADU that a pixel of a quiet row may lie below its offset
MOST = 32_768  # a difference above it may be one below zero
UNFIT = np.int32(2**31 - 1)


@njit(cache=True, nogil=True)
def round_offset(offset, rows_from, rows_step, low, rest):
    """Split the offset of every `rows_step`-th row into 256 * `low`, and the sum of what remains; in place.

    offset (rows, columns) int32, 1/256 ADU; low (rows, columns) uint16, ADU, BELOW of them under the offset; rest
    (rows,) int32, 1/256 ADU; UNFIT where an offset is no number of ADU that leaves room on both sides.
    """
    for y in range(rows_from, offset.shape[0], rows_step):
        off, own = offset[y], low[y]
        total = np.int32(0)
        least, most = np.int32(MOST), np.int32(0)
        for i in range(off.size):
            whole = np.int32(np.int32(np.int32(off[i] + HALF) >> np.int32(8)) - np.int32(BELOW))
            own[i] = np.uint16(whole)
            total = np.int32(total + np.int32(off[i] - np.int32(whole << np.int32(8))))
            least, most = min(least, whole), max(most, whole)
        rest[y] = total if least >= 0 and most < MOST else UNFIT


@njit(cache=True, nogil=True)
def sum_row(row, low):
    """Sum, minimum and maximum of row - low, all modulo 2^16 (uint16); row and low (columns,) uint16 ADU."""
    total, least, most = np.uint16(0), np.uint16(MOST), np.uint16(0)
    for i in range(row.size):
        above = np.uint16(row[i] - low[i])
        total = np.uint16(total + above)
        least, most = min(least, above), max(most, above)
    return total, least, most


@njit(cache=True, nogil=True)
def mean_of_quiet_row(total, reach, columns, window):
    """Common mode of a row, 1/256 ADU, and whether all of its pixels were near all along: else it is not this one.

    As `mean_of_row`, where the sum around another centre is known without another look.
    total: of row * 256 - offset, int32; reach: its smallest and largest value, or more; window: all in 1/256 ADU.
    """
    below, above = reach
    centre = np.int32(0)
    for turn in range(4):
        if above - centre >= window or centre - below >= window:
            return np.float64(0), False
        left = total - columns * centre
        if turn == 3 or np.int64(abs(left)) * 16 < np.int64(columns) * window:
            break
        centre += np.int32(np.rint(left / columns))
    return centre + (total - columns * centre) / columns, True


@njit(cache=True, nogil=True)
def sift_rows(pixels, maps, rule, common_mode, out):
    """Return how many hits there are, and how many rows have no common mode; `row_common_mode`, then `find_hits`.

    pixels (rows, columns) uint16 ADU; maps: offset and threshold as there, `low` and `rest` of `round_offset`, and
    floor (rows,) uint16, at most the smallest threshold of the row; rule and common_mode as there, out as in
    `find_hits`.
    """
    offset, threshold, low, rest, floor = maps
    window, limit = rule
    rows, columns = pixels.shape
    size = np.int32(columns)
    found, lost = 0, 0
    for y in range(rows):
        row, off = pixels[y], offset[y]
        total, least, most = sum_row(row, low[y])
        fit = rest[y] != UNFIT and most < MOST and size * (np.int32(most) - least) < MOST
        above = ((np.int32(most) - np.int32(BELOW)) << np.int32(8)) + np.int32(128)
        value, known = np.float64(0), False
        if fit:
            below = ((np.int32(least) - np.int32(BELOW)) << np.int32(8)) - np.int32(128)
            # The sum is known modulo 2^16, and how far it is from that of `least` everywhere is less.
            more = np.int32(np.uint16(total - np.uint16(size * np.int32(least))))
            exact = np.int32(((size * np.int32(least) + more) << np.int32(8)) - rest[y])
            value, known = mean_of_quiet_row(exact, (below, above), size, window)
            known = known and abs(value) + window <= limit
        if not known:
            value, has_none = mean_of_row(row, off, rule)
            lost += has_none
        common_mode[y] = np.float32(value) * np.float32(1 / 256)
        level = np.int32(np.rint(common_mode[y] * np.float32(256))) + HALF
        silent = fit and above < (np.int32(floor[y]) << np.int32(8)) + level
        if found >= 0 and not silent:  # of a frame with too many hits, the common mode is still known
            found = hits_of_row(row, off, threshold[y], level, (y, found), out)
    return found, lost
