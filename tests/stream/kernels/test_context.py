import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.kernels import context
from stream.kernels.context import ISLAND, describe_candidates, list_islands, surround
from stream.messages import EVENT, TRACK, Flag

ORIGINS = np.zeros((256, 2), np.int32)
ORIGINS[2] = 600, 50


def listed(events, tracks, most=100, gain=2.0):
    islands, source = np.full((most, len(ISLAND)), np.nan, np.float32), np.full(most, -99)
    n = list_islands(events, tracks, ORIGINS, gain, islands, source)
    return islands[:n], source[:n]


def an_event(**values):
    event = np.zeros(1, EVENT)
    for name, value in values.items():
        event[name] = value
    return event


def test_tracks_come_first_and_events_in_tracks_not_at_all():
    track = np.zeros(1, TRACK)
    values = {"quadrant": 2, "x": 10.5, "y": 20, "mean_x": 11, "mean_y": 21, "var_x": 4, "var_y": 9, "cov_xy": 5,
              "energy_ev": 1e5, "peak_ev": 4e4, "pixels": 7, "x_min": 8, "x_max": 13, "y_min": 16,
              "y_max": 25}  # fmt: skip
    for name, value in values.items():
        track[name] = value
    island = np.arange(25, dtype=np.float32)
    lone = an_event(quadrant=2, x=100, y=200, sub_x=0.25, sub_y=-0.5, energy_ev=3000, pixels=2, island=island)
    inside = an_event(quadrant=2, x=10, y=20, flag=int(Flag.IN_TRACK))
    islands, source = listed(np.concatenate([inside, lone]), track)
    assert source.tolist() == [-1, 1]
    expected = [610.5, 70, 611, 71, 4, 9, 5, 1e5, 4e4, 7, 608, 613, 66, 75, 2, 1]
    np.testing.assert_allclose(islands[0], expected)
    expected = [700.25, 249.5, 700.25, 249.5, 0, 0, 0, 3000, 24, 2, 700, 700, 250, 250, 2, 0]
    np.testing.assert_allclose(islands[1], expected)
    assert listed(np.concatenate([inside, lone]), track, most=1)[1].tolist() == [-1]
    assert listed(np.empty(0, EVENT), np.empty(0, TRACK))[1].size == 0


def test_candidates_are_described_with_their_pixels():
    island = np.arange(25, dtype=np.float32)
    island[3] = np.nan
    event = an_event(quadrant=2, x=0, y=511, sub_x=0.5, sub_y=0.25, energy_ev=1234, pixels=3, island=island)
    sides, out = np.full((256, 2), 512, np.int32), np.empty((1, 31), np.float32)
    describe_candidates(event, np.array([0]), sides, 2.0, out)
    np.testing.assert_allclose(out[0, :6], [1234, 3, 0.5, 0.25, 1 / 512 - 1, 1 - 1 / 512])
    np.testing.assert_allclose(out[0, 6:], [*range(0, 6, 2), 0, *range(8, 50, 2)])


@given(st.integers(0, 40), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_the_nearest_come_first_as_a_plain_sort_has_them(number, most, seed):
    rng = np.random.default_rng(seed)
    islands = rng.integers(0, 1000, (number + 5, len(ISLAND))).astype(np.float32)
    islands[:, context.QUADRANT] = rng.integers(0, 4, number + 5)
    at, own = np.array([[300, 400]], np.float32), int(rng.integers(-1, number))
    around, known = np.full((1, most, len(ISLAND)), np.nan, np.float32), np.full((1, most), np.nan, np.float32)
    surround(at, np.ones(1, np.float32), np.array([own]), np.array([[0, number]]), islands, around, known)
    rows = np.delete(islands[:number], own, axis=0) if own >= 0 else islands[:number]
    away = ((rows[:, :2] - at) ** 2).sum(axis=1)
    rows = rows[np.argsort(away, kind="stable")][:most].copy()
    for columns, shift in (
        ((context.X, context.MEAN_X, context.X_MIN, context.X_MAX), 300),
        ((context.Y, context.MEAN_Y, context.Y_MIN, context.Y_MAX), 400),
    ):
        rows[:, columns] -= shift
    rows[:, context.QUADRANT] = rows[:, context.QUADRANT] == 1
    assert known[0].tolist() == [1] * len(rows) + [0] * (most - len(rows))
    assert np.sort(away)[: len(rows)] == pytest.approx((around[0, : len(rows), :2] ** 2).sum(axis=1))
    if np.unique(away).size == away.size:
        np.testing.assert_allclose(around[0, : len(rows)], rows)
    assert not around[0, len(rows) :].any()
