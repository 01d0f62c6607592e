import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import multivariate_normal

from analyse.corona.evidence import evidence


def test_a_gaussian_model_has_the_evidence_it_is_known_to_have():
    rng = np.random.default_rng(1)
    k, design = 8, np.random.default_rng(2).standard_normal((20, 8))
    data = design @ rng.standard_normal(k) + rng.standard_normal(20)
    known = multivariate_normal(np.zeros(20), np.eye(20) + design @ design.T).logpdf(data)
    covariance = np.linalg.inv(np.eye(k) + design.T @ design)
    draws = rng.multivariate_normal(covariance @ design.T @ data, covariance, 2000)

    def density(x):
        misses = data - x @ design.T
        return -0.5 * ((x**2).sum(1) + (misses**2).sum(1) + (k + 20) * np.log(2 * np.pi))

    found = evidence(density, draws, seed=3)
    assert found.sound
    assert found.error < 0.03
    assert found.ln_z == pytest.approx(known, abs=4 * found.error)


def test_a_skewed_model_too_and_bad_draws_cost_only_size():
    """Counts of Poisson, their rates of a Gamma prior, in ln rates: the evidence is that of negative binomials."""
    rng, counts = np.random.default_rng(4), np.array([0, 1, 2, 5, 9, 30])
    a, b = 1.5, 0.4
    known = (
        gammaln(a + counts) - gammaln(a) - gammaln(counts + 1) + a * np.log(b) - (a + counts) * np.log(b + 1)
    ).sum()

    def density(x):
        prior = a * np.log(b) - gammaln(a) + a * x - b * np.exp(x)
        return (prior + counts * x - np.exp(x) - gammaln(counts + 1)).sum(1)

    draws = np.log(rng.gamma(a + counts, 1 / (b + 1), (3000, 6)))
    good = evidence(density, draws, seed=5)
    assert good.sound
    assert good.ln_z == pytest.approx(known, abs=4 * good.error + 1e-3)
    off = evidence(density, draws + 0.4, seed=5)
    assert off.ln_z == pytest.approx(known, abs=5 * off.error + 1e-3)
    assert off.ess <= good.ess * 1.1


def test_too_few_draws_and_a_density_of_nothing_are_told():
    with pytest.raises(ValueError, match="expected 12 draws or more"):
        evidence(lambda x: np.zeros(len(x)), np.zeros((4, 6)), seed=0)
    rng = np.random.default_rng(0)
    lost = evidence(lambda x: np.full(len(x), -np.inf), rng.standard_normal((50, 2)), seed=0, size=200)
    assert not lost.sound
    assert lost.ess == 0
