"""Bayesian fusion: P(class | X) from densities of what was measured, and of what was not.

Features that belong together are in one block. A class has for each block a mixture of Gaussians, convolved with the
errors of the source; for each feature, how probable it is that the feature is missing. The exponents of the blocks are
what makes up for the features that two blocks share, and for the rest of what the blocks do not know of each other.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from models.sources import mixture
from models.sources.dataset import Sources
from models.sources.missing import Missing, missing_of
from models.sources.structure import blocks_of

Array = NDArray[np.float64]
FLAT = 3.0  # standard deviations of the density of outliers, in units of the spread of the feature


@dataclass(frozen=True, slots=True)
class Plan:
    """What is chosen before training."""

    most: int = 3  # features in a block
    components: int = 3  # of the largest classes
    sources_per_component: float = 25.0
    strength: float = 4.0  # sources that a covariance is shrunk with
    tightness: float = 0.3  # the covariance that it is shrunk to, in units of the class's own
    fallback: float = 2.0  # sources that the common density counts for in that of a class
    flat: float = 1e-3  # share of the flat density in that of a class: no block may rule out a class
    outliers: float = 1e-3  # prior probability of an outlier
    smooth: float = 3.0  # sources that the common table of what is missing counts for
    folds: int = 5  # that the exponents are fitted on
    restraint: float = 3.0  # of the exponents
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """The densities of one group of D features: K components, of which each class has its own weights."""

    columns: NDArray[np.int64]  # (D,)
    mean: Array  # (K, D) in units of the spread
    cov: Array  # (K, D, D)
    log_weight: Array  # (C, K)


@dataclass(frozen=True, slots=True)
class Fusion:
    """All that the model knows."""

    features: tuple[str, ...]
    units: tuple[str, ...]
    classes: tuple[str, ...]
    centre: Array  # (F,)
    spread: Array  # (F,)
    blocks: tuple[Block, ...]
    missing: Missing
    exponent: Array  # (B + 1,) of the blocks, and of what is missing
    log_prior: Array  # (C,)
    plan: Plan = field(default_factory=Plan)
    about: str = "{}"

    def terms(self, x: Array, error: Array) -> tuple[Array, Array]:
        """Return ln P (n, B + 1, C) of each block and of what is missing, and that of outliers (n, B + 1)."""
        z, width = (x - self.centre) / self.spread, error / self.spread
        seen = np.isfinite(z)
        filled, variance = np.where(seen, z, 0.0), np.where(seen, width, 0.0) ** 2
        log, outlier = (
            np.empty((len(z), len(self.blocks) + 1, len(self.classes))),
            np.zeros((len(z), len(self.blocks) + 1)),
        )
        for k, block in enumerate(self.blocks):
            at = block.columns
            part = (filled[:, at], variance[:, at], seen[:, at])
            normal = mixture.log_normal(*part, block.mean, block.cov)
            flat = self._flat(*part)
            dense = logsumexp(normal[:, None, :] + block.log_weight, axis=2)
            log[:, k] = np.logaddexp(dense + np.log1p(-self.plan.flat), flat[:, None] + np.log(self.plan.flat))
            outlier[:, k] = flat
        log[:, -1] = self.missing.log_p(~seen) * seen.any(axis=1, keepdims=True)  # no measurement at all says nothing
        outlier[:, -1] = log[:, -1].max(axis=1)
        return log, outlier

    def _flat(self, z: Array, variance: Array, seen: NDArray[np.bool_]) -> Array:
        wide = FLAT**2 + variance
        return np.where(seen, -0.5 * (z**2 / wide + np.log(2 * np.pi * wide)), 0.0).sum(axis=1)

    def judge(self, x: Array, error: Array, log_prior: Array | None = None) -> tuple[Array, Array, Array]:
        """Return p (n, C), log_evidence (n,) and outlier (n,) of sources (n, F), as the exported model does."""
        terms, flat = self.terms(x, error)
        prior = np.broadcast_to(self.log_prior if log_prior is None else log_prior, (len(x), len(self.classes)))
        return posterior(np.einsum("nbc,b->nc", terms, self.exponent), flat @ self.exponent, prior, self.plan.outliers)


def posterior(log: Array, flat: Array, log_prior: Array, outliers: float) -> tuple[Array, Array, Array]:
    """Return p (n, C), ln evidence (n,) and P(outlier) (n,) from ln likelihoods (n, C) and of outliers (n,)."""
    prior = log_prior - logsumexp(log_prior, axis=1, keepdims=True) + np.log1p(-outliers)
    joint = np.concatenate([log + prior, (flat + np.log(outliers))[:, None]], axis=1)
    evidence = logsumexp(joint, axis=1)
    p = np.exp(joint - evidence[:, None])
    return p[:, :-1], evidence, p[:, -1]


def fit(given: Sources, plan: Plan, blocks: tuple[tuple[int, ...], ...] | None = None) -> Fusion:
    """Fit densities to sources, with all exponents 1 over how often a feature is in a block."""
    filled = np.where(np.isfinite(given.x).any(axis=0), given.x, 0)  # of what was never measured
    low, centre, high = np.nanquantile(filled, (0.16, 0.5, 0.84), axis=0)
    spread = np.maximum((high - low) / 2, 1e-6)
    z, width = (given.x - centre) / spread, given.error / spread
    chosen = blocks or blocks_of(z, given.label, plan.most)
    made = tuple(_block(np.array(one), z, width, given, plan) for one in chosen)
    often = np.bincount(np.concatenate(chosen), minlength=len(centre))
    exponent = np.array([*(len(one) / often[list(one)].sum() for one in chosen), 1.0])
    missing = missing_of(~np.isfinite(z), given.label, len(given.classes), plan.smooth)
    prior = np.log(given.frequencies())
    return Fusion(given.features, given.units, given.classes, centre, spread, made, missing, exponent, prior, plan)


def _block(at: NDArray[np.int64], z: Array, width: Array, given: Sources, plan: Plan) -> Block:
    """Fit the mixture of each class; the common density is that of all classes with values, all alike."""
    means, covs, owners, weights, counts = [], [], [], [], []
    part, error = z[:, at], width[:, at]
    known = np.isfinite(part).any(axis=1)
    for c in range(len(given.classes)):
        rows = known & (given.label == c)
        counts.append(int(rows.sum()))
        if counts[-1] < 2:
            continue
        own = part[rows]
        scatter = np.array([np.var(one[np.isfinite(one)]) if np.isfinite(one).any() else 1.0 for one in own.T])
        prior = np.diag(plan.tightness * np.maximum(scatter, 0.05))
        number = int(np.clip(counts[-1] / plan.sources_per_component, 1, plan.components))
        weight, mean, cov = mixture.fit(own, error[rows], number, prior, plan.strength, plan.seed)
        means.append(mean)
        covs.append(cov)
        weights.append(weight)
        owners.append(np.full(len(weight), c))
    if not owners:  # nothing to tell the classes by
        even = np.full((len(given.classes), 1), 0.0)
        return Block(at, np.zeros((1, len(at))), np.eye(len(at))[None], even)
    owner, weight = np.concatenate(owners), np.concatenate(weights)
    common = weight / len(owners)
    share = plan.fallback / (np.array(counts) + plan.fallback)
    mixed = (1 - share)[:, None] * np.where(owner == np.arange(len(given.classes))[:, None], weight, 0) + share[
        :, None
    ] * common
    mixed /= mixed.sum(axis=1, keepdims=True)
    return Block(at, np.concatenate(means), np.concatenate(covs), np.log(mixed))
