"""What was seen adds up to what has passed."""

from dataclasses import replace

import numpy as np
import pytest

from tests.stream.stages.streams import START
from tests.view.readouts import CUT, KEPT, SCREENED, passed, read_out
from view.sight import EDGES_KEV, KINDS, PATTERNS, SPECTRUM_KEV, Sight, camera_of, segments

ALL = (0, len(EDGES_KEV) - 1)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sight(clock):
    made = Sight(clock=clock)
    made.open(START)
    return made


def test_events_are_counted_where_they_are_by_what_was_decided(sight):
    events = [(0, 3, 5, 0.4, 0, KEPT), (0, 3, 5, 6.0, 3, KEPT), (1, 0, 0, 2.5, 0, SCREENED), (2, 7, 1, 12.0, 13, CUT)]
    sight.add(passed(read_out(1, events[:2]), read_out(2, events[2:])))
    first, second = START.quadrants[0], START.quadrants[1]
    left, bottom = min(q.origin_x_px for q in START.quadrants), min(q.origin_y_px for q in START.quadrants)
    kept = sight.image("xrays", *ALL)
    assert (kept.sum(), kept[5 + first.origin_y_px - bottom, 3 + first.origin_x_px - left]) == (2, 2)
    rejected = sight.image("rejected", *ALL)
    assert (rejected.sum(), rejected[second.origin_y_px - bottom, second.origin_x_px - left]) == (2, 1)
    assert sight.image("tracks", *ALL).sum() == 0
    assert sight.image("xrays", 1, 3).sum() == 1  # 0.3 to 1 keV


def test_a_large_camera_is_shown_in_larger_pixels():
    start = replace(START, quadrants=tuple(replace(q, columns=512, rows=512) for q in START.quadrants))
    camera = camera_of(start)
    assert (camera.bin_px, max(camera.shape)) == (3, 195)
    sight = Sight()
    sight.open(start)
    sight.add(passed(read_out(1, [(q, 511, 511, 1, 0, KEPT) for q in range(4)])))
    assert sight.image("xrays", *ALL).sum() == 4


def test_tracks_are_drawn_as_the_lines_that_they_are(sight):
    ends = segments(
        read_out(1, tracks=[(0, 20, 20, 0.0, 12.0), (0, 20, 20, np.pi / 4, 12.0)]).tracks, np.zeros((256, 2))
    )
    assert np.allclose(np.hypot(ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1]), 12)
    assert np.allclose(ends[0], [14.5, 20.5, 26.5, 20.5])
    assert ends[1, 3] - ends[1, 1] == pytest.approx(ends[1, 2] - ends[1, 0])
    sight.add(passed(read_out(1, tracks=[(0, 20, 20, 0.0, 12.0)])))
    image = sight.image("tracks", *ALL)
    assert image.max() == 1  # once in each pixel
    assert (int(image.sum()), np.count_nonzero(image.any(axis=1))) == (pytest.approx(12, abs=1), 1)
    assert sight.image("tracks", 0, 3).sum() == 0


def test_spectra_with_and_without_screening(sight):
    screened_out = (0, 1, 1, 3.0, 0, SCREENED)  # would have been kept
    let_in = (0, 1, 1, 4.0, 13, KEPT)  # its pattern would have been cut
    both, cut = (0, 1, 1, 5.0, 0, KEPT), (0, 1, 1, 6.0, 13, CUT)
    sight.add(passed(read_out(1, [screened_out, let_in, both, cut])))
    spectra = sight.told(0)["spectra"]
    at = {name: np.flatnonzero(row).tolist() for name, row in spectra.items()}
    bins = {kev: int(np.searchsorted(SPECTRUM_KEV, kev, side="right")) - 1 for kev in (3.0, 4.0, 5.0, 6.0)}
    assert at == {"kept": [bins[4.0], bins[5.0]], "before": [bins[3.0], bins[5.0]], "rejected": [bins[3.0], bins[6.0]]}


def test_patterns_and_reasons(sight):
    sight.add(
        passed(read_out(1, [(0, 1, 1, 1, pattern, KEPT) for pattern in (0, 2, 6, 10, 13)] + [(0, 1, 1, 1, 13, CUT)]))
    )
    told = sight.told(0)
    assert told["patterns"] == dict.fromkeys(PATTERNS, 1)
    assert {name for name, number in told["reasons"].items() if number} == {"pattern", "mip"}


def test_rates_are_per_second_of_the_detector(sight, clock):
    for second in range(3):
        clock.now = 1000.0 + second
        lists = [read_out(n, [(0, 1, 1, 1, 0, KEPT), (0, 1, 1, 1, 0, SCREENED)]) for n in range(100)]
        sight.add(passed(*lists, missed=second))
    clock.now = 1003.5
    told = sight.told(0)
    rates = told["rates"]
    assert rates["age"] == [-3.0, -2.0, -1.0]
    assert rates["xrays"] == [200.0] * 3  # one in 5 ms
    assert rates["fraction"] == [0.5] * 3
    assert rates["common_mode"]["3"] == pytest.approx([0.4] * 3)
    assert (told["lists"], told["missed"], told["newest"], told["age_s"]) == (300, 3, 99, 1.5)


def test_ages_and_lags(sight, clock):
    sight.add(passed(read_out(7, captured=5_000_000_000)))
    clock.now += 2
    told = sight.told(6_000_000_000)
    assert (told["age_s"], told["lag_s"], told["open"]) == (2.0, 1.0, True)
    sight.end()
    assert sight.told(0)["open"] is False


def test_another_run_begins_anew_and_the_same_goes_on(sight):
    sight.add(passed(read_out(1, [(0, 1, 1, 1, 0, KEPT)])))
    sight.open(START)  # the daemon was started anew
    assert sight.told(0)["lists"] == 1
    sight.open(replace(START, run_id="next"))
    assert sight.told(0)["lists"] == 0
    assert sight.image("xrays", *ALL).sum() == 0


def test_what_was_decided_of_a_read_out_is_known_for_a_while(sight):
    sight.add(passed(read_out(1, [(0, 1, 1, 1, 0, KEPT)]), read_out(2, [(0, 2, 2, 1, 0, CUT)], [(0, 9, 9, 0, 5)])))
    events, tracks = sight.decided(2)
    assert (events["x"].tolist(), len(tracks)) == ([2], 1)
    assert sight.decided(3) is None


def test_quadrants_that_the_stream_does_not_have_are_left_out():
    sight = Sight()
    sight.open(replace(START, quadrants=START.quadrants[:1]))
    sight.add(passed(read_out(1, [(0, 1, 1, 1, 0, KEPT), (3, 1, 1, 1, 0, KEPT)])))
    assert sight.image("xrays", *ALL).sum() == 1


def test_without_a_stream_there_is_nothing():
    sight = Sight()
    sight.add(passed(read_out(1)))
    assert sight.told(0) == {"open": False}
    assert [sight.image(kind, *ALL).size for kind in KINDS] == [0, 0, 0]
