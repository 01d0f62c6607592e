"""Sets of frames of four classes, to train and test on: empty, X-ray only, particle only, mixed.

Frames are as a perfect correction leaves them: signal and read-out noise in electrons. No pixel holds charge of two
events; what would overlap is put elsewhere, or another one taken, which favours short tracks where frames are crowded.
Windows of 64 x 64: Poliszczuk et al. 2024 (arXiv:2407.16768), section 2. For others the rates are mean numbers of
X-rays and of parts of particles in a frame; a long track is a part in each window that it crosses.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from config.errors import ConfigError
from config.schema import Config
from sim.charge import PAIR_ENERGY_EV, PARTICLE, XRAY
from sim.check import require
from sim.pools import Item, Pool
from sim.seeds import Seeds

CLASSES = ("empty", "xray", "particle", "mixed")
# How many X-rays and particles are in a 64 x 64 frame that has any: seed 003, from frames cut into patches.
ALONE: dict[tuple[int, ...], float] = {(1,): 0.99, (2,): 0.0099, (3,): 0.0001}
TOGETHER: dict[tuple[int, ...], float] = {
    (1, 1): 0.98,
    (2, 1): 0.0099,
    (1, 2): 0.0099,
    (2, 2): 0.0001,
    (3, 1): 0.00005,
    (1, 3): 0.00005,
}
BLOCK = 1024  # frames made at a time, fewer if they are large:
BLOCK_PIXELS = 1 << 24
ORDER, NOISE = 0, 1  # what of a set is drawn (`Seeds.of_set`), beside the pools
TRIES = 200  # for a place without overlap
PIXELS = (4, 10)  # with charge, of an X-ray and of a particle, about
MOST_COVERED = 0.2  # of a frame's pixels; above, places without overlap are too rare to be looked for
OWNER = np.dtype(  # truth: what one photon or primary left in one pixel of one frame
    [
        ("frame", "<i4"),
        ("quadrant", "<u1"),  # 0 where the window is no camera
        ("x", "<i2"),
        ("y", "<i2"),
        ("kind", "<u1"),  # sim.charge.XRAY or PARTICLE
        ("owner", "<i4"),  # place in the table of that kind
        ("electrons", "<f4"),  # before the clip and the noise
    ]
)
XRAY_ROW = np.dtype([("frame", "<i4"), ("quadrant", "<u1"), ("x", "<f4"), ("y", "<f4"), ("energy_ev", "<f4")])
PARTICLE_ROW = np.dtype(
    [
        ("frame", "<i4"),
        ("library", "<i8"),  # place in the hit library
        ("quadrant", "<u1"),  # of the camera, and in it the corner of the window; 0 where the window is the camera
        ("left", "<i2"),
        ("bottom", "<i2"),
        ("mirror", "<u1"),  # in which the primary was seen (`sim.mirrors`); quadrant and window are those of the image
    ]
)


@dataclass(frozen=True, slots=True)
class Frames:
    """A block of frames with its truth; `frame` counts from the beginning of the set."""

    pixels: NDArray[np.int16]  # (n, quadrants, rows, columns), electrons
    label: NDArray[np.uint8]  # (n,): place in CLASSES
    tables: dict[str, NDArray[Any]]  # pixels (OWNER), xrays (XRAY_ROW), particles (PARTICLE_ROW)


@dataclass(slots=True)
class FrameSet:
    """The same number of frames of each class, in random order."""

    per_class: int
    shape: tuple[int, int, int]  # quadrants, rows, columns
    rates: tuple[float, float] | None  # mean X-rays and particles in a frame; None: those of the 64 x 64 frames
    pools: tuple[Pool, Pool]  # of X-rays and of particles
    config: Config
    seeds: Seeds
    _made: dict[str, int] = field(default_factory=lambda: {"xrays": 0, "particles": 0})

    def __post_init__(self) -> None:
        require("frame set", (self.per_class > 0, "frames of each class"))
        if self.rates:
            rows, columns = self.shape[1:]
            covered = (self.rates[0] * PIXELS[0] + self.rates[1] * PIXELS[1]) / (self.shape[0] * rows * columns)
            require(
                "frame set",
                (min(self.rates) > 0, "rates of X-rays and particles above 0"),
                (
                    covered < MOST_COVERED,
                    f"rates without pile-up everywhere (pixels with charge: {covered:.0%})",
                ),
            )

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.per_class * len(CLASSES)

    def blocks(self) -> Iterator[Frames]:
        """Yield the set in blocks, once, as the pools go on.

        Raises ConfigError if frames without overlap cannot be found.
        """
        labels = np.repeat(np.arange(len(CLASSES), dtype=np.uint8), self.per_class)
        self.seeds.of_set(ORDER).shuffle(labels)
        size = max(1, min(BLOCK, BLOCK_PIXELS // math.prod(self.shape)))
        for first in range(0, len(self), size):
            yield self._block(first, labels[first : first + size], self.seeds.of_set(NOISE, first))

    def _block(self, first: int, labels: NDArray[np.uint8], rng: Generator) -> Frames:
        level = np.zeros((labels.size, *self.shape), np.float32)
        rows: dict[str, list[Any]] = {"pixels": [], "xrays": [], "particles": []}
        for i, label in enumerate(labels.tolist()):
            xrays, particles = self._numbers(label, rng)
            for kind, item in self._fill(xrays, particles):
                self._note(first + i, kind, item, level[i], rows)
        level = self._clip(level)
        noise = self.config.simulate.read_out.noise_e
        level += np.float32(noise) * rng.standard_normal(level.shape, np.float32)
        pixels = np.clip(np.rint(level), -32768, 32767).astype(np.int16)
        dtypes = {"xrays": XRAY_ROW, "particles": PARTICLE_ROW}
        tables = {name: np.array(rows[name], dtype) for name, dtype in dtypes.items()}
        tables["pixels"] = np.concatenate([np.empty(0, OWNER), *rows["pixels"]])
        return Frames(pixels, labels, tables)

    def _numbers(self, label: int, rng: Generator) -> tuple[int, int]:
        """Return how many X-rays and particles a frame of this class holds."""
        with_xray, with_particle = label in (1, 3), label in (2, 3)
        if self.rates:
            numbers = [_at_least_one(rate, rng) for rate in self.rates]
            return numbers[0] * with_xray, numbers[1] * with_particle
        if with_xray and with_particle:
            xrays, particles = _choose(TOGETHER, rng)
            return xrays, particles
        (number,) = _choose(ALONE, rng)
        return number * with_xray, number * with_particle

    def _fill(self, xrays: int, particles: int) -> list[tuple[int, Item]]:
        """Return items of both kinds, no two of which share a pixel."""
        taken: list[tuple[int, Item]] = []
        used: set[int] = set()
        for kind, number in ((PARTICLE, particles), (XRAY, xrays)):
            for _ in range(number):
                item, cells = self._clear_of(used, self.pools[kind == PARTICLE])
                taken.append((kind, item))
                used |= cells
        return taken

    def _clear_of(self, used: set[int], pool: Pool) -> tuple[Item, set[int]]:
        for _ in range(TRIES):
            item = pool.take()
            cells = item.cells(self.shape)
            if not used & cells:
                return item, cells
        raise ConfigError(
            f"frame set: no place without pile-up found in {TRIES} tries, beside {len(used)} pixels with charge: "
            "expected lower rates"
        )

    def _note(self, frame: int, kind: int, item: Item, level: NDArray[np.float32], rows: dict[str, list[Any]]) -> None:
        charges = item.charges
        np.add.at(level, (charges["quadrant"], charges["y"], charges["x"]), charges["electrons"])
        table = "xrays" if kind == XRAY else "particles"
        owners = np.empty(charges.size, OWNER)
        for name in ("quadrant", "x", "y", "electrons"):
            owners[name] = charges[name]
        owners["frame"], owners["kind"], owners["owner"] = frame, kind, self._made[table]
        rows["pixels"].append(owners)
        rows[table].append((frame, *item.truth))
        self._made[table] += 1

    def _clip(self, level: NDArray[np.float32]) -> NDArray[np.float32]:
        clip_ev = self.config.simulate.read_out.clip_ev
        return level if clip_ev is None else np.minimum(level, np.float32(clip_ev / PAIR_ENERGY_EV))


def write_set(frames: FrameSet, put: Callable[[Frames], None], progress: Callable[[int], object]) -> dict[str, int]:
    """Hand every block to `put`; return how many frames of each class and owners of each kind were made."""
    counts = dict.fromkeys([*CLASSES, "xrays", "particles"], 0)
    done = 0
    for block in frames.blocks():
        put(block)
        done += block.label.size
        progress(done)
        for number, name in enumerate(CLASSES):
            counts[name] += int((block.label == number).sum())
        for name in ("xrays", "particles"):
            counts[name] += len(block.tables[name])
    return counts


def _choose(table: dict[tuple[int, ...], float], rng: Generator) -> tuple[int, ...]:
    weights = np.fromiter(table.values(), float)
    return list(table)[int(np.searchsorted(np.cumsum(weights / weights.sum()), rng.random(), side="right"))]


def _at_least_one(rate: float, rng: Generator) -> int:
    """Return a Poisson number that is not 0: the first of many draws; below a mean of 0.1, by inversion."""
    if rate > 0.1:
        while (number := int(rng.poisson(rate))) == 0:
            pass
        return number
    left = rng.random() * -math.expm1(-rate)
    number, term = 1, math.exp(-rate) * rate
    while left > term > 0:
        left -= term
        number += 1
        term *= rate / number
    return number
