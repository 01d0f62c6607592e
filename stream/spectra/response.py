"""What a telescope and its camera make of a spectrum: redistribution (RMF) times effective area (ARF)."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.kernels.fold import cut_runs, find_runs, fold_runs
from stream.spectra.grid import Floats, Grid

MOST_EFFICIENT = 1.5  # counts of a photon; more, and a matrix holds cm2


@dataclass(frozen=True, slots=True)
class Runs:
    """A sparse matrix (energies, channels) as spans of neighbouring channels; arrays as `fold_runs` takes them."""

    energy: NDArray[np.int32]
    first: NDArray[np.int32]  # by position, from 0
    ends: NDArray[np.int64]
    values: NDArray[np.float32]

    @classmethod
    def of(cls, matrix: ArrayLike, threshold: float = 0.0) -> "Runs":
        """Return the runs above the threshold of a dense matrix (energies, channels)."""
        dense = np.ascontiguousarray(matrix, np.float64)
        most = dense.shape[0] * (dense.shape[1] // 2 + 1)
        energy, first, ends = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.int64)
        values = np.empty(dense.size, np.float32)
        runs, n = find_runs(dense, threshold, energy, first, ends, values)
        return cls(energy[:runs].copy(), first[:runs].copy(), ends[:runs].copy(), values[:n].copy())

    def cut(self, low: int, high: int) -> "Runs":
        """Return what lies in the channels at positions low..high - 1, counted from low."""
        energy, first, ends = np.empty_like(self.energy), np.empty_like(self.first), np.empty_like(self.ends)
        values = np.empty_like(self.values)
        given = (self.energy, self.first, self.ends, self.values)
        runs, n = cut_runs(*given, low, high, energy, first, ends, values)
        return Runs(energy[:runs].copy(), first[:runs].copy(), ends[:runs].copy(), values[:n].copy())

    def times(self, factor: Floats) -> "Runs":
        """Return the runs with each energy's values times its factor (energies,)."""
        each = np.repeat(factor[self.energy], np.diff(self.ends, prepend=0))
        return Runs(self.energy, self.first, self.ends, (self.values * each).astype(np.float32))


@dataclass(frozen=True, slots=True)
class Band:
    """The part of a response that reaches a range of channels: fits go through this."""

    channels: slice  # by position
    grid: Grid  # of the energies that reach them
    runs: Runs  # area included: cm2

    def fold(self, photons: Floats) -> Floats:
        """Return counts s-1 (k, channels) of photons cm-2 s-1 (k, energies of the grid)."""
        out = np.zeros((len(photons), self.channels.stop - self.channels.start))
        fold_runs(self.runs.energy, self.runs.first, self.runs.ends, self.runs.values, photons, out)
        return out


@dataclass(frozen=True, slots=True)
class Response:
    """RMF, and ARF if any, of one spectrum.

    Channels are taken by position: the CHANNEL column of a real EBOUNDS may be garbage.
    """

    energy_lo_kev: Floats  # (n,) bins of the model
    energy_hi_kev: Floats
    channel: NDArray[np.int32]  # (m,) numbers, from the first of the RMF on
    e_min_kev: Floats  # (m,) EBOUNDS
    e_max_kev: Floats
    area_cm2: Floats  # (n,), 1 where there is no ARF
    runs: Runs  # the RMF alone, (n, m)
    about: dict[str, str] = field(default_factory=dict)
    _bands: dict[tuple[float, float], Band] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        energies: tuple[ArrayLike, ArrayLike],
        channels: tuple[ArrayLike, ArrayLike],
        matrix: ArrayLike,
        area_cm2: ArrayLike | None = None,
        first_channel: int = 1,
    ) -> "Response":
        """Return a response of a dense matrix (n, m): bounds (n,) and (m,) keV, area (n,) cm2 or None for 1."""
        lo, hi = (np.asarray(e, float) for e in energies)
        e_min, e_max = (np.asarray(e, float) for e in channels)
        area = np.ones(len(lo)) if area_cm2 is None else np.asarray(area_cm2, float)
        channel = np.arange(first_channel, first_channel + len(e_min), dtype=np.int32)
        return cls(lo, hi, channel, e_min, e_max, area, Runs.of(matrix))

    @property
    def has_area(self) -> bool:
        """Whether an ARF came with it, or the area is in its matrix: then the channels of an energy add up beyond 1."""
        each = np.repeat(self.runs.energy, np.diff(self.runs.ends, prepend=0))
        return bool(np.any(self.area_cm2 != 1) or np.bincount(each, self.runs.values).max(initial=0) > MOST_EFFICIENT)

    def fold(self, photons: ArrayLike) -> Floats:
        """Return counts s-1 (m,) of photons cm-2 s-1 (n,) per bin of energy."""
        out = np.zeros((1, len(self.channel)))
        through = (np.asarray(photons, float) * self.area_cm2)[None]
        fold_runs(self.runs.energy, self.runs.first, self.runs.ends, self.runs.values, through, out)
        return out[0]

    def band(self, low_kev: float, high_kev: float) -> Band:
        """Return the part for the channels within these energies by EBOUNDS, made once. Raises ValueError for none."""
        if (low_kev, high_kev) not in self._bands:
            self._bands[low_kev, high_kev] = self._cut(low_kev, high_kev)
        return self._bands[low_kev, high_kev]

    def _cut(self, low_kev: float, high_kev: float) -> Band:
        inside = np.flatnonzero((self.e_min_kev >= low_kev) & (self.e_max_kev <= high_kev))
        if not inside.size:
            ends = f"{self.e_min_kev.min():.3g}-{self.e_max_kev.max():.3g} keV"
            raise ValueError(f"no channel within {low_kev}-{high_kev} keV; the response covers {ends}")
        channels = slice(int(inside[0]), int(inside[-1]) + 1)
        runs = self.runs.times(self.area_cm2).cut(channels.start, channels.stop)
        reach = np.unique(runs.energy)
        if not reach.size:
            raise ValueError(f"no energy reaches the channels within {low_kev}-{high_kev} keV")
        used = slice(int(reach[0]), int(reach[-1]) + 1)
        grid = Grid.of(self.energy_lo_kev[used], self.energy_hi_kev[used])
        moved = Runs(runs.energy - np.int32(used.start), runs.first, runs.ends, runs.values)
        return Band(channels, grid, moved)

    def dense(self) -> Floats:
        """Return RMF x ARF as an array (n, m), cm2."""
        out = np.zeros((len(self.energy_lo_kev), len(self.channel)))
        begin = 0
        for energy, first, end in zip(self.runs.energy, self.runs.first, self.runs.ends, strict=True):
            out[energy, first : first + end - begin] += self.runs.values[begin:end]
            begin = end
        return out * self.area_cm2[:, None]
