"""Train a model of source classes: on all sources, and its exponents on sources that it did not see."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

from models.metrics import Confusion
from models.sources import challenger, fusion
from models.sources.challenger import Boosting, Challenger
from models.sources.dataset import Sources
from models.sources.folds import folds_of
from models.sources.fusion import Fusion, Plan
from models.sources.sky import SkyPrior, sky_prior

Array = NDArray[np.float64]
POWERS = np.arange(0, 0.71, 0.1)  # of the frequency of a class, that decisions may be divided by
HIGHEST = 3.0  # exponent
Tell = Callable[[int, int], object]


class Model(Protocol):
    """What both models have. terms: ln likelihoods (n, T, C), which the exponents (T,) weight, and of outliers."""

    features: tuple[str, ...]
    units: tuple[str, ...]
    classes: tuple[str, ...]
    exponent: Array
    log_prior: Array
    about: str

    def terms(self, x: Array, error: Array) -> tuple[Array, Array | None]: ...  # noqa: D102

    def judge(self, x: Array, error: Array, log_prior: Array | None = None) -> tuple[Array, Array, Array]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Rule:
    """What turns probabilities into a class: the highest p / threshold."""

    threshold: Array  # (C,)

    def decide(self, p: Array) -> NDArray[np.int64]:
        """Return the class (n,) of probabilities (n, C)."""
        return np.argmax(p / self.threshold, axis=1)


@dataclass(frozen=True, slots=True)
class Trained:
    """A model with what goes with it."""

    model: Fusion | Challenger
    sky: SkyPrior | None
    rule: Rule  # for macro-F1

    def judge(self, given: Sources) -> tuple[Array, Array, Array]:
        """Return p (n, C), log_evidence (n,), outlier (n,), with the prior by latitude if it has one."""
        prior = self.sky.at(given.sky[:, 1]) if self.sky is not None and given.sky is not None else None
        return self.model.judge(given.x, given.error, prior)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A model of all sources, and what models of the other folds say of each source."""

    model: Fusion | Challenger
    given: Sources
    terms: Array  # (n, T, C)
    offset: Array  # (n, C) ln P(class | latitude) - ln P(class)
    about: str


def fit(given: Sources, plan: Plan | Boosting, like: Fusion | Challenger | None = None) -> Fusion | Challenger:
    """Fit the model of a plan, without exponents. like: an earlier one whose blocks it takes over."""
    if isinstance(plan, Boosting):
        return challenger.fit(given, plan)
    blocks = tuple(tuple(map(int, one.columns)) for one in like.blocks) if isinstance(like, Fusion) else None
    return fusion.fit(given, plan, blocks)


def hold_out(
    given: Sources, plan: Plan | Boosting, *, by_field: bool = False, tell: Tell = lambda n, of: None
) -> HeldOut:
    """Fit a model to all sources, and one to all but each fold. by_field: no field is in two folds."""
    model = fit(given, plan)
    fold = folds_of(given, plan.folds, plan.seed, by_field=by_field)
    terms, offset = (
        np.empty((len(given), len(model.exponent), len(given.classes))),
        np.zeros((len(given), len(given.classes))),
    )
    for k in range(plan.folds):
        out, kept = np.flatnonzero(fold == k), given.pick(np.flatnonzero(fold != k))
        if len(out):
            terms[out] = fit(kept, plan, model).terms(given.x[out], given.error[out])[0]
            if given.sky is not None:
                offset[out] = sky_prior(kept).at(given.sky[out, 1]) - np.log(kept.frequencies())
        tell(k + 1, plan.folds)
    about = {"plan": asdict(plan), "by_field": by_field, "sources": len(given), "digest": given.digest()}
    return HeldOut(model, given, terms, offset, json.dumps(about))


def finish(held: HeldOut, *, sky: bool) -> Trained:
    """Fit the exponents, the strength of the prior by latitude (if sky), and the rule, on what was held out."""
    model, given = held.model, held.given
    every = np.concatenate([held.terms, held.offset[:, None]], axis=1) if sky else held.terms
    start = np.append(model.exponent, 1.0) if sky else model.exponent
    best = exponents(every, given.label, model.log_prior, start, model.plan.restraint)
    own = best[: len(model.exponent)]
    log = np.einsum("nbc,b->nc", every, best) + model.log_prior
    rule = rule_for(np.exp(log_softmax(log, axis=1)), given.label)
    strong = sky_prior(given).tempered(float(best[-1]), model.log_prior) if sky else None
    return Trained(replace(model, exponent=own, about=held.about), strong, rule)


def train(given: Sources, plan: Plan | Boosting, *, sky: bool = False, **options: Any) -> Trained:
    """Train a model; options as of `hold_out`."""
    return finish(hold_out(given, plan, **options), sky=sky)


def exponents(terms: Array, label: NDArray[np.int64], log_prior: Array, start: Array, restraint: float) -> Array:
    """Return the exponents (T,) of terms (n, T, C), 0 to HIGHEST, of the highest log score of the classes (n,).

    They are held near `start`, as if each had been measured there with an error of 0.3 / sqrt(restraint).
    """
    rows, stiff = np.arange(len(label)), restraint / 0.09
    one = np.eye(terms.shape[2])[label]

    def cost(exponent: Array) -> tuple[float, Array]:
        log = np.einsum("nbc,b->nc", terms, exponent) + log_prior
        total = logsumexp(log, axis=1)
        away = exponent - start
        slope = np.einsum("nbc,nc->b", terms, np.exp(log - total[:, None]) - one)
        return float(np.sum(total - log[rows, label]) + 0.5 * stiff * away @ away), slope + stiff * away

    found = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=[(0, HIGHEST)] * len(start))
    return np.asarray(found.x)


def rule_for(p: Array, label: NDArray[np.int64]) -> Rule:
    """Return the rule of the highest macro-F1: thresholds that are one power of the frequencies of the classes."""
    classes = p.shape[1]
    often = (np.bincount(label, minlength=classes) + 0.5) / (len(label) + 0.5 * classes)
    rules = [Rule(often**power) for power in POWERS]
    scores = [macro_f1(rule.decide(p), label, classes) for rule in rules]
    return rules[int(np.argmax(scores))]


def macro_f1(decided: NDArray[np.int64], label: NDArray[np.int64], classes: int) -> float:
    """Return the mean F1 of the classes; 0 for one that is never there and never decided."""
    table = Confusion.of(label, decided, classes)
    return float(np.mean(np.nan_to_num([table.f1(k) for k in range(classes)])))
