"""The gate against slow code: CPU time of kernels beside plain NumPy in the same run, as ratios. No time is asserted.

Each floor is about half of what a machine of 2 cores with AVX2 gave: it is passed by noise, not by a loop that
is no longer vectorised or a frame that is copied.
"""

import time

import numpy as np
import pytest

from bench import scenes
from stream.kernels.common_mode import NO_LIMIT, row_common_mode
from stream.kernels.hits import find_hits
from stream.kernels.rows import round_offset, sift_rows
from stream.messages import Frame
from stream.transport.wire import decode, encode

WINDOW = np.int32(28 * 256)
THRESHOLD = 72  # ADU


@pytest.fixture(scope="module")
def frames():
    return [m for m in scenes.camera(2).messages(8) if isinstance(m, Frame)]


@pytest.fixture(scope="module")
def offset():
    return np.rint(scenes.maps()[0].offset * 256).astype(np.int32)


def ratio(plain, ours, repeats=9):
    """Return CPU time of `plain` over that of `ours`, the least of each, taken in turn."""
    least = {plain: np.inf, ours: np.inf}
    for work in (plain, ours) * repeats:
        began = time.thread_time_ns()
        work()
        least[work] = min(least[work], time.thread_time_ns() - began)
    return least[plain] / least[ours]


def test_hits_are_found_faster_than_numpy_compares(frames, offset):
    threshold, common = np.full((512, 512), THRESHOLD, np.uint16), np.zeros(512, np.float32)
    out = np.empty((20_000, 2), np.int16)

    def plain():
        for f in frames:
            np.argwhere((f.pixels.astype(np.int32) << 8) - offset >= (THRESHOLD + 1) * 256 - 128)

    def ours():
        for f in frames:
            find_hits(f.pixels, offset, common, threshold, out)

    found = ratio(plain, ours)
    print(f"hits: {found:.1f}")
    assert found > 2.4


def test_the_common_mode_is_faster_than_numpy(frames, offset):
    out = np.empty(512, np.float32)

    def plain():
        for f in frames:
            signal = (f.pixels.astype(np.int32) << 8) - offset
            near = np.abs(signal) < WINDOW
            np.where(near, signal, 0).sum(axis=1) / near.sum(axis=1)

    def ours():
        for f in frames:
            row_common_mode(f.pixels, offset, (WINDOW, NO_LIMIT), out)

    found = ratio(plain, ours)
    print(f"common mode: {found:.1f}")
    assert found > 2


def test_one_pass_is_faster_than_two(frames, offset):
    low, rest = np.empty(offset.shape, np.uint16), np.empty(512, np.int32)
    round_offset(offset, 0, 1, low, rest)
    threshold, common = np.full((512, 512), THRESHOLD, np.uint16), np.zeros(512, np.float32)
    rule, out = (WINDOW, np.int32(450 * 256)), np.empty((20_000, 2), np.int16)

    def plain():
        for f in frames:
            row_common_mode(f.pixels, offset, rule, common)
            find_hits(f.pixels, offset, common, threshold, out)

    def ours():
        for f in frames:
            sift_rows(f.pixels, (offset, threshold, low, rest, threshold[0]), rule, common, out)

    found = ratio(plain, ours)
    print(f"one pass: {found:.1f}")
    assert found > 2.5


def test_the_whole_chain_is_faster_than_a_sigma_clip_of_numpy(frames, offset):
    chain = scenes.chain(scenes.config())

    def plain():  # one round of what a reduction without kernels does to each frame
        for f in frames:
            signal = f.pixels.astype(np.float32) - offset * np.float32(1 / 256)
            signal -= np.median(signal, axis=1, keepdims=True)
            np.argwhere(signal > THRESHOLD)

    def ours():
        for f in frames:
            chain(f)

    found = ratio(plain, ours)
    print(f"chain: {found:.1f}")
    assert found > 8


def test_a_frame_is_not_copied_on_the_wire(frames):
    def plain():
        for f in frames:
            f.pixels.copy()

    def ours():
        for f in frames:
            decode([part if isinstance(part, bytes) else memoryview(part) for part in encode(f)])

    found = ratio(plain, ours)
    print(f"wire: {found:.2f}")
    assert found > 0.4
    for f in frames:
        read = decode([part if isinstance(part, bytes) else memoryview(part) for part in encode(f)])
        assert isinstance(read, Frame)
        assert np.shares_memory(read.pixels, f.pixels)
