"""The kernels beside their slow twins."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from stream.kernels.corona import KMS, continuum_light, line_light, spread_lines, to_bins


def _twin_lines(table, at_t, at_n, norm, factor):
    out = np.zeros((len(norm), table.shape[2]))
    for s in range(len(norm)):
        for m in range(norm.shape[1]):
            i, x, j, y = at_t[0][s, m], at_t[1][s, m], at_n[0][s], at_n[1][s]
            low = (1 - y) * table[i, j] + y * table[i, j + 1]
            high = (1 - y) * table[i + 1, j] + y * table[i + 1, j + 1]
            out[s] += norm[s, m] * np.exp((1 - x) * low + x * high)
    return out * factor


def _drawn(rng, s=3, m=2, t=5, n=4, lines=6):
    table = rng.normal(0, 2, (t, n, lines))
    at_t = rng.integers(0, t - 1, (s, m)), rng.random((s, m))
    at_n = rng.integers(0, n - 1, s), rng.random(s)
    norm = rng.random((s, m))
    norm[0, 1] = 0.0
    return table, at_t, at_n, norm


def test_light_of_lines_is_that_of_the_twin():
    rng = np.random.default_rng(1)
    table, at_t, at_n, norm = _drawn(rng)
    for rows in (1, 3):
        factor = rng.random((rows, 6))
        out = np.zeros((3, 6))
        line_light(table, at_t, at_n, norm, factor, out)
        assert np.allclose(out, _twin_lines(table, at_t, at_n, norm, factor))


def test_light_of_the_continuum_is_that_of_the_twin():
    rng = np.random.default_rng(2)
    _, at_t, _, norm = _drawn(rng)
    table, abundance = rng.normal(0, 1, (4, 5, 7)), rng.random((3, 4))
    abundance[1, 2] = 0.0
    out = np.zeros((3, 7))
    continuum_light(table, at_t, norm, abundance, out)
    twin = np.zeros((3, 7))
    for s in range(3):
        for m in range(2):
            i, x = at_t[0][s, m], at_t[1][s, m]
            ln = (1 - x) * table[:, i] + x * table[:, i + 1]
            twin[s] += norm[s, m] * (abundance[s, :, None] * np.exp(ln)).sum(axis=0)
    assert np.allclose(out, twin)


def test_a_density_without_light_gives_none():
    out = np.zeros((1, 2))
    to_bins(np.zeros((1, 3)), np.array([0, 1]), np.array([0.5, 0.5]), np.ones(2), out)
    assert not out.any()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(9.0, 21.0), min_size=1, max_size=5),
    st.floats(0.0, 0.2),
    st.floats(-500.0, 500.0),
    st.floats(0.0, 400.0),
    st.integers(0, 1000),
)
def test_lines_are_spread_as_the_twin_does(wavelength, sigma, shift, broad, seed):
    rng = np.random.default_rng(seed)
    edges = np.unique(np.concatenate([[10.0, 20.0], rng.uniform(10, 20, 40)]))
    at = np.array(wavelength)
    light = rng.random((1, len(at)))
    light[0, 0] = max(light[0, 0], 0.1)
    out = np.zeros((1, len(edges) - 1))
    spread_lines(light, at, np.full(len(at), sigma), (np.array([shift]), np.array([broad])), edges, out)
    centre = at * (1 + shift / KMS)
    wide = np.maximum(np.hypot(sigma, at * broad / KMS), 1e-12)
    twin = np.diff(ndtr((edges[:, None] - centre) / wide), axis=0) @ light[0]
    assert np.allclose(out[0], twin, atol=2e-6)
    assert out.sum() <= light.sum() * (1 + 1e-9)


def test_a_line_without_width_is_in_one_bin():
    out = np.zeros((1, 4))
    edges = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    still = np.zeros(1), np.zeros(1)
    spread_lines(np.array([[2.0, 3.0]]), np.array([2.5, 5.5]), np.zeros(2), still, edges, out)
    assert out.tolist() == [[0.0, 2.0, 0.0, 0.0]]
    assert math.isclose(out.sum(), 2.0)
