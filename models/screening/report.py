"""Scores of the same candidates side by side, at the lost fractions of the seed, beside the ceilings of context."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError
from models.candidates import BAND_EV, Candidates
from models.metrics import Interval
from models.screening.judge import IRON_EV, Floats, Tally, cut_for, interval, ratio, tallies
from sim.event_sets import IN_QUADRANT, IN_READOUT, IN_WINDOW

LOST = 0.0182  # of the X-rays: the seed's threshold (section 4.2)
IRON_LOST = 0.0311  # of those of 4-8 keV, at the same threshold
WINDOWS = {"64 x 64": IN_WINDOW, "quadrant": IN_QUADRANT, "four quadrants": IN_READOUT}
TRADITIONAL, KEPT = "traditional", "of those that the traditional filter keeps"
CALIBRATED, OWN = "", " (own quantile)"  # where the threshold is from: another set; this one, ties split
METRICS = {
    "lost X-rays": Tally.lost,
    "unrejected background": Tally.background,
    "recall": Tally.recall,
    "precision": Tally.precision,
    "F1": Tally.f1,
}
IMPROVEMENT = "FOR relative improvement"


@dataclass(frozen=True, slots=True)
class Scored:
    """Candidates of a set, and what each score says of them: (n,), higher is more like a particle."""

    found: Candidates
    scores: Mapping[str, Floats]

    def within(self, band: tuple[float, float]) -> "Scored":
        """Return those of a band of energies."""
        chosen = (self.found.energy_ev >= band[0]) & (self.found.energy_ev < band[1])
        return Scored(self.found.pick(chosen), {name: score[chosen] for name, score in self.scores.items()})


@dataclass(frozen=True, slots=True)
class Point:
    """A lost fraction (None: what the traditional filter loses) of the X-rays of a band."""

    name: str
    lost: float | None
    band: tuple[float, float] = BAND_EV

    def wish(self, found: Candidates) -> float:
        """Return the lost fraction asked for on these candidates."""
        if self.lost is not None:
            return self.lost
        lost = found.weight[~found.particle & ~found.kept].sum() / found.weight[~found.particle].sum()
        return float(lost)


def points(lost: float = LOST) -> tuple[Point, ...]:
    """Return where scores are judged: the first is the main one."""
    return (
        Point(f"{100 * lost:.3g} % lost", lost),
        Point("lost as traditional", None),
        Point(f"4-8 keV, {100 * IRON_LOST:.3g} % lost", IRON_LOST, IRON_EV),
    )


def bound(window: str) -> str:
    """Return the name of `perfect_within` a window with the energy-only score elsewhere."""
    return f"perfect in {window}, else energy only"


def perfect_within(found: Candidates, score: Floats, window: str) -> Floats:
    """Return a score that knows every particle with company in a window, and is `score` elsewhere."""
    return np.where(found.particle & (found.company & WINDOWS[window] > 0), np.inf, score)


def report(calibration: Scored, test: Scored, lost: float = LOST) -> dict[str, Interval]:
    """Return all figures in percent, by "score, point: metric".

    Thresholds are those that lose the fraction asked for of the calibration's X-rays; beside them, marked as OWN, those
    of the test itself. "of ceiling W": share of particles that is rejected, relative to the share with company in W;
    "of bound W": improvement relative to that of the score `bound(W)`, if there is one.
    Raises ConfigError for sets without X-rays and particles in a band, or with other scores.
    """
    if set(calibration.scores) != set(test.scores):
        raise ConfigError(f"scores {sorted(test.scores)}: calibrated are {sorted(calibration.scores)}")
    figures: dict[str, Interval] = {}
    for point in points(lost):
        one, other = calibration.within(point.band), test.within(point.band)
        for each in (one, other):
            if not each.found.particle.any() or each.found.particle.all():
                raise ConfigError(f"events of {point.band[0]:g}-{point.band[1]:g} eV: expected X-rays and particles")
        decisions = dict(decide(one, other, point))
        figures |= _judged(other.found, decisions, point.name) | _reached(other.found, decisions, point.name)
        figures |= _ceilings(other.found, "" if point.band == BAND_EV else ", 4-8 keV")
        if point == points(lost)[0]:
            kept = other.found.kept
            of_kept = {name: rejected[kept] for name, rejected in decisions.items()}
            figures |= _ceilings(other.found.pick(kept), f", {KEPT}")
            figures |= _reached(other.found.pick(kept), of_kept, f"{point.name}, {KEPT}")
            figures |= _iron(other.found, decisions, point.name)
    return figures


def decide(calibration: Scored, test: Scored, point: Point) -> Iterator[tuple[str, Floats]]:
    """Yield name and rejected share (n,) of the traditional filter, and of each score with both thresholds."""
    yield TRADITIONAL, (~test.found.kept).astype(float)
    for name, score in test.scores.items():
        cut = cut_for(calibration.found, calibration.scores[name], point.wish(calibration.found))
        yield name + CALIBRATED, cut.rejected(score)
        yield name + OWN, cut_for(test.found, score, point.wish(test.found), exact=True).rejected(score)


def _judged(found: Candidates, decisions: Mapping[str, Floats], point: str) -> dict[str, Interval]:
    """Return every metric of every decision; of those with their own quantile what depends on it."""
    figures = {}
    tallied = tallies(found, decisions)
    better = {name: tally.improvement(tallied[TRADITIONAL]) for name, tally in tallied.items() if name != TRADITIONAL}
    for name, tally in tallied.items():
        for metric, of in METRICS.items():
            if metric == "recall" or not name.endswith(OWN):
                figures[f"{name}, {point}: {metric}"] = _percent(of(tally))
    for name, values in better.items():
        figures[f"{name}, {point}: {IMPROVEMENT}"] = _percent(values)
        for window in WINDOWS:
            highest = better.get(bound(window) + (OWN if name.endswith(OWN) else CALIBRATED))
            if highest is not None:
                figures[f"{name}, {point}: of bound {window}"] = _percent(ratio(values, highest))
    return figures


def _iron(found: Candidates, decisions: Mapping[str, Floats], point: str) -> dict[str, Interval]:
    """Return what the thresholds of the whole band do in 4-8 keV."""
    figures = {}
    tallied = {name: tally.within(*IRON_EV) for name, tally in tallies(found, decisions).items()}
    for name, tally in tallied.items():
        figures[f"{name}, {point}, in 4-8 keV: lost X-rays"] = _percent(tally.lost())
        figures[f"{name}, {point}, in 4-8 keV: {IMPROVEMENT}"] = _percent(tally.improvement(tallied[TRADITIONAL]))
    return figures


def _company(found: Candidates) -> dict[str, NDArray[np.float64]]:
    return {name: (found.particle & (found.company & bit > 0)).astype(float) for name, bit in WINDOWS.items()}


def _ceilings(found: Candidates, which: str) -> dict[str, Interval]:
    """Return which share of the particles has company in each window."""
    return {
        f"ceiling, {name}{which}": _percent(tally.recall()) for name, tally in tallies(found, _company(found)).items()
    }


def _reached(found: Candidates, decisions: Mapping[str, Floats], point: str) -> dict[str, Interval]:
    """Return the rejected share of the particles relative to each ceiling."""
    ceilings, tallied = tallies(found, _company(found)), tallies(found, decisions)
    return {
        f"{name}, {point}: of ceiling {window}": _percent(ratio(tally.recall(), ceiling.recall()))
        for name, tally in tallied.items()
        for window, ceiling in ceilings.items()
        if name != TRADITIONAL
    }


def _percent(values: Floats) -> Interval:
    value, low, high = interval(values)
    return 100 * value, 100 * low, 100 * high
