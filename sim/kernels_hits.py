"""Numba kernels of the hit library: arrays and numbers only."""

import numpy as np

from stream.kernels import njit


@njit(cache=True, nogil=True)
def _distance2(a, b):
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2


@njit(cache=True, nogil=True)
def merge_steps(segment, begin, end, energy, near2):
    """Join steps of a segment, one after the other, that all end near where the first of them began.

    segment (n,) int64, rising; begin (segments, 3) and end (n, 3) float64; energy (n,) float64; near2: square of the
    distance below which steps are joined, in the unit of the places. A longer step stays as it is, so that its energy
    is spread over its own way only. Returns segment, end, energy of the joined steps; empty for none.
    """
    n = segment.size
    owner, ends, sums = np.empty(n, np.int64), np.empty((n, 3)), np.empty(n)
    start = np.empty(3)
    count = 0
    open_ = False  # the last joined step is short so far: more may be added
    for i in range(n):
        same = count > 0 and owner[count - 1] == segment[i]
        if not (same and open_ and _distance2(end[i], start) < near2):
            start[:] = ends[count - 1] if same else begin[segment[i]]
            open_ = _distance2(end[i], start) < near2
            owner[count], sums[count] = segment[i], 0.0
            count += 1
        sums[count - 1] += energy[i]
        ends[count - 1] = end[i]
    return owner[:count], ends[:count], sums[:count]
