import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.load import load
from config.schema import Grades
from stream.kernels.events import POSITIONS, charge_loss, find_events
from stream.kernels.hits import find_hits_in_image
from stream.kernels.islands import find_tracks, measure_distances
from stream.kernels.pattern import grade_table, pattern_table
from stream.messages import EVENT, TRACK, Flag, Start
from stream.stages.reconstruct import _rules
from tests.stream.kernels.plain import EPIC, events_of, tracks_of

PLACE = (3, 15, -1, 2, 5, 7)  # frame, time_ns, source_frame, quadrant, origin x and y
SECTION = load("wfi").reconstruct.model_copy(update={"charge_loss": None})
START = Start(stream="t", run_id="r", quadrants=(), frame_time_ns=1, live_time_ns=1, pixel_dtype="<f4", saturation=1e9)


def reconstruct(image, event=100.0, split=30.0, **changes):
    image = np.asarray(image, np.float32)
    hits = np.empty((image.size, 2), np.int16)
    count, _ = find_hits_in_image(image, np.float32(event), hits)
    out = np.zeros(image.size, EVENT)
    rules = _rules(SECTION.model_copy(update=changes), START)
    splits = np.full(image.shape, split, np.float32)
    bad = np.zeros(image.shape, np.uint8)
    no_offset, no_common = np.empty((0, 0), np.int32), np.zeros(len(image), np.float32)
    n, _ = find_events(image, no_offset, no_common, bad, splits, hits[:count], rules, PLACE, out)
    return out[:n]


def blank_image(size=16):
    return np.zeros((size, size), np.float32)


images = st.builds(
    lambda seed, share, levels: _random_image(seed, share, levels),
    st.integers(0, 2**32 - 1),
    st.floats(0.01, 0.5),
    st.sampled_from([5, 50, 5000]),  # few levels make many ties
)


def _random_image(seed, share, levels):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, levels, (14, 17)) * (400 / levels)
    return np.where(rng.random(image.shape) < share, image, 0).astype(np.float32)


@given(images)
@settings(deadline=None, max_examples=60)
def test_events_agree_with_the_plain_twin(image):
    expected = events_of(image, 100, 30)
    events = reconstruct(image)
    assert {(int(e["y"]), int(e["x"])) for e in events} == set(expected)
    for e in events:
        mask, pattern, total, outer = expected[int(e["y"]), int(e["x"])]
        assert (e["neighbours"], e["pattern"], e["vfaint"]) == (mask, pattern, outer > 0)
        assert e["signal"] == pytest.approx(total, rel=1e-6)


@given(images)
@settings(deadline=None, max_examples=40)
def test_tracks_agree_with_the_plain_twin(image):
    hits = np.empty((image.size, 2), np.int16)
    count, _ = find_hits_in_image(image, np.float32(100), hits)
    marks, tracks = np.empty((image.size, 3), np.int32), np.zeros(image.size, TRACK)
    bad, seen = np.zeros(image.shape, np.uint8), np.zeros(image.shape, np.uint8)
    signal = (image, np.empty((0, 0), np.int32), np.zeros(14, np.float32), bad, np.full(image.shape, 30, np.float32))
    stack = np.empty((image.size, 2), np.int16)
    n, filled = find_tracks(*signal, hits[:count], (5, np.float32(350), 1.0), PLACE, seen, stack, tracks, marks)
    expected = tracks_of(image, 30, 100, 5, 350)
    assert n == len(expected)
    assert {(int(y) - 7, int(x) - 5) for x, y, _ in marks[:filled]} == set().union(*expected)
    assert sorted(tracks["pixels"][:n]) == sorted(map(len, expected))
    assert not seen.any()
    by_place = {(int(t["x_min"]), int(t["y_min"]), int(t["pixels"])): t for t in tracks[:n]}
    for island in expected:
        y, x = np.array(sorted(island)).T
        track = by_place[x.min(), y.min(), len(x)]
        dx, dy = x - x.mean(), y - y.mean()
        assert [track["mean_x"], track["mean_y"]] == pytest.approx([x.mean(), y.mean()], rel=1e-5)
        spread = [np.mean(dx * dx), np.mean(dy * dy), np.mean(dx * dy)]
        assert [track["var_x"], track["var_y"], track["cov_xy"]] == pytest.approx(spread, rel=1e-4, abs=1e-4)


@given(images, st.integers(0, 6), st.integers(0, 6))
@settings(deadline=None, max_examples=30)
def test_moving_the_image_moves_the_events(image, dy, dx):
    big = np.zeros((26, 29), np.float32)
    big[3:17, 3:20] = image
    moved = np.roll(big, (dy, dx), (0, 1))
    a, b = reconstruct(big), reconstruct(moved)
    assert set(zip(a["y"] + dy, a["x"] + dx, a["signal"], strict=True)) == set(
        zip(b["y"], b["x"], b["signal"], strict=True)
    )


@pytest.mark.parametrize(("mask", "pattern"), EPIC.items())
def test_every_valid_pattern(mask, pattern):
    image = blank_image()
    bits = {1: (-1, -1), 2: (-1, 0), 4: (-1, 1), 8: (0, -1), 16: (0, 1), 32: (1, -1), 64: (1, 0), 128: (1, 1)}
    image[8, 8] = 500
    for bit, (dy, dx) in bits.items():
        image[8 + dy, 8 + dx] = 100 if mask & bit else 0
    (event,) = reconstruct(image)
    assert (event["neighbours"], event["pattern"]) == (mask, pattern)
    assert event["pixels"] == 1 + mask.bit_count()
    assert event["reason"] == 0


