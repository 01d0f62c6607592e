import numpy as np

from sim.lat.orbit import HEIGHT_KM, ROCK_DEG, ROW_S, good_times, in_saa, period_s, rocking_deg, rows_between

DAY = 86_400.0


def test_the_orbit_is_the_missions():
    rows = rows_between(2.4e8, 2.4e8 + 60 * DAY)
    assert abs(period_s() - 5745) < 30  # 95.75 minutes at 565 km
    assert HEIGHT_KM == 565
    assert 25.5 < np.abs(rows["lat_deg"]).max() < 25.7
    node = np.unwrap(np.arctan2(rows["pole"][:, 0], -rows["pole"][:, 1]))
    days = 2 * np.pi / abs(np.polyfit(rows["start_s"], node, 1)[0]) / DAY
    assert abs(days - 53.4) < 1.0  # Fermi's plane turns once in 53.4 days
    dead = np.mean(rows["live_s"] == 0)
    assert 0.11 < dead < 0.15


def test_the_axis_rocks_from_orbit_to_orbit():
    rows = rows_between(2.4e8, 2.4e8 + 0.5 * DAY)
    angle = np.degrees(np.arccos(np.einsum("ni,ni->n", rows["axis"], rows["zenith"])))
    np.testing.assert_allclose(angle, np.abs(rows["rock_deg"]), atol=1e-5)
    side = rocking_deg(np.array([0.5, 1.5, 2.5]) * period_s())
    np.testing.assert_allclose(side, [ROCK_DEG, -ROCK_DEG, ROCK_DEG])
    steps = np.abs(np.diff(rocking_deg(np.arange(0, 4 * period_s(), 1.0))))
    assert steps.max() < 0.3  # it turns, it does not jump


def test_rows_do_not_depend_on_where_one_begins():
    whole = rows_between(3e8, 3e8 + 9000)
    np.testing.assert_array_equal(whole[100:], rows_between(3e8 + 3000, 3e8 + 9000))
    assert len(rows_between(3e8, 3e8)) == 0


def test_good_times_are_what_is_live():
    rows = rows_between(2.4e8, 2.4e8 + DAY)
    times = good_times(rows)
    assert np.isclose((times[:, 1] - times[:, 0]).sum(), (rows["live_s"] > 0).sum() * ROW_S)
    assert not in_saa(np.array([120.0]), np.array([10.0]))[0]
    assert in_saa(np.array([-40.0]), np.array([-25.0]))[0]
    assert good_times(rows[:0]).shape == (0, 2)
