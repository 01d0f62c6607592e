"""Hot, flickering and dead pixels of the simulated camera."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from config.schema import Detector as Layout
from sim.check import require
from sim.seeds import Seeds
from stream.messages import BAD_PIXEL, DEAD, FLICKERING, HOT


@dataclass(frozen=True, slots=True, kw_only=True)
class BadPixel:
    """One pixel that is not like the others, from a read-out on."""

    quadrant: int
    x: int
    y: int
    kind: int = HOT
    level_adu: float = 5000.0  # what a hot pixel adds; a dead one reads 0 for ever
    duty: float = 1.0  # share of the read-outs in which it adds it
    first_readout: int = 0

    def __post_init__(self) -> None:
        require(
            f"bad pixel ({self.x}, {self.y}) of quadrant {self.quadrant}",
            (self.kind in (HOT, FLICKERING, DEAD), f"kind {HOT} hot, {FLICKERING} flickering or {DEAD} dead"),
            (0 < self.duty <= 1, "0 < duty <= 1"),
            (self.first_readout >= 0, "first_readout >= 0"),
        )

    def apply(self, signal: NDArray[np.float32], readout: int, rng: Generator) -> None:
        """Change the pixel in `signal` (rows, columns) ADU, in place. Draws one number in every read-out."""
        lit = rng.random() < self.duty
        if readout < self.first_readout:
            return
        if self.kind == DEAD:
            signal[self.y, self.x] = -np.inf
        elif lit:
            signal[self.y, self.x] += self.level_adu


def tabulate(pixels: Iterable[BadPixel], frame_time_ns: int) -> NDArray[Any]:
    """Return the pixels as a BAD_PIXEL table, the truth of what a chain should find."""
    rows = [(p.quadrant, p.x, p.y, p.kind, p.first_readout, p.first_readout * frame_time_ns) for p in pixels]
    return np.array(rows, BAD_PIXEL)


def scatter(layout: Layout, seeds: Seeds, *, hot: int = 0, flickering: int = 0, dead: int = 0) -> tuple[BadPixel, ...]:
    """Return so many bad pixels in each quadrant, at different random places; flickering ones are lit in 5 %."""
    kinds = [HOT] * hot + [FLICKERING] * flickering + [DEAD] * dead
    pixels = []
    for quadrant in layout.quadrants:
        rng = seeds.fixed(quadrant.id, 1)
        places = rng.choice(layout.rows * layout.columns, len(kinds), replace=False)
        for kind, place in zip(kinds, places.tolist(), strict=True):
            y, x = divmod(place, layout.columns)
            duty = 0.05 if kind == FLICKERING else 1.0
            pixels.append(BadPixel(quadrant=quadrant.id, x=x, y=y, kind=kind, duty=duty))
    return tuple(pixels)
