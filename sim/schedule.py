"""How many primaries come in each read-out, so that none is used twice before all were used once."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.check import require
from sim.seeds import Seeds

BLOCK = 1024  # read-outs


@dataclass(frozen=True, slots=True)
class Schedule:
    """Poisson numbers around `mean`, with the running number of each read-out's first primary; any read-out first."""

    mean: float  # primaries in a read-out of all quadrants
    seeds: Seeds
    begin: int = 0  # running number of the very first
    _totals: list[int] = field(default_factory=lambda: [0], compare=False)  # before each block of read-outs
    _counts: dict[int, NDArray[np.int64]] = field(default_factory=dict, compare=False)  # of the block last asked for

    def __post_init__(self) -> None:
        require("particles", (0 <= self.mean < 10_000, "0 <= primaries per read-out < 10,000"))

    def of(self, readout: int) -> tuple[int, int]:
        """Return the running number of the first primary of a read-out, and how many there are."""
        block, inside = divmod(readout, BLOCK)
        counts = self._block(block)
        return self.begin + self._totals[block] + int(counts[:inside].sum()), int(counts[inside])

    def _block(self, block: int) -> NDArray[np.int64]:
        while len(self._totals) <= block:
            number = len(self._totals) - 1
            self._totals.append(self._totals[-1] + int(self.seeds.schedule(number).poisson(self.mean, BLOCK).sum()))
        if block not in self._counts:
            self._counts.clear()
            self._counts[block] = self.seeds.schedule(block).poisson(self.mean, BLOCK)
        return self._counts[block]
