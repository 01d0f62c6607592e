"""Light on the sphere spread by a PSF, pixel by pixel."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def spread_light(vectors, latitudes, reach, step, profiles, maps, out):
    """Give every pixel the mean of those around it, weighed with radial profiles.

    vectors (n, 3): directions of the pixels; latitudes (n,), radians, falling; reach, step: radians, of the separations
    at which the profiles (c, m) are told (0, step, ...); maps, out (c, n): light before and after.
    """
    least, channels = np.cos(reach), len(maps)
    weight = np.empty(channels)
    first = 0
    for i in range(len(vectors)):
        while latitudes[first] > latitudes[i] + reach:
            first += 1
        total, taken = np.zeros(channels), np.zeros(channels)
        x, y, z = vectors[i]
        for j in range(first, len(vectors)):
            if latitudes[j] < latitudes[i] - reach:
                break
            dot = x * vectors[j, 0] + y * vectors[j, 1] + z * vectors[j, 2]
            if dot < least:
                continue
            place = np.arccos(min(dot, 1.0)) / step
            k = min(int(place), profiles.shape[1] - 2)
            part = place - k
            for c in range(channels):
                weight[c] = profiles[c, k] * (1 - part) + profiles[c, k + 1] * part
                total[c] += weight[c]
                taken[c] += weight[c] * maps[c, j]
        for c in range(channels):
            out[c, i] = taken[c] / total[c]
