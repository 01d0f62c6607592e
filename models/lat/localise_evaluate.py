"""How well places on patches are found: by the network's mask, by K-Means on it, and by the matched filter alone.

What is found is matched with the brightest source within MATCH_DEG that has none, surest first (as UNEK was judged), in
the inner squares. Completeness: matched over all sources of a bin of flux; purity: matched over all that was found, in
a bin of the flux that the filter has there. The search of the stream does more: it fits (`bench.lat.localise`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from models.lat.dataset import Patches
from models.lat.kmeans import places_by_kmeans
from models.metrics import Interval
from stream.lat.associate import wilson
from stream.lat.inputs import LIMIT, REFERENCE
from stream.lat.masks import THRESHOLD, Places, places_of
from stream.lat.patch import INNER_DEG, SIDE_DEG, to_sky
from stream.lat.scene import UNIT

Floats = NDArray[np.float64]
MATCH_DEG: Final = 0.3
EDGES: Final = (6.95e-11, 1.27e-10, 2.34e-10, 4.28e-10, 7.85e-10, 1.44e-9, 1.0)  # photons cm-2 s-1 above 1 GeV
CUTS: Final = {"|b| > 20": (20.0, 91.0), "all sky": (0.0, 91.0), "|b| < 10": (0.0, 10.0)}
LEAST_TS: Final = 25.0  # of the filter
AT_A_TIME: Final = 16
METHODS: Final = ("network", "network, K-Means", "filter")


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One method on many patches."""

    sources: Floats  # (n, 4) flux, |b|, found, separation in degrees
    found: Floats  # (m, 3) flux by the filter, |b|, matched
    seconds: float  # from mask or map to places, CPU, per patch


def filter_places(ts: Floats, least: float = LEAST_TS) -> Places:
    """Return the maxima of a map of TS above a threshold, in one look: nothing is taken away."""
    rows, columns = np.nonzero((ts == maximum_filter(ts, 5)) & (ts > least))
    order = np.argsort(-ts[rows, columns])
    x, y = ((np.asarray(at[order], float) + 0.5) * SIDE_DEG / len(ts) for at in (columns, rows))
    return Places(x, y, ts[rows, columns][order])


def judge(
    patches: Patches, masks: Callable[[list[NDArray[np.float32]]], NDArray[np.float32]], threshold: float = THRESHOLD
) -> dict[str, Judged]:
    """Return the METHODS judged on all patches. masks: from the inputs of some patches to p (n, side, side)."""
    kept: dict[str, list[tuple[Floats, Floats, float]]] = {name: [] for name in METHODS}
    for first in range(0, len(patches), AT_A_TIME):
        rows = np.arange(first, min(first + AT_A_TIME, len(patches)))
        given, _ = patches.at(rows)
        for row, mask, fine in zip(rows.tolist(), masks(given), given[2], strict=True):
            ts, flux = (np.sinh(fine[4]) * LIMIT) ** 2, np.sinh(fine[4]) * LIMIT * np.exp(-fine[5]) * REFERENCE * UNIT
            for name in METHODS:
                began = time.process_time()
                places = _places(name, mask, ts, threshold)
                spent = time.process_time() - began
                kept[name].append((*_matched(places, patches.sources(row), patches.place(row), flux), spent))
    return {
        name: Judged(
            np.concatenate([np.zeros((0, 4)), *(part[0] for part in parts)]),
            np.concatenate([np.zeros((0, 3)), *(part[1] for part in parts)]),
            float(np.median([part[2] for part in parts])) if parts else np.nan,
        )
        for name, parts in kept.items()
    }


def _places(name: str, mask: NDArray[np.float32], ts: Floats, threshold: float) -> Places:
    if name == "filter":
        return filter_places(ts)
    return places_of(mask, threshold) if name == "network" else places_by_kmeans(mask, threshold)


def _matched(found: Places, sources: NDArray[Any], place: Floats, flux: Floats) -> tuple[Floats, Floats]:
    """Return rows of `Judged` of one patch. flux: photons cm-2 s-1 that the filter has in each pixel."""
    free = np.ones(len(sources), bool)
    entry, apart = np.full(len(found.p), -1), np.full(len(sources), np.nan)
    for k, (x, y) in enumerate(zip(found.x_deg, found.y_deg, strict=True)):
        away = np.hypot(sources["x_deg"] - x, sources["y_deg"] - y)
        near = np.flatnonzero(free & (away < MATCH_DEG))
        if len(near):
            entry[k] = near[sources["flux"][near].argmax()]
            free[entry[k]], apart[entry[k]] = False, away[entry[k]]
    true = np.stack([sources["flux"], _latitude(place, sources["x_deg"], sources["y_deg"]), ~free, apart], axis=1)
    at = (found.y_deg / SIDE_DEG * len(flux)).astype(int), (found.x_deg / SIDE_DEG * len(flux)).astype(int)
    seen = np.stack([flux[at], _latitude(place, found.x_deg, found.y_deg), entry >= 0], axis=1)
    return true[_inner(sources["x_deg"], sources["y_deg"])], seen[_inner(found.x_deg, found.y_deg)]


def _latitude(place: Floats, x: Floats, y: Floats) -> Floats:
    return np.abs(to_sky(float(place[0]), float(place[1]), np.asarray(x, float), np.asarray(y, float))[1])


def _inner(x: Floats, y: Floats) -> NDArray[np.bool_]:
    return np.maximum(np.abs(x - SIDE_DEG / 2), np.abs(y - SIDE_DEG / 2)) <= INNER_DEG / 2


def within(judged: Judged, cut: str) -> tuple[Floats, Floats]:
    """Return the rows of `sources` and `found` in a cut of CUTS by latitude."""
    low, high = CUTS[cut]
    true, seen = judged.sources, judged.found
    return true[(true[:, 1] >= low) & (true[:, 1] < high)], seen[(seen[:, 1] >= low) & (seen[:, 1] < high)]


def shares(judged: Judged) -> dict[str, Interval]:
    """Return completeness, purity (68 % intervals) and median separation, degrees, by latitude and flux."""
    out: dict[str, Interval] = {}
    for cut in CUTS:
        true, seen = within(judged, cut)
        out[f"{cut}: purity"] = _share(seen[:, 2])
        for low, high in pairwise(EDGES):
            mine = true[(true[:, 0] >= low) & (true[:, 0] < high)]
            out[f"{cut}, from {low:.2e}: completeness"] = _share(mine[:, 2])
            out[f"{cut}, from {low:.2e}: purity"] = _share(seen[(seen[:, 0] >= low) & (seen[:, 0] < high), 2])
            away = mine[mine[:, 2] > 0, 3]
            middle = float(np.median(away)) if len(away) else np.nan
            out[f"{cut}, from {low:.2e}: position, median"] = (middle, np.nan, np.nan)
    return out


def _share(hits: Floats) -> Interval:
    number = len(hits)
    return (float(np.mean(hits)) if number else np.nan, *wilson(int(hits.sum()), number))
