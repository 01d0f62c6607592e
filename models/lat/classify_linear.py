"""Classes of gamma-ray sources by multinomial logistic regression; one for each kind of thing that may be missing.

Trees do no better on these features (docs/figures/lat_classes.json), and a line says what it goes by. All classes weigh
the same in training: what comes out is a likelihood; the frequencies of the classes are put in as a prior.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from models.sources.dataset import Sources
from models.sources.evaluate import Judged
from models.sources.folds import folds_of
from stream.judges.lat import LIKELIHOOD, SPECTRAL, TEMPORAL

Array = NDArray[np.float64]
Tell = Callable[[int, int], object]

NEEDS: Final = {  # head: the groups of features that must be whole; the first that a source has all of judges it
    "spectrum, light curve, likelihood fit": (TEMPORAL, LIKELIHOOD),
    "spectrum, light curve": (TEMPORAL,),
    "spectrum, likelihood fit": (LIKELIHOOD,),
    "spectrum": (),
}
FURTHEST: Final = 4.0  # standard deviations that a feature counts at most: no line holds beyond the sources it knows


@dataclass(frozen=True, slots=True)
class Plan:
    """What is chosen before training."""

    strength: float = 1.0  # C of scikit-learn, inverse of the penalty
    folds: int = 5  # that the calibration is fitted on
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """Logits = weight x features + bias, of features in standard deviations; calibrated by two exponents."""

    name: str
    columns: NDArray[np.int64]  # (k,) of the features that it uses
    needed: NDArray[np.int64]  # (j,) that must be there; others may be missing: then they are the mean
    weight: Array  # (k, C)
    bias: Array  # (C,)
    exponent: Array  # (2,) of the likelihood, and of the frequencies where it was trained

    def logits(self, scaled: Array) -> Array:
        """Return ln likelihood (n, C) of features (n, F), up to a constant."""
        return scaled[:, self.columns] @ self.weight + self.bias


@dataclass(frozen=True, slots=True)
class Linear:
    """A model of classes."""

    features: tuple[str, ...]
    units: tuple[str, ...]
    classes: tuple[str, ...]
    centre: Array  # (F,)
    spread: Array  # (F,)
    heads: tuple[Head, ...]  # the last one needs nothing
    log_prior: Array  # (C,)
    plan: Plan
    about: str = "{}"

    def scaled(self, x: Array) -> Array:
        """Return features (n, F) in standard deviations, none beyond FURTHEST, missing ones 0."""
        return np.nan_to_num(np.clip((x - self.centre) / self.spread, -FURTHEST, FURTHEST))

    def which(self, x: Array) -> NDArray[np.int64]:
        """Return the head (n,) that judges sources (n, F)."""
        missing = np.isnan(x)
        whole = np.stack([~missing[:, head.needed].any(axis=1) for head in self.heads], axis=1)
        return np.argmax(whole, axis=1)

    def judge(self, x: Array, log_prior: Array | None = None) -> Array:
        """Return p (n, C) of sources (n, F); log_prior: (n, C) or (C,) in place of the frequencies of the training."""
        scaled, head = self.scaled(x), self.which(x)
        prior = np.broadcast_to(self.log_prior if log_prior is None else log_prior, (len(x), len(self.classes)))
        log = np.empty((len(x), len(self.classes)))
        for k, one in enumerate(self.heads):
            log[head == k] = one.exponent[0] * one.logits(scaled[head == k]) + (one.exponent[1] - 1) * self.log_prior
        return np.exp(log_softmax(log + prior, axis=1))

    def decide(self, p: Array) -> NDArray[np.int64]:
        """Return the class (n,) of the highest p / frequency: what makes balanced accuracy highest."""
        return np.argmax(np.log(np.maximum(p, 1e-30)) - self.log_prior, axis=1)


def fit(given: Sources, plan: Plan) -> Linear:
    """Fit all heads, uncalibrated; each on the sources that have what it needs."""
    centre, spread = np.nanmean(given.x, axis=0), np.nanstd(given.x, axis=0)
    model = Linear(
        given.features,
        given.units,
        given.classes,
        centre,
        np.where(spread > 0, spread, 1.0),
        (),
        np.log(given.frequencies()),
        plan,
    )
    scaled = model.scaled(given.x)
    return replace(model, heads=tuple(_head(given, scaled, name, plan) for name in NEEDS))


def _head(given: Sources, scaled: Array, name: str, plan: Plan) -> Head:
    from sklearn.linear_model import LogisticRegression

    needed = [feature for group in NEEDS[name] for feature in group]
    columns = np.array([given.features.index(one) for one in (*SPECTRAL, *needed)], np.int64)
    must = np.array([given.features.index(one) for one in needed], np.int64)
    rows = np.flatnonzero(~np.isnan(given.x[:, must]).any(axis=1))
    fitted = LogisticRegression(C=plan.strength, class_weight="balanced", max_iter=5000)
    fitted.fit(scaled[np.ix_(rows, columns)], given.label[rows])
    weight, bias = fitted.coef_.T, fitted.intercept_
    if len(given.classes) == 2:  # it has one line for both
        weight, bias = np.concatenate([-weight, weight], axis=1) / 2, np.array([-bias[0], bias[0]]) / 2
    return Head(name, columns, must, weight, bias, np.array([1.0, 1.0]))


def train(given: Sources, plan: Plan, *, by_field: bool = False, tell: Tell = lambda n, of: None) -> Linear:
    """Fit a model, and calibrate its heads on what models of the other folds say of each source.

    by_field: no sector of longitude is in two folds.
    """
    model = fit(given, plan)
    fold = folds_of(given, plan.folds, plan.seed, by_field=by_field)
    logits = np.full((len(model.heads), len(given), len(given.classes)), np.nan)
    for k in range(plan.folds):
        out, kept = np.flatnonzero(fold == k), fit(given.pick(np.flatnonzero(fold != k)), plan)
        for h, head in enumerate(kept.heads):
            logits[h, out] = head.logits(kept.scaled(given.x[out]))
        tell(k + 1, plan.folds)
    heads = []
    for head, said in zip(model.heads, logits, strict=True):
        rows = ~np.isnan(given.x[:, head.needed]).any(axis=1)
        heads.append(replace(head, exponent=calibrated(said[rows], given.label[rows], model.log_prior)))
    about = {"plan": asdict(plan), "by_field": by_field, "sources": len(given), "digest": given.digest()}
    about |= {"table": given.path.name}
    return replace(model, heads=tuple(heads), about=json.dumps(about))


def calibrated(logits: Array, label: NDArray[np.int64], log_prior: Array) -> Array:
    """Return the exponents (2,) of likelihood and frequencies of the highest log score of classes (n,)."""

    def cost(exponent: Array) -> float:
        log = log_softmax(exponent[0] * logits + exponent[1] * log_prior, axis=1)
        return -float(log[np.arange(len(label)), label].mean())

    return np.asarray(minimize(cost, np.ones(2), method="L-BFGS-B", bounds=[(0.05, 5), (0, 3)]).x)


Folds = list[tuple[NDArray[np.int64], Linear]]  # sources, and the model of all others


def train_folds(given: Sources, plan: Plan, *, by_field: bool = False, folds: int = 5, seed: int = 100) -> Folds:
    """Return the models of a cross-validation; everything is fitted inside the folds, the calibration too."""
    fold = folds_of(given, folds, seed, by_field=by_field)
    parts = [(np.flatnonzero(fold == k), given.pick(np.flatnonzero(fold != k))) for k in range(folds)]
    return [(out, train(kept, plan, by_field=by_field)) for out, kept in parts]


def judge_folds(given: Sources, models: Folds, hidden: Sequence[str] = (), *, by_field: bool = False) -> Judged:
    """Return what models say of the sources of the fold that each did not see.

    hidden: features that the judged sources do not have, though those of the training do.
    """
    p, decided = np.empty((len(given), len(given.classes))), np.empty(len(given), np.int64)
    for out, model in models:
        x = given.x[out].copy()
        x[:, [given.features.index(name) for name in hidden]] = np.nan
        p[out] = model.judge(x)
        decided[out] = model.decide(p[out])
    group = given.field if by_field else np.arange(len(given))
    return Judged(given.classes, given.label, p, decided, group)
