import numpy as np
import pytest

from stream.lat.bands import BANDS, CHANNELS
from stream.lat.cube import YEAR_NSIDE
from stream.lat.cutouts import (
    PIXEL_DEG,
    SIDE,
    WHOLE_YEAR_S,
    YEARS,
    around,
    by_band,
    cut_out,
    last_years,
    resample,
    whole_years,
)
from stream.lat.sky import NSIDE as SMOOTH_NSIDE
from stream.lat.sky import Expected

PIXELS = 12 * YEAR_NSIDE**2
SR = 4 * np.pi / PIXELS


def even(counts_per_pixel):
    """Return what is expected of light that is the same everywhere, half of it interstellar."""
    light = np.full((CHANNELS, 12 * SMOOTH_NSIDE**2), counts_per_pixel / SR / 4)
    return by_band(Expected(light, light))


def places(n=50, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))


def test_a_cut_out_has_the_counts_of_its_area():
    years, years_s = {4: np.full((BANDS, PIXELS), 3, np.uint16)}, {4: 2.4e7}
    given = cut_out(years, years_s, even(1.0), places())
    area = (SIDE * np.radians(PIXEL_DEG)) ** 2 / SR
    np.testing.assert_allclose(given.counts.sum(axis=(2, 3, 4)), 3 * area, rtol=1e-4)
    np.testing.assert_allclose(given.counts[:, :, 0], 3 * area / SIDE**2, rtol=1e-4)
    assert np.all(given.counts[:, :, 1:] == 0)
    np.testing.assert_allclose(given.good_s, [[2.4e7, *[0] * (YEARS - 1)]] * 50)
    np.testing.assert_allclose(given.background, 3 * area, rtol=1e-3)  # a third was expected: the norm is found


def test_what_shines_is_in_the_middle_and_north_is_up():
    import astropy_healpix.healpy as hp

    year = np.zeros((BANDS, PIXELS), np.uint16)
    year[2, hp.ang2pix(YEAR_NSIDE, 40.0, 20.0, lonlat=True)] = 100
    at = np.array([40.0, 40.0, 40.6]), np.array([20.0, 19.5, 20.0])
    image = cut_out({0: year}, {0: 1.0}, even(1.0), at).counts[:, 2, 0]
    middle = (image * np.indices((SIDE, SIDE))[:, None]).sum(axis=(2, 3)) / image.sum(axis=(1, 2))
    np.testing.assert_allclose(image.sum(axis=(1, 2)), 100, rtol=0.15)
    np.testing.assert_allclose(middle[:, 0], 2.5, atol=0.7)
    assert middle[0, 1] > middle[0, 0] + 1.5  # it lies north of the second place: in a higher row
    assert middle[1, 2] > middle[1, 0] + 1.5  # and west of the third, in a higher column


def test_the_norm_is_that_of_the_quiet_cells():
    rng = np.random.default_rng(1)
    total = rng.poisson(1.3, (BANDS, PIXELS))
    total[:, :: PIXELS // 500] += 500  # sources
    lon, lat = places(200, 2)
    told = around(total, even(1.0), (lon, lat)) * SR
    np.testing.assert_allclose(np.median(told, axis=0), 1.3, rtol=0.05)
    empty = around(np.zeros((BANDS, PIXELS)), even(1e-6), (lon, lat))
    assert np.all(np.isfinite(empty))


def test_ten_years_at_most_and_whole_ones():
    years_s = dict.fromkeys(range(12), 24000000.0) | {12: WHOLE_YEAR_S / 2, 13: 0.0}
    years = {k: np.zeros((BANDS, 1), np.uint16) for k in range(14)}
    chosen = last_years(years, years_s)
    assert chosen == list(range(3, 13))
    assert whole_years(chosen, years_s) == 9
    assert last_years({}, {}) == []


def test_no_places_no_cut_outs():
    none = np.empty(0), np.empty(0)
    given = cut_out({0: np.zeros((BANDS, PIXELS), np.uint16)}, {0: 1.0}, even(1.0), none)
    assert len(given) == 0
    assert given.counts.shape == (0, BANDS, YEARS, SIDE, SIDE)
    assert resample(np.zeros((BANDS, PIXELS)), np.zeros((2, 1, 4, 1, 4), np.int64)).shape == (2, BANDS, 1, 1)


@pytest.mark.parametrize("lat", [90.0, -90.0, 0.0])
def test_poles_and_the_seam_are_places_like_others(lat):
    year = np.full((BANDS, PIXELS), 2, np.uint16)
    given = cut_out({0: year}, {0: 1.0}, even(2.0), (np.array([0.0, 359.999]), np.full(2, lat)))
    np.testing.assert_allclose(given.counts[:, :, 0], given.counts[0, 0, 0, 0, 0], rtol=1e-5)
