"""Which sources are held out together."""

import numpy as np
from numpy.typing import NDArray

from models.sources.dataset import Sources


def folds_of(given: Sources, number: int, seed: int, *, by_field: bool) -> NDArray[np.int64]:
    """Return the fold (n,), 0 to number - 1, of each source: about as many of each class in every fold.

    by_field: all sources of a field are in one fold. Fields go one by one, those of most sources first, to the fold
    that has least of their classes.
    """
    rng = np.random.default_rng(seed)
    group = given.field if by_field else np.arange(len(given))
    _, group = np.unique(group, return_inverse=True)
    count = np.zeros((int(group.max(initial=-1)) + 1, len(given.classes)))
    np.add.at(count, (group, given.label), 1)
    share = count / np.maximum(count.sum(axis=0), 1)  # rare classes count as much as the others
    filled = np.zeros((number, count.shape[1]))
    fold = np.empty(len(count), np.int64)
    for one in np.lexsort((rng.random(len(count)), -share.sum(axis=1))):
        load = filled @ share[one] + 1e-3 * share[one].max(initial=0) * filled.sum(axis=1)
        fold[one] = np.argmin(load + 1e-12 * rng.random(number))
        filled[fold[one]] += share[one]
    return fold[group]
