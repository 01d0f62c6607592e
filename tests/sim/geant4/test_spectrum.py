import numpy as np
import pytest

from sim.geant4.spectrum import HIGHEST_GEV, LOWEST_GEV, cumulative, energies, force_field, per_second


def test_the_quartiles_are_those_of_the_mit_run():
    assert energies(np.array([0.25, 0.5, 0.75])) == pytest.approx([0.46, 0.99, 2.19], rel=0.015)


def test_the_shares_rise_from_0_to_1():
    energy, share = cumulative()
    assert (share[0], share[-1]) == (0, 1)
    assert (energy[0], energy[-1]) == pytest.approx((LOWEST_GEV, HIGHEST_GEV))
    assert (np.diff(share) >= 0).all()
    assert energies(np.array([0.0, 1.0])) == pytest.approx([LOWEST_GEV, HIGHEST_GEV])
    assert energies(np.empty(0)).size == 0


def test_the_shares_are_the_integral_of_the_flux():
    energy, share = cumulative(0.6)
    fine = np.geomspace(LOWEST_GEV, HIGHEST_GEV, 100_001)
    flux = force_field(fine, 0.6)
    area = np.concatenate([[0], np.cumsum(0.5 * (flux[1:] + flux[:-1]) * np.diff(fine))])
    assert np.abs(np.interp(energy, fine, area / area[-1]) - share).max() < 1e-4


def test_a_more_active_sun_keeps_the_slow_ones_away():
    slow, fast = np.array([0.05]), np.array([50.0])
    assert force_field(slow, 1.0) < 0.3 * force_field(slow, 0.38)
    assert force_field(fast, 1.0) == pytest.approx(force_field(fast, 0.38), rel=0.1)


def test_protons_through_the_sphere():
    assert per_second(700) == pytest.approx(4.1 * np.pi * 70**2)
