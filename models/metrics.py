"""What models are judged by: the equations of Poliszczuk et al. 2024 (arXiv:2407.16768), section 3.4, with intervals.

Positive is a particle, negative an X-ray: TP a rejected particle, FN one that was kept, FP a lost X-ray, TN one kept.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

Interval = tuple[float, float, float]  # value and 68 % interval
SAMPLES = 500  # of a bootstrap
QUANTILES = (0.1587, 0.8413)


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of true classes (rows) and predicted ones (columns), (k, k) int64."""

    counts: NDArray[np.int64]

    @classmethod
    def of(cls, truth: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> "Confusion":
        """Count. No events: all zero."""
        place = np.asarray(truth, np.int64) * classes + predicted
        return cls(np.bincount(place, minlength=classes * classes).reshape(classes, classes))

    def accuracy(self) -> float:
        """Eq. (2): share that is right; NaN for none."""
        return _ratio(float(np.trace(self.counts)), float(self.counts.sum()))

    def precision(self, k: int) -> float:
        """Eq. (3): share of what is called k that is k."""
        return _ratio(float(self.counts[k, k]), float(self.counts[:, k].sum()))

    def recall(self, k: int) -> float:
        """Eq. (4): share of k that is called k."""
        return _ratio(float(self.counts[k, k]), float(self.counts[k].sum()))

    def f1(self, k: int) -> float:
        """Eq. (5): harmonic mean of precision and recall."""
        return _ratio(2 * float(self.counts[k, k]), float(self.counts[:, k].sum() + self.counts[k].sum()))


def lost_xrays(particle: NDArray[np.bool_], rejected: NDArray[np.bool_]) -> float:
    """Eq. (6): share of X-rays that are rejected; NaN without X-rays."""
    return _ratio(float(np.sum(rejected & ~particle)), float(np.sum(~particle)))


def unrejected_background(particle: NDArray[np.bool_], rejected: NDArray[np.bool_]) -> float:
    """Eq. (7), FOR: share of particles in what is kept; NaN if nothing is."""
    return _ratio(float(np.sum(~rejected & particle)), float(np.sum(~rejected)))


def improvement(ours: float, traditional: float) -> float:
    """Eq. (8): by what share our unrejected background is below the traditional filter's."""
    return 1 - _ratio(ours, traditional)


def bootstrap(metric: Callable[[NDArray[np.int64]], float], groups: NDArray[np.integer], seed: int = 0) -> Interval:
    """Return a metric with its 68 % interval from drawing whole groups (primaries, frames) anew.

    metric: of rows (indices); groups: (n,) which rows belong together, as they are not independent. Draws for which
    the metric is not a number do not count.
    """
    _, start, count = np.unique(np.sort(groups), return_index=True, return_counts=True)
    order = np.argsort(groups, kind="stable")
    rng = default_rng(seed)
    values = []
    for _ in range(SAMPLES):
        drawn = rng.integers(start.size, size=start.size)
        begin, own = start[drawn], count[drawn]
        rows = np.arange(own.sum()) + np.repeat(begin - (np.cumsum(own) - own), own)
        values.append(metric(order[rows]))
    known = [value for value in values if not np.isnan(value)]
    low, high = np.quantile(known, QUANTILES) if known else (np.nan, np.nan)
    return metric(np.arange(groups.size)), float(low), float(high)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
