"""What surrounds a candidate: the islands of the whole read-out, as a model that judges by context is given them."""

import numpy as np
from numba import njit

from stream.kernels.islands import IN_TRACK

# Columns of an island: place in the focal plane, spread, charge, extent. Pixels, pixels^2 and eV.
ISLAND = (
    "x", "y", "mean_x", "mean_y", "var_x", "var_y", "cov_xy", "energy_ev", "peak_ev", "pixels",
    "x_min", "x_max", "y_min", "y_max", "quadrant", "track",
)  # fmt: skip
X, Y, MEAN_X, MEAN_Y, VAR_X, VAR_Y, COV_XY, ENERGY, PEAK, PIXELS, X_MIN, X_MAX, Y_MIN, Y_MAX, QUADRANT, TRACK = range(
    len(ISLAND)
)
# Columns of a candidate: charge, place in its pixel and, -1..1, in its quadrant; then its 5 x 5 pixels in eV.
CANDIDATE = ("energy_ev", "pixels", "sub_x", "sub_y", "across", "up")
PIXELS_OF = 25


@njit(cache=True, nogil=True)
def list_islands(events, tracks, origins, gain_ev, islands, source):
    """Write the islands of a read-out to `islands` (m, 16) float32; return how many, at most m.

    events, tracks: tables of EVENT and TRACK; origins (256, 2) int32: x and y in the focal plane of pixel (0, 0) of
    each quadrant; gain_ev: eV per unit of the pixels. An island is a track, or an event that lies in none.
    source (m,) int64: the row of the event, -1 - the row of the track.
    """
    n = 0
    for k in range(tracks.shape[0]):
        if n == islands.shape[0]:
            return n
        t, row = tracks[k], islands[n]
        left, low = np.float32(origins[t.quadrant, 0]), np.float32(origins[t.quadrant, 1])
        row[X], row[Y], row[MEAN_X], row[MEAN_Y] = left + t.x, low + t.y, left + t.mean_x, low + t.mean_y
        row[VAR_X], row[VAR_Y], row[COV_XY] = t.var_x, t.var_y, t.cov_xy
        row[ENERGY], row[PEAK], row[PIXELS] = t.energy_ev, t.peak_ev, t.pixels
        row[X_MIN], row[X_MAX], row[Y_MIN], row[Y_MAX] = left + t.x_min, left + t.x_max, low + t.y_min, low + t.y_max
        row[QUADRANT], row[TRACK] = t.quadrant, 1
        source[n] = -1 - k
        n += 1
    for k in range(events.shape[0]):
        if n == islands.shape[0]:
            return n
        e, row = events[k], islands[n]
        if e.flag & IN_TRACK:
            continue
        left, low = np.float32(origins[e.quadrant, 0]), np.float32(origins[e.quadrant, 1])
        x, y = left + e.x, low + e.y
        row[X], row[Y] = x + e.sub_x, y + e.sub_y
        row[MEAN_X], row[MEAN_Y] = row[X], row[Y]
        row[VAR_X] = row[VAR_Y] = row[COV_XY] = 0
        row[ENERGY], row[PEAK], row[PIXELS] = e.energy_ev, e.island[12] * gain_ev, e.pixels
        row[X_MIN], row[X_MAX], row[Y_MIN], row[Y_MAX] = x, x, y, y
        row[QUADRANT], row[TRACK] = e.quadrant, 0
        source[n] = k
        n += 1
    return n


@njit(cache=True, nogil=True)
def describe_candidates(events, chosen, sides, gain_ev, out):
    """Write the candidates to `out` (n, 31) float32: CANDIDATE, then the 5 x 5 pixels in eV, 0 without data.

    events: table of EVENT; chosen (n,) int64 rows of it; sides (256, 2) int32: columns and rows of each quadrant.
    """
    for i in range(chosen.size):
        e, row = events[chosen[i]], out[i]
        row[0], row[1], row[2], row[3] = e.energy_ev, e.pixels, e.sub_x, e.sub_y
        row[4] = (2 * e.x + 1) / sides[e.quadrant, 0] - 1
        row[5] = (2 * e.y + 1) / sides[e.quadrant, 1] - 1
        for k in range(PIXELS_OF):
            value = e.island[k] * gain_ev
            row[6 + k] = value if np.isfinite(value) else 0


@njit(cache=True, nogil=True)
def surround(at, quadrant, own, first, islands, around, known):
    """Write the islands around each candidate, the nearest first, their places relative to it.

    at (n, 2) float32: x and y of the candidates in the focal plane; quadrant (n,) float32; first (n, 2) int64: begin
    and end of the islands of its read-out in `islands` (m, 16) float32; own (n,) int64: the row there that it is
    itself, -1: none. around (n, k, 16) float32: `quadrant` says 1 if it is the same; known (n, k) float32: 1 where
    there is an island, 0 (and all columns 0) beyond the last. The k nearest; none for no others.
    """
    n, most, columns = around.shape
    distance = np.empty(most, np.float32)
    place = np.empty(most, np.int64)
    for i in range(n):
        count = 0
        for j in range(first[i, 0], first[i, 1]):
            if j == own[i]:
                continue
            d = (islands[j, X] - at[i, 0]) ** 2 + (islands[j, Y] - at[i, 1]) ** 2
            k = count if count < most else most - 1
            if count == most and d >= distance[k]:
                continue
            while k > 0 and distance[k - 1] > d:
                distance[k], place[k] = distance[k - 1], place[k - 1]
                k -= 1
            distance[k], place[k] = d, j
            count += 1 if count < most else 0
        known[i] = 0
        around[i] = 0
        for k in range(count):
            known[i, k] = 1
            for c in range(columns):
                around[i, k, c] = islands[place[k], c]
            for c in (X, MEAN_X, X_MIN, X_MAX):
                around[i, k, c] -= at[i, 0]
            for c in (Y, MEAN_Y, Y_MIN, Y_MAX):
                around[i, k, c] -= at[i, 1]
            around[i, k, QUADRANT] = around[i, k, QUADRANT] == quadrant[i]
