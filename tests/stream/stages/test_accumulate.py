import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from config.load import load
from stream.kernels.images import bin_means, count_events, exposed
from stream.messages import End, Product
from stream.stages.accumulate import Accumulate
from tests.event_lists import END, FRAME_NS, QUADRANTS, START, event_list, products

SETTINGS = ("record.interval_s=0.05", "accumulate.every_s=0.1", "accumulate.light_curve_s=0.01")


def intervals(readouts=60, interval_s=0.05, **bad):
    """Products of `record`: an interval each."""
    return products([placed(event_list(sequence)) for sequence in range(readouts)], interval_s=interval_s, **bad)


def placed(one):
    """Give the events of a list their places in the focal plane."""
    for q in QUADRANTS:
        mine = one.events["quadrant"] == q.id
        one.events["focal_x"][mine] = one.events["x"][mine] + q.origin_x_px + 0.25
        one.events["focal_y"][mine] = one.events["y"][mine] + q.origin_y_px - 0.25
    return one


def accumulated(found, *settings):
    stage = Accumulate(load("quick", [*SETTINGS, *settings]))
    given = [message for one in [START, *found, END] for message in stage.process(one)]
    return stage, [message for message in given if isinstance(message, Product) and message.kind == "images"]


def test_every_event_is_in_the_images_of_its_energy():
    found = intervals()
    _, images = accumulated(found, "accumulate.bands_ev=[[0, 1e6]]")
    events = np.concatenate([one.tables["EVENTS"] for one in found])
    last = images[-1]
    assert len(last.tables["EVENTS"]) == len(events) > 0
    counts = last.tables["IMAGES"]["COUNTS"][0]
    twin = np.zeros_like(counts)
    for event in events:
        twin[int(np.floor(event["DETY"] + 0.5)), int(np.floor(event["DETX"] + 0.5))] += 1
    assert (counts == twin).all()
    assert last.header["NINTERV"] == len(found)
    assert last.header["MISSING"] == 0


def test_exposure_is_that_of_the_quadrants_and_ends_where_a_pixel_is_bad():
    found = intervals()
    q = QUADRANTS[0]
    bad = np.zeros(1, found[2].tables["BADPIX"].dtype)
    bad["QUADRANT"], bad["RAWX"], bad["RAWY"] = q.id, 2, 3
    found[2].tables["BADPIX"] = bad
    _, images = accumulated(found)
    exposure = images[-1].tables["EXPOSURE"]["EXPOSURE"][0]
    whole = sum(one.header[f"NREAD{q.id:02d}"] for one in found) * START.live_time_ns * 1e-9
    before = sum(one.header[f"NREAD{q.id:02d}"] for one in found[:2]) * START.live_time_ns * 1e-9
    assert exposure[q.origin_y_px + 5, q.origin_x_px + 5] == pytest.approx(whole)
    assert exposure[q.origin_y_px + 3, q.origin_x_px + 2] == pytest.approx(before)
    covered = sum(one.columns * one.rows for one in QUADRANTS)
    assert np.count_nonzero(exposure) == covered - len(QUADRANTS)  # gaps have none; the lists call (0, 0) bad


def test_an_interval_that_never_came_has_no_exposure_and_is_counted():
    found = intervals()
    whole, lost = (accumulated(part)[1][-1] for part in (found, [*found[:1], *found[2:]]))
    assert (lost.header["MISSING"], lost.header["NINTERV"]) == (1, len(found) - 1)
    missing = found[1].header["NREAD00"] * START.live_time_ns * 1e-9
    difference = whole.tables["EXPOSURE"]["EXPOSURE"][0] - lost.tables["EXPOSURE"]["EXPOSURE"][0]
    assert difference[QUADRANTS[0].origin_y_px + 5, QUADRANTS[0].origin_x_px + 5] == pytest.approx(missing, rel=1e-5)


def test_one_that_begins_in_the_middle_says_how_much_it_has_not_seen():
    found = intervals()
    _, images = accumulated(found[2:])
    assert (images[-1].header["MISSING"], images[-1].header["OLDEST"]) == (2, 2)


def test_a_clock_that_leaps_does_not_make_an_endless_light_curve():
    late = placed(event_list(60, time_ns=10**18))  # thirty years on
    found = products([placed(event_list(0)), late], interval_s=0.05)
    _, images = accumulated(found, "accumulate.bands_ev=[[0, 1e6]]")
    curve = images[-1].tables["LIGHTCURVE"]
    assert len(curve) <= 100_001
    assert curve["COUNTS"].sum() == len(images[-1].tables["EVENTS"])


def test_an_interval_that_comes_twice_counts_once():
    found = intervals()
    stage, images = accumulated([*found[:2], found[1], *found[2:]])
    assert stage.counters["interval twice"] == 1
    assert len(images[-1].tables["EVENTS"]) == sum(len(one.tables["EVENTS"]) for one in found)


def test_a_window_holds_the_newest_and_their_exposure():
    found = intervals()
    _, images = accumulated(found, "accumulate.window_s=0.1")
    assert images[-1].header["NINTERV"] < len(found)
    kept = found[-images[-1].header["NINTERV"] :]
    assert len(images[-1].tables["EVENTS"]) == sum(len(one.tables["EVENTS"]) for one in kept)


