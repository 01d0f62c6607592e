import numpy as np
import pytest
from scipy.optimize import minimize

from stream.kernels.gaussians import FLUX, PARAMETERS, WIDTH, X, Y, derive, fit_gaussian, log_likelihood
from stream.kernels.profiles import add_up_rings

SPREAD = 0.1
LIMITS = np.array([[1e-9, np.inf], [0, 20], [0, 20], [-1, 2], [0.1, 10]])


def window(seed, flux=80.0, holes=True):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:17, :19]
    exposure = rng.uniform(0.5, 1, x.shape)
    if holes:
        exposure[3:5] = 0
    neighbours = 3 * np.exp(-((x - 15) ** 2 + (y - 14) ** 2) / 4) * exposure
    background = np.full(x.shape, 0.3) * exposure
    own = flux * np.exp(-((x - 9.3) ** 2 + (y - 8.4) ** 2) / (2 * 1.7**2)) / (2 * np.pi * 1.7**2) * exposure
    return rng.poisson(neighbours + background + own).astype(float), neighbours, background, exposure


def plain(images, theta):
    """ln L, pixel by pixel as it is written."""
    counts, neighbours, background, exposure = images
    total = -0.5 * ((theta[4] - 1) / SPREAD) ** 2
    for v in range(counts.shape[0]):
        for u in range(counts.shape[1]):
            if exposure[v, u] > 0:
                s2 = np.exp(2 * theta[3])
                gauss = np.exp(-((u - theta[1]) ** 2 + (v - theta[2]) ** 2) / (2 * s2)) / (2 * np.pi * s2)
                mu = neighbours[v, u] + theta[4] * background[v, u] + theta[0] * exposure[v, u] * gauss
                total += counts[v, u] * np.log(mu) - mu
    return total


@pytest.mark.parametrize("seed", range(3))
def test_likelihood_gradient_and_fisher_matrix_equal_plain_ones(seed):
    images, theta = window(seed), np.array([70.0, 9.0, 8.6, np.log(1.6), 1.05])
    gradient, fisher = np.empty(PARAMETERS), np.empty((PARAMETERS, PARAMETERS))
    assert log_likelihood(images, theta, SPREAD) == pytest.approx(plain(images, theta), rel=1e-10)
    derive(images, theta, SPREAD, gradient, fisher)
    for k in range(PARAMETERS):
        step = np.zeros(PARAMETERS)
        step[k] = 1e-5
        slope = (plain(images, theta + step) - plain(images, theta - step)) / 2e-5
        assert gradient[k] == pytest.approx(slope, rel=1e-4, abs=1e-4)
    mean = images[1] + theta[4] * images[2]
    y, x = np.mgrid[:17, :19]
    s2 = np.exp(2 * theta[3])
    unit = images[3] * np.exp(-((x - theta[1]) ** 2 + (y - theta[2]) ** 2) / (2 * s2)) / (2 * np.pi * s2)
    seen = images[3] > 0
    assert fisher[FLUX, FLUX] == pytest.approx(np.sum((unit**2)[seen] / (mean + theta[0] * unit)[seen]), rel=1e-8)
    np.testing.assert_allclose(fisher, fisher.T)


def test_what_integrating_the_position_gains_equals_a_difference():
    images, theta = window(1), np.array([70.0, 9.0, 8.6, np.log(1.6), 1.05])
    gradient, fisher = np.empty(PARAMETERS), np.empty((PARAMETERS, PARAMETERS))
    gain = derive(images, theta, SPREAD, gradient, fisher)
    half = []
    for step in (-1e-5, 1e-5):
        moved = theta.copy()
        moved[WIDTH] += step
        derive(images, moved, SPREAD, gradient, fisher)
        half.append(-0.5 * (np.log(fisher[X, X]) + np.log(fisher[Y, Y])))
    assert gain == pytest.approx((half[1] - half[0]) / 2e-5, rel=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_the_maximum_is_that_of_a_general_search(seed):
    images = window(seed)
    theta, fisher = np.array([40.0, 9.0, 8.0, np.log(1.7), 1.0]), np.empty((PARAMETERS, PARAMETERS))
    free = np.array([True, True, True, False, True])
    value, converged = fit_gaussian(images, theta, free, LIMITS, SPREAD, fisher)
    assert converged
    start = np.array([50.0, 9.2, 8.3, 1.0])

    def loss(at):
        return -plain(images, np.array([at[0], at[1], at[2], np.log(1.7), at[3]])) if at[0] > 0 else 1e9

    best = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-7, "maxfev": 2000})
    assert value == pytest.approx(-best.fun, abs=1e-3)
    np.testing.assert_allclose(theta[[0, 1, 2]], best.x[:3], rtol=3e-3, atol=3e-3)


def test_a_window_without_counts_has_no_flux():
    images = window(0)
    images[0][:] = 0
    theta, fisher = np.array([40.0, 9.0, 8.0, np.log(1.7), 1.0]), np.empty((PARAMETERS, PARAMETERS))
    _, converged = fit_gaussian(images, theta, np.ones(PARAMETERS, bool), LIMITS, SPREAD, fisher)
    assert theta[FLUX] < 0.01
    assert np.isfinite(theta).all()
    assert converged


def test_rings_hold_what_a_plain_sum_says():
    counts, neighbours, background, exposure = window(2)
    theta = np.array([[80.0, 9.3, 8.4, np.log(1.7), 1.1]])
    edges = np.array([0, 2.0, 4.0, 7.0])
    found = [np.zeros((1, 3)) for _ in range(3)]
    y, x = np.mgrid[:17, :19]
    r = np.hypot(x - 9.3, y - 8.4)
    own = 80 * exposure * np.exp(-(r**2) / (2 * 1.7**2)) / (2 * np.pi * 1.7**2)
    add_up_rings((counts, background, exposure, neighbours + own), theta, edges, *found)
    for k in range(3):
        ring = (r >= edges[k]) & (r < edges[k + 1]) & (exposure > 0)
        expected = counts[ring].sum(), (1.1 * background + neighbours)[ring].sum(), ring.sum()
        np.testing.assert_allclose([f[0, k] for f in found], expected)
