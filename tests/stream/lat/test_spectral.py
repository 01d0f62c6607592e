import numpy as np
import pytest

from stream.lat.spectral import STRAIGHT, fit_parabolas, rebinned

EDGES = np.array([[300, 500], [500, 1000], [1000, 2000], [2000, 7000], [7000, 20_000], [20_000, 1e6]], float)
OTHERS = np.array([[300, 1000], [1000, 3000], [3000, 1e4], [1e4, 3e4], [3e4, 1e6]], float)


def drawn(number, rng, error=0.05):
    index, beta = rng.normal(2.3, 0.3, number), rng.normal(0.1, 0.1, number)
    energy = np.geomspace(EDGES[:, 0], EDGES[:, 1], 201)  # (201, b)
    x = np.log(energy / 2000)[:, None]
    f = 1e-12 * np.exp(-(index[:, None] + beta[:, None] * x) * x)
    exact = np.trapezoid(f, energy[:, None], axis=0).reshape(number, -1)
    sigma = error * exact
    return index, beta, exact, exact + sigma * rng.standard_normal(exact.shape), sigma


def test_parabolas_are_found_back_with_honest_errors():
    index, beta, _, flux, sigma = drawn(800, np.random.default_rng(1))
    told = fit_parabolas(flux, sigma, EDGES)
    for found, error, truth in ((told.index, told.index_error, index), (told.beta, told.beta_error, beta)):
        pull = (found - truth) / error
        assert abs(pull.mean()) < 0.1
        assert pull.std() == pytest.approx(1.0, abs=0.15)  # the prior and 2 % of systematics hold it
    assert np.all(told.chi2 <= fit_parabolas(flux, sigma, EDGES, STRAIGHT).chi2 + 30)


def test_exact_fluxes_are_fitted_exactly_and_missing_bands_do_not_matter():
    index, _, exact, _, sigma = drawn(50, np.random.default_rng(2), 0.01)
    exact[:, 3] = np.nan
    wide = ((2.3, 5.0), (0.0, 5.0))
    told = fit_parabolas(exact, sigma, EDGES, wide)
    np.testing.assert_allclose(told.index, index, atol=3e-3)
    nothing = fit_parabolas(exact * np.nan, sigma, EDGES)
    assert np.isnan(nothing.log_norm).all()
    np.testing.assert_allclose(nothing.index, 2.3)
    assert fit_parabolas(exact[:0], sigma[:0], EDGES).index.shape == (0,)


def test_rebinned_fluxes_are_those_of_the_other_bands():
    _, _, exact, _, sigma = drawn(60, np.random.default_rng(3), 0.01)
    shape = fit_parabolas(exact, sigma, EDGES, ((2.3, 5.0), (0.0, 5.0)))
    flux, error = rebinned(exact, sigma, EDGES, OTHERS, shape)
    np.testing.assert_allclose(flux, shape.fluxes(OTHERS), rtol=1e-2)
    np.testing.assert_allclose(flux[:, 0], exact[:, 0] + exact[:, 1], rtol=1e-6)
    np.testing.assert_allclose(error[:, 0], np.hypot(sigma[:, 0], sigma[:, 1]), rtol=1e-6)
    same, own = rebinned(exact, sigma, EDGES, EDGES, shape)
    np.testing.assert_allclose(same, exact, rtol=1e-9)
    np.testing.assert_allclose(own, sigma, rtol=1e-9)
    low, _ = rebinned(exact, sigma, EDGES, np.array([[50.0, 100.0]]), shape)
    assert np.isnan(low).all()
