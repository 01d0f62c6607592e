"""Pools of X-rays and of particles, each with its pixels in a window: what frame sets are put together from."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from config.errors import ConfigError
from config.schema import Detector as Layout
from config.schema import QuadrantLayout
from sim.charge import PAIR_ENERGY_EV
from sim.check import require
from sim.diffusion import to_charges
from sim.mirrors import mirrors_of
from sim.particles import BLOCK, Pixels
from sim.photons import XRays
from sim.seeds import Seeds

VISIBLE_EV = 80.0  # a window holds a particle if one of its pixels has this much: the split threshold of seed 003
LEAST_ELECTRONS = 1.0  # less is neither noted nor an overlap
XRAYS_AT_A_TIME = 4096
XRAYS, PARTICLES = 2, 3  # what of a set is drawn (`Seeds.of_set`), beside its order and its noise
EMPTY_ROUNDS = 20  # through all primaries without a visible one: then there are none


@dataclass(frozen=True, slots=True)
class Item:
    """One X-ray or the part of a primary that fell into a window."""

    charges: NDArray[Any]  # CHARGE rows, x and y in the window
    truth: tuple[Any, ...]  # its row of the truth table (XRAY_ROW, PARTICLE_ROW), without the frame

    def cells(self, shape: tuple[int, int, int]) -> set[int]:
        """Return the numbers of its pixels in a frame of shape (quadrants, rows, columns)."""
        rows = self.charges
        place = (rows["quadrant"].astype(np.int64) * shape[1] + rows["y"]) * shape[2] + rows["x"]
        return set(place.tolist())


class Pool(Protocol):
    """Gives one item after the other, for ever."""

    def take(self) -> Item:
        """Return the next one."""
        ...


class XRayPool:
    """X-rays of a source over a window of so many quadrants."""

    def __init__(self, source: XRays, layout: Layout, shape: tuple[int, int, int], seeds: Seeds) -> None:
        quadrants = [QuadrantLayout(id=i, origin_x_px=0, origin_y_px=0) for i in range(shape[0])]
        size = {"rows": shape[1], "columns": shape[2], "quadrants": quadrants}
        self._layout = layout.model_copy(update=size)
        each = -(-XRAYS_AT_A_TIME // shape[0])
        self._source = replace(source, per_frame=each, fixed=True)
        self._seeds, self._items, self._batch = seeds, deque[Item](), 0

    def take(self) -> Item:
        """Return the next X-ray with charge in the window. Raises ConfigError if there is none."""
        if not self._items:
            self._items.extend(self._make(self._seeds.of_set(XRAYS, self._batch)))
            self._batch += 1
            require("X-rays", (bool(self._items), f"some that leave charge, of {self._source.per_frame:.0f} none did"))
        return self._items.popleft()

    def _make(self, rng: Generator) -> list[Item]:
        deposit = self._source.expose(0, self._layout, rng)
        photons = deposit.truth["photons"]
        charges = deposit.charges[deposit.charges["electrons"] >= LEAST_ELECTRONS]
        charges = charges[np.argsort(charges["owner"], kind="stable")]
        first = np.searchsorted(charges["owner"], np.arange(photons.size + 1))
        columns = [photons[name].tolist() for name in ("quadrant", "x", "y", "energy_ev")]
        items = [
            Item(charges[first[i] : first[i + 1]], truth)
            for i, truth in enumerate(zip(*columns, strict=True))
            if first[i + 1] > first[i]
        ]
        return [items[i] for i in rng.permutation(len(items))]  # else quadrant after quadrant


class ParticlePool:
    """Primaries first .. stop - 1 of a library, seen through windows of a quadrant, or by quadrant, or whole.

    A window of a quadrant lies on a grid with a random offset, new for every primary and quadrant; each window of the
    grid with visible signal is an item, so long tracks give as many as they would in frames cut into patches. Only
    whole windows count, so pixels near the border of a quadrant are in fewer of them. When the range has been used up
    it begins again, with other offsets and in another mirror.
    """

    def __init__(
        self, pixels: Pixels, part: tuple[int, int], shape: tuple[int, int, int], seeds: Seeds, whole: bool = False
    ) -> None:
        self._pixels, self._part, self._shape, self._seeds, self._whole = pixels, part, shape, seeds, whole
        self._ids = sorted(q.id for q in pixels.layout.quadrants)  # frames count their quadrants from 0, in this order
        self._mirrors = mirrors_of(pixels.layout)
        self._items = deque[Item]()
        self.rounds = 0  # how often the range was begun
        self._next = self._blocks()

    def take(self) -> Item:
        """Return the next part of a primary; those of one block of the library come in random order.

        Raises ConfigError if no primary of the range leaves visible signal in a window.
        """
        while not self._items:
            self._items.extend(next(self._next))
        return self._items.popleft()

    def _blocks(self) -> Iterator[list[Item]]:
        first, stop = self._part
        blocks = np.arange(first // BLOCK, -(-stop // BLOCK))
        shift = int(self._seeds.start().integers(blocks.size))  # other seeds begin elsewhere
        found = 0
        while found or self.rounds < EMPTY_ROUNDS:
            self.rounds += 1
            for number in np.roll(blocks, shift).tolist():
                rng = self._seeds.of_set(PARTICLES, number, self.rounds)
                items = list(self._of_block(number, rng))
                found += len(items)
                yield [items[i] for i in rng.permutation(len(items))]
        raise ConfigError(f"primaries {first} to {stop - 1}: none leaves visible signal in a window of {self._shape}")

    def _mirror(self) -> int:
        return (self.rounds - 1) % len(self._mirrors)

    def _of_block(self, number: int, rng: Generator) -> Iterator[Item]:
        block = self._pixels.block(number)
        rows = block.pixels
        charges = to_charges(rows.copy(), self._pixels.sensor.fano, rng)
        charges = self._mirrors[self._mirror()].apply(charges)
        for inside in range(len(block.primaries)):
            place = number * BLOCK + inside
            if self._part[0] <= place < self._part[1]:
                own = charges[block.first[inside] : block.first[inside + 1]]
                yield from self._windows(place, own[own["electrons"] >= LEAST_ELECTRONS], rng)

    def _windows(self, place: int, charges: NDArray[Any], rng: Generator) -> Iterator[Item]:
        if self._whole:
            charges = charges.copy()
            charges["quadrant"] = np.searchsorted(self._ids, charges["quadrant"])
            if _visible(charges):
                yield Item(charges, (place, 0, 0, 0, self._mirror()))
            return
        layout = self._pixels.layout
        for quadrant in np.unique(charges["quadrant"]).tolist():
            own = charges[charges["quadrant"] == quadrant].copy()
            own["quadrant"] = 0
            yield from self._grid(place, quadrant, own, (layout.rows, layout.columns), rng)

    def _grid(
        self, place: int, quadrant: int, charges: NDArray[Any], size: tuple[int, int], rng: Generator
    ) -> Iterator[Item]:
        _, rows, columns = self._shape
        down = int(rng.integers(min(rows, size[0] - rows + 1)))
        across = int(rng.integers(min(columns, size[1] - columns + 1)))
        tile_y, in_y = np.divmod(charges["y"].astype(np.int64) - down, rows)
        tile_x, in_x = np.divmod(charges["x"].astype(np.int64) - across, columns)
        key = tile_y * (size[1] + 1) + tile_x
        for tile in np.unique(key[charges["electrons"] * PAIR_ENERGY_EV >= VISIBLE_EV]).tolist():
            chosen = key == tile
            left, bottom = int(tile_x[chosen][0]) * columns + across, int(tile_y[chosen][0]) * rows + down
            if left < 0 or bottom < 0 or left + columns > size[1] or bottom + rows > size[0]:
                continue  # a window that is not whole
            item = charges[chosen]
            item["x"], item["y"] = in_x[chosen], in_y[chosen]
            yield Item(item, (place, quadrant, left, bottom, self._mirror()))


def _visible(charges: NDArray[Any]) -> bool:
    return bool((charges["electrons"] * PAIR_ENERGY_EV >= VISIBLE_EV).any())
