from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from stream.errors import ConfigError
from stream.spectra.spectrum import Spectrum
from stream.transport.ogip import (
    read_arf,
    read_observation,
    read_response,
    read_spectrum,
    write_arf,
    write_rmf,
    write_spectrum,
)
from stream.transport.pimms import read_plasma
from tests.stream.spectra.camera import camera

COUNTS = np.random.default_rng(1).poisson(3.0, 180).astype(float)


@pytest.fixture
def folder(tmp_path):
    """A spectrum, its background and its response, as files that name each other."""
    response = camera(first_channel=0)
    write_rmf(tmp_path / "a.rmf", response)
    write_arf(tmp_path / "a.arf", response)
    quality = np.zeros(180)
    quality[7] = 5
    off = Spectrum.of(COUNTS[::-1], 2000.0, first_channel=0, backscal=4.0)
    write_spectrum(tmp_path / "b.pha", off)
    on = Spectrum.of(COUNTS, 1000.0, first_channel=0, quality=quality, areascal=np.linspace(0.9, 1, 180))
    files = {"BACKFILE": "b.pha", "RESPFILE": "a.rmf", "ANCRFILE": "a.arf"}
    write_spectrum(tmp_path / "a.pha", on.grouped(5), files)
    return tmp_path


def change(path, extension=1, column=None, row=0, value=None, **keywords):
    with fits.open(path, mode="update") as hdus:
        if column:
            hdus[extension].data[column][row] = value
        for key, word in keywords.items():
            hdus[extension].header[key] = word


def test_what_is_written_is_read_again(folder):
    spectrum, response = read_observation(folder / "a.pha")
    assert np.array_equal(spectrum.counts, COUNTS)
    assert spectrum.exposure_s == 1000.0
    assert spectrum.quality.tolist() == [5 if i == 7 else 0 for i in range(180)]
    assert spectrum.grouping[0] == 1
    assert np.allclose(spectrum.areascal, np.linspace(0.9, 1, 180))
    assert np.array_equal(spectrum.background.counts, COUNTS[::-1])
    assert spectrum.background.backscal.tolist() == [4.0]
    ours = camera(first_channel=0)
    assert np.allclose(response.dense(), ours.dense(), rtol=1e-6)
    assert response.channel[[0, -1]].tolist() == [0, 179]
    assert np.allclose(response.e_min_kev, ours.e_min_kev, rtol=1e-6)


def test_mandatory_keywords_are_there(folder):
    header = fits.getheader(folder / "a.pha", "SPECTRUM")
    words = "TELESCOP INSTRUME FILTER EXPOSURE BACKSCAL CORRSCAL CORRFILE BACKFILE RESPFILE ANCRFILE"
    words += " HDUCLASS HDUCLAS1 HDUVERS POISSERR CHANTYPE DETCHANS TLMIN1 TLMAX1 CHECKSUM"
    assert [word for word in words.split() if word not in header] == []
    assert header["HDUCLAS4"] == "TYPE:I"


def test_garbage_in_the_channels_of_ebounds_is_tolerated(folder):
    change(folder / "a.rmf", 2, "CHANNEL", slice(None), 31_000)
    response = read_response(folder / "a.rmf")
    assert response.channel[[0, -1]].tolist() == [0, 179]


def test_rates_are_turned_to_counts(folder):
    rate = (COUNTS / 1000.0).astype("f4")
    columns = [fits.Column("CHANNEL", "J", array=np.arange(180)), fits.Column("RATE", "E", array=rate)]
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    table.header["EXPOSURE"] = 1000.0
    table.writeto(folder / "rate.pha")
    assert np.array_equal(read_spectrum(folder / "rate.pha").counts, COUNTS)


def test_a_gzipped_file_stands_in_for_the_named_one(folder):
    with fits.open(folder / "a.rmf") as hdus:
        hdus.writeto(folder / "a.rmf.gz")
    (folder / "a.rmf").unlink()
    assert len(read_observation(folder / "a.pha")[1].channel) == 180


