import numpy as np
import pytest

from models.metrics import Confusion, bootstrap, improvement, lost_xrays, unrejected_background

TRUTH = np.array([0, 0, 0, 1, 1, 2])
CALLED = np.array([0, 0, 1, 1, 2, 2])


def test_the_equations_on_six_events():
    counted = Confusion.of(TRUTH, CALLED, 3)
    assert counted.counts.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert counted.accuracy() == pytest.approx(4 / 6)
    assert [counted.precision(k) for k in range(3)] == pytest.approx([1, 1 / 2, 1 / 2])
    assert [counted.recall(k) for k in range(3)] == pytest.approx([2 / 3, 1 / 2, 1])
    assert [counted.f1(k) for k in range(3)] == pytest.approx([4 / 5, 1 / 2, 2 / 3])


def test_the_seeds_own_table_fits_its_equations():
    # Table 2: 458,875 X-rays and 6,464 particles, 1.82 % lost, recall 43.67 % -> FOR 0.80, precision 25.2 %
    particle = np.repeat([False, True], [458_875, 6_464])
    rejected = np.concatenate([np.arange(458_875) < 0.0182 * 458_875, np.arange(6_464) < 0.4367 * 6_464])
    assert 100 * lost_xrays(particle, rejected) == pytest.approx(1.82, abs=0.01)
    ours = unrejected_background(particle, rejected)
    assert 100 * ours == pytest.approx(0.80, abs=0.01)
    assert 100 * Confusion.of(particle, rejected, 2).precision(1) == pytest.approx(25.23, abs=0.1)
    assert 100 * improvement(0.0080, 0.0137) == pytest.approx(41.6, abs=0.1)


def test_nothing_is_not_a_number():
    none = np.empty(0, int)
    assert np.isnan(Confusion.of(none, none, 4).accuracy())
    assert np.isnan(lost_xrays(none.astype(bool), none.astype(bool)))


def test_the_interval_of_a_share_is_that_of_its_groups():
    rng = np.random.default_rng(0)
    right = (rng.random(400) < 0.3).astype(float)
    value, low, high = bootstrap(lambda rows: float(right[rows].mean()), np.arange(400))
    assert value == right.mean()
    assert (high - low) / 2 == pytest.approx(np.sqrt(0.3 * 0.7 / 400), rel=0.15)
    twins = np.repeat(right, 4)  # four copies of each know no more than one
    _, low4, high4 = bootstrap(lambda rows: float(twins[rows].mean()), np.repeat(np.arange(400), 4))
    assert high4 - low4 == pytest.approx(high - low, rel=0.2)
