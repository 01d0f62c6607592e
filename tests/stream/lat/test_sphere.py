import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from stream.lat.sphere import equatorial, names, separation
from tests.stream.lat.catalogues import even


def test_separations_are_those_of_astropy():
    rng = np.random.default_rng(1)
    (l1, b1), (l2, b2) = even(5000, rng), even(5000, rng)
    theirs = SkyCoord(l1, b1, unit="deg").separation(SkyCoord(l2, b2, unit="deg")).deg
    np.testing.assert_allclose(separation(l1, b1, l2, b2), theirs, atol=1e-9)
    close = SkyCoord(l1, b1, unit="deg").separation(SkyCoord(l1 + 1e-6, b1 - 1e-6, unit="deg")).deg
    np.testing.assert_allclose(separation(l1, b1, l1 + 1e-6, b1 - 1e-6), close, rtol=1e-6)
    assert separation(10, 20, 190, -20) == pytest.approx(180, abs=1e-9)
    assert separation(10, 20, 190, -20 + 1e-6) == pytest.approx(180 - 1e-6, abs=1e-9)


def test_equatorial_places_are_those_of_astropy():
    lon, lat = even(2000, np.random.default_rng(2))
    ra, dec = equatorial(lon, lat)
    theirs = SkyCoord(lon, lat, unit="deg", frame="galactic").icrs
    assert theirs.separation(SkyCoord(ra, dec, unit="deg")).arcsec.max() < 0.05  # J2000 beside ICRS


def test_names_are_truncated_and_told_apart():
    assert names("4FGL", [0.0983], [-73.922]) == ["4FGL J0000.3-7355"]
    assert names("RSV", [83.633, 83.633, 359.999], [22.0145, 22.0146, -0.001]) == [
        "RSV J0534.5+2200A", "RSV J0534.5+2200B", "RSV J2359.9-0000"
    ]  # fmt: skip
