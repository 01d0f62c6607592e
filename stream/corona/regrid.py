"""Counts of a real spectrograph as those of another grid and area, of which a network knows what to make.

A count is moved or left out by chance, never weighed: what were Poisson counts are Poisson counts afterwards.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.spectra.grid import Floats

SAME_A: Final = 1e-4  # Angstrom: grids that differ by less are one
LACKING: Final = 0.06  # of a flat spectrum's counts may come from bins with less area than wanted: gaps between chips
GAP: Final = 0.3  # of the area that is wanted: what comes where there is less depends on the dither, and is left out
AROUND: Final = 2  # bins to either side of a line: one FWHM of a grating
BRIGHT, THINNED = 0.6, 0.5  # of the brightest known spectrum: what is brighter is thinned to so much
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Regridded:
    """S spectra as a nominal instrument of B bins would have taken them."""

    counts: NDArray[np.float32]  # (S, B) whole numbers
    kept: Floats  # (S,) share of the counts within the range of the grid that are in `counts`
    log_scale: Floats  # (S,) log10 of the area that they stand for, over the nominal one
    part: NDArray[np.float32]  # (S, B) of that area that each bin has: 1, or less where there was not enough


@dataclass(frozen=True, slots=True)
class Brightest:
    """Counts of the brightest known spectrum: in all, and in 2 AROUND + 1 neighbouring bins."""

    total: float
    window: float


def same_edges(one: Floats, other: Floats) -> bool:
    """Return whether two grids (B + 1,) have the same bins."""
    return one.shape == other.shape and bool(np.abs(one - other).max() <= SAME_A)


def place(counts: Floats, edges_a: Floats, grid_a: Floats, rng: Generator) -> Counts:
    """Return counts (S, C) of bins (C + 1,) in the bins of another grid (B + 1,), (S, B).

    Each count has a place in its bin, drawn evenly: so bins that do not fit into those of the grid make no pattern.
    Counts outside of the grid are left out. Raises ConfigError for bins that are wider than those of the grid, and for
    counts that are no whole numbers.
    """
    given = whole(counts)
    if same_edges(edges_a, grid_a):
        return given
    low, high = edges_a[:-1], edges_a[1:]
    inside = (high > grid_a[0]) & (low < grid_a[-1])
    widest, least = float((high - low)[inside].max(initial=0.0)), float(np.diff(grid_a).min())
    if widest > least + SAME_A:
        raise ConfigError(f"bins of {widest:.4g} A: wider than those of {least:.4g} A that they are to go into")
    bins = len(grid_a) - 1
    first = np.searchsorted(grid_a, low + 1e-9, side="right")  # 0: below the grid; 1: in its first bin
    ends = np.append(grid_a, np.inf)[np.minimum(first, bins + 1)]
    share = np.clip((ends - low) / (high - low), 0.0, 1.0)
    share[share > 1 - 1e-6] = 1.0
    left = rng.binomial(given, share)
    out = np.zeros((bins + 2, len(given)), np.int64)
    np.add.at(out, np.minimum(first, bins + 1), left.T)
    np.add.at(out, np.minimum(first + 1, bins + 1), (given - left).T)
    return out[1:-1].T


def whole(counts: Floats) -> Counts:
    """Return counts as integers. Raises ConfigError for counts that are no whole numbers."""
    given = np.asarray(counts)
    if given.dtype.kind not in "iu" and np.any(given != np.rint(given)):
        raise ConfigError("counts: expected whole numbers: without the background taken off, and not smoothed")
    return given.astype(np.int64)


def area_on(area_cm2: Floats, edges_a: Floats, grid_a: Floats) -> Floats:
    """Return the mean area (B,) in the bins of a grid (B + 1,); 0 where the bins (C + 1,) do not reach."""
    summed = np.concatenate([[0.0], np.cumsum(area_cm2 * np.diff(edges_a))])
    return np.asarray(np.diff(np.interp(grid_a, edges_a, summed)) / np.diff(grid_a))


def coverage(area: Floats, nominal: Floats) -> float:
    """Return the share of a flat spectrum's counts, by the nominal area (B,), in bins that have any area (B,)."""
    return float(nominal[area > 0].sum() / nominal.sum())


def to_nominal(counts: Counts, area: Floats, nominal: Floats, most: Brightest, rng: Generator) -> Regridded:
    """Return counts (S, B) that an area (B,) gave as those of a nominal area (B,), as faint as known ones.

    Counts of each bin are kept with a chance of k nominal / area: then they stand for k times the nominal area. k is
    the largest that all bins allow but those that LACKING of a flat spectrum falls in, and less for a spectrum brighter
    than BRIGHT of `most`: it is thinned to THINNED. Counts in gaps between chips are left out.
    """
    ratio = np.asarray(area / nominal)
    order = np.argsort(ratio)
    below = np.cumsum(nominal[order])
    largest = ratio[order[min(int(np.searchsorted(below, LACKING * below[-1])), len(order) - 1)]]
    if not largest > 0:
        none = np.zeros(len(counts))
        return Regridded(counts.astype(np.float32), none + 1, none, np.zeros(counts.shape, np.float32))
    ratio[ratio < GAP * largest] = 0.0
    over_ratio = np.divide(1.0, ratio, out=np.zeros_like(ratio), where=ratio > 0)
    chance = np.minimum(largest * over_ratio, 1.0)
    total, window = (counts * chance).sum(axis=1), windows(counts * chance).max(axis=1, initial=0.0)
    over = np.maximum(total / most.total, window / most.window)
    k = largest * np.where(over > BRIGHT, THINNED / np.maximum(over, 1e-9), 1.0)
    chance = np.minimum(k[:, None] * over_ratio, 1.0)
    chance[chance > 1 - 1e-9] = 1.0
    thinned = rng.binomial(counts, chance)
    part = np.minimum(ratio / k[:, None], 1.0).astype(np.float32)
    part[part > 1 - 1e-6] = 1.0
    kept = thinned.sum(axis=1) / np.maximum(counts.sum(axis=1), 1)
    return Regridded(thinned.astype(np.float32), np.where(counts.any(axis=1), kept, 1.0), np.log10(k), part)


def windows(counts: NDArray[np.generic]) -> Floats:
    """Return the sum of each bin and of AROUND to either side, (S, B), of (S, B)."""
    padded = np.pad(np.asarray(counts, float), ((0, 0), (AROUND + 1, AROUND)))
    summed = padded.cumsum(axis=1)
    return summed[:, 2 * AROUND + 1 :] - summed[:, : -2 * AROUND - 1]
