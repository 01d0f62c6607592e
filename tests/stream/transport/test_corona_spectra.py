"""Coronal spectra in files: tables, IDL saves, simulated sets; each wrong one is one line."""

import numpy as np
import pytest
from astropy.table import Table

from stream.corona.fluxes import Fluxes
from stream.corona.observed import Observed
from stream.errors import ConfigError
from stream.transport.corona_spectra import read_corona
from tests.stream.transport.idl_files import write_idl

EDGES = np.linspace(5.0, 15.0, 201)
MIDDLE = 0.5 * (EDGES[1:] + EDGES[:-1])


def table(path, change=None, **columns):
    """Write a table of a spectrum; change: of its metadata; a column of None is left out."""
    whole = {"wavelength_a": MIDDLE, "counts": np.full(200, 3.0), "area_cm2": np.full(200, 10.0)} | columns
    meta = {k: v for k, v in ({"exposure_s": 1e4} | (change or {})).items() if v is not None}
    made = Table({k: v for k, v in whole.items() if v is not None}, meta=meta)
    made.write(path, overwrite=True)
    return path


@pytest.mark.parametrize("name", ["a.ecsv", "a.fits"])
def test_a_table_comes_back(tmp_path, name):
    fits = name.endswith("fits")
    observed = read_corona(table(tmp_path / name, {"exposure_s": None, "EXPOSURE": 1e4} if fits else None))
    assert isinstance(observed, Observed)
    np.testing.assert_allclose(observed.instrument.edges_a, EDGES, atol=1e-9)
    assert observed.counts.sum() == 600
    assert observed.exposure_s == 1e4


def test_bins_by_their_ends_in_any_order(tmp_path):
    ends = {"wavelength_a": None, "lo_a": EDGES[:-1][::-1], "hi_a": EDGES[1:][::-1]}
    observed = read_corona(table(tmp_path / "a.ecsv", counts=np.arange(200.0), **ends))
    np.testing.assert_allclose(observed.instrument.edges_a, EDGES)
    assert observed.counts[0] == 199


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"wavelength_a": MIDDLE[np.r_[0:100, 50:150]]}, "expected a grid that rises"),
        ({"wavelength_a": MIDDLE / 10}, "expected Angstrom"),
        ({"wavelength_a": MIDDLE * 1000}, "expected Angstrom"),
        ({"wavelength_a": None}, "no wavelengths"),
        ({"area_cm2": None}, "no effective area"),
        ({"area_cm2": np.full(200, -1.0)}, "numbers of 0 or more"),
        ({"area_cm2": np.zeros(200)}, "an area above 0"),
        ({"counts": np.zeros(200)}, "no counts"),
        ({"counts": np.full(200, -2.0)}, "expected 0 or more"),
        ({"counts": np.full(200, np.nan)}, "expected 0 or more"),
        ({"counts": None}, "no column counts"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, columns, told):
    with pytest.raises(ConfigError, match=told) as fault:
        read_corona(table(tmp_path / "a.ecsv", **columns))
    assert "\n" not in str(fault.value)


def test_no_exposure_is_told(tmp_path):
    with pytest.raises(ConfigError, match="no exposure"):
        read_corona(table(tmp_path / "a.ecsv", {"exposure_s": None}))


def test_an_idl_spectrum_comes_back(tmp_path):
    """Lower ends of bins with the last twice, an area on a grid of its own."""
    star = {"spc_m1_star": np.full(200, 2.0), "ww_m1_star": np.append(EDGES[:-1], EDGES[-2])}
    path = write_idl(
        tmp_path / "a.save", **star, effar=np.full(50, 7.0), wvlar=np.linspace(1, 40, 50), exptim_star=99.0
    )
    observed = read_corona(path)
    assert isinstance(observed, Observed)
    assert len(observed.counts) == 199
    assert observed.exposure_s == 99.0
    assert np.all(observed.instrument.area_cm2 == 7.0)


def test_idl_line_fluxes_come_back(tmp_path):
    log_t = np.arange(6.0, 7.01, 0.1)
    rows = {"flx": [3.0, 4.0], "sig": [0.3, 0.4], "wvl": [21.6, 18.97], "z": [8.0, 8.0], "abnd": np.full(30, 1e-3)}
    path = write_idl(tmp_path / "a.save", logt=log_t, emis=np.ones((2, 11)), **rows)
    fluxes = read_corona(path)
    assert isinstance(fluxes, Fluxes)
    assert fluxes.element == ("o", "o")
    assert fluxes.emissivity[0, 0] == pytest.approx(1e-26 * 0.83 * np.log(10) * 21.6 / 1.986445857e-8)
    wrong = write_idl(tmp_path / "b.save", logt=log_t, emis=np.ones((3, 11)), **rows)
    with pytest.raises(ConfigError, match="expected 2 x 11"):
        read_corona(wrong)


def test_a_save_of_something_else_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="expected a spectrum, or fluxes"):
        read_corona(write_idl(tmp_path / "a.save", other=np.arange(4.0)))


@pytest.mark.parametrize("name", ["a.fits", "a.h5", "a.ecsv"])
def test_no_spectrum_is_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(ConfigError) as fault:
        read_corona(tmp_path / name)
    assert "\n" not in str(fault.value)
    with pytest.raises(ConfigError, match="no such file"):
        read_corona(tmp_path / f"no_{name}")
