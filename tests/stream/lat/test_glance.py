"""A first look at hours of the sky: what it leaves out holds nothing, and what it sees is what the search finds."""

import astropy_healpix.healpy as hp
import numpy as np
import pytest

from sim.lat.catalogue import SOURCE
from sim.lat.photons import Scatter
from stream.lat import whole
from stream.lat.bands import CHANNELS, GRIDS, channels_of
from stream.lat.builtin import stand_in as instrument
from stream.lat.exposure import YEAR_S, Exposure, power_law, survey
from stream.lat.glance import MOST, Glance, Photons
from stream.lat.patch import LAT, centres
from stream.lat.psf import profiles_of
from stream.lat.sky import NSIDE, expect, stand_in
from stream.lat.sphere import separation
from stream.lat.whole import Survey, search_sky

HOURS = 6.0
FLARES = ((70.0, 45.0, 3e-7), (200.0, -60.0, 1e-7), (5.0, 1.0, 4e-7), (200.0, -33.0, 6e-8))
NOTHING = np.zeros(0, whole.DETECTION)


@pytest.fixture(scope="module")
def given():
    optics = instrument()
    exposure = survey(optics, HOURS * 3600 / YEAR_S)
    return Survey(expect(stand_in(), exposure), exposure, profiles_of(optics, LAT.blur_deg))


def sky(given, seed, flares=()):
    """Return maps of diffuse light, and of sources (glon, glat, flux)."""
    rng = np.random.default_rng(seed)
    table = np.zeros(len(flares), SOURCE)
    for row, (lon, lat, flux) in zip(table, flares, strict=True):
        row["glon_deg"], row["glat_deg"], row["flux"], row["spectrum"] = lon, lat, flux, power_law(flux, 2.2)[0]
    photons = Scatter(instrument()).draw(table, given.exposure, rng)
    maps, pixel_sr = [], 4 * np.pi / (12 * NSIDE**2)
    for nside, bands in GRIDS:
        grid = np.zeros((len(channels_of(bands)), 12 * nside**2), np.uint16)
        for row, c in enumerate(channels_of(bands)):
            number = rng.poisson((given.expected.iem[c] + given.expected.iso[c]) * pixel_sr)
            lon, lat = hp.pix2ang(NSIDE, np.repeat(np.arange(len(number)), number), lonlat=True)
            lat = np.clip(lat + rng.uniform(-0.4, 0.4, len(lat)), -90, 90)
            mine = photons[photons["channel"] == c]
            places = np.concatenate([lon, mine["glon_deg"]]), np.concatenate([lat, mine["glat_deg"]])
            np.add.at(grid[row], hp.ang2pix(nside, *places, lonlat=True), 1)
        maps.append(grid)
    return maps


def test_photons_of_maps_are_listed_where_they_are(given):
    maps = sky(given, 1)
    photons = Photons.of(maps)
    assert len(photons.channel) == sum(int(grid.sum()) for grid in maps)
    for grid, (nside, bands) in zip(maps, GRIDS, strict=True):
        for row, c in enumerate(channels_of(bands)):
            mine = photons.channel == c
            pixel = hp.ang2pix(nside, photons.glon_deg[mine], photons.glat_deg[mine], lonlat=True)
            assert np.array_equal(np.bincount(pixel, minlength=grid.shape[1]), grid[row])
    maps[0][0, :2] = MOST // 2
    assert Photons.of(maps) is None


def test_a_first_look_sees_the_ts_that_the_search_fits(given, monkeypatch):
    maps = sky(given, 2, FLARES)
    near = centres()
    lon, lat = np.array(FLARES)[:, :2].T
    near = near[separation(near[:, :1], near[:, 1:], lon, lat).min(axis=1) < 8]
    monkeypatch.setattr(whole, "centres", lambda: near)
    glance = Glance.over(Photons.of(maps), given.expected, given.exposure, given.profiles, near)
    found = search_sky(given, maps, 25.0, NOTHING)
    assert separation(found["glon_deg"][:, None], found["glat_deg"][:, None], lon, lat).min(axis=0).max() < 0.6
    for one in found:
        number = int(separation(near[:, 0], near[:, 1], one["glon_deg"], one["glat_deg"]).argmin())
        assert glance.peaks(number, *glance.on(number))[:, 2].max() > 0.85 * one["ts"]
        assert glance.may_hold(number, float(one["ts"]))


def test_patches_that_are_left_out_hold_nothing(given, monkeypatch):
    maps = sky(given, 3, FLARES[:2])
    some = centres()[::20]
    monkeypatch.setattr(whole, "centres", lambda: some)
    looked = search_sky(given, maps, 12.0, NOTHING)
    glance = Glance.over(Photons.of(maps), given.expected, given.exposure, given.profiles, some)
    assert 0 < sum(glance.may_hold(k, 12.0) for k in range(len(some))) < 0.8 * len(some)
    monkeypatch.setattr(whole.Photons, "of", lambda _: None)
    all_of_it = search_sky(given, maps, 12.0, NOTHING)
    assert len(looked)
    for name in ("glon_deg", "glat_deg", "ts", "flux", "index", "flag"):
        assert np.array_equal(looked[name], all_of_it[name])


def test_a_sky_without_photons_and_one_without_exposure_give_no_rows(given):
    empty = [np.zeros((len(channels_of(bands)), 12 * nside**2), np.uint16) for nside, bands in GRIDS]
    assert not len(search_sky(given, empty, 16.0, NOTHING))
    dark = Exposure(np.zeros_like(given.exposure.cm2_s), 0.0, "none")
    unseen = Survey(expect(stand_in(), dark), dark, given.profiles)
    assert len(unseen.expected.iem) == CHANNELS
    assert not len(search_sky(unseen, sky(given, 4), 16.0, NOTHING))
