"""Random numbers: a generator of its own for each thing that is drawn.

So a frame depends on the seed, the run and its own number only: not on which frames were made before it, nor on
what else is simulated (the same noise lies under another sky).
"""

from dataclasses import dataclass

from numpy.random import SFC64, Generator, SeedSequence

from sim.check import require

FIXED, NOISE, SIGNAL, SCHEDULE, PLACE, SET = range(6)  # first word of the key: what is drawn


@dataclass(frozen=True, slots=True)
class Seeds:
    """`seed` names the camera and the sky; `run` tells apart runs of one camera (a dark run from the observation)."""

    seed: int
    run: int = 0

    def __post_init__(self) -> None:
        require("seeds", (self.seed >= 0, "seed >= 0"), (self.run >= 0, "run >= 0"))

    def fixed(self, *key: int) -> Generator:
        """Return the generator of what never changes: the same in all runs."""
        return self._make(FIXED, *key)

    def noise(self, readout: int, quadrant: int) -> Generator:
        """Return the generator of one frame's noise."""
        return self._make(NOISE, self.run, readout, quadrant)

    def signal(self, readout: int, source: int) -> Generator:
        """Return the generator of what the source number `source` sends into one read-out."""
        return self._make(SIGNAL, self.run, readout, source)

    def start(self) -> Generator:
        """Return the generator of where in a hit library a run begins."""
        return self._make(PLACE, self.run)

    def of_set(self, what: int, *key: int) -> Generator:
        """Return the generator of one part of a frame set: its order, noise, X-rays, particles (`sim.frame_sets`)."""
        return self._make(SET, self.run, what, *key)

    def schedule(self, block: int) -> Generator:
        """Return the generator of the numbers of primaries in one block of read-outs."""
        return self._make(SCHEDULE, self.run, block)

    def _make(self, *key: int) -> Generator:
        return Generator(SFC64(SeedSequence(self.seed, spawn_key=key)))  # the fastest of NumPy's for normals