@pytest.mark.parametrize(
    ("name", "edit", "why"),
    [
        ("a.pha", {"column": "COUNTS", "row": 3, "value": -1}, r"COUNTS of row 4 is -1: expected 0 or more"),
        ("a.pha", {"EXPOSURE": 0.0}, r"EXPOSURE 0.0: expected seconds above 0"),
        ("a.pha", {"column": "AREASCAL", "row": 0, "value": np.nan}, r"AREASCAL: expected values above 0"),
        ("a.pha", {"column": "CHANNEL", "row": 0, "value": 9}, r"CHANNEL: expected numbers that rise by one"),
        ("b.pha", {"BACKSCAL": 0.0}, r"BACKSCAL: expected values above 0"),
        ("a.arf", {"column": "SPECRESP", "row": 5, "value": -3}, r"SPECRESP: expected areas of 0 cm2 or more"),
        ("a.arf", {"column": "ENERG_LO", "row": 9, "value": 0.68}, r"its bins of energy are not those of a.rmf"),
        ("a.rmf", {"column": "ENERG_HI", "row": 9, "value": 0.1}, r"expected rising bins of energy"),
        ("a.rmf", {"TLMIN4": 90}, r"row 1: F_CHAN, N_CHAN beyond the 180 channels from 90 on"),
        ("a.rmf", {"column": "MATRIX", "row": 0, "value": None}, r"row 1: 0 values of MATRIX"),
    ],
)
def test_bad_columns_are_refused_in_one_line_that_names_the_file(folder, name, edit, why):
    if edit.get("column") == "MATRIX":
        edit = edit | {"value": np.empty(0, "f4")}
    change(folder / name, **edit)
    with pytest.raises(ConfigError, match=why) as refusal:
        read_observation(folder / "a.pha")
    assert name in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_files_that_do_not_belong_together_are_refused(folder):
    response = camera(first_channel=1)
    write_rmf(folder / "other.rmf", response)
    with pytest.raises(ConfigError, match=r"a.pha: channels 0..179, expected channels 1..180 of other.rmf"):
        read_observation(folder / "a.pha", rmf=folder / "other.rmf")
    write_spectrum(folder / "short.pha", Spectrum.of(np.zeros(20), 1.0))
    with pytest.raises(ConfigError, match=r"short.pha: 20 channels, but a.pha has 180"):
        read_spectrum(folder / "a.pha", folder / "short.pha")
    half = replace(response, energy_lo_kev=response.energy_lo_kev[:9], energy_hi_kev=response.energy_hi_kev[:9])
    write_arf(folder / "short.arf", replace(half, area_cm2=response.area_cm2[:9]))
    with pytest.raises(ConfigError, match=r"short.arf: 9 bins of energy, but a.rmf has 240"):
        read_response(folder / "a.rmf", folder / "short.arf")


def test_what_is_no_such_file_is_refused(folder):
    (folder / "text.pha").write_text("not FITS")
    for name, why in (("none.pha", "no such file"), ("text.pha", "not FITS"), ("a.arf", "expected a spectrum")):
        with pytest.raises(ConfigError, match=why):
            read_spectrum(folder / name)
    with pytest.raises(ConfigError, match="expected an ARF"):
        read_arf(folder / "a.pha")
    with pytest.raises(ConfigError, match="names no response"):
        read_observation(folder / "b.pha")


def test_a_folder_of_plasma_spectra_keeps_its_photons(tmp_path):
    energy = 0.014 + 0.004 * np.arange(2000)
    for t in (690, 695, 700, 705):
        np.savetxt(tmp_path / f"apec10_{t}.mdl", np.column_stack([energy, np.exp(-energy) * t]))
    table = read_plasma(tmp_path)
    assert np.allclose(table.log_t, [6.9, 6.95, 7.0, 7.05])
    assert table.photons[2].sum() == pytest.approx((np.exp(-energy) * 700).sum() * 0.004, rel=1e-3)
    (tmp_path / "apec10_700.mdl").write_text("0.1 x\n")
    with pytest.raises(ConfigError, match=r"apec10_700.mdl: expected two columns"):
        read_plasma(tmp_path)
    with pytest.raises(ConfigError, match=r"at least four temperatures, found 0"):
        read_plasma(tmp_path / "none")
