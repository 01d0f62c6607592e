"""Growing a random forest for two classes of very different size: each tree has a balanced bootstrap of its own.

Breiman 2001; Chen, Liaw and Breiman 2004 (balanced random forest); the settings are those of Poliszczuk et al. 2024
(arXiv:2407.16768), section 3.3.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

from models.candidates import Events
from models.filter.features import Network, features_of
from models.filter.forest import Forest, joined
from sim.check import require
from sim.seeds import Seeds
from stream.kernels.cam import FEATURES

LEAST_PARTICLES = 50  # a forest of fewer knows nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What decides a forest, beside its events. As it stands it is the seed's."""

    trees: int = 1000
    tried: int = 3  # features at a split
    least_leaf: int = 1  # events in a leaf; 1: fully grown
    seed: int = 0


def grow(
    features: NDArray[np.float32],
    particle: NDArray[np.bool_],
    weight: NDArray[np.float64],
    plan: Plan,
    names: Sequence[str] = FEATURES,
    tell: Callable[[int, int], object] = lambda done, of: None,
    about: str = "{}",
) -> Forest:
    """Return a forest of features (n, k) of particles and X-rays, each event drawn by its weight.

    tell(done, all) counts trees. Raises ConfigError for too few events of a kind, or features that are not finite.
    """
    table = np.ascontiguousarray(features, np.float32)
    kinds = int(particle.sum()), int((~particle).sum())
    require(
        "forest",
        (min(kinds) >= LEAST_PARTICLES, f"{LEAST_PARTICLES} particles and X-rays, got {kinds[0]} and {kinds[1]}"),
        (bool(np.isfinite(table).all()), "finite features"),
        (plan.tried <= table.shape[1] == len(names), f"{len(names)} features, and no more tried at a split"),
    )

    def trees() -> Iterator[DecisionTreeClassifier]:
        for number in range(plan.trees):
            rng = Seeds(plan.seed).of_set(number)
            times = balanced(particle, weight, rng)
            drawn = np.flatnonzero(times)
            rule = {"max_features": plan.tried, "min_samples_leaf": plan.least_leaf}
            tree = DecisionTreeClassifier(criterion="gini", **rule, random_state=int(rng.integers(1 << 31)))
            yield tree.fit(table[drawn], particle[drawn], sample_weight=times[drawn].astype(float))
            tell(number + 1, plan.trees)

    return joined(trees(), plan.trees, tuple(names), about)


def balanced(particle: NDArray[np.bool_], weight: NDArray[np.float64], rng: Generator) -> NDArray[np.int64]:
    """Return how often each event is drawn, (n,): as many of the larger kind as of the smaller, with replacement."""
    number = min(int(particle.sum()), int((~particle).sum()))
    times = np.zeros(particle.size, np.int64)
    for kind in (particle, ~particle):
        rows = np.flatnonzero(kind)
        chance = weight[rows] / weight[rows].sum()
        times += np.bincount(rng.choice(rows, number, p=chance), minlength=times.size)
    return times


def train(
    sets: Sequence[Events],
    network: Network,
    plan: Plan,
    tell: Callable[[str, int, int], object] = lambda what, done, of: None,
) -> Forest:
    """Return a forest of the candidates of all sets; tell(what, done, all). Raises ConfigError for unusable sets."""
    parts = [features_of(one, network, partial(tell, one.path.name)) for one in sets]
    particle = np.concatenate([part.found.particle for part in parts])
    about = {
        "plan": asdict(plan),
        "particles": int(particle.sum()),
        "xrays": int((~particle).sum()),
        "frames_sha256": network.digest,
        "events": [json.loads(one.about) for one in sets],
    }
    return grow(
        np.concatenate([part.features for part in parts]),
        particle,
        np.concatenate([part.found.weight for part in parts]),
        plan,
        tell=partial(tell, "trees"),
        about=json.dumps(about),
    )
