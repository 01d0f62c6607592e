import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.kernels.common_mode import row_common_mode
from stream.kernels.follow import follow_rows
from stream.kernels.hits import NEVER, find_hits
from stream.kernels.rows import UNFIT, round_offset, sift_rows

RULE = (np.int32(28 * 256), np.int32(450 * 256))


def split(offset):
    low, rest = np.empty(offset.shape, np.uint16), np.empty(len(offset), np.int32)
    round_offset(offset, 0, 1, low, rest)
    return low, rest


def both_ways(pixels, offset, threshold, size, rule=RULE):
    """Return what one pass finds, and what two find: hits, rows without common mode, common mode."""
    low, rest = split(offset)
    common, out = np.full(len(pixels), np.nan, np.float32), np.zeros((size, 2), np.int16)
    found, lost = sift_rows(pixels, (offset, threshold, low, rest, threshold.min(axis=1)), rule, common, out)
    plain_common, plain_out = np.empty_like(common), np.zeros_like(out)
    plain_lost = row_common_mode(pixels, offset, rule, plain_common)
    plain_found = find_hits(pixels, offset, plain_common, threshold, plain_out)
    return (found, lost, common, out), (plain_found, plain_lost, plain_common, plain_out)


def assert_same(one, two):
    assert one[:2] == two[:2]
    np.testing.assert_array_equal(one[2], two[2])
    np.testing.assert_array_equal(one[3], two[3])


@given(
    seed=st.integers(0, 2**32 - 1),
    columns=st.integers(1, 600),
    level=st.sampled_from([0, 20, 255, 256, 300, 1000, 20_000, 33_000, 60_000, 65_535]),
    rms=st.sampled_from([0.0, 2.0, 7.0, 40.0]),
    step=st.sampled_from([0, 1, 3, 25, 200, 449, 451, 5000]),
    size=st.sampled_from([0, 3, 10_000]),
    rule=st.sampled_from([RULE, (np.int32(256), np.int32(512)), (np.int32(28 * 256), np.int32(2**30))]),
)
@settings(deadline=None, max_examples=300)
def test_one_pass_finds_what_two_find(seed, columns, level, rms, step, size, rule):
    rng = np.random.default_rng(seed)
    shape = (24, columns)
    offset = np.rint(256 * np.clip(level + rng.normal(0, 8, shape), -1, 65_536)).astype(np.int32)
    pixels = offset / 256 + rng.normal(0, rms, shape)
    pixels[rng.random(24) < 0.3] += step
    pixels[rng.random(24) < 0.3] -= step
    pixels[rng.random(shape) < 0.003] += 300  # photons
    pixels[rng.random(shape) < 0.001] = 65_535  # saturated
    pixels[rng.random(shape) < 0.001] = 0
    threshold = rng.integers(1, 120, shape).astype(np.uint16)
    threshold[rng.random(shape) < 0.01] = NEVER
    threshold[-1] = NEVER
    pixels = np.rint(np.clip(pixels, 0, 65_535)).astype(np.uint16)
    assert_same(*both_ways(pixels, offset, threshold, size, rule))


@given(
    value=st.integers(0, 65_535),
    offset=st.integers(0, 65_535 * 256),
    other=st.integers(0, 65_535),
    columns=st.integers(1, 80),
)
@settings(deadline=None, max_examples=500)
def test_any_pixel_on_any_offset(value, offset, other, columns):
    pixels = np.full((2, columns), offset // 256, np.uint16)
    pixels[0, -1], pixels[1] = value, other
    offsets, threshold = np.full(pixels.shape, offset, np.int32), np.full(pixels.shape, 71, np.uint16)
    assert_same(*both_ways(pixels, offsets, threshold, 200))


def test_the_split_follows_the_rows_that_follow():
    rng = np.random.default_rng(1)
    offset, variance = np.full((16, 64), 500 * 256, np.int32), np.full((16, 64), 49, np.float32)
    low, rest = split(offset)
    for number in range(200):
        pixels = np.rint(520 + rng.normal(0, 7, offset.shape)).astype(np.uint16)
        rows, threshold = (number % 8, 8), np.full(offset.shape, 72, np.uint16)
        follow_rows(pixels, offset, variance, np.zeros(16, np.float32), threshold, *rows, (4.0, 4, 2.0**-8))
        round_offset(offset, *rows, low, rest)
    assert (offset > 505 * 256).all()
    for kept, anew in zip((low, rest), split(offset), strict=True):
        np.testing.assert_array_equal(kept, anew)
    assert (rest != UNFIT).all()
    np.testing.assert_array_equal((256 * low.astype(np.int64)).sum(axis=1) + rest, offset.sum(axis=1))


def test_a_frame_without_rows():
    empty, none = np.empty((0, 8), np.uint16), np.empty((0, 8), np.int32)
    low, rest = split(none)
    maps = (none, empty, low, rest, np.empty(0, np.uint16))
    assert sift_rows(empty, maps, RULE, np.empty(0, np.float32), np.empty((4, 2), np.int16)) == (0, 0)
