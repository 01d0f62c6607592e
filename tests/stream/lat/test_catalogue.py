import numpy as np
import pytest

from stream.lat.catalogue import SHAPES, cutoff_new, cutoff_old, flux_of, group_of

PIVOT = 2000.0


def given(**more):
    return {"norm": [1e-12], "pivot_mev": [PIVOT], "index": [2.1], **{key: [value] for key, value in more.items()}}


def test_both_ways_to_write_a_cutoff_are_the_same_spectrum():
    energy = np.geomspace(100, 1e6, 200)
    a, b, old_index = 0.0072, 0.66, 1.3
    old = cutoff_old(energy, given(expfactor=a, exp_index=b) | {"index": [old_index]})
    bend = a * b * PIVOT**b
    new = cutoff_new(energy, given(expfactor=bend * b, exp_index=b) | {"index": [old_index + bend]})
    np.testing.assert_allclose(new, old, rtol=1e-9)


def test_the_series_meets_the_cutoff_and_holds_at_no_bend():
    energy = PIVOT * np.exp(np.array([-0.0101, -0.0099, 0.0099, 0.0101]))
    p = given(expfactor=0.5, exp_index=1.0)
    local = p["norm"][0] * np.exp(-2.1 * np.log(energy / PIVOT) - 0.25 * np.log(energy / PIVOT) ** 2)
    np.testing.assert_allclose(cutoff_new(energy, p)[0], local, rtol=1e-6)
    parabola = SHAPES["LP"]([300.0, 9e4], given(beta=0.25))
    np.testing.assert_allclose(cutoff_new([300.0, 9e4], given(expfactor=0.5, exp_index=1e-9)), parabola, rtol=1e-7)


def test_the_flux_of_a_power_law_is_the_integral_by_hand():
    by_hand = 1e-12 * PIVOT / 1.1 * ((1000 / PIVOT) ** -1.1 - (1e5 / PIVOT) ** -1.1)
    assert flux_of("PL", given())[0] == pytest.approx(by_hand, rel=1e-7)


@pytest.mark.parametrize(
    ("name", "group"), [("msp", "PSR"), ("spp", "PWN"), ("", "none"), ("unk", "other"), ("rdg", "other")]
)
def test_classes_have_groups(name, group):
    assert group_of(name) == group
