"""Maps that follow the detector: offset and noise from quiet pixels, hot and flickering pixels from their hits."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def follow_rows(pixels, offset, variance, common_mode, threshold, rows_from, rows_step, rule):
    """Let offset and variance of every `rows_step`-th row follow the pixels without signal; in place.

    pixels (rows, columns) uint16 ADU; offset (rows, columns) int32, 1/256 ADU; variance (rows, columns) float32,
    ADU^2; common_mode (rows,) float32 ADU; threshold (rows, columns) uint16 ADU, of events; rule = (clip, offset_shift,
    noise_weight): a value above both the pixel's threshold and `clip` sigma is signal and does not count, one beyond
    `clip` sigma below the threshold counts as clipped, so that a pixel whose level has moved is found again but a
    photon's neighbour moves it little; a new value weighs 2**-offset_shift in the offset, noise_weight in the variance.
    """
    clip, offset_shift, noise_weight = rule
    shift = np.int32(offset_shift)
    half = np.int32(np.int32(1) << np.int32(offset_shift - 1))
    square, scale, weight = np.float32(clip * clip), np.float32(256) * np.float32(clip), np.float32(noise_weight)
    for y in range(rows_from, pixels.shape[0], rows_step):
        row, off, var, thr = pixels[y], offset[y], variance[y], threshold[y]
        level = np.int32(np.rint(common_mode[y] * np.float32(256)))
        for i in range(row.size):
            # int32 again and again: Numba makes int64 of every sum, which no vector unit turns into a float32.
            d = np.int32((np.int32(row[i]) << np.int32(8)) - off[i] - level)
            limit = np.int32(scale * np.sqrt(var[i]))
            kept = np.int32(min(max(d, -limit), limit))
            kept = np.int32(0) if d > max(np.int32(np.int32(thr[i]) << np.int32(8)), limit) else kept
            # Rounded, not truncated: a floor would pull the offset down by half a step for ever.
            off[i] += np.int32(kept + half) >> shift
            e = np.float32(d) * np.float32(1 / 256)
            quiet = weight if e * e < square * var[i] else np.float32(0)
            var[i] += quiet * (e * e - var[i])


@njit(cache=True, nogil=True)
def is_alone(window, y, x):
    """Whether the eight neighbours of a pixel together have fewer than half of its hits.

    A source, however bright, is spread over its neighbours by the mirror and by charge sharing; a bad pixel is alone.
    window (rows, columns) uint16, hits in the running window of frames.
    """
    rows, columns = window.shape
    around = -np.int64(window[y, x])
    for v in range(max(0, y - 1), min(rows, y + 2)):
        for u in range(max(0, x - 1), min(columns, x + 2)):
            around += np.int64(window[v, u])
    return 2 * around < np.int64(window[y, x])


@njit(cache=True, nogil=True)
def count_hits(hits, number, streak, last, window, hot_frames, out):
    """Count each hit pixel's frames in a row; list those that have become hot: so many in a row, and alone in it.

    hits (n, 2) int16: row, column; number: the frame's running number; streak (rows, columns) uint8, frames in a row;
    last (rows, columns) int32, number of the last frame with a hit; window (rows, columns) uint16, hits in the running
    window; out (n, 2) int16. Returns how many are listed; 0 for no hits.
    """
    n = 0
    for k in range(hits.shape[0]):
        y, x = hits[k, 0], hits[k, 1]
        streak[y, x] = streak[y, x] + 1 if last[y, x] == number - 1 and streak[y, x] < 255 else 1
        last[y, x] = number
        window[y, x] += 1
        if streak[y, x] >= hot_frames and n < out.shape[0] and is_alone(window, y, x):
            out[n, 0] = y
            out[n, 1] = x
            n += 1
    return n


@njit(cache=True, nogil=True)
def find_flickering(window, least, out):
    """List the pixels with at least `least` hits that are alone with them.

    window (rows, columns) uint16, hits in one window of frames; out (n, 2) int16: row, column.
    Returns how many are listed, at most len(out).
    """
    n = 0
    rows, columns = window.shape
    for y in range(rows):
        peak = np.uint16(0)
        for i in range(columns):
            peak = max(peak, window[y, i])
        if peak < least:
            continue
        for x in range(columns):
            if window[y, x] >= least and n < out.shape[0] and is_alone(window, y, x):
                out[n, 0] = y
                out[n, 1] = x
                n += 1
    return n
