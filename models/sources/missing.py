"""What the absence of a measurement says: no counterpart in the infrared is what a neutron star has."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Missing:
    """ln P(feature i is missing | class, feature parent[i] is missing): a tree of the features (Chow & Liu 1968)."""

    parent: NDArray[np.int64]  # (F,); -1: none
    log_table: Array  # (F, 2 parent, 2 own, C)

    def log_p(self, missing: NDArray[np.bool_]) -> Array:
        """Return ln P (n, C) of what is missing of sources (n, F)."""
        own = missing.astype(np.int64)
        above = np.where(self.parent >= 0, own[:, self.parent], 0)
        return self.log_table[np.arange(len(self.parent)), above, own].sum(axis=1)


def missing_of(missing: NDArray[np.bool_], label: NDArray[np.int64], classes: int, smooth: float) -> Missing:
    """Count. A class counts `smooth` sources more, shared out as over all classes."""
    parent = _tree(missing.astype(float))
    own = missing.astype(np.int64)
    above = np.where(parent >= 0, own[:, parent], 0)
    features = own.shape[1]
    count = np.zeros((features, 2, 2, classes))
    for i in range(features):
        np.add.at(count[i], (above[:, i], own[:, i], label), 1)
    common = count.sum(axis=3, keepdims=True) + 0.5
    common /= common.sum(axis=2, keepdims=True)
    table = count + smooth * common
    return Missing(parent, np.log(table / table.sum(axis=2, keepdims=True)))


def _tree(missing: Array) -> NDArray[np.int64]:
    """Return the parent of each feature in the tree of the largest mutual information; -1: the root."""
    n = len(missing)
    p = (missing.T @ missing + 0.25) / (n + 1), (missing.T @ (1 - missing) + 0.25) / (n + 1)
    joint = np.stack([p[0], p[1], p[1].T, ((1 - missing).T @ (1 - missing) + 0.25) / (n + 1)])
    one = joint[0] + joint[1]
    other = joint[0] + joint[2]
    apart = np.stack([one * other, one * (1 - other), (1 - one) * other, (1 - one) * (1 - other)])
    information = (joint * np.log(joint / apart)).sum(axis=0)
    tree = minimum_spanning_tree(-information - 1.0)  # no edge may be 0
    _, parent = breadth_first_order(tree, 0, directed=False)
    return np.where(parent < 0, -1, parent).astype(np.int64)
