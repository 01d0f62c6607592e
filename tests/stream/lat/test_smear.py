import astropy_healpix.healpy as hp
import numpy as np
import pytest

from sim.lat.background import vary
from sim.lat.flight import Even
from sim.lat.glow import Glow
from sim.lat.photons import Scatter
from stream.kernels.spread import spread_light
from stream.lat.bands import CHANNELS
from stream.lat.builtin import stand_in as instrument_stand_in
from stream.lat.psf import profiles_of
from stream.lat.sky import NSIDE, expect, stand_in
from stream.lat.smear import WIDE_DEG, smearing

LAT = hp.pix2ang(NSIDE, np.arange(12 * NSIDE**2), lonlat=True)[1]


@pytest.fixture(scope="module")
def smeared():
    optics = instrument_stand_in()
    profiles = profiles_of(optics)
    return optics, profiles, smearing(stand_in(), profiles)


def test_light_leaves_the_plane_and_none_is_lost(smeared):
    _, profiles, factor = smeared
    narrow = profiles.r68_deg <= WIDE_DEG
    assert np.all(factor[narrow] == 1)
    assert factor.shape == (CHANNELS, len(LAT))
    for channel in (0, 1, 3):
        assert factor[channel, np.abs(LAT) < 0.5].mean() < 0.97
        assert factor[channel, (np.abs(LAT) > 3) & (np.abs(LAT) < 6)].mean() > 1.0
        assert abs(factor[channel, np.abs(LAT) > 40].mean() - 1) < 0.02


def test_photons_drawn_through_the_psf_lie_as_the_smeared_light(smeared):
    """Photons one by one against the convolution, by latitude."""
    optics, _, factor = smeared
    sky, exposure = vary(stand_in(), np.random.default_rng(0), 0.0), Even(optics, 1.0).exposure
    photons = Glow(sky, exposure, Scatter(optics)).draw(0.2, np.random.default_rng(4))
    plain, expected = expect(sky.diffuse, exposure), expect(sky.diffuse, exposure, factor)
    edges = np.array([-90, -40, -15, -8.4, -4.2, -1.8, 1.8, 4.2, 8.4, 15, 40, 90])
    for channel in (0, 1, 3):
        mine = photons[photons["channel"] == channel]
        pixel = hp.ang2pix(NSIDE, mine["glon_deg"], mine["glat_deg"], lonlat=True)
        drawn = np.histogram(LAT[pixel], edges)[0]
        told, before = (
            np.histogram(LAT, edges, weights=e.iem[channel] + e.iso[channel])[0] * 0.2 * 4 * np.pi / len(LAT)
            for e in (expected, plain)
        )
        assert np.all(np.abs(drawn / told - 1) < 0.015 + 4 / np.sqrt(told)), channel
        assert np.abs(drawn / before - 1).max() > 2 * np.abs(drawn / told - 1).max()


def test_a_single_pixel_becomes_the_profile():
    nside, step = 32, np.radians(0.5)
    place = np.stack(hp.pix2vec(nside, np.arange(12 * nside**2)), axis=1)
    lat = np.arcsin(place[:, 2])
    middle = hp.ang2pix(nside, 40.0, 20.0, lonlat=True)
    light = np.zeros((1, len(place)))
    light[0, middle] = 1.0
    profile = np.exp(-((np.arange(31) * 0.5 / 4) ** 2) / 2)[None]
    out = np.empty_like(light)
    spread_light(place, lat, np.radians(15.0), step, profile, light, out)
    away = np.degrees(np.arccos(np.clip(place @ place[middle], -1, 1)))
    shape = np.interp(away, np.arange(31) * 0.5, profile[0]) * (away < 15)
    assert out.sum() == pytest.approx(1.0, abs=0.02)
    near = away < 10
    np.testing.assert_allclose(out[0, near] / out.sum(), shape[near] / shape.sum(), rtol=0.05)
