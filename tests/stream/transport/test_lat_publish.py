import re

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable import parse, ucd, validate
from astropy.table import Table

from stream.errors import LinkError
from stream.lat.associate import associate
from stream.lat.catalogue import Catalogue
from stream.transport.lat_plots import _from_plane, _to_plane, plot_patch, plot_sky
from stream.transport.lat_publish import COLUMNS, Found, publish, write_fits
from tests.stream.lat.catalogues import detections, entries, even


@pytest.fixture
def found():
    lon, lat = even(40, np.random.default_rng(5))
    rows = detections(lon, lat, np.linspace(25, 900, 40))
    rows["flux"], rows["flux_error"], rows["index"], rows["flux_band"] = 1e-9, 1e-10, 2.2, 1e-10
    rows["probability"] = np.nan
    reference = entries(lon[:20] + 0.01, lat[:20])
    reference["class"], reference["identified"] = "psr", np.arange(20) % 2 == 0
    catalogue = Catalogue(reference, np.zeros((7, 2)), "gll_psc_v27")
    classes = {name: np.full(40, p) for name, p in {"BLL": 0.1, "FSRQ": 0.2, "PSR": 0.6, "PWN": 0.1}.items()}
    classes["BLL"] = np.where(np.arange(40) == 39, np.nan, 0.1)
    return Found(rows, catalogue, associate(rows, reference), classes)


def test_the_catalogue_is_read_by_others(found, tmp_path):
    fits_path, vot_path, _ = publish(tmp_path / "out", found, {"WINDOW": "mission"})
    with fits.open(fits_path, checksum=True) as hdus:
        assert hdus[0].header["WINDOW"] == "mission"
        header = hdus[1].header
        assert (hdus[1].name, header["REFCAT"], header["TUCD2"]) == (
            "LAT_POINT_SOURCE_CATALOG", "gll_psc_v27", "pos.eq.ra;meta.main"
        )  # fmt: skip
        assert hdus["EnergyBounds"].data["UpperEnergy"].tolist()[-1] == 1e6
    table, other = Table.read(fits_path, hdu=1), Table.read(vot_path)
    place = SkyCoord(table["RAJ2000"], table["DEJ2000"])
    assert place.separation(SkyCoord(table["GLON"], table["GLAT"], frame="galactic")).arcsec.max() < 0.05
    assert table["Flux1000"].unit == "ph / (s cm2)"
    assert table.colnames == other.colnames
    for name in ("Signif_Avg", "Flux_Band", "ASSOC_Sep", "P_PSR"):
        np.testing.assert_allclose(np.ma.filled(other[name], np.nan), table[name], rtol=1e-6)
    for name, first in (("CLASS1", "psr"), ("ASSOC1", "S0")):
        column = np.ma.filled(table[name], "")
        assert (column[0], column[39]) == (first, "")
    assert [table["ASSOC_CLASS1"][0], table["ASSOC_CLASS1"][1]] == ["PSR", "psr"]


def test_the_votable_is_valid_and_its_ucds_are_words_of_the_vocabulary(found, tmp_path):
    path = publish(tmp_path, found)[1]
    assert validate(path, output=None)
    for _, name, _ in COLUMNS.values():
        assert ucd.check_ucd(name, check_controlled_vocabulary=True), name
    fields = parse(path).get_first_table().fields
    assert {field.name: field.ucd for field in fields}["RAJ2000"] == "pos.eq.ra;meta.main"


def test_no_detections_make_an_empty_catalogue_and_a_full_disk_is_told(found, tmp_path):
    for path in publish(tmp_path, Found(found.rows[:0])):
        assert path.is_file()
    assert len(Table.read(tmp_path / "catalogue.fits", hdu=1)) == 0
    (tmp_path / "file").write_text("")
    with pytest.raises(LinkError, match="cannot be written"):
        write_fits(tmp_path / "file" / "catalogue.fits", found)


def test_regions_are_ellipses_with_names(found, tmp_path):
    lines = publish(tmp_path, found)[2].read_text().splitlines()
    assert lines[2] == "galactic"
    ellipses = [line for line in lines if line.startswith("ellipse")]
    assert len(ellipses) == 40
    assert sum("color=red" in line for line in ellipses) == 20
    assert re.fullmatch(
        r"ellipse\([\d.]+,[-\d.]+,0.05000d,0.05000d,0\) # text=\{RSV J\d{4}\.\d[+-]\d{4}\}", ellipses[0]
    )


def test_planes_and_pictures(found, tmp_path):
    x, y = np.random.default_rng(1).uniform(-5, 5, (2, 50))
    back = _to_plane(*_from_plane(x, y, (83.6, 60.0)), (83.6, 60.0))
    np.testing.assert_allclose(back, (x, y), atol=1e-9)
    west = _from_plane(np.array([1.0]), np.array([0.0]), (10.0, 0.0))[0]
    assert west[0] < 10
    counts = np.random.default_rng(2).poisson(5, 12 * 32**2)
    known = found.association.entry >= 0
    assert plot_sky(tmp_path / "sky.png", counts, found.rows, known).stat().st_size > 10_000
    assert plot_sky(tmp_path / "none.png", 0 * counts, found.rows[:0]).is_file()
    place = (float(found.rows["glon_deg"][39]), float(found.rows["glat_deg"][39]))
    assert plot_patch(tmp_path / "patch.png", counts, found.rows, place).stat().st_size > 10_000
