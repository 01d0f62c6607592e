import numpy as np
import pytest

from analyse.diagnostics import Draws, ess, rhat


def autoregressive(rng, rho, chains=4, draws=4000):
    x = np.empty((chains, draws))
    x[:, 0] = rng.standard_normal(chains)
    for i in range(1, draws):
        x[:, i] = rho * x[:, i - 1] + np.sqrt(1 - rho**2) * rng.standard_normal(chains)
    return x


def test_independent_draws_count_in_full_and_agree():
    x = np.random.default_rng(0).standard_normal((4, 2000))
    assert rhat(x) < 1.005
    assert 6000 < ess(x) < 10_000


def test_bulk_of_autocorrelated_draws_counts_as_theory_says():
    from analyse.diagnostics import _normal_ranks, _size

    x = autoregressive(np.random.default_rng(1), 0.9)
    assert _size(_normal_ranks(x)) == pytest.approx(x.size * (1 - 0.9) / (1 + 0.9), rel=0.15)
    assert 0.5 * x.size / 19 < ess(x) < 2 * x.size / 19


@pytest.mark.parametrize("change", [lambda x: x + np.arange(4)[:, None], lambda x: x * [[1], [1], [1], [4]]])
def test_chains_of_another_mean_or_width_are_seen(change):
    assert rhat(change(np.random.default_rng(2).standard_normal((4, 1000)))) > 1.05


def test_a_drift_common_to_all_chains_is_seen():
    assert rhat(np.random.default_rng(3).standard_normal((4, 1000)) + np.linspace(0, 2, 1000)) > 1.05


@pytest.mark.parametrize("x", [np.zeros((4, 100)), np.ones((4, 1)), np.full((2, 50), np.nan)])
def test_nothing_to_judge_is_nan_and_fails_the_gates(x):
    assert np.isnan(rhat(x))
    assert np.isnan(ess(x))
    draws = Draws("nuts", x[..., None], 0.0, np.array([ess(x)]), np.array([rhat(x)]), 0, {}, {})
    assert "R-hat of a" in draws.fault(["a"])


def test_a_divergence_fails_the_gates():
    draws = Draws("nuts", np.zeros((1, 1, 1)), 0.0, np.array([900.0]), np.array([1.0]), 1, {}, {})
    assert draws.fault(["a"]) == "1 divergences (expected none)"
