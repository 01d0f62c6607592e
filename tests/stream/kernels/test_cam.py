import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stream.kernels.cam import FEATURES, LEAST, cam_features

CLASSES = (1, 2)


def made(seed, n=3):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 3, (n, 4, 16, 16)).astype(np.float32), rng.normal(0, 2, (n, 4)).astype(np.float32)


def features(maps, logits, events):
    frame, x, y, energy = (np.array(column) for column in zip(*events, strict=True))
    return cam_features(maps, logits, frame, x, y, energy.astype(float), CLASSES, 64)


def stretched(cells, side=64):
    """Bilinear, with NumPy: once along each axis."""
    at = np.clip((np.arange(side) + 0.5) * len(cells) / side - 0.5, 0, len(cells) - 1)
    rows = np.stack([np.interp(at, np.arange(len(cells)), column) for column in cells.T], axis=1)
    return np.stack([np.interp(at, np.arange(len(cells)), row) for row in rows])


def twin(maps, logits, event):
    frame, x, y, energy = event
    window = np.s_[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
    xray, particle = (stretched(maps[frame, k])[window] for k in CLASSES)
    p = np.exp(logits[frame]) / np.exp(logits[frame]).sum()
    high, low = particle.max(), particle.min()
    return [
        energy, p[1], p[2], xray.max(), high, np.median(particle), high - xray.min(),
        high / xray.max() - low / xray.min(), (high - low) / xray.max(), high / xray.min() - low / xray.max(),
    ]  # fmt: skip


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(0, 2), st.integers(0, 63), st.integers(0, 63), st.floats(300, 10_000))
def test_features_equal_those_of_a_plain_twin(seed, frame, x, y, energy):
    maps, logits = made(seed)
    window = stretched(maps[frame, 1])[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
    assume(min(abs(window.min()), abs(window.max())) > 0.01)  # else the ratios are those of rounding errors
    found = features(maps, logits, [(frame, x, y, energy)])[0]
    np.testing.assert_allclose(found, twin(maps, logits, (frame, x, y, energy)), rtol=2e-2, atol=2e-3)


def test_a_map_of_one_value_has_flat_features():
    maps, logits = np.full((1, 4, 16, 16), 2, np.float32), np.zeros((1, 4), np.float32)
    found = dict(zip(FEATURES, features(maps, logits, [(0, 0, 63, 500.0)])[0].tolist(), strict=True))
    assert found == {
        "energy_ev": 500, "p_xray": 0.25, "p_particle": 0.25, "max_xray": 2, "max_particle": 2, "median_particle": 2,
        "f1": 0, "f2": 0, "f3": 0, "f4": 0,
    }  # fmt: skip


def test_a_denominator_of_0_gives_a_number():
    maps, logits = np.zeros((1, 4, 16, 16), np.float32), np.zeros((1, 4), np.float32)
    maps[0, 2] = 1
    found = features(maps, logits, [(0, 30, 30, 500.0)])[0]
    assert np.isfinite(found).all()
    assert found[7] == pytest.approx(0)
    assert found[4] / LEAST > 1e5


def test_no_events_give_no_features():
    maps, logits = made(0)
    none = np.empty(0, np.int64)
    assert cam_features(maps, logits, none, none, none, np.empty(0), CLASSES, 64).shape == (0, 10)
