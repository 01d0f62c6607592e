import numpy as np
import pytest
from astropy.io import fits

from config.load import load
from sim.sources.camera import built_in
from stream.errors import ConfigError
from stream.messages import End, Product
from stream.stages.accumulate import Accumulate
from stream.transport.foreign.sky_list import read_sky_list

RESPONSE = built_in().response


def write(path, columns, **cards):
    table = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    table.header.update(cards)
    gti = fits.BinTableHDU.from_columns(
        [fits.Column("START", "D", array=[100.0]), fits.Column("STOP", "D", array=[1100.0])], name="GTI"
    )
    fits.HDUList([fits.PrimaryHDU(), table, gti]).writeto(path)
    return path


def columns(n=500, **other):
    rng = np.random.default_rng(2)
    made = {"X": rng.uniform(4000, 4100, n), "Y": rng.uniform(3900, 4050, n), "PI": rng.integers(50, 500, n)}
    made |= {"TIME": rng.uniform(100, 1100, n)} | other
    return [fits.Column(name, "D" if name != "PI" else "J", array=values) for name, values in made.items()]


WCS = {"TCTYP1": "RA---TAN", "TCTYP2": "DEC--TAN", "TCRPX1": 4096.5, "TCRPX2": 4096.5,
       "TCRVL1": 266.0, "TCRVL2": -29.0, "TCDLT1": -1.4e-4, "TCDLT2": 1.4e-4}  # fmt: skip


def test_a_list_of_sky_pixels_becomes_a_camera_with_its_exposure(tmp_path):
    path = write(tmp_path / "sky.fits", columns(), EXPOSURE=800.0, TELESCOP="CHANDRA", **WCS)
    product = read_sky_list(path, 0, RESPONSE, 1)
    stage = Accumulate(load("wfi", ["accumulate.every_s=1e9", "accumulate.bands_ev=[[0, 1e6]]"]))
    given = [*stage.process(product), *stage.process(End(stream=""))]
    images = next(one for one in given if isinstance(one, Product) and one.kind == "images")
    assert images.tables["IMAGES"]["COUNTS"].sum() == 500
    assert images.tables["EXPOSURE"]["EXPOSURE"][0].max() == pytest.approx(800.0, rel=1e-6)
    assert images.header["EXPOSURE"] == pytest.approx(800.0, rel=1e-6)
    assert images.header["TELESCOP"] == "CHANDRA"
    # CRPIX counts from 0 in pixels of the camera: the column's value 4096.5 lies there
    event = product.tables["EVENTS"][0]
    x = fits.getdata(path, "EVENTS")["X"][0]
    assert event["DETX"] - images.header["CRPIX1S"] == pytest.approx(x - 4096.5, abs=1e-6)


def test_energies_are_those_of_the_response(tmp_path):
    path = write(tmp_path / "sky.fits", columns(), EXPOSURE=800.0)
    events = read_sky_list(path, 0, RESPONSE, 2).tables["EVENTS"]
    pi = fits.getdata(path, "EVENTS")["PI"]
    middle = (RESPONSE.e_min_kev + RESPONSE.e_max_kev) / 2
    assert events["ENERGY"] == pytest.approx(1000 * np.interp(pi, RESPONSE.channel, middle), rel=1e-9)


@pytest.mark.parametrize(
    ("edit", "cards", "response", "why"),
    [
        ({}, {"EXPOSURE": -3.0}, RESPONSE, "EXPOSURE -3.0: expected seconds above 0"),
        ({}, {"EXPOSURE": 10.0}, None, "PI and no ENERGY: give the response"),
        ({"X": np.linspace(0, 60000, 500)}, {"EXPOSURE": 10.0}, RESPONSE, "expected 30 or more"),
    ],
)
def test_what_is_missing_is_said_in_one_line_that_names_the_file(tmp_path, edit, cards, response, why):
    path = write(tmp_path / "sky.fits", columns(**edit), **cards)
    with pytest.raises(ConfigError, match=why) as refusal:
        read_sky_list(path, 0, response, 1)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


def test_without_a_keyword_the_exposure_is_the_good_time(tmp_path):
    path = write(tmp_path / "sky.fits", columns())
    assert read_sky_list(path, 0, RESPONSE, 1).header["NREAD00"] == pytest.approx(1000)
    with fits.open(path, mode="update") as hdus:
        hdus["GTI"].name = "STDGTI01"
    assert read_sky_list(path, 0, RESPONSE, 1).tables["GTI"]["STOP"].tolist() == [1100.0]
    with fits.open(path, mode="update") as hdus:
        del hdus["STDGTI01"]
    with pytest.raises(ConfigError, match=r"sky.fits: no keyword EXPOSURE, LIVETIME or ONTIME, and no good time"):
        read_sky_list(path, 0, RESPONSE, 1)


def test_without_a_bin_the_least_is_taken_that_fits(tmp_path):
    path = write(tmp_path / "sky.fits", columns(X=np.linspace(0, 60000, 500)), EXPOSURE=10.0)
    header = read_sky_list(path, 0, RESPONSE, None).header
    assert (header["SKY_BIN"], header["Q00NX"]) == (30, 2001)
    path = write(tmp_path / "small.fits", columns(), EXPOSURE=10.0)
    assert read_sky_list(path, 0, RESPONSE, None).header["SKY_BIN"] == 1


@pytest.mark.parametrize("name", ["EMOS1", "EPN"])
def test_pi_of_epic_is_in_ev_with_a_response_or_without(tmp_path, name):
    path = write(tmp_path / "sky.fits", columns(), EXPOSURE=10.0, TELESCOP="XMM", INSTRUME=name)
    for response in (RESPONSE, None):
        events = read_sky_list(path, 0, response, None).tables["EVENTS"]
        assert events["ENERGY"].tolist() == fits.getdata(path, "EVENTS")["PI"].tolist()
