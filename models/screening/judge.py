"""What a screen does to candidates: Eq. (3)-(8) of Poliszczuk et al. 2024 (arXiv:2407.16768), with weights, by energy.

Positive is a particle; rejected events are what is called one. Intervals are of 68 %, from drawing primaries and
read-outs anew, the same draws for every decision, so that ratios of two of them have intervals, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray
from scipy.sparse import csr_array

from models.candidates import Candidates
from models.metrics import QUANTILES, SAMPLES, Interval

Floats = NDArray[np.float64]
IRON_EV = (4000.0, 8000.0)  # around the iron K lines, section 4.2
EDGES_EV = np.array([300, 500, 700, 1000, 1500, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000], float)
AT_A_TIME = 25  # draws


@dataclass(frozen=True, slots=True)
class Cut:
    """Rejects scores above a threshold, and a share of those that are equal to it."""

    threshold: float
    share: float = 0.0

    def rejected(self, score: Floats) -> Floats:
        """Return what of each event is rejected, (n,), 0 to 1; never one whose score is not a number."""
        return (score > self.threshold) + self.share * (score == self.threshold)


def cut_for(found: Candidates, score: Floats, lost: float, *, exact: bool = False) -> Cut:
    """Return the lowest cut that loses no more than a fraction of the X-rays.

    score: (n,), higher is more like a particle, infinite allowed, NaN is never rejected. exact: loses just that
    fraction, by splitting X-rays of equal score; else none of them are rejected.
    """
    xray = ~found.particle
    known = np.where(np.isnan(score[xray]), -np.inf, score[xray])
    levels, place = np.unique(known, return_inverse=True)
    weight = np.bincount(place, found.weight[xray])
    above = np.append(np.cumsum(weight[::-1])[::-1][1:], 0.0) / weight.sum()  # rejected if this level is the threshold
    best = int(np.argmax(above <= lost))
    share = min(1.0, (lost - above[best]) * weight.sum() / weight[best]) if exact else 0.0
    return Cut(float(levels[best]), float(share))


def roc(found: Candidates, score: Floats) -> tuple[Floats, Floats]:
    """Return lost X-rays and recall of particles from the strictest cut to none, (k,) each, 0 to 1."""
    levels, place = np.unique(np.nan_to_num(score, nan=-np.inf, posinf=np.inf, neginf=-np.inf), return_inverse=True)
    sums = [np.bincount(place, found.weight * which, levels.size) for which in (~found.particle, found.particle)]
    lost, recall = (np.append(0, np.cumsum(each[::-1])) / each.sum() for each in sums)
    return lost, recall


@dataclass(frozen=True, slots=True)
class Tally:
    """Weights of a decision: [draw, bin of EDGES_EV, X-ray or particle, kept or rejected]; draw 0 is the sample."""

    sums: Floats

    def within(self, low_ev: float, high_ev: float) -> "Tally":
        """Return the bins of a band."""
        return Tally(self.sums[:, (EDGES_EV[:-1] >= low_ev) & (EDGES_EV[1:] <= high_ev)])

    def by_bin(self) -> list["Tally"]:
        """Return each bin by itself."""
        return [Tally(self.sums[:, [k]]) for k in range(self.sums.shape[1])]

    def lost(self) -> Floats:
        """Eq. (6): share of X-rays that are rejected, (draws,); NaN without X-rays."""
        return ratio(self._of(0, 1), self._of(0, 0) + self._of(0, 1))

    def background(self) -> Floats:
        """Eq. (7), FOR: share of particles in what is kept."""
        return ratio(self._of(1, 0), self._of(1, 0) + self._of(0, 0))

    def recall(self) -> Floats:
        """Eq. (4): share of particles that are rejected."""
        return ratio(self._of(1, 1), self._of(1, 0) + self._of(1, 1))

    def precision(self) -> Floats:
        """Eq. (3): share of particles in what is rejected."""
        return ratio(self._of(1, 1), self._of(1, 1) + self._of(0, 1))

    def f1(self) -> Floats:
        """Eq. (5)."""
        return ratio(2 * self._of(1, 1), 2 * self._of(1, 1) + self._of(0, 1) + self._of(1, 0))

    def improvement(self, traditional: "Tally") -> Floats:
        """Eq. (8): by what share the unrejected background is below that of another decision."""
        return 1 - ratio(self.background(), traditional.background())

    def unrejected(self) -> Floats:
        """Return the weight of particles that are kept."""
        return self._of(1, 0)

    def _of(self, particle: int, rejected: int) -> Floats:
        return self.sums[:, :, particle, rejected].sum(axis=1)


def interval(values: Floats) -> Interval:
    """Return the value of the sample, and the 68 % interval of the draws that are numbers."""
    drawn = values[1:][~np.isnan(values[1:])]
    low, high = np.quantile(drawn, QUANTILES) if drawn.size else (np.nan, np.nan)
    return float(values[0]), float(low), float(high)


def tallies(found: Candidates, decisions: Mapping[str, Floats], seed: int = 0) -> dict[str, Tally]:
    """Return the tally of each decision: (n,) what of each candidate is rejected, 0 to 1 or boolean."""
    _, group = np.unique(found.group, return_inverse=True)
    groups = int(group.max(initial=-1)) + 1
    place = np.clip(np.searchsorted(EDGES_EV, found.energy_ev, "right") - 1, 0, EDGES_EV.size - 2)
    cell = (place * 2 + found.particle) * 2
    shape = (EDGES_EV.size - 1, 2, 2)
    sums = {}
    for name, rejected in decisions.items():
        part = np.concatenate([1.0 - rejected, rejected]) * np.tile(found.weight, 2)
        where = np.concatenate([cell, cell + 1]), np.tile(group, 2)
        sums[name] = csr_array(
            (part[part > 0], (where[0][part > 0], where[1][part > 0])), (int(np.prod(shape)), groups)
        )
    drawn: dict[str, list[Floats]] = {name: [matrix.sum(axis=1)[:, None]] for name, matrix in sums.items()}
    rng = default_rng(seed)
    for first in range(0, SAMPLES, AT_A_TIME):
        number = min(AT_A_TIME, SAMPLES - first)
        times = [np.bincount(rng.integers(groups, size=groups), minlength=groups) for _ in range(number)]
        for name, matrix in sums.items():
            drawn[name].append(matrix @ np.array(times, float).T)
    return {name: Tally(np.concatenate(parts, axis=1).T.reshape(-1, *shape)) for name, parts in drawn.items()}


def ratio(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0)
