"""The differential emission measure of a corona, smooth in log T: most probable, with how smooth by the evidence.

What is seen is light of K temperatures and E elements: m = sum_e a_e (templates_e d) + sum_l f_l a_e (emissivity_l d)
shape_l + background. All factors are positive: variables are their logarithms. Priors: second differences of ln d are
Gaussian with variance 1 / smoothness, its slope has the sd of SLOPE_SD; ln a and ln f are Gaussian about 0. The
smoothness is the one whose evidence (by Laplace's approximation) is largest, among SMOOTHNESS.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.spectra.grid import Floats

SMOOTHNESS: Final = tuple(float(v) for v in np.geomspace(0.03, 300.0, 13))
ABUNDANCE_SD: Final = 0.7  # of ln a: coronae differ from the Sun by factors of two and more
BACKGROUND_SD: Final = 3.0
LEVEL_SD: Final = 30.0  # of ln d: only so that nothing is without a bound
SLOPE_SD: Final = 20.0  # of ln d by dex of T: as T to the power of 9; steeper than coronae rise, only a bound
STEPS: Final = 200
LONGEST: Final = 1.5  # of one step in a logarithm
SMALL: Final = 1e-3  # of ln density: then it has converged
TINY: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """D data and what each part of a corona would add to them. Poisson where sigma is None, else Gaussian."""

    data: Floats  # (D,) counts or fluxes
    sigma: Floats | None  # (D,)
    log_t: Floats  # (K,) even steps
    elements: tuple[str, ...]  # (E,) groups with one abundance each
    templates: Floats  # (E, K, D) without the lines below
    emissivity: Floats  # (L, K) of the lines whose data are uncertain, for abundance 1
    group: NDArray[np.int64]  # (L,) row in elements
    shape: Floats  # (L, D)
    scatter: Floats  # (L,) 1 sigma of ln f
    background: Floats  # (D,) one more part; 0: none
    free: NDArray[np.bool_]  # (E,) whose abundance is free

    def __post_init__(self) -> None:
        """Raise ConfigError for nothing to fit and for temperatures in uneven steps."""
        if len(self.log_t) < 4 or not np.allclose(np.diff(self.log_t), self.log_t[1] - self.log_t[0], atol=1e-6):
            raise ConfigError("DEM: expected 4 temperatures or more in even steps of log T")
        if not np.any(self.data > 0):
            raise ConfigError("DEM: expected counts above 0: nothing to fit")

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Return how many temperatures, elements, lines and backgrounds there are."""
        return len(self.log_t), len(self.elements), len(self.scatter), int(np.any(self.background > 0))

    def names(self) -> list[str]:
        """Return the names of the variables (k,)."""
        k, _, lines, back = self.sizes
        of_t = [f"ln_dem_{t:.2f}" for t in self.log_t[:k]]
        return [*of_t, *(f"ln_{e}" for e in self.elements), *(f"ln_f_{i}" for i in range(lines)), *["ln_back"] * back]

    def model(self, x: Floats) -> tuple[Floats, Floats]:
        """Return expected data (D,) and their derivatives (k, D) at variables x (k,)."""
        k, e, lines, back = self.sizes
        d, a = np.exp(x[:k]), np.exp(x[k : k + e])
        by_element = a[:, None] * np.einsum("ekd,k->ed", self.templates, d)
        by_t = np.einsum("ekd,e->kd", self.templates, a) * d[:, None]
        light = np.exp(x[k + e : k + e + lines]) * a[self.group]
        each = light * (self.emissivity @ d)
        of_lines = each[:, None] * self.shape
        by_t += d[:, None] * ((self.emissivity * light[:, None]).T @ self.shape)
        np.add.at(by_element, self.group, of_lines)
        parts = [by_t, by_element * self.free[:, None], of_lines]
        total = by_element.sum(axis=0)
        if back:
            parts.append(np.exp(x[-1]) * self.background[None])
            total = total + parts[-1][0]
        return np.maximum(total, TINY), np.concatenate(parts)

    def likelihood(self, model: Floats) -> tuple[float, Floats, Floats]:
        """Return minus ln likelihood, its derivative by the model (D,), and the information (D,)."""
        if self.sigma is not None:
            pull = (model - self.data) / self.sigma
            return 0.5 * float(pull @ pull), pull / self.sigma, self.sigma**-2
        some = self.data > 0
        value = model - self.data + np.where(some, self.data * np.log(np.where(some, self.data, 1.0) / model), 0.0)
        return float(value.sum()), 1.0 - self.data / model, 1.0 / model

    def prior(self, smoothness: float) -> Floats:
        """Return the precision of the prior about 0, (k, k)."""
        k, e, lines, back = self.sizes
        out = np.zeros((k + e + lines + back,) * 2)
        first, second = (np.diff(np.eye(k), order, axis=0) for order in (1, 2))
        step = self.log_t[1] - self.log_t[0]
        out[:k, :k] = smoothness * second.T @ second + first.T @ first / (SLOPE_SD * step) ** 2
        sd = np.concatenate([np.full(e, ABUNDANCE_SD), self.scatter, np.full(back, BACKGROUND_SD)])
        out[k:, k:] = np.diag(sd**-2.0)
        return out

    def start(self) -> Floats:
        """Return variables to begin at: light of all temperatures alike."""
        k, e, lines, back = self.sizes
        x = np.zeros(k + e + lines + back)
        if back:
            x[-1] = np.log(max(0.05 * self.data.sum() / self.background.sum(), TINY))
        bare = replace(self, background=np.zeros_like(self.background)) if back else self
        made = bare.model(x[: k + e + lines])[1][:k].sum(axis=1)
        x[:k] = np.log(max(0.9 * self.data.sum(), TINY) / np.maximum(made, TINY) / k)
        return x


