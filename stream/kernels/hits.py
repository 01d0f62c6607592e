"""Pixels above the event threshold."""

import numpy as np
from numba import njit

NEVER = 65535  # event threshold of a pixel that must not trigger
HALF = np.int32(128)  # of an ADU: the signal is rounded to whole ADU before it is compared, as flight electronics do


@njit(cache=True, nogil=True)
def hits_of_row(row, offset, threshold, level, place, out):
    """List the hits of one row, as `find_hits`; place = its number, and how many are listed already."""
    y, n = place
    peak = np.int32(-(2**31 - 1))
    for i in range(row.size):  # the whole row without a branch: this loop is vectorised, and most rows end here
        d = (np.int32(row[i]) << np.int32(8)) - offset[i] - (np.int32(threshold[i]) << np.int32(8))
        peak = max(peak, d)
    if peak < level:
        return n
    for i in range(row.size):
        if threshold[i] == NEVER:
            continue
        d = (np.int32(row[i]) << np.int32(8)) - offset[i] - (np.int32(threshold[i]) << np.int32(8))
        if d >= level:
            if n == out.shape[0]:
                return -1
            out[n, 0] = y
            out[n, 1] = i
            n += 1
    return n


@njit(cache=True, nogil=True)
def find_hits(pixels, offset, common_mode, threshold, out):
    """List the pixels whose signal in whole ADU is above their event threshold, row by row.

    pixels (rows, columns) uint16 ADU; offset (rows, columns) int32, 1/256 ADU; common_mode (rows,) float32 ADU;
    threshold (rows, columns) uint16 ADU above the offset, NEVER where a pixel is masked; out (n, 2) int16: row, column.
    Returns how many there are, or -1 if `out` is too short; 0 for a frame without hits.
    """
    n = 0
    for y in range(pixels.shape[0]):
        level = np.int32(np.rint(common_mode[y] * np.float32(256))) + HALF
        n = hits_of_row(pixels[y], offset[y], threshold[y], level, (y, n), out)
        if n < 0:
            break
    return n


@njit(cache=True, nogil=True)
def find_hits_in_image(image, threshold, out):
    """List the pixels of a float image above a constant threshold, as `find_hits`.

    image (rows, columns) float32; threshold in the image's unit; out (n, 2) int16: row, column.
    Returns (how many, -1 if `out` is too short; how many pixels are not finite, which never are hits).
    """
    n = 0
    holes = 0
    rows, columns = image.shape
    for y in range(rows):
        row = image[y]
        above = np.int32(0)
        sane = np.int32(0)
        for i in range(columns):
            above += np.int32(row[i] > threshold)
            sane += np.int32(abs(row[i]) < np.inf)
        holes += columns - sane
        if above == 0:  # as in `find_hits`, most rows end here
            continue
        for i in range(columns):
            if row[i] > threshold and row[i] < np.inf:
                if n == out.shape[0]:
                    return -1, holes
                out[n, 0] = y
                out[n, 1] = i
                n += 1
    return n, holes
