"""Corrections that are known are found again; what the data do not say is said."""

from dataclasses import replace

import numpy as np
import pytest

from analyse.crosscal.concordance import EDGES_KEV, Prior, Shrinkage
from analyse.crosscal.discrepancy import kullback_leibler, minimise, squared, wasserstein
from analyse.crosscal.identify import directions, gain_bits, hold_out, say
from analyse.crosscal.infer import climb, sample_prior, weigh
from analyse.crosscal.law import Curves
from analyse.crosscal.likelihood import Data, Density, first_order, marginal
from analyse.crosscal.propose import find
from analyse.crosscal.study import Plan, study
from analyse.crosscal.table import OTHERS
from stream.errors import ConfigError
from tests.analyse.crosscal.conftest import TRUTH, seen

GRID = np.exp(np.linspace(np.log(1.5), np.log(10), 9))


def bias(law, theta):
    return Curves(law.ln_kt, law.ln_ratio(np.atleast_2d(theta))).at(
        np.log(GRID) * np.ones((len(np.atleast_2d(theta)), 1))
    )[0]


def test_first_order_is_near_the_integral(law, clusters):
    curves = Curves(law.ln_kt, law.ln_ratio(TRUTH[None]))
    data = Data.of(clusters)
    whole, tangent = marginal(data, curves), first_order(data, curves)[0]
    assert np.abs(whole - tangent).max() < 0.01
    assert not np.allclose(whole, tangent, atol=1e-6)
    wider = marginal(data, curves, (), 0.05)
    np.testing.assert_allclose(wider, first_order(data, curves, 0.05)[0], atol=0.01)


def test_half_the_variance_is_added(clusters):
    plain, mean = Data.of(clusters), Data.of(clusters, half_variance=True)
    np.testing.assert_allclose(mean.ln_1 - plain.ln_1, 0.5 * plain.sd_1**2)


def test_the_most_likely_bias_is_that_of_the_truth(law, clusters):
    density = Density(Data.of(clusters), law, Prior.of(law))
    peak = climb(density.prior, density.likelihood, density.prior.cover(512, 0))
    assert peak.agree >= 4
    assert np.abs(bias(law, peak.variables) - bias(law, TRUTH)).max() < 0.03
    assert peak.value >= density.likelihood(TRUTH[None])[0]


def test_the_posterior_passes_its_gates_and_holds_the_truth(law, clusters):
    found = study(clusters, law, Plan(steps=120, hold_out=False))
    assert found.draws.fault(list(found.density.prior.names)) is None
    spread = bias(law, found.theta)
    pulls = (spread.mean(axis=0) - bias(law, TRUTH)[0]) / spread.std(axis=0)
    assert np.abs(pulls).max() < 3
    assert found.chi2[1] < found.chi2[0] - 10
    assert np.abs(np.log(found.kt_1 / clusters.kt_0).mean()) < 0.02


def test_coverage_of_a_linear_law_is_that_of_its_intervals(law):
    ranks = []
    prior = Prior.of(law)
    for i, theta in enumerate(prior.cover(64, 5)[:40]):
        density = Density(Data.of(seen(law, theta, 30, seed=i)), law, prior)
        draws, _ = weigh(density, i, 1000, 1024)
        ranks.append((draws < theta).mean(axis=0))
    inside = np.abs(np.array(ranks) - 0.5) < 0.45
    assert 0.82 < inside.mean() < 0.97


def test_two_modes_are_both_found():
    low, high = np.array([-1.0, -1.0]), np.array([1.0, 1.0])

    def ln(v):
        return np.logaddexp(
            -0.5 * (((v - 0.5) / 0.02) ** 2).sum(axis=1), -0.5 * (((v + 0.5) / 0.02) ** 2).sum(axis=1) - 1
        )

    rng = np.random.default_rng(0)
    _, points, weights = find(ln, (low, high), rng.uniform(-1, 1, (4096, 2)), 0.0, 0)
    assert (weights * (points[:, 0] > 0)).sum() == pytest.approx(1 / (1 + np.exp(-1)), abs=0.03)


def test_fewer_clusters_than_parameters_leave_the_prior_and_say_so(law, clusters):
    found = study(clusters.take(np.arange(2)), law, Plan(steps=60))
    notes = say(found.density.prior.names, found.bits, 2, found.density.prior)
    assert "2 clusters for 3 parameters: along 1 of 3 directions" in notes[0]
    assert found.directions.narrower[-1] > 0.85
    assert found.held_out is None


