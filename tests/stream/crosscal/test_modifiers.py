import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from stream.crosscal.modifiers import family, middle_kev, modify, spline_knots_kev
from stream.errors import ConfigError
from tests.stream.spectra.camera import camera

ENERGY = np.linspace(0.2, 12, 50)


def test_the_text_and_the_code_of_the_seed_differ_by_the_root_of_two_in_width():
    theta = np.array([1.8, 1.0, -0.08])
    text, code = family("gaussian").factor(theta, ENERGY)[0], family("gaussian-code").factor(theta, ENERGY)[0]
    off = ENERGY - 1.8
    np.testing.assert_allclose(text, 1 - 0.08 * np.exp(-(off**2) / 2))
    np.testing.assert_allclose(code, 1 - 0.08 * np.exp(-(off**2)))
    narrower = family("gaussian").factor([1.8, np.sqrt(0.5), -0.08], ENERGY)[0]
    np.testing.assert_allclose(code, narrower)


def test_a_sum_of_gaussians_is_the_sum_of_their_terms():
    one, two = np.array([1.0, 0.5, 0.1]), np.array([5.0, 2.0, -0.2])
    single = family("gaussian").factor(np.stack([one, two]), ENERGY) - 1
    both = family("gaussians:2").factor(np.concatenate([one, two]), ENERGY)
    np.testing.assert_allclose(both[0], 1 + single.sum(axis=0))
    assert family("gaussians:2").names[3:] == ("mu_kev_2", "sigma_kev_2", "amplitude_2")


def test_a_spline_goes_through_its_knots_and_is_constant_beyond():
    ln = np.array([0.1, -0.2, 0.3, 0.0, -0.1])
    kind = family("spline:5")
    np.testing.assert_allclose(kind.factor(ln, spline_knots_kev(5))[0], np.exp(ln))
    np.testing.assert_allclose(kind.factor(ln, [0.1, 12.0])[0], np.exp(ln[[0, -1]]))


def test_an_edge_falls_with_the_cube_of_energy_above_it():
    factor = family("edge").factor([2.1, 0.2, 0.01], [1.0, 2.1, 4.2])[0]
    np.testing.assert_allclose(factor, np.exp(-0.2 * ndtr([-110, 0, 210]) * np.array([1, 1, 1 / 8])), rtol=1e-12)


@pytest.mark.parametrize("name", ["gaussian", "gaussian-code", "gaussians:3", "spline:2", "spline:8", "edge"])
@given(st.data())
def test_factors_are_smooth_numbers_within_the_box(name, data):
    kind = family(name)
    theta = [data.draw(st.floats(p.low, p.high)) for p in kind.parameters]
    factor = kind.factor(theta, ENERGY)
    assert factor.shape == (1, len(ENERGY))
    assert np.isfinite(factor).all()
    np.testing.assert_array_equal(factor, kind.factor([theta, theta], ENERGY)[1:])


def test_a_response_is_modified_and_a_negative_area_refused():
    response = camera()
    kind, middle = family("gaussian"), middle_kev(response)
    factor = kind.factor([1.8, 1.0, -0.08], middle)[0]
    np.testing.assert_allclose(modify(response, factor).area_cm2, response.area_cm2 * factor)
    with pytest.raises(ConfigError, match=r"-0\.\d+ at 1\.7.*an area cannot be negative"):
        modify(response, kind.factor([1.8, 1.0, -1.08], middle))
    with pytest.raises(ConfigError, match="expected 240 values"):
        modify(response, factor[1:])
    with pytest.raises(ConfigError, match="nan at"):
        modify(response, np.full_like(factor, np.nan))


@pytest.mark.parametrize("name", ["gauss", "gaussians", "gaussians:0", "spline:1", "spline:x", "edge:2", "spline:99"])
def test_other_families_are_refused(name):
    with pytest.raises(ConfigError, match="expected one of gaussian, gaussian-code, gaussians:N, spline:N, edge"):
        family(name)


def test_another_number_of_parameters_is_refused():
    with pytest.raises(ConfigError, match="expected 3 values of theta, mu_kev, sigma_kev, amplitude; got 2"):
        family("gaussian").factor([1.0, 2.0], ENERGY)
