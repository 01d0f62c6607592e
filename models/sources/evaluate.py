"""How well source classes are told, on sources that training never saw."""

import csv
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.metrics import QUANTILES, SAMPLES, Confusion, Interval
from models.sources.challenger import Boosting
from models.sources.dataset import Sources, numbers
from models.sources.folds import folds_of
from models.sources.fusion import Plan
from models.sources.train import Trained, finish, hold_out
from sim.check import require
from stream.imaging.embedding import embed, explained

Array = NDArray[np.float64]
BINS = 10  # of the expected calibration error
Tell = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class Judged:
    """What was said of n sources of known class."""

    classes: tuple[str, ...]
    label: NDArray[np.int64]  # (n,)
    p: Array  # (n, C)
    decided: NDArray[np.int64]  # (n,) by the model's rule; the most probable class is the argmax of p
    group: NDArray[np.int64]  # (n,) what is drawn together: a source, or a field

    def pick(self, rows: NDArray[np.int64]) -> "Judged":
        """Return some of them."""
        return Judged(self.classes, self.label[rows], self.p[rows], self.decided[rows], self.group[rows])


def cross_validate(
    given: Sources,
    plan: Plan | Boosting,
    *,
    folds: int = 5,
    seed: int = 0,
    by_field: bool,
    tell: Tell = lambda n, of: None,
) -> dict[bool, Judged]:
    """Return what models say of the sources of the fold that each did not see; by the prior by latitude, off and on.

    Exponents, that prior and the rule are fitted inside the other folds (nested), with the same kind of folds.
    """
    fold = folds_of(given, folds, seed, by_field=by_field)
    skies = (False, True) if given.sky is not None else (False,)
    p = {sky: np.empty((len(given), len(given.classes))) for sky in skies}
    decided = {sky: np.empty(len(given), np.int64) for sky in skies}
    for k in range(folds):
        out = np.flatnonzero(fold == k)
        held = hold_out(given.pick(np.flatnonzero(fold != k)), plan, by_field=by_field)
        for sky in skies:
            trained = finish(held, sky=sky)
            p[sky][out] = trained.judge(given.pick(out))[0]
            decided[sky][out] = trained.rule.decide(p[sky][out])
        tell(k + 1, folds)
    group = given.field if by_field else np.arange(len(given))
    return {sky: Judged(given.classes, given.label, p[sky], decided[sky], group) for sky in skies}


def judge_unseen(trained: Trained, unseen: Sources, by_field: bool = False) -> Judged:
    """Return what a model says of a table. Raises ConfigError if its features or classes are others."""
    table = unseen.only(trained.model.features).as_classes(trained.model.classes)
    p = trained.judge(table)[0]
    group = table.field if by_field else np.arange(len(table))
    return Judged(trained.model.classes, table.label, p, trained.rule.decide(p), group)


def published(path: Path) -> tuple[Judged, tuple[str, ...]]:
    """Return the leave-one-out probabilities of Yang et al. 2022 with the names of the sources."""
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    require(f"{path}", (bool(rows) and "true_Class" in rows[0], "the columns P_CLASS, true_Class and name"))
    classes = tuple(sorted({row["true_Class"] for row in rows}))
    p = np.stack([numbers(path, name, np.array([r[f"P_{name}"] for r in rows], object)) for name in classes], axis=1)
    label = np.array([classes.index(row["true_Class"]) for row in rows])
    judged = Judged(classes, label, p, p.argmax(axis=1), np.arange(len(rows)))
    return judged, tuple(row["name"] for row in rows)


def calibration(p: Array, label: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    """Return number, mean highest probability and accuracy, (BINS,), of the sources in bins of that probability."""
    top, right = p.max(axis=1, initial=0), p.argmax(axis=1) == label
    place = np.minimum((top * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(place, minlength=BINS).astype(float)
    known = np.maximum(count, 1)
    return count, np.bincount(place, top, BINS) / known, np.bincount(place, right, BINS) / known


def calibration_error(p: Array, label: NDArray[np.int64]) -> float:
    """Return the expected calibration error (Guo et al. 2017, Eq. 3): 10 equal bins of the highest probability.

    The mean over the sources of |accuracy - mean probability| of their bin; the classes are the most probable ones.
    """
    count, mean, right = calibration(p, label)
    return float(np.sum(count * np.abs(mean - right)) / max(count.sum(), 1))


def scores(judged: Judged) -> dict[str, float]:
    """Return accuracy, macro-F1 and calibration error; of each class precision, recall, F1; macro-F1 of the rule.

    Macro: over the classes that are there. A class that is never decided has F1 0.
    """
    classes = len(judged.classes)
    table = Confusion.of(judged.label, judged.p.argmax(axis=1), classes)
    ruled = Confusion.of(judged.label, judged.decided, classes)
    there = [k for k in range(classes) if np.any(judged.label == k)]
    told = {
        "accuracy": table.accuracy(),
        "macro-F1": float(np.mean([table.f1(k) for k in there])) if there else np.nan,
        "ECE": calibration_error(judged.p, judged.label),
        "accuracy, rule": ruled.accuracy(),
        "macro-F1, rule": float(np.mean([ruled.f1(k) for k in there])) if there else np.nan,
    }
    for k in there:
        name = judged.classes[k]
        told |= {f"{name} precision": float(np.nan_to_num(table.precision(k)))}
        told |= {f"{name} recall": table.recall(k), f"{name} F1": table.f1(k), f"{name} F1, rule": ruled.f1(k)}
    return told


def embedded(given: Sources, seed: int = 0, coordinates: int = 4) -> dict[str, Interval]:
    """Return how much of each coordinate of a diffusion map of the features lies between the classes: eta squared.

    The map (`stream/imaging/embedding.py`) knows no class. Intervals, 68 %, from drawing sources anew; NaN where so few
    sources have no such coordinate.
    """
    made = embed(given.x, coordinates, seed=seed).coordinates
    rng, names = np.random.default_rng(seed), [f"DIFFUSION {k + 1}" for k in range(coordinates)]
    told = explained(made, given.label, permutations=0)[0]
    rows = [rng.integers(len(given), size=len(given)) for _ in range(SAMPLES)]
    drawn = np.array([explained(made[one], given.label[one], permutations=0)[0] for one in rows])
    low, high = np.quantile(drawn, QUANTILES, axis=0)
    return {name: (float(a), float(b), float(c)) for name, a, b, c in zip(names, told, low, high, strict=True)}


def intervals(judged: Judged, seed: int = 0, of: Callable[[Judged], dict[str, float]] = scores) -> dict[str, Interval]:
    """Return the scores with 68 % intervals from drawing whole groups anew.

    That of the ECE lies high: a draw scatters more in its bins than the sources that it is drawn from.
    """
    order = np.argsort(judged.group, kind="stable")
    _, start, count = np.unique(judged.group[order], return_index=True, return_counts=True)
    rng, rest = np.random.default_rng(seed), of(judged)
    drawn: dict[str, list[float]] = {name: [] for name in rest}
    for _ in range(SAMPLES):
        which = rng.integers(start.size, size=start.size)
        begin, own = start[which], count[which]
        rows = np.arange(own.sum()) + np.repeat(begin - (np.cumsum(own) - own), own)
        for name, value in of(judged.pick(order[rows])).items():
            drawn[name].append(value)
    ends = {name: np.quantile(values, QUANTILES) if values else (np.nan, np.nan) for name, values in drawn.items()}
    return {name: (rest[name], float(low), float(high)) for name, (low, high) in ends.items()}
