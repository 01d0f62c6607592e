from dataclasses import replace

import numpy as np
import pytest

from stream.errors import ConfigError
from stream.messages import FLICKERING, HOT, CorrectedFrame, Quality, Start
from stream.stages.correct import Correct
from tests.stream.stages.streams import CONFIG, ONE, frame, maps, push, with_pixels


def corrected(*frames, config=CONFIG, given=None, start=ONE):
    stage = Correct(config, maps() if given is None else given)
    return [m for m in push(stage, start, *frames) if isinstance(m, CorrectedFrame)]


def test_hits_are_the_pixels_above_the_event_threshold():
    (result,) = corrected(with_pixels(0, {(10, 20): 100, (30, 5): 5000, (40, 40): 40}))
    assert result.hits.tolist() == [[10, 20], [30, 5]]
    assert result.frame.pixels is not None
    assert result.frame.quality == 0


def test_the_pixels_are_not_copied():
    sent = frame(0)
    (result,) = corrected(sent)
    assert result.frame.pixels is sent.pixels


def test_a_row_step_gives_no_hits():
    sent = frame(0)
    sent.pixels[10:20] += 100
    (result,) = corrected(sent)
    assert len(result.hits) == 0
    assert result.common_mode[10:20].mean() == pytest.approx(100, abs=1)


def test_a_hot_pixel_is_masked_within_ten_frames():
    results = corrected(*[with_pixels(n, {(5, 6): 5000}) for n in range(20)])
    found = [(r.frame.sequence, b) for r in results for b in r.new_bad]
    assert len(found) == 1
    sequence, bad = found[0]
    assert sequence < 10
    assert (bad["x"], bad["y"], bad["kind"]) == (6, 5, HOT)
    assert all(len(r.hits) == 0 for r in results if r.frame.sequence > sequence)


def test_a_flickering_pixel_is_masked_and_a_source_is_not():
    section = CONFIG.correct.model_copy(update={"flicker_window_frames": 100})
    rng = np.random.default_rng(1)
    sent = []
    for n in range(101):
        values = {(50, 50): 300} if n % 3 == 0 else {}
        y, x = np.clip(np.rint(rng.normal(20, 0.7, 2)), 0, 63).astype(int)
        sent.append(with_pixels(n, values | {(int(y), int(x)): 300}))
    results = corrected(*sent, config=CONFIG.model_copy(update={"correct": section}))
    found = [(b["y"], b["x"], b["kind"]) for r in results for b in r.new_bad]
    assert found == [(50, 50, FLICKERING)]


def test_maps_name_their_versions_in_start():
    stage = Correct(CONFIG, maps())
    (start,) = push(stage, ONE)
    assert isinstance(start, Start)
    assert start.map_versions == {0: "test"}


def test_adu_frames_without_maps_are_refused():
    with pytest.raises(ConfigError, match="quadrant 0: no offset map"):
        corrected(frame(0), given={})


def test_maps_of_another_shape_are_refused():
    wrong = {0: replace(maps()[0], offset=np.zeros((3, 3), np.float32))}
    with pytest.raises(ConfigError, match=r"maps are \(3, 3\)"):
        corrected(frame(0), given=wrong)


def test_a_frame_full_of_hits_overflows():
    config = CONFIG.model_copy(update={"reconstruct": CONFIG.reconstruct.model_copy(update={"max_hits": 100})})
    sent = frame(0)
    sent.pixels[:, ::2] = 60_000
    (result,) = corrected(sent, config=config)
    assert result.frame.quality & Quality.OVERFLOW
    assert len(result.hits) == 0


def test_float_frames_hold_signal_already():
    image = np.zeros((64, 64), np.float32)
    image[3, 4], image[9, 9] = 1000, np.nan
    start = replace(ONE, pixel_dtype="<f4", gain_ev=1.0)
    (result,) = corrected(frame(0, pixels=image), given={}, start=start)
    assert result.hits.tolist() == [[3, 4]]
    assert result.frame.quality == Quality.NOT_A_NUMBER
    assert result.offset.size == 0


def test_thresholds_in_sigma_follow_the_noise_map():
    section = CONFIG.reconstruct.model_copy(update={"event_threshold_ev": None, "event_threshold_sigma": 5.0})
    noisy = maps()
    noisy[0].noise[:, 32:] = 20
    sent = frame(0, pixels=np.full((64, 64), 500, np.uint16))
    sent.pixels[10, 10] = sent.pixels[10, 50] = 560
    (result,) = corrected(sent, config=CONFIG.model_copy(update={"reconstruct": section}), given=noisy)
    assert result.hits.tolist() == [[10, 10]]


def test_the_maps_follow_a_drift():
    sent = [frame(n, pixels=frame(n).pixels + np.uint16(2 if n > 10 else 0)) for n in range(3000)]
    section = CONFIG.correct.model_copy(update={"track_every": 1, "track_shift": 6, "common_mode": "none"})
    results = corrected(*sent, config=CONFIG.model_copy(update={"correct": section}))
    assert results[-1].offset.mean() / 256 == pytest.approx(502, abs=0.05)


def test_no_hit_remains_of_a_pixel_that_is_masked_in_the_frame():
    results = corrected(*[with_pixels(n, {(5, 6): 5000}) for n in range(10)])
    (masked,) = [r for r in results if len(r.new_bad)]
    assert len(masked.hits) == 0
