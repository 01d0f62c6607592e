"""Offset, noise and bad pixels of a dark run, in one pass over the frames: a robust start, then clipped exact sums.

Fixed point as in the rest of the chain: "1/256 ADU" is an integer of that unit.
"""

import numpy as np
from numba import njit

from stream.kernels.common_mode import NO_LIMIT, row_common_mode

MAX_CLIP = np.int32(1 << 21)  # 8192 ADU: squares of 2 million frames still fit into int64
CLIP_SIGMA = 6.0  # what a Gaussian loses beyond it (2e-9, and 2e-4 where sigma is 30 % low) biases nothing


@njit(cache=True, nogil=True)
def median_and_spread(stack, common, median, spread):
    """Write each pixel's median and 1.4826 MAD over the frames of stack * 256 - common.

    stack (frames, rows, columns) uint16 ADU, at least one frame; common (frames, rows) float32 ADU;
    median, spread (rows, columns) int32, 1/256 ADU, written.
    """
    frames, rows, columns = stack.shape
    values = np.empty(frames, np.int32)
    for y in range(rows):
        level = np.rint(common[:, y] * np.float32(256)).astype(np.int32)
        for x in range(columns):
            for i in range(frames):
                values[i] = (np.int32(stack[i, y, x]) << np.int32(8)) - level[i]
            middle = np.int32(np.rint(np.median(values)))
            for i in range(frames):
                values[i] = abs(values[i] - middle)
            median[y, x] = middle
            spread[y, x] = np.int32(np.rint(1.4826 * np.median(values)))


@njit(cache=True, nogil=True)
def add_dark(pixels, offset, limit, common, top, sums, row_sums):
    """Add one frame's deviations from the start to the sums, in place: exact, so their order does not matter.

    pixels (rows, columns) uint16 ADU; offset, limit (rows, columns) int32, 1/256 ADU: start and half width of the
    clip; common (rows,) float32 ADU; top: ADU from which a pixel is saturated, never counted; sums (3, rows, columns)
    int64: count, sum, sum of squares (1/256 ADU); row_sums (2, rows) int64: count, sum of common, of rows of which
    more than half is counted.
    """
    rows, columns = pixels.shape
    for y in range(rows):
        level = np.int32(np.rint(common[y] * np.float32(256)))
        row, off, lim = pixels[y], offset[y], limit[y]
        count, total, square = sums[0, y], sums[1, y], sums[2, y]
        kept = np.int64(0)
        for x in range(columns):  # a product, not a branch: the loop must stay vectorised
            d = (np.int32(row[x]) << np.int32(8)) - off[x] - level
            near = np.int64(1) if abs(d) < lim[x] and row[x] < top else np.int64(0)
            wide = np.int64(d) * near
            count[x] += near
            total[x] += wide
            square[x] += wide * wide
            kept += near
        if 2 * kept > columns:
            row_sums[0, y] += 1
            row_sums[1, y] += level


def robust_start(stack):
    """Return offset and clip half width, (rows, columns) int32 in 1/256 ADU, and the common-mode window (1/256 ADU).

    stack (frames, rows, columns) uint16 ADU: the first frames of the run, at least one. Medians over the frames, the
    second time without the common mode of each row. The clip is never narrower than that of a typical pixel: the
    spread of a few frames is uncertain, and a pixel must not lose its own noise by bad luck.
    """
    common = np.zeros(stack.shape[:2], np.float32)
    offset, spread = np.empty(stack.shape[1:], np.int32), np.empty(stack.shape[1:], np.int32)
    median_and_spread(stack, common, offset, spread)
    window = noise_window(spread)
    for frame, level in zip(stack, common, strict=True):
        row_common_mode(frame, offset, (window, NO_LIMIT), level)
    median_and_spread(stack, common, offset, spread)
    typical = max(float(np.median(spread)), 128.0)  # the ADC's own step, where there is no noise at all
    limit = np.minimum(CLIP_SIGMA * np.maximum(spread, typical), MAX_CLIP).astype(np.int32)
    return offset, limit, noise_window(spread)


def noise_window(spread):
    """Return 4 typical sigma of `spread` (1/256 ADU), at least 2 ADU, as the common mode wants it: int32."""
    return np.int32(min(max(4 * float(np.median(spread)), 512.0), float(MAX_CLIP)))


def offset_and_noise(start, sums, row_sums):
    """Return offset and noise, (rows, columns) float32 ADU, from the start's offset and the sums of `add_dark`.

    The offset holds the mean common mode of its row. The noise is the rms without common mode, unbiased: n - 1.5 in
    place of n for a standard deviation (exact to 1/(16 n^2)), and 1 - 1/columns for the share of a pixel in its row's
    common mode. A pixel that was never inside the clip has the start's offset and noise 0.
    """
    count, total, square = sums.astype(np.float64)
    counted = np.maximum(count, 1)
    mean = total / counted
    rows = row_sums.astype(np.float64)
    common = rows[1] / np.maximum(rows[0], 1)
    variance = np.maximum(square - total * mean, 0) / np.maximum(count - 1.5, 0.5) / (1 - 1 / count.shape[1])
    offset = (start + mean + common[:, None]) / 256
    return offset.astype(np.float32), (np.sqrt(variance) / 256).astype(np.float32)
