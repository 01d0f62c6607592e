"""Levenberg-Marquardt on the signed-root residuals of C-stat or W-stat, within bounds.

Their sum of squares is the statistic and their gradient is used as it is. The curvature is what J^T J of the residuals
is for a model that fits, the expected information: with J^T J of the data itself, bins without counts weigh too
little, and a fit of 50 counts takes 9 to 11 steps in place of 4, to the same minimum.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream.kernels.cstat import normal_equations
from stream.spectra.components import Parameter
from stream.spectra.data_set import DataSet
from stream.spectra.grid import Floats
from stream.spectra.model import Model

TOLERANCE: Final = 1e-5  # of the statistic: a thousandth of a sigma is 1e-6
STEPS: Final = 60
POOR: Final = 0.5  # share of the promised gain below which steps are shortened
STUCK: Final = 0.01  # a tenth of a sigma: no way down is left, for a kink of the model or rounding
LONGEST_LOG_STEP: Final = 2.0
LEAST_LOG: Final = 1e-30  # a parameter fitted in its logarithm is no smaller


@dataclass(slots=True)
class Point:
    """Where a minimisation stands, in the variables it steps in: all parameters, (p,) and (p, p)."""

    variables: Floats
    value: float
    gradient: Floats
    fisher: Floats  # the expected information: the curvature, and the inverse of the covariance
    model: Floats  # (b,) counts


@dataclass(frozen=True, slots=True)
class Variables:
    """Between parameters and the variables of the minimisation: logarithms where the model says so."""

    log: NDArray[np.bool_]
    low: Floats
    high: Floats

    @classmethod
    def of(cls, parameters: tuple[Parameter, ...]) -> "Variables":
        """Return those of the parameters of a model."""
        log = np.array([p.log for p in parameters])
        low, high = (np.array([getattr(p, end) for p in parameters], float) for end in ("low", "high"))
        return cls(log, _inward(low, log), _inward(high, log))

    def inward(self, values: Floats) -> Floats:
        """Return the variables of parameters, moved within the bounds."""
        return np.clip(_inward(values, self.log), self.low, self.high)

    def outward(self, variables: Floats) -> Floats:
        """Return the parameters."""
        return np.where(self.log, np.exp(np.where(self.log, variables, 0.0)), variables)

    def slope(self, values: Floats) -> Floats:
        """Return d parameter / d variable (p,)."""
        return np.where(self.log, values, 1.0)


def _inward(values: Floats, log: NDArray[np.bool_]) -> Floats:
    return np.where(log, np.log(np.maximum(values, LEAST_LOG)), values)


def evaluate(data: DataSet, model: Model, space: Variables, variables: Floats) -> Point:
    """Return the statistic and its derivatives there."""
    values = space.outward(variables)
    counts, slopes = data.predict_with_slopes(model, values)
    slopes *= space.slope(values)[:, None]
    p = len(values)
    gradient, fisher = np.empty(p), np.empty((p, p))
    value = normal_equations(data.counts, data.off, data.alpha, counts, slopes, gradient, fisher)
    return Point(variables, float(value), gradient, fisher, counts)


def minimise(
    at: Callable[[Floats], Point], start: Floats, space: Variables, fixed: NDArray[np.bool_]
) -> tuple[Point, bool]:
    """Return the lowest point found from the start (p,) and whether the search converged; `fixed` ones stay."""
    point, damping = at(start), 1e-3
    for _ in range(STEPS):
        free = ~fixed & ~held(point, space)
        if not free.any():
            return point, True
        step, gain = _step(point, free, damping)
        if gain < TOLERANCE:
            return point, True
        trial = np.clip(point.variables + _shortened(step, space), space.low, space.high)
        new = at(trial)
        if np.isfinite(new.value) and new.value < point.value:
            kept = (
                point.value - new.value
            ) / gain  # of what was promised; little: the valley bends, a step goes too far
            point, damping = new, damping * 5 + 0.03 if kept < POOR else max(damping * 0.1, 1e-9)
        elif damping > 1e8:
            return point, gain < STUCK
        else:
            damping = max(damping, 1e-4) * 10
    return point, False


def held(point: Point, space: Variables) -> NDArray[np.bool_]:
    """Return which variables (p,) stand at a bound and would leave it."""
    low = (point.variables <= space.low) & (point.gradient > 0)
    return low | ((point.variables >= space.high) & (point.gradient < 0))


def _step(point: Point, free: NDArray[np.bool_], damping: float) -> tuple[Floats, float]:
    """Return the damped step (p,) and by how much the undamped one is expected to lower the statistic."""
    where = np.flatnonzero(free)
    curvature, gradient = point.fisher[np.ix_(where, where)], point.gradient[where]
    scale = 1.0 / np.sqrt(np.maximum(np.diag(curvature), 1e-30))
    scaled = curvature * np.outer(scale, scale) + damping * np.eye(len(where))
    step = np.zeros(len(free))
    step[where] = -scale * np.linalg.solve(scaled, scale * gradient)
    return step, float(-gradient @ step[where]) * (1 + damping)


def _shortened(step: Floats, space: Variables) -> Floats:
    longest = np.abs(step[space.log]).max(initial=0.0)
    return step * (LONGEST_LOG_STEP / longest) if longest > LONGEST_LOG_STEP else step
