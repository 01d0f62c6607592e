import numpy as np
import pytest

from analyse.lat.spectra import KINDS, at_nodes, density, energy_flux
from stream.lat.bands import BANDS
from stream.lat.exposure import NODES, power_law
from stream.lat.scene import UNIT


def test_without_curvature_all_are_the_same_power_law():
    plain = power_law(UNIT * np.exp(1.3), 2.4)[0]
    for kind in KINDS:
        np.testing.assert_allclose(at_nodes(kind, 1.3, 2.4, 0.0)[0], plain, rtol=1e-5)
    assert at_nodes("plec", [0.0, 1.0], [2.0, 2.1], [0.1, 0.2]).shape == (2, BANDS, NODES)


@pytest.mark.parametrize(("kind", "curve"), [("powerlaw", 0.0), ("logparabola", 0.2), ("plec", 0.6)])
def test_the_flux_is_that_from_1_to_100_gev_and_the_index_is_the_slope_at_2_gev(kind, curve):
    energy = np.geomspace(1e3, 1e5, 4001)
    photons = density(kind, energy, 0.7, 1.8, curve)[0]
    assert np.trapezoid(photons * energy, np.log(energy)) == pytest.approx(UNIT * np.exp(0.7), rel=1e-4)
    low, high = density(kind, np.array([1999.0, 2001.0]), 0.7, 1.8, curve)[0]
    assert -np.log(high / low) / np.log(2001 / 1999) == pytest.approx(1.8, abs=1e-4)
    erg = np.trapezoid(photons * energy**2, np.log(energy)) * 1.602177e-6
    assert energy_flux(kind, 0.7, 1.8, curve) == pytest.approx(erg, rel=2e-3)
