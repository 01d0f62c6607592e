import numpy as np
import pytest
from astropy.io import fits

from stream.errors import ConfigError
from stream.lat.exposure import ENERGY_MEV
from stream.lat.sky import stand_in
from stream.transport.lat_diffuse import read_diffuse, read_isotropic

GRID = {"CTYPE1": "GLON-CAR", "CRVAL1": 0.0, "CRPIX1": 18.5, "CDELT1": 10.0}
GRID |= {"CTYPE2": "GLAT-CAR", "CRVAL2": 0.0, "CRPIX2": 10.0, "CDELT2": 10.0}


def cube(path, energies=(50.0, 1000.0, 1e6), unit="MeV", table=True, **cards):
    """Write an interstellar cube of 3 energies, 19 latitudes and 36 longitudes."""
    image = fits.PrimaryHDU(np.full((3, 19, 36), 1e-9, np.float32))
    image.header.update({key: value for key, value in (GRID | cards).items() if value is not None})
    column = fits.Column("Energy", "D", unit, array=np.array(energies))
    hdus = [image, fits.BinTableHDU.from_columns([column], name="ENERGIES")]
    fits.HDUList(hdus[: 1 + table]).writeto(path)
    return path


def isotropic(folder, text="100 1e-8 1e-9\n1000 1e-10 1e-11\n1000000 1e-16 1e-17\n"):
    for name in ("FRONT", "BACK"):
        (folder / f"iso_P8R3_SOURCE_V3_{name}_v1.txt").write_text(text)
    return folder


def test_cube_and_tables_are_read(tmp_path):
    given = read_diffuse(cube(tmp_path / "iem.fits"), isotropic(tmp_path))
    assert given.planes.shape == (3, 19, 36)
    np.testing.assert_allclose(given.planes, np.log(1e-9), rtol=1e-6)
    assert given.first_deg == (-90.0, -175.0)
    at = np.isclose(ENERGY_MEV, 1000)
    assert at.any()
    np.testing.assert_allclose(given.isotropic[:, at], 1e-10)
    ours = read_diffuse(None, None)
    np.testing.assert_array_equal(ours.planes, stand_in().planes)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"CTYPE2": "DEC--CAR"}, "expected a cube of energies on GLON-CAR, GLAT-CAR, found GLON-CAR, DEC--CAR"),
        ({"CDELT1": None, "CRPIX2": None}, "found no CDELT1, CRPIX2"),
        ({"table": False}, "no table ENERGIES"),
        ({"unit": "GeV"}, "ENERGIES: expected MeV, found GeV"),
        ({"CRPIX2": 10.07}, "not even about 0"),
        ({"energies": (50.0, 1000.0)}, "expected 3 rising ones, found 2"),
        ({"energies": (50.0, np.nan, 1000.0)}, "expected 3 rising ones"),
        ({"energies": (50.0, 1000.0, 1000.0)}, "expected 3 rising ones"),
    ],
)
def test_another_cube_is_refused_in_one_line(tmp_path, changed, said):
    with pytest.raises(ConfigError, match=said) as fault:
        read_diffuse(cube(tmp_path / "iem.fits", **changed), None)
    assert "iem.fits: " in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(("content", "why"), [("", "no such file"), ("text", "not FITS"), ("half of it", "truncated")])
def test_what_is_no_file_is_refused_in_one_line(tmp_path, content, why):
    if content == "half of it":
        whole = cube(tmp_path / "whole.fits").read_bytes()
        (tmp_path / "iem.fits").write_bytes(whole[: len(whole) // 2])
    elif content:
        (tmp_path / "iem.fits").write_text(content)
    with pytest.raises(ConfigError, match=rf"iem.fits: {why}") as fault:
        read_diffuse(tmp_path / "iem.fits", None)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [("100 x\n", "expected columns"), ("100\n1000\n", "expected columns"), ("100 0\n1000 1\n", "above 0"),
     ("1000 1\n100 1\n", "rising"), ("100 nan\n1000 1\n", "above 0")],
)  # fmt: skip
def test_other_tables_are_refused(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        read_isotropic(isotropic(tmp_path, text))
    with pytest.raises(ConfigError, match="expected one iso_"):
        read_isotropic(tmp_path / "none")
