"""Islands of pixels in the noiseless image of each primary."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from config.schema import Config
from sim.hit_library import HitLibrary
from sim.particles import BLOCK, Pixels

ISLAND = np.dtype(
    [
        ("primary", "<i8"),
        ("quadrant", "<u1"),
        ("pixels", "<i4"),
        ("energy_ev", "<f8"),
        ("peak_ev", "<f8"),
        ("x_min", "<i2"),
        ("x_max", "<i2"),
        ("y_min", "<i2"),
        ("y_max", "<i2"),
        ("x", "<f4"),  # weighted with the energy
        ("y", "<f4"),
    ]
)


@dataclass(frozen=True, slots=True)
class Scenery:
    """A hit library seen by a camera without noise."""

    library: HitLibrary
    config: Config

    def islands(self, split_ev: float) -> NDArray[Any]:
        """Return all islands (8 neighbours, pixels at or above `split_ev`) of all primaries, ISLAND rows."""
        layout = self.config.detector
        pixels = Pixels(self.library, self.config.simulate.sensor, layout)
        found = []
        for number in range(-(-len(self.library) // BLOCK)):
            rows = pixels.block(number).pixels
            rows = rows[rows["energy_ev"] >= split_ev]
            group = rows["owner"] * 256 + rows["quadrant"]
            columns = (rows["x"].astype(np.int64), rows["y"].astype(np.int64), rows["energy_ev"].astype(float))
            label = label_islands(group, *columns[:2], (layout.rows, layout.columns))
            found.append(_tabulate(rows, label, number * BLOCK))
        return np.concatenate(found)


def _tabulate(rows: NDArray[Any], label: NDArray[np.int64], first: int) -> NDArray[Any]:
    order = np.argsort(label, kind="stable")
    rows, label = rows[order], label[order]
    begin = np.flatnonzero(np.diff(label, prepend=-1))
    islands = np.zeros(begin.size, ISLAND)
    if not begin.size:
        return islands
    energy = rows["energy_ev"].astype(float)
    islands["primary"], islands["quadrant"] = rows["owner"][begin] + first, rows["quadrant"][begin]
    islands["pixels"] = np.diff(np.append(begin, rows.size))
    islands["energy_ev"] = total = np.add.reduceat(energy, begin)
    islands["peak_ev"] = np.maximum.reduceat(energy, begin)
    for name in ("x", "y"):
        islands[f"{name}_min"] = np.minimum.reduceat(rows[name], begin)
        islands[f"{name}_max"] = np.maximum.reduceat(rows[name], begin)
        islands[name] = np.add.reduceat(energy * rows[name], begin) / total
    return islands


@njit(cache=True)
def label_islands(group, x, y, shape):
    """Number the islands, from 0: pixels of one group that touch, also at a corner.

    group (n,) int64: those of one lie together; x, y (n,) int64; shape: (rows, columns). Returns (n,) int64.
    """
    sheet = np.full((shape[0] + 2, shape[1] + 2), -1)
    label = np.full(group.size, -1)
    stack = np.empty(group.size + 1, np.int64)
    count, first = 0, 0
    while first < group.size:
        stop = first
        while stop < group.size and group[stop] == group[first]:
            sheet[y[stop] + 1, x[stop] + 1] = stop
            stop += 1
        for i in range(first, stop):
            if label[i] >= 0:
                continue
            label[i], stack[0], top = count, i, 1
            while top:
                top -= 1
                k = stack[top]
                for dy in range(3):
                    for dx in range(3):
                        other = sheet[y[k] + dy, x[k] + dx]
                        if other >= 0 and label[other] < 0:
                            label[other], stack[top] = count, other
                            top += 1
            count += 1
        for i in range(first, stop):
            sheet[y[i] + 1, x[i] + 1] = -1
        first = stop
    return label
