import numpy as np
import pytest

from stream.crosscal.curve import Curves, drawn, inform, inward, outward, stretch
from stream.crosscal.map import most_probable
from stream.crosscal.modifiers import family
from stream.crosscal.pairs import PAIR, Pairs, usable

GAUSSIAN = family("gaussian")
KT = np.array([1.0, 2.0, 5.0, 10.0])
ERRORS = (0.02, 0.03)


def law(theta, kt):
    """A made-up bias (n,) with its slopes by theta and ln kT."""
    mu, _, amplitude = theta.T
    x = np.log(kt)
    at, size = np.log(mu) - 0.5 * x, amplitude * x
    bias = size * np.cos(at)
    slopes = (-size * np.sin(at) / mu, 0 * x, x * np.cos(at), amplitude * np.cos(at) + 0.5 * size * np.sin(at))
    return bias, np.stack(slopes, axis=1)


def plain(theta, kt):
    return law(theta, kt)[0]


@pytest.fixture(scope="module")
def curves():
    return Curves(GAUSSIAN, plain, (0.8, 16.0))


def observed(theta, n, rng, sd=ERRORS):
    x = rng.uniform(np.log(1), np.log(14), n)
    biased = x + plain(np.broadcast_to(theta, (n, 3)), np.exp(x)) + rng.normal(0, sd[1], n)
    return Pairs(x + rng.normal(0, sd[0], n), np.full(n, sd[0]), biased, np.full(n, sd[1]), np.arange(n))


def of_all(theta):
    return plain(np.broadcast_to(theta, (len(KT), 3)), KT)


def test_places_in_the_box_go_there_and_back():
    theta = drawn(GAUSSIAN, 64)
    assert ((theta >= GAUSSIAN.low) & (theta <= GAUSSIAN.high)).all()
    np.testing.assert_allclose(outward(GAUSSIAN, inward(GAUSSIAN, theta)), theta)
    step = 1e-6
    numeric = (outward(GAUSSIAN, inward(GAUSSIAN, theta) + step) - theta) / step
    np.testing.assert_allclose(stretch(GAUSSIAN, theta), numeric, rtol=1e-4)


def test_information_is_that_of_the_whole_covariance():
    rng = np.random.default_rng(0)
    n, k = 12, 3
    pairs = Pairs(rng.random(n), np.repeat([0.02, 0.05, 0.0, 0.1], 3), rng.random(n), 0.01 + 0.1 * rng.random(n),
                  np.repeat(np.arange(4), 3))  # fmt: skip
    off, by, slope = rng.normal(size=n), rng.normal(size=(n, k)), rng.normal(size=n)
    moved = np.where(pairs.of[:, None] == pairs.of, np.outer(1 + slope, 1 + slope), 0.0)
    precision = np.linalg.inv(np.diag(pairs.biased_sd**2) + moved * np.outer(pairs.trusted_sd, pairs.trusted_sd))
    told = inform(off, by, slope, pairs)
    np.testing.assert_allclose(told.matrix, by.T @ precision @ by, rtol=1e-9)
    np.testing.assert_allclose(told.score, by.T @ precision @ off, rtol=1e-9)
    np.testing.assert_allclose(told.rest, off @ precision @ off, rtol=1e-9)


def test_components_hold_the_curves_of_the_family(curves):
    theta = drawn(GAUSSIAN, 32)
    assert len(curves.components) < 10
    nodes = np.exp(curves.nodes)
    for row in theta:
        curve = plain(np.broadcast_to(row, (len(nodes), 3)), nodes) - curves.mean
        parts, *_ = np.linalg.lstsq(curves.components.T, curve, rcond=None)
        assert np.abs(parts @ curves.components - curve).max() < 0.01


