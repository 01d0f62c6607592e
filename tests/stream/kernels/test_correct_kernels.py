import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.kernels.common_mode import NO_LIMIT, row_common_mode
from stream.kernels.follow import count_hits, find_flickering, follow_rows
from stream.kernels.hits import NEVER, find_hits, find_hits_in_image

WINDOW = np.int32(28 * 256)


def noise_frame(seed=0, rows=64, columns=512, offset=500.0, rms=7.0):
    rng = np.random.default_rng(seed)
    return np.rint(offset + rng.normal(0, rms, (rows, columns))).astype(np.uint16)


def common_mode(pixels, offset=500):
    out = np.empty(len(pixels), np.float32)
    lost = row_common_mode(pixels, np.full(pixels.shape, offset * 256, np.int32), (WINDOW, NO_LIMIT), out)
    return out, lost


@pytest.mark.parametrize("step", [0, 3, 20, -20, 60, 400])
def test_steps_of_any_height_are_found(step):
    pixels = noise_frame()
    pixels[10:20] = (pixels[10:20].astype(int) + step).astype(np.uint16)
    out, lost = common_mode(pixels)
    assert lost == 0
    assert out[10:20].mean() == pytest.approx(step, abs=0.4)
    assert abs(out[20:].mean()) < 0.2


def test_no_working_row_has_a_step_beyond_the_limit():
    out = np.empty(2, np.float32)
    pixels = np.array([np.full(64, 0), np.full(64, 510)], np.uint16)
    assert row_common_mode(pixels, np.full(pixels.shape, 500 * 256, np.int32), (WINDOW, np.int32(400 * 256)), out) == 1
    assert out.tolist() == [0, 10]


def test_signal_does_not_move_the_common_mode():
    pixels = noise_frame(1)
    clean, _ = common_mode(pixels)
    pixels[5, 100:160] = 6000  # a track along the row
    dirty, lost = common_mode(pixels)
    assert lost == 0
    assert abs(dirty[5] - clean[5]) < 0.5


def test_a_row_without_quiet_pixels_has_none():
    pixels = noise_frame(2)
    pixels[7] = np.linspace(0, 65535, 512).astype(np.uint16)
    out, lost = common_mode(pixels)
    assert (lost, out[7]) == (1, 0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 200))
@settings(deadline=None, max_examples=30)
def test_hits_agree_with_numpy(seed, threshold):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 1000, (20, 33)).astype(np.uint16)
    offset = rng.integers(0, 500 * 256, pixels.shape).astype(np.int32)
    thr = np.full(pixels.shape, threshold, np.uint16)
    thr[rng.random(pixels.shape) < 0.1] = NEVER
    common = rng.normal(0, 20, 20).astype(np.float32)
    out = np.empty((pixels.size, 2), np.int16)
    n = find_hits(pixels, offset, common, thr, out)
    level = np.rint(common * np.float32(256)).astype(np.int64)[:, None]
    whole = (pixels.astype(np.int64) * 256 - offset - level + 128) // 256  # rounded to whole ADU
    expected = (whole > thr) & (thr != NEVER)
    assert np.array_equal(out[:n], np.argwhere(expected))


def test_too_many_hits_are_reported():
    pixels = np.full((8, 8), 60000, np.uint16)
    zero = np.zeros((8, 8), np.int32)
    out = np.empty((10, 2), np.int16)
    assert find_hits(pixels, zero, np.zeros(8, np.float32), np.full((8, 8), 5, np.uint16), out) == -1
    assert find_hits_in_image(np.full((8, 8), 9, np.float32), np.float32(5), out)[0] == -1


def test_image_hits_skip_what_is_not_finite():
    image = np.zeros((4, 9), np.float32)
    image[1, 2], image[1, 3], image[2, 2], image[3, 3] = 50, np.nan, np.inf, -np.inf
    out = np.empty((10, 2), np.int16)
    count, holes = find_hits_in_image(image, np.float32(40), out)
    assert (count, holes, out[0].tolist()) == (1, 3, [1, 2])


def follow(frames, offset=500.0, rms=7.0, shift=6, weight=1 / 512):
    shape = frames[0].shape
    maps = np.full(shape, int(offset * 256), np.int32), np.full(shape, rms**2, np.float32)
    rule = (4.0, shift, weight)
    threshold = np.full(shape, 72, np.uint16)
    for frame in frames:
        follow_rows(frame, *maps, np.zeros(shape[0], np.float32), threshold, 0, 1, rule)
    return maps[0] / 256, np.sqrt(maps[1])


def test_offset_and_noise_follow_the_detector():
    rng = np.random.default_rng(3)
    frames = [np.rint(505 + rng.normal(0, 9, (32, 64))).astype(np.uint16) for _ in range(3000)]
    offset, noise = follow(frames)
    assert offset.mean() == pytest.approx(505, abs=0.05)  # a truncating shift would sit 0.1 lower
    assert noise.mean() == pytest.approx(9, rel=0.02)


def test_photons_do_not_move_the_maps():
    frames = [np.full((16, 16), 500, np.uint16) for _ in range(50)]
    for frame in frames:
        frame[8, 8] = 900
    offset, noise = follow(frames)
    assert offset[8, 8] == 500
    assert noise[8, 8] == pytest.approx(7)


def test_streaks_of_hits():
    shape = (8, 8)
    streak, last = np.zeros(shape, np.uint8), np.full(shape, -9, np.int32)
    window, out = np.zeros(shape, np.uint16), np.empty((9, 2), np.int16)
    hit = np.array([[2, 3]], np.int16)
    counts = [count_hits(hit if n != 4 else hit[:0], np.int32(n), streak, last, window, 3, out) for n in range(8)]
    assert counts == [0, 0, 1, 1, 0, 0, 0, 1]
    assert window[2, 3] == 7


def test_flickering_pixels_are_alone():
    window = np.zeros((16, 16), np.uint16)
    window[3, 3] = 40  # alone
    window[9:12, 9:12] = 15
    window[10, 10] = 40  # a source
    out = np.empty((9, 2), np.int16)
    assert find_flickering(window, np.uint16(12), out) == 1
    assert out[0].tolist() == [3, 3]
