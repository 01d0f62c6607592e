"""Fits by templates against plain NumPy and scipy, on a spectrum of formulae."""

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import minimize, minimize_scalar

from stream.kernels.thermal_fit import blend, fit_temperatures, profiled

ENERGY = np.linspace(0.5, 8, 60)
SIGMA = 1.5 * ENERGY**-2.5
X = np.linspace(-1, 4, 60)
STEP = X[1] - X[0]
NH_STEP = 0.02
NH = np.arange(26) * NH_STEP
RATIOS = np.array([-0.1, -0.02, 0.0, 0.02, 0.1])


def counts(x, nh):
    return 1e3 * np.exp(-ENERGY * np.exp(-x) - nh * SIGMA) * ENERGY**-1.4


def templates():
    """Values and slopes at the knots for shapes of absorption by SVD, and how much of each by nH."""
    light = np.array([counts(x, 0.0) for x in X])
    slopes = light * ENERGY * np.exp(-X)[:, None]
    through = np.exp(-NH[:, None] * SIGMA)
    _, size, right = np.linalg.svd(through, full_matrices=False)
    right = right[size > 1e-9 * size[0]]
    much, by = through @ right.T, (-SIGMA * through) @ right.T
    return light[:, None] * right, slopes[:, None] * right, (X[0], STEP, much, by, NH_STEP)


VALUES, SLOPES, AXES = templates()
NONE = np.empty((5, 0))


def blended(x, nh, tilt=NONE):
    model = np.empty((3, len(ENERGY)))
    blend((VALUES, SLOPES, AXES, tilt), np.array([x, nh]), True, np.empty((2, 4)), model)
    return model


@pytest.mark.parametrize(("x", "nh"), [(0.31, 0.013), (1.7, 0.2), (3.9, 0.0), (-0.99, 0.49)])
def test_a_blend_is_the_spectrum_and_its_derivatives(x, nh):
    value, by_x, by_nh = blended(x, nh)
    np.testing.assert_allclose(value, counts(x, nh), rtol=2e-4, atol=1e-5)
    np.testing.assert_allclose(by_x, counts(x, nh) * ENERGY * np.exp(-x), rtol=2e-2, atol=1e-3)
    np.testing.assert_allclose(by_nh, -SIGMA * counts(x, nh), rtol=2e-3, atol=1e-4)
    spline = CubicHermiteSpline(X, [counts(k, 0.0) for k in X], [counts(k, 0.0) * ENERGY * np.exp(-k) for k in X])
    np.testing.assert_allclose(blended(x, 0.0)[0], spline(x), rtol=2e-5, atol=1e-5)


def test_a_tilt_is_exact_to_first_order():
    tilt = np.stack([1 + 0.1 * np.sin(ENERGY), 0.05 * ENERGY, -0.3 * SIGMA, np.full(60, 1.5), np.full(60, 0.1)])
    value, by_x, by_nh = blended(1.6, 0.12, tilt)
    ratio = tilt[0] + 0.1 * tilt[1] + 0.02 * tilt[2]
    plain = blended(1.6, 0.12)
    np.testing.assert_allclose(value, plain[0] * ratio)
    h = 1e-5
    np.testing.assert_allclose(
        by_x, (blended(1.6 + h, 0.12, tilt)[0] - blended(1.6 - h, 0.12, tilt)[0]) / (2 * h), rtol=1e-4
    )
    np.testing.assert_allclose(
        by_nh, (blended(1.6, 0.12 + h, tilt)[0] - blended(1.6, 0.12 - h, tilt)[0]) / (2 * h), rtol=1e-4
    )


def cstat(data, model):
    model = model * data.sum() / model.sum()
    return 2 * np.sum(model - data + np.where(data > 0, data * np.log(np.maximum(data, 1e-300) / model), 0.0))


def test_the_statistic_and_its_gradient_are_those_of_the_best_norm():
    data = np.random.default_rng(0).poisson(0.03 * counts(1.5, 0.1)).astype(float)
    told, h = np.empty(6), 1e-5
    value = profiled(data, data.sum(), blended(1.4, 0.12), True, told)
    assert value == pytest.approx(cstat(data, blended(1.4, 0.12)[0]), rel=1e-9)
    for i, (dx, dn) in enumerate(((h, 0.0), (0.0, h))):
        up, down = (cstat(data, blended(1.4 + s * dx, 0.12 + s * dn)[0]) for s in (1, -1))
        assert 2 * told[i] == pytest.approx((up - down) / (2 * h), rel=1e-4)


def fitted(data, tilts=None):
    k = len(data)
    found, curve = np.empty((k, 6)), np.empty((k, len(RATIOS)))
    limits = np.array([[X[0], X[-1]], [0.0, NH[-1]]])
    tilts = np.empty((k, 5, 0)) if tilts is None else tilts
    fit_temperatures(data, VALUES, SLOPES, AXES, tilts, limits, 0.1, RATIOS, found, curve)
    return found, curve


@pytest.mark.parametrize("norm", [0.003, 0.03, 1.0])
def test_fits_and_curves_are_the_least_that_a_simplex_finds(norm):
    rng = np.random.default_rng(1)
    data = np.array([rng.poisson(norm * counts(x, 0.15)) for x in (0.5, 1.3, 2.0)], float)
    found, curve = fitted(data)
    for row, rises, one in zip(found, curve, data, strict=True):

        def of(p, one=one):
            return cstat(one, blended(p[0], np.clip(p[1], 0, NH[-1]))[0])

        best = min((minimize(of, [s, 0.1], method="Nelder-Mead") for s in (0.5, 1.5, 2.5)), key=lambda r: r.fun)
        assert row[4] == pytest.approx(best.fun, abs=1e-3)
        assert row[0] == pytest.approx(best.x[0], abs=0.05 * row[1])
        assert rises[2] == 0
        for ratio, rise in zip(RATIOS[[0, 4]], rises[[0, 4]], strict=True):
            slow = minimize_scalar(lambda nh, at=row[0] + ratio: of((at, nh)), bounds=(0, NH[-1]), method="bounded")
            assert rise == pytest.approx(slow.fun - row[4], abs=1e-3 * max(rise, 1.0))


def test_nothing_but_noise_ends_at_a_limit_and_says_so():
    rising = np.exp(ENERGY)[None]  # hotter than any template
    found, curve = fitted(rising)
    assert found[0, 0] == X[-1]
    assert found[0, 5] == 0
    assert np.isnan(curve[0, 3:]).all()
    empty, _ = fitted(np.zeros((1, len(ENERGY))))
    assert empty[0, 3] == 0
    assert np.isfinite(empty).all()
