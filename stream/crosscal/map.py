"""The most probable theta by damped Gauss-Newton from many starts, and its covariance by Laplace's approximation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream.crosscal.curve import drawn, inform, inward, outward, stretch
from stream.crosscal.modifiers import Family
from stream.crosscal.pairs import Pairs
from stream.spectra.grid import Floats

Slopes = Callable[[Floats, Floats], tuple[Floats, Floats]]
"""theta (n, p), true kT (n,) keV -> ln(kT of the fit / true kT) (n,), its derivatives by theta and ln kT (n, p + 1)."""
PRIOR_VARIANCE: Final = 1 / 3  # of a place in the box, -1..1, that may be anywhere
STARTS: Final = 128  # a power of two
FOLLOWED: Final = 6  # the best of them
STEPS: Final = 40
SMALL: Final = 1e-3  # of the objective: a step that gains less is the last
FIRST_DAMPING: Final = 1e-2
EDGE: Final = 1 - 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Theta:
    """The most probable theta of some fits."""

    theta: Floats  # (p,)
    covariance: Floats  # (p, p), to first order
    objective: float  # chi2 and what the prior adds
    chi2: float  # of the fits
    at_edge: bool  # of the box


def most_probable(of: Family, law: Slopes, pairs: Pairs, begin: Floats | None = None) -> Theta:
    """Return theta under a Gaussian prior of the box's moments; without fits the prior itself. begin: (p,), one start.

    Where fits say nothing of a parameter (the energy of a modification of amplitude 0), its error is the prior's; what
    theta means for temperatures then is better asked of `stream.crosscal.curve`.
    """
    p = len(of.parameters)
    if not len(pairs):
        return _told(of, np.zeros(p), np.eye(p) * PRIOR_VARIANCE, (0.0, 0.0))
    starts = inward(of, drawn(of, STARTS)) if begin is None else inward(of, begin)[None]
    here = _Place(of, law, pairs)
    costs = np.array([here.cost(u) for u in starts])
    best = min((here.descend(starts[i]) for i in np.argsort(costs)[:FOLLOWED]), key=lambda end: end[1])
    u, objective, information, chi2 = best
    return _told(of, u, np.asarray(np.linalg.inv(information), np.float64), (objective, chi2))


def _told(of: Family, u: Floats, covariance: Floats, costs: tuple[float, float]) -> Theta:
    theta = outward(of, u)
    by = stretch(of, theta)
    return Theta(theta, covariance * np.outer(by, by), *costs, bool((np.abs(u) >= EDGE).any()))


class _Place:
    """Fits, and the law at the temperatures of the trusted telescope."""

    def __init__(self, of: Family, law: Slopes, pairs: Pairs) -> None:
        self.of, self.law, self.pairs = of, law, pairs
        self.kt = np.exp(pairs.trusted)
        self.count = len(pairs)

    def cost(self, u: Floats) -> float:
        """Return chi2 and what the prior adds."""
        return self.look(u)[2]

    def look(self, u: Floats) -> tuple[Floats, Floats, float, float]:
        """Return gradient and Gauss-Newton matrix of half the objective by u, the objective, chi2 alone."""
        theta = outward(self.of, u)
        value, slope = self.law(np.broadcast_to(theta, (self.count, len(u))), self.kt)
        off = self.pairs.biased - self.pairs.trusted - value
        told = inform(off, slope[:, :-1] * stretch(self.of, theta), slope[:, -1], self.pairs)
        matrix = told.matrix + np.eye(len(u)) / PRIOR_VARIANCE
        return u / PRIOR_VARIANCE - told.score, matrix, told.rest + float(u @ u) / PRIOR_VARIANCE, told.rest

    def descend(self, u: Floats) -> tuple[Floats, float, Floats, float]:
        """Go down to a minimum within the box; return the place, the objective, its matrix and chi2."""
        damping = FIRST_DAMPING
        gradient, matrix, cost, chi2 = self.look(u)
        for _ in range(STEPS):
            step = np.linalg.solve(matrix + damping * np.diag(np.diag(matrix)), gradient)
            tried = np.clip(u - step, -1, 1)
            found = self.look(tried)
            if found[2] < cost:
                gained = cost - found[2]
                u, (gradient, matrix, cost, chi2) = tried, found
                damping /= 4
                if gained < SMALL:
                    break
            else:
                damping *= 6
                if damping > 1e8:
                    break
        return u, cost, matrix, chi2