def test_no_clusters_give_the_prior(law, clusters):
    found = study(clusters.take(np.arange(0)), law, Plan(steps=120, hold_out=False))
    assert np.all(found.bits < 0.2)
    np.testing.assert_allclose(found.theta.std(axis=0), 1 / np.sqrt(12), rtol=0.15)


def test_shrinkage_draws_areas_to_the_nominal_ones(law, clusters):
    free, shrunk = (study(clusters, law, Plan(tau, sampler="none")) for tau in (None, 0.02))
    assert np.abs(shrunk.highest.variables).max() < np.abs(free.highest.variables).max()
    prior = Prior.of(law, Shrinkage(0.1))
    factor = prior.family.factor(sample_prior(prior, 2048, 0), np.sqrt(np.array(EDGES_KEV[1:]) * EDGES_KEV[:-1]))
    assert factor.mean() == pytest.approx(1, abs=0.02)
    assert np.log(factor).std() == pytest.approx(0.07, abs=0.03)
    with pytest.raises(ConfigError, match="tau"):
        Shrinkage(0.0)


def test_norms_tell_what_temperatures_do_not(law, clusters):
    grey = np.full((1, 50), TRUTH.mean())
    more = replace(clusters, others=OTHERS[:1], given=grey, given_err=np.full((1, 50), 0.03))
    narrower = []
    for one in (clusters, more):
        found = study(one, law, Plan(steps=80, hold_out=False))
        narrower.append(found.theta.mean(axis=1).std())
        assert found.others_used == (one is more)
    assert narrower[1] < 0.3 * narrower[0]


def test_a_scatter_that_is_there_is_found(law):
    clusters = seen(law, count=80, error=0.02)
    rng = np.random.default_rng(0)
    noisy = replace(clusters, kt_1=clusters.kt_1 * np.exp(0.08 * rng.standard_normal(80)))
    found = study(noisy, law, Plan(most_scatter=0.3, steps=80, hold_out=False))
    values = found.draws.variables[..., -1].ravel()
    assert abs(values.mean() - 0.08) < 3 * values.std()


def test_held_out_clusters_agree(law, clusters):
    held = hold_out(clusters, Density(Data.of(clusters), law, Prior.of(law)), 0)
    mean, error = held.mean(held.deviation)
    assert abs(mean) < 3 * error
    assert 25 < held.chi2 < 85


def test_gains_and_directions():
    rng = np.random.default_rng(0)
    prior = rng.uniform(-1, 1, (4096, 2))
    narrow = np.stack([rng.uniform(-0.25, 0.25, 4096), rng.uniform(-1, 1, 4096)], axis=1)
    assert gain_bits(narrow, prior) == pytest.approx([2.0, 0.0], abs=0.05)
    ways = directions(narrow, prior)
    assert ways.narrower == pytest.approx([0.25, 1.0], abs=0.03)
    assert abs(ways.axes[0, 0]) > 0.99


def test_measures_of_two_posteriors():
    same = (np.array([5.0]), np.array([0.2]))
    assert squared(*same, *same) == kullback_leibler(*same, *same) == wasserstein(*same, *same) == 0
    other = (np.array([5.5]), np.array([0.3]))
    assert squared(*same, *other) == pytest.approx(0.25)
    assert wasserstein(*same, *other) == pytest.approx(0.25 + 0.01)
    x = np.linspace(1, 2.3, 20_001)
    p, q = (np.exp(-0.5 * ((x - np.log(t)) / (e / t)) ** 2) / (e / t) / np.sqrt(2 * np.pi) for t, e in (same, other))
    assert kullback_leibler(*same, *other) == pytest.approx(
        (p * np.log(p / np.maximum(q, 1e-300))).sum() * (x[1] - x[0]), rel=1e-3
    )


def test_each_measure_finds_the_bias(law, clusters):
    found = minimise(clusters, Density(Data.of(clusters), law, Prior.of(law)), 0)
    for one in found.values():
        assert one["sum"] < one["before"]
        assert np.abs(bias(law, np.array(one["theta"])) - bias(law, TRUTH)).max() < 0.05
