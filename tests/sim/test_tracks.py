import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from config.errors import ConfigError
from config.load import load
from sim.charge import PAIR_ENERGY_EV
from sim.tracks import TRACK_PIXEL, Tracks, cross

LAYOUT = load("quick").detector
WIDE = load("wfi").detector
SHAPE = (LAYOUT.rows, LAYOUT.columns)


def walk(start, step, n=20_001):
    """Return path per pixel by small steps: the slow twin of `cross`."""
    points = np.array(start) + np.linspace(0, 1, n)[:, None] * np.array(step)
    cells = np.rint((points[1:] + points[:-1]) / 2).astype(int)
    good = ((cells >= 0) & (cells < SHAPE[::-1])).all(1)
    end = int(np.argmin(good)) if not good.all() else n - 1
    found, counts = np.unique(cells[:end], axis=0, return_counts=True)
    return {tuple(c): k * math.hypot(*step) / (n - 1) for c, k in zip(found.tolist(), counts, strict=True)}


starts = st.tuples(st.floats(-0.49, 63.49), st.floats(-0.49, 63.49))
steps = st.tuples(st.floats(-90, 90), st.floats(-90, 90))


@settings(deadline=None, max_examples=60)
@given(start=starts, step=steps)
def test_paths_equal_those_of_a_walk_in_small_steps(start, step):
    assume(math.hypot(*step) > 0.1)
    assume(all(s == 0 or abs(s) > 1e-6 for s in step))  # along a pixel's side the two differ by rounding
    x, y, path = cross(np.array(start), np.array(step), SHAPE)
    slow, tiny = walk(start, step), math.hypot(*step) / 5000
    assert len(set(zip(x.tolist(), y.tolist(), strict=True))) == x.size
    for at, length in zip(zip(x.tolist(), y.tolist(), strict=True), path, strict=True):
        assert slow.get(at, 0.0) == pytest.approx(length, abs=tiny)
    assert path.sum() == pytest.approx(sum(slow.values()), abs=tiny)


@settings(deadline=None)
@given(start=starts, step=steps)
def test_a_track_is_connected_and_inside(start, step):
    assume(math.hypot(*step) > 0)
    x, y, path = cross(np.array(start), np.array(step), SHAPE)
    assert np.maximum(np.abs(np.diff(x)), np.abs(np.diff(y))).max(initial=0) <= 1
    assert (path > 0).all()
    assert ((x >= 0) & (x < SHAPE[1]) & (y >= 0) & (y < SHAPE[0])).all()


@pytest.mark.parametrize(("step", "pixels"), [((30, 0), 31), ((0, -8), 9), ((6, 6), 7)])
def test_straight_and_diagonal_ways(step, pixels):
    x, y, path = cross(np.array([10.0, 10.0]), np.array(step, float), SHAPE)
    assert x.size == y.size == pixels
    assert path.sum() == pytest.approx(math.hypot(*step))


def test_a_track_stops_at_the_border():
    x, y, path = cross(np.array([60.0, 5.0]), np.array([20.0, 0.0]), SHAPE)
    assert x.tolist() == [60, 61, 62, 63]
    assert set(y.tolist()) == {5}
    assert path.sum() == pytest.approx(3.5)


def test_the_most_probable_energy_is_that_of_the_path():
    pixels = Tracks(per_frame=400).draw(0, LAYOUT, np.random.default_rng(1))
    loss = pixels["energy_ev"] / pixels["path_um"] / (80 * PAIR_ENERGY_EV)
    counts, edges = np.histogram(loss, 40, (0.6, 1.8))
    assert edges[counts.argmax()] == pytest.approx(1, abs=0.06)
    assert loss.mean() == pytest.approx(1 + 0.1 * (math.log(2) + np.euler_gamma), abs=0.01)  # Moyal's mean
    assert loss.std() == pytest.approx(0.1 * math.pi / math.sqrt(2), rel=0.05)


def test_charge_is_the_energy_in_pairs():
    deposit = Tracks(per_frame=2, fixed=True).expose(3, LAYOUT, np.random.default_rng(2))
    truth = deposit.truth["track_pixels"]
    assert np.unique(truth["track"]).tolist() == list(range(8))
    np.testing.assert_allclose(deposit.charges["electrons"] * PAIR_ENERGY_EV, truth["energy_ev"], rtol=1e-5)
    assert (deposit.charges["x"] == truth["x"]).all()
    assert (truth["frame"] == 3).all()


def test_lengths_stay_within_their_limits():
    pixels = Tracks(per_frame=50, length_min_px=5, length_max_px=9).draw(0, WIDE, np.random.default_rng(3))
    lengths = np.bincount(pixels["track"], pixels["path_um"]) / WIDE.pixel_um
    assert lengths.max() < 9.001
    assert np.median(lengths) == pytest.approx(7, abs=0.5)


def test_no_tracks_no_charge():
    deposit = Tracks(per_frame=0).expose(0, LAYOUT, np.random.default_rng())
    assert deposit.charges.size == 0
    assert deposit.truth["track_pixels"].dtype == TRACK_PIXEL


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ({"per_frame": -1}, "per_frame >= 0"),
        ({"per_frame": 1.5, "fixed": True}, "whole per_frame"),
        ({"length_min_px": 0}, "length_min_px"),
        ({"length_min_px": 5, "length_max_px": 4}, "length_max_px"),
        ({"loss_ev_per_um": 0}, "loss_ev_per_um > 0"),
        ({"loss_spread": 1}, "loss_spread"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(bad, expected):
    with pytest.raises(ConfigError, match=expected) as fault:
        Tracks(**bad)
    assert "\n" not in str(fault.value)
