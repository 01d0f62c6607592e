"""What the stream of photons is made of, and the arithmetic of its good time. Times: MET, s since 2001-01-01 UTC."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Table = NDArray[Any]
Floats = NDArray[np.float64]

PHOTON: Final = np.dtype(
    [
        ("GLON", "<f4"),  # galactic, degrees
        ("GLAT", "<f4"),
        ("ENERGY", "<f4"),  # MeV
        ("CONVERSION", "u1"),  # 0 front, 1 back
        ("TIME", "<f8"),  # MET, s
        ("ZENITH", "<f4"),  # angle to the line away from the Earth, degrees
    ]
)
POINTING: Final = np.dtype(  # where the instrument looked, some 30 s in a row
    [
        ("START", "<f8"),
        ("STOP", "<f8"),
        ("LIVETIME", "<f4"),  # s of it; 0: not to be used (SAA, quality)
        ("GLON", "<f4"),  # of the axis, galactic, degrees, in the middle of the time
        ("GLAT", "<f4"),
        ("ZENITH_GLON", "<f4"),  # of the zenith
        ("ZENITH_GLAT", "<f4"),
    ]
)
GTI: Final = np.dtype([("START", "<f8"), ("STOP", "<f8")])
MJDREF: Final = (51910, 7.428703703703703e-4)  # of MET, TT
BLOCK_S: Final = 21_600.0  # photons travel, and windows of time slide, in steps of six hours of MET


def good_times(start_s: ArrayLike, stop_s: ArrayLike) -> Table:
    """Return the union of intervals (n,) as GTI rows, rising; those that are empty or no numbers are left out."""
    start, stop = np.asarray(start_s, float), np.asarray(stop_s, float)
    real = stop > start
    start, stop = start[real], stop[real]
    if not (start[1:] >= stop[:-1]).all():
        order = np.argsort(start, kind="stable")
        start, stop = start[order], np.maximum.accumulate(stop[order])
    first = np.flatnonzero(np.concatenate([[True], start[1:] > stop[:-1]])[: len(start)])
    table = np.empty(len(first), GTI)
    table["START"] = start[first]
    table["STOP"] = stop[np.concatenate([first[1:], [len(start)]]) - 1] if len(first) else 0.0
    return table


def joined(parts: Sequence[Table]) -> Table:
    """Return the union of GTI tables."""
    start, stop = (np.concatenate([[], *(part[name] for part in parts)]) for name in ("START", "STOP"))
    return good_times(start, stop)


def within(gti: Table, start_s: float, stop_s: float) -> Table:
    """Return the part of GTI rows that lies in [start, stop)."""
    return good_times(np.maximum(gti["START"], start_s), np.minimum(gti["STOP"], stop_s))


def without(gti: Table, start_s: ArrayLike, stop_s: ArrayLike) -> Table:
    """Return GTI rows (rising) less the union of intervals (n,)."""
    bad = good_times(start_s, stop_s)
    edges = np.unique(np.concatenate([gti["START"], gti["STOP"], bad["START"], bad["STOP"]]))
    middle = (edges[1:] + edges[:-1]) / 2
    kept = inside(gti, middle) & ~inside(bad, middle)
    return good_times(edges[:-1][kept], edges[1:][kept])


def inside(gti: Table, time_s: ArrayLike) -> NDArray[np.bool_]:
    """Return which times (n,) lie in GTI rows (rising), ends included."""
    time = np.asarray(time_s, float)
    row = np.searchsorted(gti["START"], time, side="right") - 1
    return (row >= 0) & (time <= gti["STOP"][row]) if len(gti) else np.zeros(time.shape, bool)


def overlap_s(gti: Table, start_s: ArrayLike, stop_s: ArrayLike) -> Floats:
    """Return how much of each interval (n,) lies in GTI rows (rising), s."""
    start, stop = np.asarray(start_s, float), np.asarray(stop_s, float)
    if not len(gti):
        return np.zeros(start.shape)
    edges = np.stack([gti["START"], gti["STOP"]], axis=1).ravel()
    so_far = np.repeat(np.cumsum(gti["STOP"] - gti["START"]), 2)
    so_far[::2] -= gti["STOP"] - gti["START"]
    return np.asarray(np.interp(stop, edges, so_far) - np.interp(start, edges, so_far))
