import astropy_healpix.healpy as hp
import numpy as np
import pytest

from sim.lat.glow import Glow
from stream.lat.bands import CHANNELS
from stream.lat.exposure import ENERGY_MEV, WEIGHT_MEV
from stream.lat.sky import NSIDE, expect


@pytest.fixture(scope="module")
def drawn(exact_sky, even, scatter):
    return Glow(exact_sky, even.exposure, scatter).draw(0.05, np.random.default_rng(2))


def test_as_many_photons_as_expected(drawn, exact_sky, even):
    expected = expect(exact_sky.diffuse, even.exposure)
    whole = 0.05 * (expected.iem + expected.iso).mean(axis=1) * 4 * np.pi
    number = np.bincount(drawn["channel"], minlength=CHANNELS)
    assert np.all(np.abs(number - whole) < 4.5 * np.sqrt(whole) + 2e-3 * whole)
    assert np.all(drawn["source"] == -1)


def test_they_lie_as_the_light_does_and_the_psf_takes_them_off_the_plane(drawn, exact_sky, even):
    expected = expect(exact_sky.diffuse, even.exposure)
    lat = hp.pix2ang(NSIDE, np.arange(12 * NSIDE**2), lonlat=True)[1]
    for channel, least, most in ((6, 0.93, 1.0), (1, 0.65, 0.9)):  # back at 300 MeV: 3 degrees
        light = expected.iem[channel] + expected.iso[channel]
        mine = np.abs(drawn["glat_deg"][drawn["channel"] == channel])
        share = light[np.abs(lat) < 3].sum() / light.sum()
        assert least < np.mean(mine < 3) / share < most
        assert 0.97 < np.mean(mine > 30) / (light[np.abs(lat) > 30].sum() / light.sum()) < 1.05


def test_energies_fall_as_the_light_does(drawn, exact_sky):
    lon, lat = hp.pix2ang(16, np.arange(12 * 16**2), lonlat=True)
    light = exact_sky.diffuse.iem(lon, lat).mean(axis=2) + exact_sky.diffuse.isotropic[0]
    for band in (0, 3):
        mine = drawn["energy_mev"][drawn["channel"] == 2 * band]
        expected = np.exp(
            (np.log(ENERGY_MEV[band]) * light[band] * WEIGHT_MEV[band]).sum() / (light[band] * WEIGHT_MEV[band]).sum()
        )
        assert abs(np.exp(np.log(mine).mean()) / expected - 1) < 0.03
