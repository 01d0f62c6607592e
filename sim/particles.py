"""Particles: primaries of a hit library, their charge drifted to the pixels."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from config.schema import Detector as Layout
from config.simulate import Sensor
from sim.charge import PARTICLE, Deposit
from sim.check import require
from sim.diffusion import SHARED, share, to_charges
from sim.hit_library import HitLibrary
from sim.mirrors import Mirror, mirrors_of
from sim.schedule import Schedule
from sim.seeds import Seeds

PRIMARY_IN_FRAME = np.dtype(  # truth: one row for each primary in a read-out
    [
        ("frame", "<i8"),
        ("owner", "<i4"),  # number in its read-out, as in the table `pixels`
        ("library", "<i8"),  # place in the hit library
        ("mirror", "<u1"),  # 0: as in the library; else its number in `sim.mirrors`
        ("energy_gev", "<f4"),
        ("direction", "<f4", (3,)),  # as in the library, before the mirror
        ("deposit_kev", "<f4"),  # in all wafers of the library
    ]
)
BLOCK = 512  # primaries read and shared over the pixels at a time
BLOCKS = 4  # kept in memory


@dataclass(frozen=True, slots=True)
class Block:
    """A run of primaries with their pixels."""

    primaries: NDArray[Any]  # PRIMARY
    pixels: NDArray[Any]  # SHARED, owners from 0
    first: NDArray[np.int64]  # of each primary's pixels; one more for the end


class Pixels:
    """The pixels of a library's primaries, made block by block; a few blocks are kept."""

    def __init__(self, library: HitLibrary, sensor: Sensor, layout: Layout) -> None:
        """Raises ConfigError for a camera whose wafers are not those of the library."""
        made = library.production
        ids = {q.id for q in layout.quadrants}
        require(
            f"camera for the hit library {library.path.name} (--hits straight takes any)",
            ((layout.rows, layout.columns) == (made.rows, made.columns), f"{made.rows} x {made.columns} pixels"),
            (layout.pixel_um == made.pixel_um, f"pixels of {made.pixel_um:g} um"),
            (ids <= set(made.quadrants), f"quadrants among {', '.join(map(str, made.quadrants))}"),
            (sensor.thickness_um == made.thickness_um, f"{made.thickness_um:g} um of silicon"),
        )
        self.library, self.sensor, self.layout = library, sensor, layout
        self._blocks: OrderedDict[int, Block] = OrderedDict()

    def block(self, number: int) -> Block:
        """Return the primaries number * BLOCK and following."""
        if number not in self._blocks:
            first = number * BLOCK
            self._blocks[number] = self._make(first, min(first + BLOCK, len(self.library)))
            if len(self._blocks) > BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _make(self, first: int, stop: int) -> Block:
        hits = self.library.hits(first, stop)
        owner = hits["primary"] - first
        pixels = share(
            (owner, hits["quadrant"]), (hits["start_um"], hits["end_um"], hits["energy_ev"]), self.sensor, self.layout
        )
        pixels = pixels[np.isin(pixels["quadrant"], [q.id for q in self.layout.quadrants])]
        begin = np.searchsorted(pixels["owner"], np.arange(stop - first + 1))
        return Block(self.library.primaries(first, stop), pixels, begin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Particles:
    """A source of cosmic rays (`Source`); truth table `particles`.

    Primaries come in the order of the library, as many in each read-out as `schedule` says; all that one of them left
    stays together, in whatever quadrants. When the library has been used up it begins again, mirrored in x, in y and
    in both, as far as the layout allows, then as it was.
    """

    pixels: Pixels
    schedule: Schedule
    part: tuple[int, int]  # primaries first .. stop - 1 of the library
    mirrors: tuple[Mirror, ...] = field(default=())

    @classmethod
    def of(cls, pixels: Pixels, mean: float, seeds: Seeds, part: tuple[int, int] | None = None) -> "Particles":
        """Return the source of `mean` primaries in a read-out, with the mirrors that the layout allows.

        The seed chooses where in the part, and in which mirror, it begins. part: None: the whole library.
        """
        first, stop = part or (0, len(pixels.library))
        mirrors = mirrors_of(pixels.layout)
        begin = int(seeds.start().integers(len(mirrors) * (stop - first)))
        return cls(pixels=pixels, schedule=Schedule(mean, seeds, begin), part=(first, stop), mirrors=mirrors)

    def uses(self, readouts: int) -> float:
        """Return how often each primary of the part is used, on the average, in so many read-outs."""
        return readouts * self.schedule.mean / (self.part[1] - self.part[0])

    def expose(self, readout: int, layout: Layout, rng: Generator) -> Deposit:
        """Return the charge of one read-out and its primaries."""
        first, count = self.schedule.of(readout)
        parts = [self._one(first + i, i) for i in range(count)]
        truth = np.zeros(count, PRIMARY_IN_FRAME)
        truth["frame"], truth["owner"] = readout, np.arange(count)
        for row, (primary, _, place, mirror) in zip(truth, parts, strict=True):
            row["library"], row["mirror"] = place, mirror
            for name in ("energy_gev", "direction", "deposit_kev"):
                row[name] = primary[name]
        shared = np.concatenate([np.empty(0, SHARED), *(pixels for _, pixels, _, _ in parts)])
        charges = to_charges(shared, self.pixels.sensor.fano, rng)
        return Deposit(charges, PARTICLE, {"particles": truth})

    def _one(self, number: int, owner: int) -> tuple[Any, NDArray[Any], int, int]:
        """Return the PRIMARY row, the SHARED rows, the place in the library and the mirror of the number-th use."""
        first, stop = self.part
        turn, place = divmod(number, stop - first)
        place += first
        block = self.pixels.block(place // BLOCK)
        inside = place % BLOCK
        pixels = block.pixels[block.first[inside] : block.first[inside + 1]].copy()
        pixels["owner"] = owner
        which = turn % len(self.mirrors)
        return block.primaries[inside], self.mirrors[which].apply(pixels), place, which


def quadrants_per_primary(pixels: Pixels, sample: int = 4 * BLOCK, seen: bool = False) -> float:
    """Return in how many quadrants a primary leaves signal, on the average over the first `sample` of the library.

    It turns a rate of particle events per quadrant frame into one of primaries per read-out. Above 1 for a camera
    with all wafers of the library. seen: the average over those that leave signal in this camera, never below 1.
    Raises ConfigError if none of them reaches the camera.
    """
    pairs = primaries = 0
    for number in range(-(-min(sample, len(pixels.library)) // BLOCK)):
        block = pixels.block(number)
        rows = block.pixels
        pairs += np.unique(rows["owner"] * 256 + rows["quadrant"]).size
        primaries += np.unique(rows["owner"]).size if seen else len(block.primaries)
    require(f"hit library {pixels.library.path.name}", (pairs > 0, "primaries that leave signal in the camera"))
    return pairs / primaries
