import numpy as np
import pytest

from stream.lat.associate import Rule, associate, by_bin, by_chance, completeness, purity, share_of, wilson
from tests.stream.lat.catalogues import detections, entries, even


def test_the_most_significant_takes_the_nearest_and_nobody_shares():
    catalogue = entries([10, 10.2, 50], [0, 0, 60])
    found = detections([10.05, 10.06, 50.0, 120], [0, 0, 60.01, 3], [30, 300, 25, 900], r95=0.2)
    told = associate(found, catalogue)
    assert told.entry.tolist() == [1, 0, 2, -1]
    assert told.separation_deg[1] == pytest.approx(0.06)
    assert told.taken(3).all()


def test_a_match_lies_within_the_errors_and_the_limit():
    catalogue = entries([10, 20, 30], [0, 0, 0], conf=np.array([0.03, 0.6, np.nan]))
    found = detections([10.1, 20.52, 30.4], [0, 0, 0], [50, 50, 50], r95=0.04)
    assert associate(found, catalogue).entry.tolist() == [-1, -1, 2]
    assert associate(found, catalogue, Rule(np.inf, 0.55)).entry.tolist() == [0, 1, 2]


def test_a_sharp_source_is_not_lost_to_its_wide_neighbour():
    """The Vela pulsar, whose radius is below a hundredth of a degree, and the nebula around it, which has none."""
    catalogue = entries([10.0, 10.3], [0, 0], conf=np.array([0.005, np.nan]))
    found = detections([10.008], [0], [90_000], r95=0.004)
    assert associate(found, catalogue).entry.tolist() == [0]
    assert associate(found, entries([10.0, 10.3], [0, 0], conf=np.array([0.005, 0.4])), Rule(np.inf, 0.5)).entry == [0]


def test_it_works_across_the_meridian_and_at_the_pole_and_with_nothing():
    catalogue = entries([359.99, 80.0], [5, 89.999])
    found = detections([0.01, 260.0], [5, 89.999], [40, 40])
    assert associate(found, catalogue).entry.tolist() == [0, 1]
    assert associate(found[:0], catalogue).entry.size == 0
    assert associate(found, catalogue[:0]).entry.tolist() == [-1, -1]


def test_chance_matches_are_taken_out():
    rng = np.random.default_rng(3)
    lon, lat = even(5000, rng)
    rule, real = Rule(np.inf, 0.5), rng.random(5000) < 0.4
    false_lon, false_lat = even(6000, rng)
    found = detections(
        np.append(lon[real], false_lon), np.append(lat[real], false_lat), rng.uniform(25, 99, 6000 + real.sum())
    )
    catalogue = entries(lon, lat)
    told, chance = associate(found, catalogue, rule), by_chance(found, catalogue, rule)
    whole = completeness(told, chance[1], catalogue)
    assert whole.observed - real.mean() > 0.05  # what chance adds
    assert whole.value == pytest.approx(real.mean(), abs=3 * (whole.high - whole.low))
    pure = purity(told, chance[0])
    assert pure.value == pytest.approx(real.sum() / len(found), abs=0.03)
    north, south = by_bin(told.taken(5000), chance[1], lat, (-90, 0, 90))
    assert north.number + south.number == 5000


def test_shares_have_wilson_intervals():
    assert wilson(0, 0) == pytest.approx((np.nan, np.nan), nan_ok=True)
    assert wilson(10, 10) == pytest.approx((1 / 1.1, 1.0))
    nothing = share_of(np.ones(3, bool), np.zeros((4, 3), bool), np.zeros(3, bool))
    assert nothing.number == 0
    assert np.isnan(nothing.value)
    sure = share_of(np.ones(10, bool), np.zeros((4, 10), bool))
    assert (sure.value, sure.low, sure.high, sure.chance) == pytest.approx((1.0, 1 / 1.1, 1.0, 0.0))
