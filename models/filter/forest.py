"""A forest as plain arrays: what is trained, kept on disk and exported. No pickle."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError
from models.arrays import load_arrays, save_arrays

EXACT = 1 << 24  # whole numbers below it, and sums of them, are exact in float32
AT_A_TIME = 4096  # events: what a tree needs of them stays in the caches
ARRAYS = {"root": "<i4", "feature": "<i2", "threshold": "<f4", "left": "<i4", "right": "<i4", "value": "<i4"}


@dataclass(frozen=True, slots=True)
class Forest:
    """The nodes of all trees, one after the other. At a leaf `left` and `right` are the leaf itself.

    An event goes left if its feature is not above the threshold; a NaN goes right. `value` counts in units of
    1 / `unit`, so that the sum over the trees is the same in any order, in float32, too.
    """

    features: tuple[str, ...]  # what goes in, float32
    root: NDArray[np.int32]  # (trees,)
    feature: NDArray[np.int16]  # (nodes,)
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.int32]  # of particles at a leaf
    about: str = ""  # JSON: what it was grown of

    @property
    def unit(self) -> int:
        """Return what `value` counts in: the finest power of two for which the sum over the trees is exact."""
        return unit_for(self.root.size)

    def scores(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return p_particle (n,) float32, 0 to 1, of features (n, k) float32; NaN where a feature is not finite."""
        table = np.asarray(features, np.float32)
        parts = [self._sums(table[k : k + AT_A_TIME]) for k in range(0, len(table), AT_A_TIME)]
        total = np.concatenate([np.empty(0, np.float32), *parts]) * np.float32(1 / (self.root.size * self.unit))
        return np.where(np.isfinite(table).all(axis=1), total, np.float32(np.nan))

    def _sums(self, table: NDArray[np.float32]) -> NDArray[np.float32]:
        rows, total = np.arange(len(table)), np.zeros(len(table), np.int64)
        for root in self.root:
            node = np.full(len(table), root)
            while True:
                below = table[rows, self.feature[node]] <= self.threshold[node]
                after = np.where(below, self.left[node], self.right[node])
                if np.array_equal(after, node):
                    break
                node = after
            total += self.value[node]
        return total.astype(np.float32)


def unit_for(trees: int) -> int:
    """Return the largest power of two of which `trees` still add up exactly in float32."""
    return 1 << (EXACT // trees).bit_length() - 1


def rounded_down(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 not above each threshold: float32 features are on the same side of both."""
    near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def joined(trees: Iterable[Any], number: int, features: tuple[str, ...], about: str) -> Forest:
    """Return `number` fitted scikit-learn trees of two classes, X-ray and particle, as one forest."""
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in ARRAYS}
    first = 0
    for one in trees:
        tree, leaf = one.tree_, one.tree_.children_left < 0
        own = np.arange(tree.node_count)
        share = tree.value[:, 0, 1] / tree.value[:, 0].sum(axis=1)
        node = {
            "root": np.array([first]),
            "feature": np.where(leaf, 0, tree.feature),
            "threshold": np.where(leaf, np.float32(0), rounded_down(tree.threshold)),
            "left": first + np.where(leaf, own, tree.children_left),
            "right": first + np.where(leaf, own, tree.children_right),
            "value": np.where(leaf, np.rint(share * unit_for(number)), 0),
        }
        for name, array in node.items():
            parts[name].append(array.astype(ARRAYS[name]))
        first += tree.node_count
    return Forest(features, **{name: np.concatenate(each) for name, each in parts.items()}, about=about)


def save(path: Path, forest: Forest) -> None:
    """Write a forest (.npz); it has its name only when it is whole. Raises ConfigError if it cannot be written."""
    arrays = {name: getattr(forest, name) for name in ARRAYS}
    save_arrays(path, {"about": np.array(forest.about), "features": np.array(forest.features), **arrays})


def load(path: Path) -> Forest:
    """Return a forest. Raises ConfigError for a file that holds none, or a damaged one."""
    try:
        held = load_arrays(path)
        arrays = {name: held[name] for name in ARRAYS}
        features, about = tuple(map(str, held["features"])), str(held["about"])
        json.loads(about)
        _check(arrays, len(features))
    except Exception as fault:  # NumPy and zipfile have no class of their own for damaged files
        raise ConfigError(f"{path}: not a forest ({_line(fault)})") from None
    return Forest(features, about=about, **arrays)


def _check(arrays: dict[str, NDArray[Any]], features: int) -> None:
    """See that every way through the trees ends: children come after their parents."""
    nodes = arrays["feature"].size
    for name, dtype in ARRAYS.items():
        if arrays[name].dtype != dtype or arrays[name].ndim != 1 or (name != "root" and arrays[name].size != nodes):
            raise ValueError(f"array {name}")
    own, left, right = np.arange(nodes), arrays["left"], arrays["right"]
    leaf = (left == own) & (right == own)
    inside = np.all((leaf | ((left > own) & (right > own))) & (left < nodes) & (right < nodes))
    roots = arrays["root"].size and np.all((arrays["root"] >= 0) & (arrays["root"] < nodes))
    if not (inside and roots and np.all((arrays["feature"] >= 0) & (arrays["feature"] < features))):
        raise ValueError("nodes that lead nowhere")


def _line(fault: Exception) -> str:
    return (str(fault).splitlines() or [type(fault).__name__])[0][:120]
