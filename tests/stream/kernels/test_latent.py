"""The latent temperature is integrated as a fine sum does it."""

import numpy as np
import pytest
from numpy.polynomial.hermite import hermgauss
from scipy.interpolate import CubicSpline

from stream.kernels.latent import integrate_latent, value_and_slope

NODES = np.linspace(-0.3, 2.8, 15)


def pieces(values):
    return np.ascontiguousarray(CubicSpline(NODES, values, axis=-1).c.T.reshape(-1, len(NODES) - 1, 4))


def plain(curve, other, pair, given, scatter):
    """ln of the integral over ln T by a sum of 40,001 terms."""
    ln_0, sd_0, ln_1, sd_1 = pair
    x = np.linspace(ln_0 - 12 * sd_0, ln_0 + 12 * sd_0, 40_001)
    s_1 = np.hypot(sd_1, scatter)
    bias, more = (CubicSpline(NODES, c)(x) for c in (curve, other))
    each = np.exp(-0.5 * ((ln_0 - x) / sd_0) ** 2 - 0.5 * ((ln_1 - x - bias) / s_1) ** 2) / (2 * np.pi * sd_0 * s_1)
    if given is not None:
        each *= np.exp(-0.5 * ((given[0] - more) / given[1]) ** 2) / (np.sqrt(2 * np.pi) * given[1])
    return np.log(each.sum() * (x[1] - x[0]))


@pytest.mark.parametrize("also", [False, True])
@pytest.mark.parametrize("sd", [0.01, 0.03, 0.1])
def test_the_integral_is_that_of_a_fine_sum(sd, also):
    rng = np.random.default_rng(3)
    curve, other = 0.1 * np.sin(NODES) + 0.02 * NODES**2, 0.05 * NODES
    ln_0 = rng.uniform(0, 2.4, 6)
    ln_1 = ln_0 + CubicSpline(NODES, curve)(ln_0) + 1.5 * sd * rng.standard_normal(6)
    given, errors = np.full((1, 6), 0.07), np.full((1, 6), 0.03)
    more = np.ascontiguousarray(pieces(other)[None])
    nothing = (np.empty((0, 0, 0, 0)), np.empty((0, 0)), np.empty((0, 0)))
    more, *extra = (more, given, errors) if also else nothing
    out, sds = np.empty((1, 6)), np.full(6, sd)
    z, w = hermgauss(7)
    integrate_latent(NODES, pieces(curve), more, ln_0, sds, ln_1, sds, *extra, np.full(1, 0.02), z, w, 3, out)
    slow = [
        plain(curve, other, (a, sd, b, sd), (0.07, 0.03) if also else None, 0.02)
        for a, b in zip(ln_0, ln_1, strict=True)
    ]
    np.testing.assert_allclose(out[0], slow, atol=2e-4 if sd < 0.1 else 5e-3)


def test_a_curve_goes_on_straight_beyond_its_nodes():
    curve = pieces(0.2 * NODES**2)[0]
    end, slope = value_and_slope(NODES, curve, NODES[-1])
    far, same = value_and_slope(NODES, curve, NODES[-1] + 1.0)
    assert slope == pytest.approx(0.4 * NODES[-1])
    assert (far, same) == pytest.approx((end + slope, slope))
