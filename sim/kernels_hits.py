"""Numba kernels of the hit library: arrays and numbers only."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def merge_steps(segment, begin, end, energy, near2):
    """Join the steps of a segment that end near where the joined step began.

    segment (n,) int64, rising; begin (segments, 3) and end (n, 3) float64; energy (n,) float64; near2: square of the
    distance below which steps are joined, in the unit of the places. A longer step stays as it is, so that its energy
    is spread over its own way only. Returns segment, end, energy of the joined steps; empty for none.
    """
    n = segment.size
    owner, ends, sums = np.empty(n, np.int64), np.empty((n, 3)), np.empty(n)
    start = np.empty(3)
    count = 0
    for i in range(n):
        near = False
        if count > 0 and owner[count - 1] == segment[i]:
            way2 = 0.0
            for axis in range(3):
                way2 += (end[i, axis] - start[axis]) ** 2
            near = way2 < near2
            if not near:
                start[:] = ends[count - 1]
        else:
            start[:] = begin[segment[i]]
        if not near:
            owner[count], sums[count] = segment[i], 0.0
            count += 1
        sums[count - 1] += energy[i]
        ends[count - 1] = end[i]
    return owner[:count], ends[:count], sums[:count]
