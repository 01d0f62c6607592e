"""The most likely correction, from several starts, and the posterior by emcee."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from analyse.crosscal.concordance import Prior
from analyse.crosscal.likelihood import Density
from analyse.crosscal.propose import Function, Proposal, find, move
from analyse.diagnostics import Draws
from analyse.ensemble import sample_density
from config.extra import extra

Floats = NDArray[np.float64]
COVER: Final = 4096  # points over the box that a posterior is looked for from
FEWER: Final = 2048  # those where no chain follows
SEARCH: Final = 1024  # those that a maximum is
STARTS: Final = 6
APART: Final = 0.05  # of the box: starts are no closer than this
AT_ONCE: Final = 256  # points evaluated in one pass
STEP: Final = 1e-5  # of the box, for slopes


@dataclass(frozen=True)
class Peak:
    """A maximum: of the likelihood in the box, or of the posterior."""

    variables: Floats  # (k,)
    value: float  # ln, there
    starts: int
    agree: int  # starts that ended within 0.1 of its ln


def evaluate(function: Function, points: Floats) -> Floats:
    """Return a function (n, k) -> (n,) at many points, some at once."""
    return np.concatenate([function(points[i : i + AT_ONCE]) for i in range(0, len(points), AT_ONCE)])


def begin(density: Density, count: int, seed: int) -> tuple[Floats, Floats]:
    """Return points (m, k) to look for a posterior from, and ln of the density that they are of (m,)."""
    prior, law = density.prior, density.law
    pool = sample_prior(prior, count, seed)
    about = law.begin(count, seed)
    if about is None:
        return pool, prior.ln(pool)
    theta, ln = about
    return np.concatenate([theta, pool[: len(theta), prior.p :]], axis=1), ln


def climb(prior: Prior, function: Function, cover: Floats) -> Peak:
    """Return the highest peak of a function in the box, from the best of some points (m, k) that are apart."""
    wide = prior.high - prior.low
    heights = evaluate(function, cover)
    starts: list[Floats] = []
    for point in cover[np.argsort(heights)[::-1]]:
        if all(np.abs((point - s) / wide).max() > APART for s in starts):
            starts.append(point)
        if len(starts) == STARTS:
            break
    found = [_climb_from(function, s, prior.low, wide) for s in starts]
    values = np.array([v for _, v in found])
    best = int(np.argmax(values))
    return Peak(found[best][0], float(values[best]), len(found), int((values > values[best] - 0.1).sum()))


def _climb_from(function: Function, start: Floats, low: Floats, wide: Floats) -> tuple[Floats, float]:
    """Return where L-BFGS-B ends in the unit box, and ln there; slopes by central differences in one pass."""
    k = len(start)
    steps = np.concatenate([np.zeros((1, k)), STEP * np.eye(k), -STEP * np.eye(k)])

    def fun(unit: Floats) -> tuple[float, Floats]:
        inside = np.clip(unit, STEP, 1 - STEP)
        values = -function(low + wide * (inside + steps))
        values = np.where(np.isfinite(values), values, 1e10)
        return float(values[0]), (values[1 : k + 1] - values[k + 1 :]) / (2 * STEP)

    first = np.clip((start - low) / wide, 1e-3, 1 - 1e-3)
    done = minimize(fun, first, jac=True, method="L-BFGS-B", bounds=[(STEP, 1 - STEP)] * k)
    at = low + wide * done.x
    return at, float(function(at[None])[0])


def sample(density: Density, seed: int, steps: int | None = None) -> Draws:
    """Return draws of the posterior by emcee; walkers begin where the posterior is, over all its modes.

    Moves mix proposals of a mixture found beforehand (`propose`) with stretches.
    """
    with extra("analyse"):
        from emcee.moves import StretchMove
    k = len(density.prior.low)
    proposal, points, weights = _search(density, seed, COVER)
    scattered = partial(_begin, points, weights)
    moves = [(move(proposal), 0.7), (StretchMove(), 0.3)]
    return sample_density(density, scattered, k, seed, steps, walkers=max(24, 4 * k), moves=moves)


def weigh(density: Density, seed: int, count: int, points: int = FEWER) -> tuple[Floats, float]:
    """Return draws (count, k) of the posterior by importance sampling alone, and how many they are worth: no gates."""
    _, found, weights = _search(density, seed, points)
    drawn = found[np.random.default_rng(seed).choice(len(found), count, p=weights)]
    return drawn, float(1 / (weights**2).sum())


def _search(density: Density, seed: int, count: int) -> tuple[Proposal, Floats, Floats]:
    ends = density.prior.low, density.prior.high
    return find(lambda x: evaluate(density, x), ends, *begin(density, count, seed + 1), seed, count)


def _begin(points: Floats, weights: Floats, rng: np.random.Generator, count: int) -> Floats:
    """Return points (count, k) by their weights; the same one twice does no harm, proposals move them."""
    return points[rng.choice(len(points), count, p=weights)]


def sample_prior(prior: Prior, count: int, seed: int) -> Floats:
    """Return draws (count, k) of the prior."""
    pool = prior.cover(1 << int(np.ceil(np.log2(count))), seed)[:count]
    if prior.shrinkage is None:
        return pool
    flat = replace(prior, shrinkage=None)
    proposal, _, _ = find(prior.ln, (prior.low, prior.high), pool, flat.ln(pool), seed)
    points = proposal.draw(np.random.default_rng(seed), 8 * count)
    raw = prior.ln(points) - proposal.ln(points)
    chances = np.exp(raw - raw.max())
    return points[np.random.default_rng(seed).choice(len(points), count, p=chances / chances.sum())]
