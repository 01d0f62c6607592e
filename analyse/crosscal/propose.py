"""Where a posterior lies, found by importance sampling in rounds: proposals for the chains that then sample it.

Corrections that trade width for depth, or an excess here for a lack there, make posteriors of several bent modes;
ensembles that only stretch do not cross between them. Population Monte Carlo (Cappe et al. 2004) finds all at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Function = Callable[[Floats], Floats]  # of points (n, k), (n,)
ROUNDS: Final = 3  # with weights as they are
MOST_ROUNDS: Final = 16  # with flattened ones before: as many as the way from the pool to the posterior is long
KERNELS: Final = 512
NEIGHBOURS: Final = 24  # that give a kernel its shape
BROAD: Final = 0.1  # share of proposals over the whole box: nothing is left out
WIDER: Final = 1.15  # kernels than their neighbours, so that tails are reached
FREEDOM: Final = 6.0  # degrees of Student's t of a kernel: its tails are heavier than the posterior's
AT_ONCE: Final = 256


@dataclass(frozen=True)
class Proposal:
    """A mixture of Student kernels (M) in the unit box, and the box itself."""

    low: Floats  # (k,)
    wide: Floats
    centres: Floats  # (M, k) of the unit box
    roots: Floats  # (M, k, k) lower triangular
    squares: Floats  # (f, M) of each kernel's quadratic form, by `features`
    ln_scale: Floats  # (M,) of each kernel's density
    weights: Floats  # (M,) sum to 1

    @classmethod
    def about(cls, low: Floats, wide: Floats, points: Floats, weights: Floats, rng: np.random.Generator) -> "Proposal":
        """Return that of weighted points (n, k): KERNELS of them, drawn, each as wide as its neighbours lie."""
        unit, k = (points - low) / wide, len(low)
        order = np.sort(rng.choice(len(unit), KERNELS, p=weights / weights.sum()))
        centres, counts = np.unique(unit[order], axis=0, return_counts=True)
        many = min(max(NEIGHBOURS, 2 * k * k), len(centres))
        near = cKDTree(centres).query(centres, many)[1].reshape(len(centres), -1)
        roots = np.empty((len(centres), k, k))
        for m, rows in enumerate(near):
            share = counts[rows] / counts[rows].sum()
            off = centres[rows] - share @ centres[rows]
            spread = (share[:, None] * off).T @ off + 1e-8 * np.eye(k)
            roots[m] = WIDER * np.linalg.cholesky(spread)
        diagonal = np.log(np.abs(np.diagonal(roots, axis1=1, axis2=2))).sum(axis=1)
        inverses = np.linalg.inv(roots)
        forms = inverses.transpose(0, 2, 1) @ inverses  # (M, k, k)
        slopes = -2 * np.einsum("mij,mj->mi", forms, centres)
        rows = [np.einsum("mi,mij,mj->m", centres, forms, centres), *slopes.T]
        rows += [forms[:, i, j] * (1 if i == j else 2) for i in range(k) for j in range(i, k)]
        return cls(low, wide, centres, roots, np.array(rows), -diagonal, counts / counts.sum())

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """Return points (count, k); some lie beyond the box."""
        which = rng.choice(len(self.centres), count, p=self.weights)
        k = len(self.low)
        stretch = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, count))
        steps = np.einsum("nij,nj->ni", self.roots[which], rng.standard_normal((count, k))) * stretch[:, None]
        unit = np.where((rng.random(count) < BROAD)[:, None], rng.random((count, k)), self.centres[which] + steps)
        return self.low + self.wide * unit

    def ln(self, points: Floats) -> Floats:
        """Return ln density (n,) in the unit box, up to what is the same for all."""
        unit, k = (points - self.low) / self.wide, len(self.low)
        out = np.empty(len(unit))
        constant = _ln_student(k)
        for i in range(0, len(unit), AT_ONCE):
            far = np.maximum(features(unit[i : i + AT_ONCE]) @ self.squares, 0.0)
            each = self.ln_scale + constant - 0.5 * (FREEDOM + k) * np.log1p(far / FREEDOM)
            out[i : i + AT_ONCE] = np.log(BROAD + (1 - BROAD) * (np.exp(each) @ self.weights))
        return out


def features(unit: Floats) -> Floats:
    """Return 1, all coordinates and all their products (n, f): a quadratic form is linear in them."""
    k = unit.shape[1]
    products = [unit[:, i] * unit[:, j] for i in range(k) for j in range(i, k)]
    return np.stack([np.ones(len(unit)), *unit.T, *products], axis=1)


def _ln_student(k: int) -> float:
    from scipy.special import gammaln

    half = 0.5 * FREEDOM
    return float(gammaln(half + 0.5 * k) - gammaln(half) - 0.5 * k * np.log(FREEDOM * np.pi))


def find(
    ln: Function, ends: tuple[Floats, Floats], pool: Floats, drawn: Floats | float, seed: int, count: int = 4096
) -> tuple[Proposal, Floats, Floats]:
    """Return a proposal of a density, and points (n, k) with their weights, sum 1.

    ends: of the box (k,); pool: points (m, k) to begin with, drawn: ln of the density that they are of (m,). Each
    round draws from the mixture that the one before has found, with weights flattened by the power that leaves at
    least as many effective points as a mixture needs; rounds whose weights need none are what is returned.
    """
    low, high = ends
    rng, wide = np.random.default_rng(seed), high - low
    points, heights, proposed = pool, ln(pool), np.broadcast_to(drawn, len(pool))
    kept: list[tuple[Floats, Floats, float]] = []  # of rounds whose weights are as they are
    for turn in range(MOST_ROUNDS):
        raw = heights - proposed
        raw = np.where(np.isfinite(raw), raw - raw[np.isfinite(raw)].max(), -np.inf)
        power = flatten(raw, 8 * len(low) + 12)
        weights = np.exp(power * np.maximum(raw, -1e6))
        proposal = Proposal.about(low, wide, points, weights, rng)
        if power == 1.0 or turn + 1 == MOST_ROUNDS:
            weights = np.exp(np.maximum(raw, -1e6))
            weights /= weights.sum()
            kept.append((points, weights, 1 / float((weights**2).sum())))
        if len(kept) == ROUNDS or turn + 1 == MOST_ROUNDS:
            break
        points = proposal.draw(rng, count)
        points = points[np.all((points >= low) & (points <= high), axis=1)]
        heights, proposed = ln(points), proposal.ln(points)
    effective = sum(size for _, _, size in kept)
    weights = np.concatenate([each * size / effective for _, each, size in kept])
    return proposal, np.concatenate([each for each, _, _ in kept]), weights


def flatten(raw: Floats, least: float) -> float:
    """Return the largest power <= 1 of weights exp(raw) that has so many effective points."""
    power = 1.0
    while power > 1e-4:
        weights = np.exp(power * raw)
        if weights.sum() ** 2 / (weights**2).sum() >= least:
            break
        power *= 0.8
    return power


def move(proposal: Proposal) -> Any:
    """Return an emcee move that proposes from the mixture, whatever a walker's place (independence Metropolis)."""
    from emcee.moves import MHMove

    def propose(coordinates: Floats, rng: Any) -> tuple[Floats, Floats]:
        own = np.random.default_rng(rng.randint(2**31))
        new = proposal.draw(own, len(coordinates))
        return new, proposal.ln(coordinates) - proposal.ln(new)

    return MHMove(propose)
