"""Slow plain twins of the kernels: loops over NumPy arrays, written from the definitions, not from the kernels."""

import numpy as np
from scipy import ndimage

EPIC = {0: 0, 64: 1, 16: 2, 2: 3, 8: 4, 72: 5, 80: 6, 18: 7, 10: 8, 104: 9, 208: 10, 22: 11, 11: 12}
BITS = [(-1, -1, 1), (-1, 0, 2), (-1, 1, 4), (0, -1, 8), (0, 1, 16), (1, -1, 32), (1, 0, 64), (1, 1, 128)]


def events_of(signal, event_threshold, split_threshold):
    """Return {(y, x): (mask, pattern, sum of the 3x3 above split, outer-ring pixels above split)} of a signal image."""
    rows, columns = signal.shape
    padded = np.pad(signal.astype(np.float64), 2, constant_values=-np.inf)
    found = {}
    for y in range(rows):
        for x in range(columns):
            value = padded[y + 2, x + 2]
            if not value > event_threshold:
                continue
            near = padded[y : y + 5, x : x + 5]
            earlier = [near[2 + dy, 2 + dx] for dy, dx, b in BITS if b < 16]
            later = [near[2 + dy, 2 + dx] for dy, dx, b in BITS if b >= 16]
            if any(v > value for v in earlier) or any(v >= value for v in later):
                continue
            mask = sum(b for dy, dx, b in BITS if near[2 + dy, 2 + dx] >= split_threshold)
            above = near >= split_threshold
            outer = int(above.sum() - above[1:4, 1:4].sum())
            pattern = 13 if mask and outer else EPIC.get(mask, 13)
            found[y, x] = (mask, pattern, near[1:4, 1:4][above[1:4, 1:4]].sum(), outer)
    return found


def tracks_of(signal, split_threshold, event_threshold, least, bright):
    """Return the tracks of a signal image as a set of frozensets of (y, x)."""
    labels, count = ndimage.label(signal >= split_threshold, np.ones((3, 3)))
    tracks = set()
    for k in range(1, count + 1):
        inside = labels == k
        peak = signal[inside].max()
        if peak > event_threshold and (inside.sum() >= least or peak >= bright):
            tracks.add(frozenset(zip(*map(list, np.nonzero(inside)), strict=True)))
    return tracks
