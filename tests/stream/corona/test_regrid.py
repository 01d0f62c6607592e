"""Counts of one grid and area as those of another."""

import numpy as np
import pytest

from stream.corona.regrid import Brightest, area_on, coverage, place, to_nominal, whole, windows
from stream.errors import ConfigError

MANY = Brightest(1e9, 1e9)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_counts_stay_as_many_and_where_they_are():
    edges = np.linspace(10.0, 11.0, 201)
    counts = rng().poisson(3.0, (2, 200))
    grid = np.linspace(9.995, 11.005, 102)  # twice as wide, and moved by half a bin
    found = place(counts, edges, grid, rng())
    np.testing.assert_array_equal(found.sum(axis=1), counts.sum(axis=1))
    np.testing.assert_array_equal(found[:, 1:-1], counts[:, 1:-1].reshape(2, 99, 2).sum(axis=2))
    np.testing.assert_array_equal(place(counts, edges, edges, rng()), counts)


def test_bins_that_do_not_fit_make_no_pattern_and_counts_outside_are_left_out():
    edges = np.linspace(10.0, 11.0, 144)
    counts = np.full((1, 143), 10_000)
    grid = np.linspace(10.2003, 10.8003, 61)
    found = place(counts, edges, grid, rng())[0]
    even = 0.01 * 10_000 / (1 / 143)
    assert np.abs(found - even).max() < 6 * np.sqrt(even)
    assert found.sum() < counts.sum()


def test_wider_bins_and_broken_counts_are_refused():
    edges, grid = np.linspace(10, 11, 51), np.linspace(10, 11, 101)
    with pytest.raises(ConfigError, match=r"bins of 0.02 A: wider than those of 0.01 A"):
        place(np.ones((1, 50)), edges, grid, rng())
    with pytest.raises(ConfigError, match="whole numbers"):
        whole(np.full((1, 5), 0.5))


def test_an_area_on_another_grid_is_the_mean_and_none_where_there_is_none():
    edges = np.linspace(10, 11, 101)
    area = np.linspace(1, 2, 100)
    found = area_on(area, edges, np.linspace(9.5, 11.5, 41))
    assert not found[:10].any()
    np.testing.assert_allclose(found[10:30], area.reshape(20, 5).mean(axis=1))
    assert coverage(found, np.ones(40)) == pytest.approx(0.5)


def test_counts_of_another_area_are_those_of_the_nominal_one():
    nominal = np.linspace(1.0, 3.0, 400)
    area = nominal * np.linspace(1.0, 2.0, 400)
    area[200:203] = 0.0  # a gap between chips
    light = 50.0
    counts = rng(1).poisson(light * area, (30, 400))
    found = to_nominal(counts, area, nominal, MANY, rng(2))
    k = 10**found.log_scale
    np.testing.assert_allclose(k, k[0])
    assert 1.0 <= k[0] < 1.2
    known = found.part[0] == 1
    assert known.sum() > 330
    assert not found.part[0, 200:203].any()
    assert not to_nominal(np.ones_like(counts), area, nominal, MANY, rng(2)).counts[:, 200:203].any()
    mean = found.counts[:, known].mean(axis=0) / (k[0] * light * nominal[known])
    assert mean.mean() == pytest.approx(1, abs=0.005)
    assert mean[-50:].mean() == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(found.kept, found.counts.sum(axis=1) / counts.sum(axis=1))


def test_an_area_like_the_nominal_one_costs_no_count_and_none_at_all_gives_nothing():
    nominal = np.linspace(1.0, 3.0, 100)
    counts = rng().poisson(4.0, (3, 100))
    same = to_nominal(counts, 2 * nominal, nominal, MANY, rng())
    np.testing.assert_array_equal(same.counts, counts)
    np.testing.assert_allclose(10**same.log_scale, 2)
    assert (same.part == 1).all()
    none = to_nominal(counts, 0 * nominal, nominal, MANY, rng())
    assert not none.part.any()
    assert to_nominal(counts[:0], nominal, nominal, MANY, rng()).counts.shape == (0, 100)


def test_a_spectrum_that_is_too_bright_is_thinned_and_others_are_not():
    counts = np.stack([rng().poisson(2.0, 200), rng().poisson(200.0, 200)])
    found = to_nominal(counts, np.ones(200), np.ones(200), Brightest(1000.0, 100.0), rng(3))
    np.testing.assert_array_equal(found.counts[0], counts[0])
    assert found.kept[0] == 1
    assert windows(found.counts[1:]).max() < 100
    assert found.log_scale[1] == pytest.approx(np.log10(found.kept[1]), abs=0.05)
    again = to_nominal(counts, np.ones(200), np.ones(200), Brightest(1000.0, 100.0), rng(3))
    np.testing.assert_array_equal(again.counts, found.counts)


def test_windows_are_sums_of_neighbours():
    given = rng().poisson(2.0, (2, 40))
    slow = [[row[max(k - 2, 0) : k + 3].sum() for k in range(40)] for row in given]
    np.testing.assert_allclose(windows(given), slow)
