from collections import Counter

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from stream.errors import ConfigError
from stream.transport.ft2 import read_pointing
from tests.stream.transport.lat_files import write_ft2


def test_the_direction_is_that_of_the_middle_of_a_row(tmp_path):
    rows = read_pointing([write_ft2(tmp_path / "a.fits", rows=5)], counters := Counter())
    assert counters["pointing"] == 5
    ra = np.linspace(10, 90, 5)
    middle = np.append((ra[1:] + ra[:-1]) / 2, ra[-1])  # nothing follows the last one
    for prefix, dec in (("", 20), ("ZENITH_", -20)):
        place = SkyCoord(rows[f"{prefix}GLON"], rows[f"{prefix}GLAT"], unit="deg", frame="galactic").icrs
        np.testing.assert_allclose(place.ra.deg, middle, atol=1e-4)
        np.testing.assert_allclose(place.dec.deg[-1], dec, atol=1e-4)
    assert rows["LIVETIME"].tolist() == [27.0] * 5


def test_what_is_not_to_be_used_has_no_livetime(tmp_path):
    saa, quality, config = np.zeros(8, bool), np.ones(8), np.ones(8)
    saa[1], quality[2], config[3] = True, 0, 5
    live = np.full(8, 27.0)
    live[4] = np.nan
    changed = {"IN_SAA": ("L", None, saa), "DATA_QUAL": ("B", None, quality), "LAT_CONFIG": ("B", None, config)}
    path = write_ft2(tmp_path / "a.fits", rows=8, LIVETIME=("D", "s", live), **changed)
    rows = read_pointing([path], counters := Counter())
    assert {name: n for name, n in counters.items() if n} == {
        "pointing": 7,
        "saa": 1,
        "bad_quality": 2,
        "no_numbers": 1,
    }
    assert rows["LIVETIME"].tolist() == [27, 0, 0, 0, 27, 27, 27]


def test_files_that_overlap_give_each_row_once(tmp_path):
    paths = [write_ft2(tmp_path / f"{k}.fits", start=300.0 * k, rows=15) for k in (1, 0)]
    rows = read_pointing(paths, counters := Counter())
    assert counters["pointing_twice"] == 5
    np.testing.assert_array_equal(rows["START"], 30.0 * np.arange(25))
    assert len(read_pointing([], Counter())) == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"RA_SCZ": ("E", "rad", np.zeros(40))}, "SC_DATA.RA_SCZ: expected deg, got rad"),
        ({"LIVETIME": ("D", "ms", np.zeros(40))}, "SC_DATA.LIVETIME: expected s, got ms"),
    ],
)
def test_other_units_are_refused(tmp_path, changed, said):
    with pytest.raises(ConfigError, match=said):
        read_pointing([write_ft2(tmp_path / "a.fits", **changed)], Counter())
