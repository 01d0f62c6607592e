import csv
import gzip

import h5py
import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord

from config.errors import ConfigError
from models.sources.dataset import read_sources
from models.sources.folds import folds_of
from models.sources.muwclass import fields_of, galactic
from models.sources.sky import sky_prior


def test_a_plain_table_names_its_features(known_sources, source_tables):
    given = known_sources[0]
    assert given.features == ("photon_index", "log_flux", "motion", "fwhm_px")
    assert given.units == ("", "dex of erg cm-2 s-1", "", "px")
    assert given.classes == ("AGN", "CV", "star")
    assert len(np.unique(given.field)) == 24
    assert given.sky.shape == (400, 2)
    with source_tables[0].open() as file:
        first = next(csv.DictReader(file))
    assert given.x[0, 1] == float(first["log_flux"])
    assert given.error[0, 0] == float(first["photon_index_error"])
    assert (given.error[:, 1] == 0).all()
    assert np.isnan(given.x[:, 0]).mean() == pytest.approx(0.2, abs=0.1)


@pytest.mark.parametrize("compound", [False, True])
def test_hdf5_says_the_same_with_units(known_sources, source_tables, tmp_path, compound):
    with source_tables[0].open() as file:
        rows = list(csv.DictReader(file))
    columns = {
        name: np.array([row[name].encode() if name in ("class", "name") else float(row[name] or "nan") for row in rows])
        for name in rows[0]
    }
    with h5py.File(tmp_path / "t.h5", "w") as file:
        if compound:
            table = np.rec.fromarrays(list(columns.values()), names=list(columns))
            file["sources"] = table
            file["sources"].attrs["unit_motion"] = "arcsec yr-1"
        else:
            for name, column in columns.items():
                file[name] = column
            file["motion"].attrs["unit"] = "arcsec yr-1"
    given = read_sources(tmp_path / "t.h5")
    again = given.only(known_sources[0].features)
    assert again.digest() == known_sources[0].digest()
    assert again.units[2] == "arcsec yr-1"
    np.testing.assert_array_equal(again.sky, known_sources[0].sky)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected a line with the names of columns"),
        ("a,b\n1,2\n", "expected a column class; found a, b"),
        ("class,a\n", "expected a source or more"),
        ("class,a\np,1\nq,x\n", "column a: could not convert string to float: 'x'; expected numbers"),
        ("class,a\np,1\nq\n", "row 2: expected 2 columns"),
        ("class,field\np,1\nq,2\n", "expected a column or more with a feature"),
        ("class,a\np,1\np,2\n", "expected two classes or more, found p"),
        ("Class,Fcsc_s\nAGN,1\n", "no column ra, dec"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line(tmp_path, text, told):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as fault:
        read_sources(path)
    assert told in str(fault.value)
    assert str(path) in str(fault.value)
    assert "\n" not in str(fault.value)


def test_unknown_features_classes_and_files_are_one_line(known_sources, tmp_path):
    with pytest.raises(ConfigError, match="feature gamma: expected one of photon_index, log_flux"):
        known_sources[0].only(["gamma"])
    with pytest.raises(ConfigError, match="class CV: expected one of AGN, star"):
        known_sources[0].as_classes(("AGN", "star"))
    with pytest.raises(ConfigError, match="no such file"):
        read_sources(tmp_path / "none.csv")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["photons"] = np.zeros(3, [("frame", "i4"), ("energy_ev", "f4")])
    with pytest.raises(ConfigError, match=r"no table of features: expected a column class, found frame, energy_ev$"):
        read_sources(tmp_path / "other.h5")
    (tmp_path / "t.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_sources(tmp_path / "t.csv.gz")


def test_positions_are_galactic_and_friends_of_friends_are_a_field():
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, 100), rng.uniform(-90, 90, 100)
    true = SkyCoord(ra * units.deg, dec * units.deg).galactic
    ours = galactic(ra, dec)
    np.testing.assert_allclose(ours[:, 1], true.b.deg, atol=1e-4)
    np.testing.assert_allclose(np.cos(np.radians(ours[:, 0] - true.l.deg)), 1, atol=1e-9)
    sky = np.array([[10, 0], [10.9, 0], [11.8, 0], [13, 0], [359.8, 80], [3, 80.0]])
    assert fields_of(sky).tolist() == [0, 0, 0, 1, 2, 2]
    assert fields_of(sky[:0]).size == 0


def test_a_muwclass_table_has_fluxes_colours_and_ratios(tmp_path):
    row = {"name": "2CXO", "ra": 10, "dec": 20, "Class": "AGN", "significance": 10.0}
    for band, flux in zip("smh", (1e-14, 3e-14, 6e-14), strict=True):
        row |= {f"Fcsc_{band}": flux, f"e_Fcsc_{band}": flux / 10}
    row |= {"Gmag": 15.0, "Jmag": 13.5, "e_Gmag": 0.03, "e_Jmag": 0.04, "rgeo": 100.0, "RPlx": 20.0}
    path = tmp_path / "m.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write(",".join(row) + "\n")
        for kind in ("AGN", "CV"):
            file.write(",".join(map(str, (row | {"Class": kind}).values())) + "\n")
    given = read_sources(path)
    told = dict(zip(given.features, given.x[0], strict=True))
    error = dict(zip(given.features, given.error[0], strict=True))
    assert told["log_flux"] == pytest.approx(-13)
    assert told["hardness_soft"] == pytest.approx(0.5)
    assert error["hardness_soft"] == pytest.approx(2 * 3e-14 * 1e-14 * 0.1 * np.sqrt(2) / 16e-28)
    assert told["g_j"] == pytest.approx(1.5)
    assert error["g_j"] == pytest.approx(0.05)
    assert told["absolute_g"] == pytest.approx(10)
    assert told["log_flux_g"] == pytest.approx(-7)
    assert told["log_luminosity"] == pytest.approx(np.log10(1e-13 * 4 * np.pi * (100 * 3.0857e18) ** 2), abs=1e-4)
    assert error["log_distance"] == pytest.approx(0.05 / np.log(10))
    assert np.isnan(told["w1_w2"])
    assert dict(zip(given.features, given.units, strict=True))["log_luminosity"] == "dex of erg s-1"


def test_folds_hold_fields_together_and_classes_apart(known_sources):
    given = known_sources[0]
    for by_field in (False, True):
        fold = folds_of(given, 4, 0, by_field=by_field)
        counts = np.array([np.bincount(given.label[fold == k], minlength=3) for k in range(4)])
        expected = np.bincount(given.label) / 4
        assert (np.abs(counts - expected) <= (2 if not by_field else 0.4 * expected + 3)).all()
        if by_field:
            assert all(len(np.unique(fold[given.field == one])) == 1 for one in np.unique(given.field))
    assert not np.array_equal(folds_of(given, 4, 0, by_field=False), folds_of(given, 4, 1, by_field=False))


def test_the_prior_by_latitude_is_a_probability_that_follows_the_sources(known_sources):
    prior = sky_prior(known_sources[0])
    np.testing.assert_allclose(np.exp(prior.log_p).sum(axis=1), 1)
    near, far = np.exp(prior.at(np.array([0.5, -60])))
    assert near[1] > 2 * far[1]  # CVs lie in the plane
    assert far[0] > near[0]
    none = prior.tempered(0.0, np.log(known_sources[0].frequencies()))
    np.testing.assert_allclose(np.exp(none.at(np.array([5.0])))[0], known_sources[0].frequencies())
