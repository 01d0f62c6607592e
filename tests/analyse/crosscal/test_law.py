"""Curves, lattices, local laws."""

import numpy as np
import pytest

from analyse.crosscal.concordance import Prior, Shrinkage
from analyse.crosscal.law import Curves, GridLaw, Lattice
from analyse.crosscal.likelihood import Data
from analyse.crosscal.local import fit_law, locate, terms
from sim.crosscal.grid import GridPlan, Inputs, simulate_grid
from sim.crosscal.sets import read_grid
from sim.crosscal.templates import Setting, Templates
from stream.crosscal.modifiers import family, middle_kev


def test_curves_invert(law):
    curves = Curves(law.ln_kt, law.ln_ratio(np.array([[0.2, 0.3, -0.1], [0.0, 0.0, 0.0]])))
    x = np.linspace(0, 2.5, 20) * np.ones((2, 1))
    bias, slope = curves.at(x)
    np.testing.assert_allclose(curves.invert(x + bias), x, atol=1e-10)
    assert np.all(bias[1] == 0)
    near = curves.at(x + 1e-6)[0]
    np.testing.assert_allclose((near - bias) / 1e-6, slope, atol=1e-5)


def test_a_lattice_holds_cubics_exactly_and_its_ends():
    axes = [np.linspace(-1, 2, 6), np.array([0.0, 1.0, 3.0, 4.0, 7.0])]
    x, y = np.meshgrid(*axes, indexing="ij")
    values = np.stack([x**3 - y**2 * x, x + y], axis=-1)
    points = np.array([[0.3, 2.2], [1.9, 6.5], [-1.0, 0.0], [5.0, 2.0]])
    found = Lattice(axes, values)(points)
    a, b = np.clip(points.T, [[-1], [0]], [[2], [7]])
    np.testing.assert_allclose(found, np.stack([a**3 - b**2 * a, a + b], axis=1), atol=1e-12)


@pytest.mark.parametrize("points", [0, 64])
def test_a_grid_gives_what_was_simulated_between_its_thetas(tmp_path, points):
    setting = Setting(nh_free=False)
    ends = {
        "mu_kev": (0.8, 1.2, 1.8, 2.7, 4.0),
        "sigma_kev": (0.8, 1.1, 1.5, 2.0),
        "amplitude": (-0.1, -0.03, 0.03, 0.1),
    }
    plan = GridPlan("gaussian", ends, points, kt_kev=(1.0, 2.0, 4.0, 8.0), setting=setting)
    for _ in simulate_grid(tmp_path / "g.h5", plan, Inputs()):
        pass
    law = GridLaw.of(read_grid(tmp_path / "g.h5"), "grid")
    theta = np.array([[1.5, 1.3, -0.07], [2.2, 0.95, 0.05]])
    response, plasma = Inputs().load()
    templates = Templates(setting, response, plasma, np.exp(law.ln_kt))
    factors = family("gaussian").factor(theta, middle_kev(response))
    exact = [templates.recover(factor, np.empty(0)) for factor in factors]
    ratio = np.array([np.log(one.kt_kev[:, 0] / templates.kt_kev) for one in exact])
    norm = np.array([np.log(one.norm[:, 0]) for one in exact])
    np.testing.assert_allclose(law.ln_ratio(theta), ratio, atol=2e-3 if points == 0 else 5e-3)
    np.testing.assert_allclose(law.others(theta)[0], norm, atol=2e-3)
    assert law.others(theta)[1] == pytest.approx(0, abs=1e-9)  # held in the fits
    assert law.fit_kev[0] < 1 < 8 < law.fit_kev[1]


def test_products_of_up_to_three():
    assert terms(np.ones((5, 4))).shape == (5, 1 + 4 + 10 + 20)


def test_a_local_law_is_exact_for_a_cubic_and_tells_its_error():
    rng, kind = np.random.default_rng(0), family("spline:2")
    theta = 0.1 * rng.standard_normal((100, 2))
    x = np.linspace(0, 2, 5)
    values = np.stack([np.outer(theta[:, 0] ** 3 + theta[:, 1], x)] * 3, axis=1)
    law = fit_law(kind, x, theta, values)
    np.testing.assert_allclose(law.ln_ratio(theta[:7]), values[:7, 0], atol=1e-6)
    assert law.error < 1e-6
    worse = fit_law(kind, x, theta, values + 0.01 * rng.standard_normal(values.shape))
    assert 0.003 < worse.error < 0.02
    assert law.inside(theta[:7]).all()
    assert not law.inside(np.array([[50.0, 0.0]])).any()
    points, ln = law.begin(64, 0)
    assert law.inside(points).mean() > 0.9
    assert len(points) == len(ln)
    far = law.ln_ratio(np.array([[50.0, 0.0], [500.0, 0.0]]))  # drawn back to the farthest
    np.testing.assert_allclose(far[0], far[1], atol=1e-3)


def test_gauss_newton_finds_the_theta_of_a_linear_law(law, clusters):
    prior = Prior.of(law, Shrinkage(0.3))

    def values_at(theta):
        return np.concatenate([law.ln_ratio(theta)[None], law.others(theta)]).transpose(1, 0, 2)

    at, covariance = locate(Data.of(clusters), prior, values_at, law.ln_kt)
    x = law.ln_kt[3:-2]
    off = (law.ln_ratio(at[None]) - law.ln_ratio(np.array([[0.15, -0.1, 0.05]])))[0, 3:-2]
    assert np.abs(off).max() < 0.03, x
    assert np.all(np.diag(covariance) > 0)
