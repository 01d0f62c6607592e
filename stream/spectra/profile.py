"""Intervals of single parameters from the profile of the likelihood."""

from functools import partial
from typing import Final

import numpy as np

from stream.spectra.fit import Fit
from stream.spectra.minimise import Variables, evaluate, minimise

SEARCHES: Final = 40
CLOSE: Final = 1e-3  # of the statistic


def profile(fit: Fit, name: str, delta: float = 1.0) -> tuple[float, float]:
    """Return (low, high) between which the statistic, minimised over the others, is within delta of the fit's.

    delta 1: 68.3 %, 2.706: 90 % of one parameter. An end that the parameter's bounds cut off is that bound.
    """
    place = fit.names.index(name)
    return _end(fit, place, delta, -1), _end(fit, place, delta, 1)


def statistic_at(fit: Fit, name: str, value: float) -> float:
    """Return the statistic with this parameter held at a value and the others at their best."""
    space = Variables.of(fit.model.parameters)
    start = space.inward(fit.values)
    place = fit.names.index(name)
    held_at = fit.values.copy()
    held_at[place] = value
    return _minimum(fit, place, space, start, float(space.inward(held_at)[place]))[0]


def _minimum(fit, place, space, start, variable):  # type: ignore[no-untyped-def]
    fixed = np.array([p.frozen for p in fit.model.parameters])
    fixed[place] = True
    first = start.copy()
    first[place] = variable
    point, _ = minimise(partial(evaluate, fit.data, fit.model, space), first, space, fixed)
    return point.value, point.variables


def _end(fit: Fit, place: int, delta: float, side: int) -> float:
    space = Variables.of(fit.model.parameters)
    best = space.inward(fit.values)
    bound = float(space.high[place] if side > 0 else space.low[place])
    information = fit.fisher[place, place]
    error = fit.errors[place] / space.slope(fit.values)[place]
    step = error if np.isfinite(error) and error > 0 else 1 / np.sqrt(max(information, 1e-12))
    inner, rise_in = float(best[place]), 0.0
    outer, start, outer_rise = inner, best, 0.0
    for _ in range(SEARCHES):  # outwards, by the parabola
        outer = outer + side * step * np.sqrt(delta)
        outer = min(outer, bound) if side > 0 else max(outer, bound)
        value, start = _minimum(fit, place, space, start, outer)
        outer_rise = value - fit.value
        if outer_rise >= delta or outer == bound:
            break
        inner, rise_in = outer, outer_rise
        step *= 1.6 if outer_rise > 0.2 * delta else 3.0
    if outer_rise < delta:
        return _value(space, fit, place, bound)
    for _ in range(SEARCHES):  # inwards: the root of the rise is nearly straight
        a, b, t = np.sqrt(max(rise_in, 0.0)), np.sqrt(outer_rise), np.sqrt(delta)
        middle = inner + (outer - inner) * float(np.clip((t - a) / (b - a), 0.02, 0.98))
        value, start = _minimum(fit, place, space, start, middle)
        rise = value - fit.value
        if abs(rise - delta) < CLOSE * max(delta, 1.0):
            return _value(space, fit, place, middle)
        inner, rise_in, outer, outer_rise = (
            (middle, rise, outer, outer_rise) if rise < delta else (inner, rise_in, middle, rise)
        )
    return _value(space, fit, place, 0.5 * (inner + outer))


def _value(space: Variables, fit: Fit, place: int, variable: float) -> float:
    variables = space.inward(fit.values)
    variables[place] = variable
    return float(space.outward(variables)[place])
