import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.kernels.common_mode import NO_LIMIT, row_common_mode
from stream.kernels.dark import add_dark, median_and_spread, offset_and_noise, robust_start

SHAPE = (12, 64)


def dark_frames(n, seed=0, noise=7.0, common=0.0, offset=None, shape=SHAPE):
    rng = np.random.default_rng(seed)
    level = 500.0 if offset is None else offset
    rows = common * rng.standard_normal((n, shape[0], 1))
    return np.rint(level + rows + noise * rng.standard_normal((n, *shape))).astype(np.uint16)


def run(frames, top=65535):
    start, limit, window = robust_start(frames[:32])
    sums, row_sums = np.zeros((3, *start.shape), np.int64), np.zeros((2, start.shape[0]), np.int64)
    common = np.empty(start.shape[0], np.float32)
    for frame in frames:
        row_common_mode(frame, start, (window, NO_LIMIT), common)
        add_dark(frame, start, limit, common, np.float32(top), sums, row_sums)
    return start, sums, row_sums


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 9))
def test_medians_equal_those_of_numpy(seed, n):
    rng = np.random.default_rng(seed)
    stack = rng.integers(0, 65536, (n, 4, 5)).astype(np.uint16)
    common = np.rint(rng.normal(0, 99, (n, 4)) * 256).astype(np.float32) / np.float32(256)
    median, spread = np.empty((4, 5), np.int32), np.empty((4, 5), np.int32)
    median_and_spread(stack, common, median, spread)
    values = stack.astype(float) * 256 - common.astype(float)[:, :, None] * 256
    np.testing.assert_allclose(median, np.median(values, axis=0), atol=0.51)
    np.testing.assert_allclose(spread, 1.4826 * np.median(np.abs(values - median), axis=0), atol=1.3)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_sums_equal_those_of_numpy(seed):
    rng = np.random.default_rng(seed)
    frames = dark_frames(6, seed, noise=40.0)
    frames[rng.random(frames.shape) < 0.02] = 4095
    start, limit = np.full(SHAPE, 500 * 256, np.int32), rng.integers(1, 30_000, SHAPE).astype(np.int32)
    common = np.rint(rng.normal(0, 9, (6, SHAPE[0])) * 256).astype(np.int64)
    sums, row_sums = np.zeros((3, *SHAPE), np.int64), np.zeros((2, SHAPE[0]), np.int64)
    for frame, level in zip(frames, common, strict=True):
        add_dark(frame, start, limit, (level / 256).astype(np.float32), np.float32(4095), sums, row_sums)
    d = frames.astype(np.int64) * 256 - start - common[:, :, None]
    near = (np.abs(d) < limit) & (frames < 4095)
    good = near.sum(2) * 2 > SHAPE[1]
    assert (sums == [near.sum(0), (d * near).sum(0), (d * d * near).sum(0)]).all()
    assert (row_sums == [good.sum(0), (common * good).sum(0)]).all()


def test_the_order_of_the_frames_does_not_matter_after_the_start():
    frames = dark_frames(100, common=3.0)
    other = np.concatenate([frames[:32], frames[:31:-1]])
    for a, b in zip(run(frames), run(other), strict=True):
        assert (a == b).all()


@pytest.mark.parametrize("columns", [16, 64, 256])
def test_noise_is_unbiased_whatever_the_row_length(columns):
    offset, noise = offset_and_noise(*run(dark_frames(120, shape=(4096 // columns * 4, columns), common=5.0)))
    assert noise.mean() == pytest.approx(math.sqrt(49 + 1 / 12), rel=0.004)
    assert offset.mean() == pytest.approx(500, abs=0.3)


def test_offset_and_noise_equal_the_plain_ones_without_common_mode():
    frames = dark_frames(200, offset=np.random.default_rng(1).normal(500, 20, SHAPE))
    offset, noise = offset_and_noise(*run(frames))
    plain = frames.astype(float)
    residual = plain - (plain - plain.mean(0)).mean(2, keepdims=True)
    np.testing.assert_allclose(offset, plain.mean(0), atol=0.05)
    np.testing.assert_allclose(noise, residual.std(0, ddof=1) / math.sqrt(1 - 1 / 64), rtol=0.01)


def test_a_pixel_that_was_never_counted_has_the_offset_of_the_start_and_no_noise():
    frames = dark_frames(40)
    frames[:, 3, 4] = 65535
    offset, noise = offset_and_noise(*run(frames))
    assert offset[3, 4] == pytest.approx(65535, abs=5)
    assert noise[3, 4] == 0


def test_a_constant_detector_has_no_noise():
    offset, noise = offset_and_noise(*run(np.full((20, *SHAPE), 500, np.uint16)))
    assert (offset == 500).all()
    assert (noise == 0).all()


def test_saturated_frames_count_for_nothing():
    frames = dark_frames(80)
    frames[40:50] = 65535
    _, sums, row_sums = run(frames)
    assert sums[0].max() == 70
    assert row_sums[0].max() == 70