def test_a_tie_gives_one_event():
    image = blank_image()
    image[5, 5] = image[5, 6] = image[6, 5] = image[6, 6] = 300
    assert len(reconstruct(image)) == 1


def test_a_flat_field_gives_at_most_its_last_pixel():
    assert len(reconstruct(np.full((16, 16), 300))) <= 1


def test_outer_ring_signal_invalidates_splits_only():
    image = blank_image()
    image[8, 8], image[8, 10] = 500, 50
    (single,) = reconstruct(image)
    assert (single["pattern"], single["vfaint"], single["reason"]) == (0, 1, 0)
    image[8, 9] = 60
    (split,) = reconstruct(image)
    assert (split["pattern"], split["reason"] & 2) == (13, 2)


def test_sums_above_the_mip_threshold_are_rejected():
    image = blank_image()
    image[8, 8] = 10_000
    (event,) = reconstruct(image)
    assert event["reason"] == 4


def test_border_events_are_flagged_or_excluded():
    image = blank_image()
    image[0, 0] = 500
    (event,) = reconstruct(image)
    assert event["flag"] & Flag.BORDER
    assert len(reconstruct(image, border_px=1)) == 0


def test_pixels_without_data_are_nan_and_flagged():
    image = blank_image()
    image[8, 8], image[8, 9] = 500, np.nan
    (event,) = reconstruct(image)
    assert event["flag"] & Flag.BAD_NEIGHBOUR
    assert np.isnan(event["island"][13])
    assert event["signal"] == 500


def test_sum_over_5x5():
    image = blank_image()
    image[8, 8], image[8, 10] = 500, 50
    assert reconstruct(image, sum_window=5)["signal"][0] == 550
    assert reconstruct(image, sum_window=3)["signal"][0] == 500


def test_corners_that_no_two_sides_enclose_can_be_left_out():
    image = blank_image()
    image[8, 8], image[8, 9], image[9, 8], image[9, 9], image[7, 7] = 500, 100, 90, 80, 70
    assert reconstruct(image)["signal"][0] == 840
    mask = 1 + 16 + 64 + 128
    for grade, signal, pixels in ((6, 770, 4), (7, 690, 3)):
        grades = Grades(masks={str(grade): [mask]}, otherwise=0)
        (event,) = reconstruct(image, sum_corner_grades=[6], grades=grades)
        assert (event["neighbours"], event["signal"], event["pixels"]) == (mask, signal, pixels)


def test_shared_charge_gives_the_position():
    image = blank_image()
    image[8, 8], image[8, 9] = 500, 500 * 0.999
    (event,) = reconstruct(image)
    assert event["sub_x"] == pytest.approx(0.5, abs=0.01)
    image[8, 9] = 0
    image[7, 8] = 60
    (event,) = reconstruct(image)
    assert -0.5 < event["sub_y"] < -0.2
    assert event["sub_x"] == 0


def test_charge_loss_is_interpolated_by_pattern():
    at, loss = np.array([100, 200], np.float32), np.array([[1, 3], [10, 30], [0, 0], [0, 0]], np.float32)
    assert charge_loss(0, np.float32(150), at, loss) == pytest.approx(2)
    assert charge_loss(4, np.float32(50), at, loss) == pytest.approx(10)
    assert charge_loss(1, np.float32(999), at, loss) == pytest.approx(30)
    assert charge_loss(13, np.float32(150), at, loss) == 0


def test_distances_to_tracks_and_mip_pixels():
    events = np.zeros(2, EVENT)
    events["x"], events["y"], events["quadrant"], events["reason"] = [10, 0], 10, [0, 1], [0, 2]
    origins, rejected = np.zeros((256, 2), np.int32), np.zeros(256, np.int32)
    origins[1] = 100, 0
    marks = np.array([[13, 14, 0], [100, 22, 1]], np.int32)
    measure_distances(events, origins, marks, 0, rejected)
    assert events["track_distance"].tolist() == [5, 12]
    assert events["mip_distance"][1] == 12
    assert rejected[:2].tolist() == [0, 1]
    measure_distances(events, origins, marks[:1], 0, rejected)
    assert events["mip_distance"].tolist() == [-1, -1]


def test_events_in_a_track_are_flagged_and_rejected_if_asked():
    events = np.zeros(1, EVENT)
    marks = np.zeros((1, 3), np.int32)
    for reject, reason in ((0, 0), (8, 8)):
        measure_distances(events, np.zeros((256, 2), np.int32), marks, reject, np.zeros(256, np.int32))
        assert (events["flag"][0], events["reason"][0]) == (Flag.IN_TRACK, reason)


def test_an_empty_image_has_no_events():
    assert len(reconstruct(blank_image())) == 0


def test_tables():
    assert (pattern_table() == 13).sum() == 256 - 13
    grades = grade_table({"6": [72, 104]}, 7)
    assert (grades[72], grades[0], grades.dtype) == (6, 7, np.int16)
    assert POSITIONS % 2 == 1
