"""How many of the particle events that look like X-rays could be told by what else their primary left."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from bench.simulation.islands import Scenery

SPLIT_EV, PEAK_EV, BAND_EV = 80.0, 260.0, (300.0, 10_000.0)
HALF_WINDOW_PX = 32
WINDOWS = ("64 x 64", "quadrant", "four quadrants")
# Share with a companion in the three windows, %, of 825 and 934 events: the trial whose geometries these are.
REFERENCE = {"close": [25.0, 51.0, 63.0], "open": [3.0, 34.0, 52.0]}


def like_xrays(islands: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which islands look like X-rays: within 2 x 2 pixels, 0.3-10 keV, peak above 260 eV."""
    low, high = BAND_EV
    small = (islands["x_max"] - islands["x_min"] <= 1) & (islands["y_max"] - islands["y_min"] <= 1)
    return small & (islands["energy_ev"] > low) & (islands["energy_ev"] < high) & (islands["peak_ev"] > PEAK_EV)


def ceilings(scenery: Scenery) -> tuple[int, dict[str, int]]:
    """Return how many particle events look like X-rays, and how many of them have a companion in each window.

    A companion is another island of the same primary: with its centre within 32 pixels in both axes, in the same
    quadrant, or anywhere.
    """
    islands = scenery.islands(SPLIT_EV)
    chosen = np.flatnonzero(like_xrays(islands))
    first = np.searchsorted(islands["primary"], islands["primary"][chosen], "left")
    stop = np.searchsorted(islands["primary"], islands["primary"][chosen], "right")
    counts = dict.fromkeys(WINDOWS, 0)
    for i, a, b in zip(chosen.tolist(), first.tolist(), stop.tolist(), strict=True):
        own, others = islands[i], np.delete(islands[a:b], i - a)
        same = others[others["quadrant"] == own["quadrant"]]
        away = np.maximum(abs(same["x"] - own["x"]), abs(same["y"] - own["y"]))
        for window, seen in zip(WINDOWS, ((away <= HALF_WINDOW_PX).any(), len(same), len(others)), strict=True):
            counts[window] += bool(seen)
    return chosen.size, counts


def interval(k: int, n: int) -> tuple[float, float]:
    """Return the 68 % interval of a share, in percent (Clopper and Pearson 1934, Biometrika 26, 404)."""
    low = beta.ppf(0.1587, k, n - k + 1) if k else 0.0
    high = beta.ppf(0.8413, k + 1, n - k) if k < n else 1.0
    return 100 * float(low), 100 * float(high)