def test_without_fits_the_posterior_is_the_prior(curves):
    none = Pairs.of_rows(np.empty(0, PAIR))
    found = curves.fit(none)
    np.testing.assert_array_equal(found.covariance, np.eye(len(found.c)))
    value, error = curves.predict(found, KT)
    each = np.array([of_all(theta) for theta in drawn(GAUSSIAN, 1024)])
    np.testing.assert_allclose(value, each.mean(axis=0), atol=2e-3)
    np.testing.assert_allclose(error, each.std(axis=0), rtol=0.05, atol=2e-3)
    same = curves.compare(found, found, KT)
    assert (same.dof, same.p) == (0, 1.0)
    np.testing.assert_allclose(same.error, 0, atol=1e-9)
    theta = most_probable(GAUSSIAN, law, none)
    np.testing.assert_allclose(inward(GAUSSIAN, theta.theta), 0, atol=1e-12)


def test_intervals_of_the_bias_and_of_its_drift_hold_the_truth(curves):
    rng = np.random.default_rng(1)
    before, after = np.array([2.0, 1.0, -0.05]), np.array([2.0, 1.0, -0.11])
    off, moved, chance, still = ([] for _ in range(4))
    for _ in range(400):
        old, new, other = (curves.fit(observed(*of, rng)) for of in ((before, 60), (after, 30), (before, 30)))
        value, error = curves.predict(old, KT)
        off.append((value - of_all(before)) / error)
        drift = curves.compare(new, old, KT)
        moved.append((drift.ln_ratio - of_all(after) + of_all(before)) / drift.error)
        chance.append(drift.p)
        still.append(curves.compare(other, old, KT).p)
    for z in (np.array(off)[:, 1:], np.array(moved)[:, 1:]):  # at 1 keV there is no bias to know: the prior's width
        assert 0.62 < (np.abs(z) < 1).mean() < 0.78
        assert 0.86 < (np.abs(z) < 1.645).mean() < 0.95
    assert 0.06 < (np.array(still) < 0.1).mean() < 0.14
    assert (np.array(still) < 0.01).mean() < 0.03
    assert (np.array(chance) < 1e-3).mean() > 0.6


def test_one_measurement_quoted_twice_is_one(curves):
    rows = np.zeros(6, PAIR)
    rows["NAME"], rows["KT_0"], rows["KT_0_ERR"] = b"A", 5.0, 0.5
    rows["KT_1"], rows["KT_1_ERR"] = 5.5, 0.001
    _, error = curves.predict(curves.fit(Pairs.of_rows(rows)), np.array([5.0]))
    rows["KT_0"] += 1e-6 * np.arange(6)
    _, apart = curves.predict(curves.fit(Pairs.of_rows(rows)), np.array([5.0]))
    assert error[0] > 1.5 * apart[0]


def test_the_most_probable_theta_is_found_from_many_starts():
    rng = np.random.default_rng(2)
    truth = np.array([3.0, 1.0, -0.2])
    found = most_probable(GAUSSIAN, law, observed(truth, 400, rng))
    sd = np.sqrt(np.diag(found.covariance))
    assert abs(found.theta[2] - truth[2]) < 4 * sd[2]
    assert abs(found.theta[0] - truth[0]) < 4 * sd[0]
    assert sd[2] < 0.03
    width = stretch(GAUSSIAN, found.theta)[1] / np.sqrt(3)
    assert sd[1] == pytest.approx(width, rel=1e-3)  # nothing is known of it: as wide as the prior
    assert 300 < found.chi2 < 500
    assert not found.at_edge
    beyond = most_probable(GAUSSIAN, law, observed(np.array([3.0, 1.0, -0.9]), 400, rng))
    assert beyond.at_edge


def test_rows_that_are_no_temperatures_are_not_usable():
    rows = np.zeros(6, PAIR)
    rows["KT_0"], rows["KT_1"], rows["KT_1_ERR"] = 5.0, 6.0, 0.1
    rows["KT_0"][1], rows["KT_1"][2], rows["KT_1_ERR"][3] = np.nan, -1.0, 0.0
    rows["KT_0_ERR"][4], rows["TIME"][5] = np.nan, np.nan
    np.testing.assert_array_equal(usable(rows), [True, False, False, False, False, False])
    taken = Pairs.of_rows(rows[[0, 0]]).take(np.array([True, False]))
    assert len(taken) == 1
