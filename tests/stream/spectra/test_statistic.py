import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import poisson

from stream.kernels.cstat import normal_equations, statistic_sum
from stream.spectra.statistic import chi2_per_dof, expected_cstat, expected_wstat

NONE = np.empty(0)


def plain_cstat(counts, model):
    """-2 ln of the likelihood against that of a model which is the data."""
    return 2 * np.sum(poisson.logpmf(counts, np.maximum(counts, 1e-300)) - poisson.logpmf(counts, model))


def plain_wstat(counts, off, alpha, model):
    total = 0.0
    for c, b, a, m in zip(counts, off, alpha, model, strict=True):
        found = minimize_scalar(
            lambda rate, c=c, b=b, a=a, m=m: plain_cstat(np.array([c, b]), np.array([m + a * rate, rate])),
            bounds=(1e-9, 10 * (c + b + 1) / min(a, 1)),
            method="bounded",
            options={"xatol": 1e-10},
        )
        total += found.fun
    return total


@pytest.fixture
def bins():
    rng = np.random.default_rng(1)
    model = rng.uniform(0.01, 30, 40)
    off = rng.poisson(rng.uniform(0, 8, 40)).astype(float)
    return rng.poisson(model).astype(float), off, np.full(40, 0.3), model


def test_cstat_equals_its_twin(bins):
    counts, _, _, model = bins
    assert statistic_sum(counts, NONE, NONE, model) == pytest.approx(plain_cstat(counts, model), rel=1e-10)


def test_cstat_of_a_model_that_nearly_is_the_data_keeps_its_digits():
    counts = np.full(5, 1e6)
    assert statistic_sum(counts, NONE, NONE, counts * (1 + 1e-7)) == pytest.approx(5 * 1e-8, rel=1e-6)


def test_wstat_equals_its_twin(bins):
    assert statistic_sum(*bins) == pytest.approx(plain_wstat(*bins), rel=1e-5)


@pytest.mark.parametrize("kind", ["cstat", "wstat"])
def test_gradient_is_that_of_the_statistic(bins, kind):
    counts, off, alpha, model = bins
    off, alpha = (off, alpha) if kind == "wstat" else (NONE, NONE)
    slopes = np.random.default_rng(2).uniform(-0.1, 1, (3, 40))
    gradient, fisher = np.empty(3), np.empty((3, 3))
    value = normal_equations(counts, off, alpha, model, slopes, gradient, fisher)
    assert value == pytest.approx(statistic_sum(counts, off, alpha, model))
    for j in range(3):
        up, down = (statistic_sum(counts, off, alpha, model + e * slopes[j]) for e in (1e-5, -1e-5))
        assert gradient[j] == pytest.approx((up - down) / 4e-5, rel=1e-5)
    if kind == "cstat":
        assert np.allclose(fisher, (slopes / model) @ slopes.T)


@pytest.mark.parametrize("level", [0.003, 0.3, 4.0, 60.0, 900.0])
def test_expected_cstat_is_what_draws_give(level):
    model = np.full(20, level)
    draws = np.random.default_rng(4).poisson(level, (20_000, 20)).astype(float)
    values = [statistic_sum(one, NONE, NONE, model) for one in draws]
    mean, sd = expected_cstat(model)
    assert mean == pytest.approx(np.mean(values), abs=4 * sd / 141)
    assert sd == pytest.approx(np.std(values), rel=0.05)


def test_expected_cstat_of_kaastra_2017():
    mean, sd = expected_cstat(np.array([1e5]))  # his limits for many counts: 1 and the root of 2
    assert mean == pytest.approx(1, abs=1e-4)
    assert sd == pytest.approx(np.sqrt(2), rel=1e-4)
    assert expected_cstat(np.zeros(3)) == (0.0, 0.0)


def test_expected_wstat_is_near_the_number_of_bins_for_many_counts():
    model, alpha, off = np.full(50, 80.0), np.full(50, 0.5), np.full(50, 60.0)
    mean, sd = expected_wstat((model + 30, off), alpha, model)
    assert mean == pytest.approx(50, rel=0.08)
    assert sd == pytest.approx(10, rel=0.2)


def test_chi2_per_dof_is_one_for_draws_of_the_model():
    rng = np.random.default_rng(5)
    model = np.full(400, 1.3)
    values = [chi2_per_dof(rng.poisson(model).astype(float), NONE, NONE, model, 0) for _ in range(40)]
    assert np.mean(values) == pytest.approx(1, abs=0.05)
    assert np.isnan(chi2_per_dof(np.zeros(4), NONE, NONE, np.full(4, 0.1), 3))
