"""Patches: every photon is where its pixel's centre lies, and the way there and back is one."""

import astropy_healpix.healpy as hp
import numpy as np
import pytest

from stream.lat.patch import LAT, SIDE_DEG, centres, cut, to_patch, to_sky
from stream.lat.sphere import separation

PLACES = [(5.0, 10.0), (180.0, 88.5), (355.0, -89.0), (60.0, -40.0)]


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(1)
    return [rng.poisson(0.05, (len(channels), 12 * nside**2)).astype(np.uint8) for nside, _, channels in LAT.grids]


@pytest.mark.parametrize("place", PLACES)
def test_a_patch_has_the_counts_of_the_pixels_whose_centres_lie_on_it(maps, place):
    patch = cut(maps, *place)
    for (nside, pixel, channels), grid in zip(LAT.grids[:2], maps, strict=False):
        lon, lat = hp.pix2ang(nside, np.arange(12 * nside**2), lonlat=True)
        x, y = to_patch(*place, lon, lat)
        with np.errstate(invalid="ignore"):
            on = (x >= 0) & (x < SIDE_DEG) & (y >= 0) & (y < SIDE_DEG)
        column, row = (x[on] / pixel).astype(int), (y[on] / pixel).astype(int)
        side = round(SIDE_DEG / pixel)
        for k, c in enumerate(channels):
            twin = np.zeros((side, side))
            np.add.at(twin, (row, column), grid[k, on])
            assert np.abs(LAT.image(patch.counts, c) - twin).sum() <= 2  # centres on an edge, by a rounding
        share = np.zeros((side, side))
        np.add.at(share, (row, column), 4 * np.pi / (12 * nside**2))
        assert np.abs(LAT.image(patch.lit, channels[0]) - share).sum() <= 3 * 4 * np.pi / (12 * nside**2)


def test_light_of_a_patch_is_its_solid_angle(maps):
    patch = cut(maps, 100.0, 30.0)
    half = np.radians(SIDE_DEG / 2)
    whole = 4 * np.arcsin(half**2 / (1 + half**2))  # degrees of a patch are those of its plane
    for _, _, channels in LAT.grids:
        assert LAT.image(patch.lit, channels[0]).sum() == pytest.approx(whole, rel=0.01)


@pytest.mark.parametrize("place", PLACES)
def test_the_way_to_the_sky_and_back_is_one(place):
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0, SIDE_DEG, (2, 50))
    back = to_patch(*place, *to_sky(*place, x, y))
    assert np.allclose(back, (x, y), atol=1e-9)
    far = to_patch(*place, np.array([(place[0] + 180) % 360]), np.array([-place[1]]))
    assert np.isnan(far).all()


def test_inner_squares_of_the_patches_cover_the_sky():
    rng, places = np.random.default_rng(3), centres()
    lon, lat = rng.uniform(0, 360, 20_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    away = separation(lon[:, None], lat[:, None], places[:, 0], places[:, 1])
    nearest = away.argmin(axis=1)
    x, y = np.array(
        [to_patch(*places[k], np.array([a]), np.array([b])) for k, a, b in zip(nearest, lon, lat, strict=True)]
    ).T[0]
    assert np.nanmax(np.abs(np.stack([x, y]) - SIDE_DEG / 2)) < SIDE_DEG / 2 - 1.5
