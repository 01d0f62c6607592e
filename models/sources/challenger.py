"""The challenger: gradient-boosted trees on the same features, with their probabilities calibrated."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from models.filter.forest import rounded_down
from models.sources.dataset import Sources

Array = NDArray[np.float64]
LEAST = 1e-6  # probability: no tree may rule out a class


@dataclass(frozen=True, slots=True)
class Boosting:
    """What is chosen before training."""

    steps: int = 150  # trees of each class
    rate: float = 0.08
    leaves: int = 5
    least_leaf: int = 6  # sources
    tried: float = 0.4  # share of the features at a split
    bins: int = 48
    shrinkage: float = 2.0  # L2, of the leaves
    folds: int = 5
    restraint: float = 0.1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Trees:
    """The nodes of all trees, one after the other; a source goes left if its feature is not above the threshold.

    Where the feature is missing it goes as `missing_left` says. At a leaf `left` and `right` are the leaf itself.
    """

    root: NDArray[np.int32]  # (trees,)
    target: NDArray[np.int32]  # (trees,) the class that a tree adds to
    feature: NDArray[np.int32]  # (nodes,)
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float32]  # 0 but at leaves

    def sums(self, x: NDArray[np.float32], classes: int) -> Array:
        """Return the sum of the leaves (n, C) that sources (n, F) float32 fall in."""
        rows, total = np.arange(len(x)), np.zeros((len(x), classes))
        for root, target in zip(self.root, self.target, strict=True):
            node = np.full(len(x), root)
            while True:
                given = x[rows, self.feature[node]]
                below = np.where(np.isnan(given), self.missing_left[node], given <= self.threshold[node])
                after = np.where(below, self.left[node], self.right[node])
                if np.array_equal(after, node):
                    break
                node = after
            total[:, target] += self.value[node]
        return total


@dataclass(frozen=True, slots=True)
class Challenger:
    """Trees of all classes; p^exponent[0] / frequency^exponent[1] is what takes the place of a likelihood."""

    features: tuple[str, ...]
    units: tuple[str, ...]
    classes: tuple[str, ...]
    trees: Trees
    base: Array  # (C,) what the sums begin with
    exponent: Array  # (2,)
    log_prior: Array  # (C,)
    plan: Boosting
    about: str = "{}"

    def terms(self, x: Array, error: Array) -> tuple[Array, Array | None]:
        """Return ln p of the trees and -ln frequency of sources (n, F), (n, 2, C); it knows no outliers."""
        sums = self.base + self.trees.sums(np.asarray(x, np.float32), len(self.classes))
        log = np.maximum(log_softmax(sums, axis=1), np.log(LEAST))
        return np.stack([log, np.broadcast_to(-self.log_prior, log.shape)], axis=1), None

    def judge(self, x: Array, error: Array, log_prior: Array | None = None) -> tuple[Array, Array, Array]:
        """Return p (n, C), log_evidence (n,), NaN, and outlier (n,), 0, of sources (n, F); the errors do not matter."""
        terms, _ = self.terms(x, error)
        prior = np.broadcast_to(self.log_prior if log_prior is None else log_prior, (len(terms), len(self.classes)))
        p = np.exp(log_softmax(np.einsum("nbc,b->nc", terms, self.exponent) + prior, axis=1))
        return p, np.full(len(p), np.nan), np.zeros(len(p))


def fit(given: Sources, plan: Boosting) -> Challenger:
    """Grow the trees, rare classes weighted like the others; needs scikit-learn."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=plan.steps,
        learning_rate=plan.rate,
        max_leaf_nodes=plan.leaves,
        min_samples_leaf=plan.least_leaf,
        max_features=plan.tried,
        max_bins=plan.bins,
        l2_regularization=plan.shrinkage,
        class_weight="balanced",
        early_stopping=False,
        random_state=plan.seed,
    )
    x = given.x.astype(np.float32).astype(np.float64)
    x[:, ~np.isfinite(x).any(axis=0)] = 0  # no tree will ask for what was never measured
    model.fit(x, given.label)
    base, trees = _trees(model, len(given.classes))
    prior = np.log(given.frequencies())
    return Challenger(given.features, given.units, given.classes, trees, base, np.array([1.0, 0.0]), prior, plan)


def _trees(model: object, classes: int) -> tuple[Array, Trees]:
    """Return the trees of a fitted model as arrays: two classes have one tree a step, that of the second."""
    steps, known = model._predictors, model.classes_  # type: ignore[attr-defined]
    parts: dict[str, list[NDArray[np.generic]]] = {name: [] for name in Trees.__dataclass_fields__}
    first = 0
    for step in steps:
        for k, tree in enumerate(step):
            node = tree.nodes
            own, leaf = np.arange(len(node)), node["is_leaf"].astype(bool)
            parts["root"].append(np.array([first], np.int32))
            parts["target"].append(np.array([known[k] if len(step) > 1 else known[1]], np.int32))
            parts["feature"].append(np.where(leaf, 0, node["feature_idx"]).astype(np.int32))
            parts["threshold"].append(np.where(leaf, np.float32(0), rounded_down(node["num_threshold"])))
            parts["left"].append((first + np.where(leaf, own, node["left"])).astype(np.int32))
            parts["right"].append((first + np.where(leaf, own, node["right"])).astype(np.int32))
            parts["missing_left"].append(np.where(leaf, False, node["missing_go_to_left"].astype(bool)))
            parts["value"].append(np.where(leaf, node["value"], 0).astype(np.float32))
            first += len(node)
    start = np.ravel(model._baseline_prediction)  # type: ignore[attr-defined]
    base = np.full(classes, -20.0)  # a class that was not there
    base[known] = start if start.size > 1 else (0.0, start[0])
    joined = {name: np.concatenate(each) for name, each in parts.items()}
    return base, Trees(**joined)
