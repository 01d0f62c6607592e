import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.kernels.windows import cut_windows, fill_energies, place_windows


def placed(x, y, shape, side=64, margin=16, most=100):
    places = np.full((most, 2), -1, np.int16)
    n = place_windows(np.array(x, np.int64), np.array(y, np.int64), shape, side, margin, places)
    return places[:n].tolist()


def test_no_events_need_no_windows():
    assert placed([], [], (512, 512)) == []


def test_an_event_is_in_the_middle_or_the_window_ends_with_the_frame():
    assert placed([100], [200], (512, 512)) == [[68, 168]]
    assert placed([3], [511], (512, 512)) == [[0, 448]]
    assert placed([3], [7], (20, 30)) == [[0, 0]]


def test_neighbours_share_a_window_if_enough_is_around_both():
    assert placed([100, 110], [100, 110], (512, 512)) == [[68, 68]]
    assert len(placed([100, 120], [100, 100], (512, 512))) == 2
    assert placed([3, 20], [3, 3], (512, 512)) == [[0, 0]]  # the frame ends there for both


@given(
    at=st.lists(st.tuples(st.integers(0, 199), st.integers(0, 149)), max_size=40),
    margin=st.integers(0, 31),
)
def test_every_event_has_a_window_with_its_margin(at, margin):
    x, y = ([p[i] for p in at] for i in (0, 1))
    windows = placed(x, y, (150, 200), 64, margin)
    for u, v in at:
        assert any(
            (left == 0 or u - left >= margin)
            and (bottom == 0 or v - bottom >= margin)
            and (left + 64 == 200 or left + 64 - u > margin)
            and (bottom + 64 == 150 or bottom + 64 - v > margin)
            and left <= u < left + 64
            and bottom <= v < bottom + 64
            for left, bottom in windows
        )


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_windows_hold_the_signal_as_a_plain_cut_gives_it(kind):
    rng = np.random.default_rng(1)
    pixels = rng.integers(500, 700, (40, 50)).astype(kind)
    offset = (
        rng.integers(500 * 256, 600 * 256, (40, 50)).astype(np.int32) if kind == np.uint16 else np.empty((0, 0), "i4")
    )
    common, bad = rng.normal(size=40).astype(np.float32), (rng.random((40, 50)) < 0.1).astype(np.uint8)
    if kind == np.float32:
        pixels[3, 4] = np.nan
    places = np.array([[0, 0], [30, 20], [45, 35]], np.int16)
    windows = np.full((3, 16, 16), np.nan, np.float32)
    cut_windows(pixels, offset, common, bad, 3.65, places, windows)
    signal = pixels - offset / np.float32(256) - common[:, None] if offset.size else pixels
    expected = np.zeros((60, 70), np.float32)
    expected[:40, :50] = np.nan_to_num(np.where(bad, 0, signal * 3.65))
    for (left, bottom), window in zip(places, windows, strict=True):
        np.testing.assert_allclose(window, expected[bottom : bottom + 16, left : left + 16], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_the_energies_of_a_frame_are_those_of_its_windows(kind):
    rng = np.random.default_rng(3)
    pixels = rng.normal(520, 30, (20, 30)).astype(kind)
    pixels[3, 4], pixels[19, 29] = 40_000, 0
    offset = rng.integers(490 * 256, 510 * 256, (20, 30)).astype(np.int32)
    if kind is np.float32:
        offset, pixels[5, 5] = np.empty((0, 0), np.int32), np.nan
    common, bad = rng.normal(0, 2, 20).astype(np.float32), np.zeros((20, 30), np.uint8)
    bad[7, 8] = 1
    energies, window = np.empty((20, 30), np.int16), np.empty((1, 30, 30), np.float32)
    fill_energies(pixels, offset, common, bad, 3.65, energies)
    cut_windows(pixels, offset, common, bad, 3.65, np.zeros((1, 2), np.int16), window)
    expected = np.clip(window[0, :20], -32767, 32767)
    assert abs(energies - expected).max() <= 0.51
    assert (energies[3, 4], energies[7, 8]) == (32767, 0)
