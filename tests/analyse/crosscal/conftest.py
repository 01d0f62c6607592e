"""A family of three numbers whose effect on temperatures is known in closed form, and clusters seen through it."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from analyse.crosscal.law import Everywhere
from analyse.crosscal.table import Clusters
from stream.crosscal.modifiers import Family, family

TRUTH = np.array([0.15, -0.1, 0.05])


@dataclass(frozen=True)
class ToyLaw(Everywhere):
    """ln(kt_fit / kT) is a sum of theta times a constant, ln kT - 1, and its square."""

    family: Family
    ln_kt: np.ndarray = field(default_factory=lambda: np.linspace(np.log(0.7), np.log(16), 12))
    fit_kev: tuple = (0.3, 60.0)
    source: str = "toy"

    @property
    def low(self):
        return self.family.low

    @property
    def high(self):
        return self.family.high

    def ln_ratio(self, theta):
        x = self.ln_kt - 1
        return theta @ np.stack([0.3 * np.ones_like(x), 0.5 * x, 0.1 * x**2])

    def others(self, theta):
        grey = theta.mean(axis=1)[:, None] * np.ones(len(self.ln_kt))
        return np.stack([grey, 0.1 * grey])


@pytest.fixture
def law():
    return ToyLaw(family("spline:3"))


def seen(law, theta=TRUTH, count=50, error=0.03, seed=1):
    rng = np.random.default_rng(seed)
    x = np.log(rng.uniform(1.2, 12, count))
    bias = theta @ np.stack([0.3 * np.ones_like(x), 0.5 * (x - 1), 0.1 * (x - 1) ** 2])
    kt_0, kt_1 = (np.exp(v + error * rng.standard_normal(count)) for v in (x, x + bias))
    return Clusters(tuple(f"C{i}" for i in range(count)), kt_0, error * kt_0, kt_1, error * kt_1)


@pytest.fixture
def clusters(law):
    return seen(law)
