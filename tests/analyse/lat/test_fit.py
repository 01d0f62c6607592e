import numpy as np
import pytest

from analyse.lat.fit import CURVE, FLUX, SLOPE, X, Y, _Search, fit


def parts_of(setup):
    region, source, others = setup
    return region, [source.freed(X, Y, FLUX, SLOPE), *(p.freed(FLUX, SLOPE) for p in others[:1])]


def test_slopes_are_those_of_the_likelihood(setup):
    region, parts = parts_of(setup)
    climb = _Search(region, parts, region.norm_mean)
    at = climb.start() + 0.01
    gradient, information = climb.slopes(at, climb.expected(at))
    for k in range(len(at)):
        up, down = at.copy(), at.copy()
        up[k] += 1e-3
        down[k] -= 1e-3
        rise = (climb.value(up, climb.expected(up)) - climb.value(down, climb.expected(down))) / 2e-3
        assert gradient[k] == pytest.approx(rise, rel=0.1, abs=0.05 * np.sqrt(information[k, k]))
    assert np.all(np.linalg.eigvalsh(information) > 0)


def test_the_maximum_is_one_whatever_the_start(setup):
    region, parts = parts_of(setup)
    one = fit(region, parts)
    other_start = parts[0].theta + np.array([0.03, -0.04, 0.5, 0.3, 0.0])
    other = fit(region, [parts[0].freed(X, Y, FLUX, SLOPE, theta=other_start), *parts[1:]], one.norms * 1.2)
    assert one.settled
    assert other.settled
    assert other.value == pytest.approx(one.value, abs=0.02)
    np.testing.assert_allclose(other.parts[0].theta, one.parts[0].theta, atol=0.01)
    assert one.place(1, FLUX) == 4
    assert np.isnan(one.error(0, CURVE))


def test_a_parameter_at_its_bound_has_no_error_and_holds_up_nobody(setup):
    region, parts = parts_of(setup)
    far = parts[0].theta.copy()
    far[:2] += 4.0  # nothing is there
    far[FLUX] = -3.0
    one = fit(region, [parts[0].freed(FLUX, theta=far)])
    assert one.settled
    if one.parts[0].theta[FLUX] <= -8.9:
        assert np.isnan(one.error(0, FLUX))
    assert np.all(np.isfinite(one.norms))
