import astropy_healpix.healpy as hp
import numpy as np
import pytest

from stream.kernels.photons import KEPT, NO_BAND, NO_NUMBER, ZENITH, add_livetime, add_photons, place_photons
from stream.lat.bands import EDGES_MEV, NSIDE, ZENITH_DEG, channel_of
from stream.lat.photons import PHOTON

EDGES, CUTS, SIDES = np.array(EDGES_MEV), np.array(ZENITH_DEG), np.array(NSIDE)


def photons(glon, glat, energy=1500.0, conversion=0, zenith=50.0):
    table = np.zeros(len(glon), PHOTON)
    table["GLON"], table["GLAT"], table["ENERGY"] = glon, glat, energy
    table["CONVERSION"], table["ZENITH"] = conversion, zenith
    return table


def place(table):
    channel, pixel = np.empty(len(table), np.int8), np.empty(len(table), np.uint32)
    coarse = np.empty(len(table), np.uint32)
    return place_photons(table, EDGES, CUTS, SIDES, 256, channel, pixel, coarse), channel, pixel, coarse


def test_pixels_are_those_of_astropy_healpix_everywhere():
    rng = np.random.default_rng(1)
    n = 200_000
    lon, lat = rng.uniform(-360, 720, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    lon[:7], lat[:7] = [0.01, 90, 180, 270, 359.99, 10, -1e-3], [90, 90, -90, -90, 0.01, -41.8103, 41.8103]
    lat[9:2000] = np.sign(lat[9:2000]) * (90 - rng.exponential(0.01, 1991))  # polar caps, to their smallest pixels
    energy = 300 * rng.random(n) ** -0.7
    table = photons(lon, lat, energy, rng.integers(0, 2, n))
    counted, channel, pixel, coarse = place(table)
    lon, lat = table["GLON"].astype(float), table["GLAT"].astype(float)
    assert counted[KEPT] == (channel >= 0).sum() > 0.99 * n
    np.testing.assert_array_equal(channel, channel_of(table["ENERGY"], table["CONVERSION"].astype(int)))
    for band, nside in enumerate(NSIDE):
        own = channel // 2 == band
        np.testing.assert_array_equal(pixel[own], hp.ang2pix(nside, lon[own], lat[own], lonlat=True))
        np.testing.assert_array_equal(coarse[own], hp.ang2pix(256, lon[own], lat[own], lonlat=True))


def test_every_photon_that_is_not_used_has_its_reason():
    table = photons(np.zeros(9), np.zeros(9))
    table["ENERGY"][0], table["ENERGY"][1], table["ENERGY"][2] = 299.9, 1e6, np.nan
    table["GLAT"][3], table["GLON"][4], table["CONVERSION"][5] = 90.1, np.nan, 2
    table["ZENITH"][6] = 105.1
    table["ENERGY"][7], table["ZENITH"][7], table["CONVERSION"][7] = 400, 95, 1  # back, below 1 GeV: 90 degrees
    counted, channel, _, _ = place(table)
    assert counted[[KEPT, NO_BAND, ZENITH, NO_NUMBER]].tolist() == [1, 2, 2, 4]
    assert channel.tolist() == [-1] * 8 + [4]


def test_no_photons():
    assert place(photons(np.zeros(0), np.zeros(0)))[0].sum() == 0


def test_a_full_pixel_stays_full():
    maps = np.zeros((2, 12), np.uint16)
    maps[1, 3] = 65_534
    row, pixel = np.array([1, 1, 1, -1, 0], np.int8), np.array([3, 3, 3, 3, 3], np.uint32)
    assert add_photons(row, pixel, maps, 65_535) == 2
    assert maps[1, 3] == 65_535
    assert maps[0, 3] == 1
    assert maps.sum() == 65_536


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 101])
def test_livetime_is_that_of_a_slow_plain_twin(rows):
    rng = np.random.default_rng(rows)
    axis, zenith, pixels = (rng.normal(size=(n, 3)) for n in (rows, rows, 50))
    axis, zenith, pixels = ((v / np.linalg.norm(v, axis=1, keepdims=True)).astype("f4") for v in (axis, zenith, pixels))
    live = rng.uniform(1, 30, rows)
    cuts = np.cos(np.radians([90, 100, 105])).astype("f4")
    out = np.zeros((4, 50, 8))
    add_livetime(axis.T.copy(), zenith.T.copy(), live, cuts, 0.2, pixels, out)
    plain = np.zeros_like(out)
    for i in range(rows):
        for p in range(50):
            cosine, up = float(axis[i] @ pixels[p]), float(zenith[i] @ pixels[p])
            if cosine > 0.2:
                plain[sum(up < cut for cut in cuts), p, min(int((cosine - 0.2) / 0.1), 7)] += live[i]
    np.testing.assert_allclose(out.sum(axis=2), plain.sum(axis=2), rtol=1e-9)
    np.testing.assert_allclose(out, plain, rtol=1e-9)