@dataclass(frozen=True, slots=True, eq=False)
class Dem:
    """The most probable emission measures and all that goes with them."""

    seen: Seen
    x: Floats  # (k,) logarithms of emission measures by node, abundances, factors of lines, background
    covariance: Floats  # (k, k)
    smoothness: float
    evidence: Floats  # (len(SMOOTHNESS),) ln, up to a constant; one value where the smoothness was given
    expected: Floats  # (D,)
    parts: Floats  # (k, D) derivatives of it
    converged: bool

    @property
    def nodes(self) -> int:
        """How many temperatures."""
        return len(self.seen.log_t)

    @property
    def step(self) -> float:
        """Of log T."""
        return float(self.seen.log_t[1] - self.seen.log_t[0])

    @property
    def log_dem(self) -> Floats:
        """log10 of emission measure per dex of T, (K,): norm as apec's."""
        return self.x[: self.nodes] / np.log(10.0) - np.log10(self.step)

    @property
    def error(self) -> Floats:
        """1 sigma of log_dem, (K,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance)[: self.nodes], 0.0)) / np.log(10.0)

    @property
    def peak(self) -> float:
        """Temperature (log T) of the highest node, by a parabola through it and its neighbours."""
        y = self.log_dem
        i = int(np.argmax(y))
        if i in (0, len(y) - 1):
            return float(self.seen.log_t[i])
        low, high = y[i - 1] - y[i], y[i + 1] - y[i]
        return float(self.seen.log_t[i] + 0.5 * self.step * (low - high) / min(low + high, -TINY))

    @property
    def abundance(self) -> Floats:
        """(E,) against the table's."""
        return np.exp(self.x[self.nodes : self.nodes + len(self.seen.elements)])

    @property
    def statistic(self) -> float:
        """C-stat, or chi-squared."""
        return 2.0 * self.seen.likelihood(self.expected)[0]


def invert(seen: Seen, smoothness: float | None = None) -> Dem:
    """Return the most probable DEM: of the smoothness given, else of that with the largest evidence."""
    if smoothness is not None:
        found, evidence = climb(seen, smoothness, seen.start())
        return replace(found, evidence=np.array([evidence]))
    x, tried = seen.start(), []
    for value in SMOOTHNESS[::-1]:  # the smoothest first: it is found from anywhere
        found, evidence = climb(seen, value, x)
        tried.append((evidence, found))
        x = found.x
    values = np.array([evidence for evidence, _ in tried])
    return replace(tried[int(np.argmax(values))][1], evidence=values[::-1])


def climb(seen: Seen, smoothness: float, x: Floats) -> tuple[Dem, float]:
    """Return the most probable DEM of one smoothness and ln evidence: Levenberg-Marquardt on minus ln density."""
    prior, damping, converged = seen.prior(smoothness), 1e-2, False
    weak = np.diag(np.full(len(x), LEVEL_SD**-2.0))
    model, slopes = seen.model(x)
    value, by_model, weight = seen.likelihood(model)
    value += 0.5 * float(x @ prior @ x)
    for _ in range(STEPS):
        gradient = slopes @ by_model + prior @ x
        hessian = (slopes * weight) @ slopes.T + prior + weak
        while True:
            step = -np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), gradient)
            there = x + np.clip(step, -LONGEST, LONGEST)
            model, new_slopes = seen.model(there)
            new, new_by_model, new_weight = seen.likelihood(model)
            new += 0.5 * float(there @ prior @ there)
            if new <= value or damping > 1e9:
                break
            damping *= 4.0
        gain = value - new
        if gain < 0:
            break
        x, value, slopes, by_model, weight = there, new, new_slopes, new_by_model, new_weight
        damping = max(damping / 6.0, 1e-9)
        if gain < SMALL:
            converged = True
            break
    hessian = (slopes * weight) @ slopes.T + prior + weak
    evidence = -value + 0.5 * np.linalg.slogdet(prior + weak)[1] - 0.5 * np.linalg.slogdet(hessian)[1]
    expected, slopes = seen.model(x)
    covariance = np.asarray(np.linalg.inv(hessian), float)
    return Dem(seen, x, covariance, smoothness, np.array([evidence]), expected, slopes, converged), float(evidence)
