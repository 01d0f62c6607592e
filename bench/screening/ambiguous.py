"""Frames that no classifier of windows can know: their particles left nothing but what an X-ray would leave."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.candidates import BAND_EV
from models.frames.network import CLASSES, SIDE
from models.metrics import Interval, bootstrap
from sim.charge import PAIR_ENERGY_EV, PARTICLE
from sim.event_sets import SPLIT_EV
from sim.frame_file import read_set

LARGEST = 2  # pixels along a side of an island that may be a single, double, triple or quad


def figures(frames: Path) -> dict[str, Interval]:
    """Return the share of particle and of mixed frames that are ambiguous, and the accuracy without those."""
    file = read_set(frames)
    labels = file["label"][()]
    rows = file["pixels"][()]
    rows = rows[(rows["kind"] == PARTICLE) & (rows["electrons"] * PAIR_ENERGY_EV >= SPLIT_EV)]
    bounds = np.searchsorted(rows["frame"], np.arange(labels.size + 1))
    like = np.array([_like_xrays(rows[a:b]) for a, b in pairwise(bounds)], bool)
    found = {f"{name}: ambiguous": _share(like[labels == CLASSES.index(name)]) for name in ("particle", "mixed")}
    return found | {"accuracy without the ambiguous": _share(~like)}


def _share(which: NDArray[np.bool_]) -> Interval:
    return bootstrap(lambda at: float(which[at].mean()), np.arange(which.size))


def _like_xrays(rows: NDArray[Any]) -> bool:
    """Say whether all islands of a particle are small and in the band of X-rays; no pixels: there is nothing to say."""
    if not rows.size:
        return False
    energy = np.zeros((SIDE, SIDE))
    np.add.at(energy, (rows["y"], rows["x"]), rows["electrons"] * PAIR_ENERGY_EV)
    islands, number = ndimage.label(energy > 0, np.ones((3, 3)))
    sums = ndimage.sum_labels(energy, islands, np.arange(1, number + 1))
    sides = [part.stop - part.start for place in ndimage.find_objects(islands) for part in place]
    return max(sides) <= LARGEST and float(max(sums)) < BAND_EV[1]