def test_images_come_when_due_and_at_the_end():
    _, images = accumulated(intervals())
    assert [one.sequence for one in images] == list(range(1, len(images) + 1))
    assert len(images) >= 3
    times = [one.time_ns for one in images]
    assert min(np.diff(times[:-1])) >= 0.1e9 - FRAME_NS


def test_nothing_came_and_nothing_is_given():
    stage = Accumulate(load("quick", SETTINGS))
    assert list(stage.process(START)) == [START]
    assert list(stage.process(END)) == [END]
    assert list(stage.flush()) == []


def test_an_observation_without_events_has_exposure_and_a_light_curve_of_zeros():
    found = products([event_list(sequence, events={0: 0, 3: 0}) for sequence in range(20)], interval_s=0.05)
    _, images = accumulated(found)
    assert images[-1].tables["IMAGES"]["COUNTS"].sum() == 0
    assert images[-1].header["EXPOSURE"] > 0
    assert (images[-1].tables["LIGHTCURVE"]["RATE"] == 0).all()


def test_the_light_curve_knows_what_was_not_exposed():
    found = products([event_list(s) for s in (*range(10), *range(20, 30))], interval_s=1.0)
    _, images = accumulated(found, f"accumulate.light_curve_s={FRAME_NS * 1e-9 * 5}")
    curve = images[-1].tables["LIGHTCURVE"]
    share = START.live_time_ns / START.frame_time_ns
    assert curve["FRACEXP"] == pytest.approx([share] * 2 + [0] * 2 + [share] * 2, abs=1e-6)
    assert np.isnan(curve["RATE"]).tolist() == [False] * 2 + [True] * 2 + [False] * 2


@pytest.mark.parametrize("bands", ["[]", "[[500]]", "[[800, 500]]"])
def test_bands_that_are_none(bands):
    with pytest.raises(ConfigError, match="bands_ev"):
        load("quick", [f"accumulate.bands_ev={bands}"])


@given(st.lists(st.tuples(st.floats(-3, 12), st.floats(-3, 12)), max_size=30), st.integers(1, 4))
def test_events_are_counted_where_they_are(places, size):
    x, y = np.array(places, np.float32).reshape(-1, 2).T
    images = count_events(x, y, np.full(len(x), 1.0), np.array([[0.0, 2.0], [2.0, 3.0]]), (9, 7), size)
    twin = np.zeros_like(images[0])
    for a, b in zip(x, y, strict=True):
        column, row = int(np.floor((a + 0.5) / size)), int(np.floor((b + 0.5) / size))
        if 0 <= column < twin.shape[1] and 0 <= row < twin.shape[0]:
            twin[row, column] += 1
    assert (images[0] == twin).all()
    assert not images[1].any()


def test_squares_have_the_mean_of_their_pixels():
    image = np.arange(15, dtype=np.float32).reshape(3, 5)
    means = bin_means(image, 2)
    assert means.shape == (2, 3)
    assert means[0, 0] == np.mean([0, 1, 5, 6])
    assert means[1, 2] == 14 / 4


@given(st.lists(st.floats(0.01, 2), min_size=2, max_size=12))
def test_exposed_is_the_overlap(steps):
    times = np.cumsum(steps)
    start, stop = times[:-1:2], times[1::2]
    n = min(len(start), len(stop))
    edges = np.linspace(-1, times[-1] + 1, 9)
    twin = [sum(max(0.0, min(b, stop[k]) - max(a, start[k])) for k in range(n)) for a, b in itertools.pairwise(edges)]
    assert exposed(edges, start[:n][::-1], stop[:n][::-1]) == pytest.approx(twin, abs=1e-9)


def test_other_messages_pass():
    stage = Accumulate(load("quick", SETTINGS))
    other = Product(stream="s", kind="other", sequence=0, time_ns=0, header={}, tables={})
    assert list(stage.process(other)) == [other]
    assert isinstance(next(iter(stage.process(End(stream="s")))), End)


def test_vignetting_is_in_the_exposure_and_said_to_be():
    found = intervals()
    _, plain = accumulated(found)
    _, images = accumulated(
        found, "accumulate.vignetting=[[0, 1.0], [1, 0.5]]", "accumulate.axis_px=[4, 2]", "accumulate.arcsec_per_px=6"
    )
    bare, seen = (one[-1].tables["EXPOSURE"]["EXPOSURE"][0] for one in (plain, images))
    rows, columns = bare.shape
    away = np.hypot(*np.meshgrid(np.arange(columns) - 4, np.arange(rows) - 2)) * 6 / 60
    assert np.allclose(seen, bare * np.maximum(1 - 0.5 * away, 0.5), rtol=1e-6)
    assert (plain[-1].header["VIGNET"], images[-1].header["VIGNET"]) == (False, True)


def test_shares_of_the_area_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="vignetting: expected pairs of rising angles"):
        load("quick", ["accumulate.vignetting=[[5, 0.5], [1, 0.9]]"])
