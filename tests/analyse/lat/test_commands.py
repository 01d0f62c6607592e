"""The command: from files to lat.json; and every wrong input in one line."""

import json

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from config.errors import RaysieveError
from raysieve import cli
from stream.lat.exposure import survey
from stream.lat.sphere import equatorial
from stream.transport.sky_files import write_sky, write_window
from tests.analyse.lat.conftest import FLUX, INDEX, NEIGHBOUR, PLACE

NAME, OTHER = "4FGL J1234.5+6789", "4FGL J1300.0+0000"


def run(*arguments):
    return CliRunner().invoke(cli, ["analyse", "lat", *map(str, arguments)], catch_exceptions=True)


def fault(*arguments):
    done = run(*arguments)
    assert isinstance(done.exception, RaysieveError | SystemExit), done.output
    told = str(done.exception) if isinstance(done.exception, RaysieveError) else done.output
    assert "Traceback" not in done.output
    return told


@pytest.fixture(scope="module")
def folder(tmp_path_factory, sky, tools):
    """What `raysieve process` leaves, and a catalogue of two sources and one that is no number."""
    out = tmp_path_factory.mktemp("out")
    (out / "sky").mkdir()
    write_sky(out / "sky" / "counted.h5", sky)
    write_window(out / "sky" / "mission.fits", sky.windows()["mission"], survey(tools[0], 2), {})
    catalogue(out / "gll_psc.fit")
    return out


def catalogue(path):
    places = [PLACE, NEIGHBOUR, (71.0, 44.0)]
    ra, dec = (np.array(v) for v in zip(*(equatorial(*p) for p in places), strict=True))
    # flux from 1 to 100 GeV of K (E / 1 GeV)^-g is K 1000 / (g - 1)
    norm = np.array([f * (g - 1) / 1000 for f, g in ((FLUX, INDEX), (1.5e-9, 2.5), (np.nan, 2.0))])
    columns = {"GLON": [p[0] for p in places], "GLAT": [p[1] for p in places], "RAJ2000": ra, "DEJ2000": dec}
    columns |= {"Signif_Avg": [30.0, 15.0, 5.0], "Pivot_Energy": [1000.0] * 3, "PL_Flux_Density": norm}
    columns |= {"PL_Index": [INDEX, 2.5, 2.0]}
    units = {"Pivot_Energy": "MeV", "PL_Flux_Density": "cm-2 MeV-1 s-1"}
    made = [fits.Column("Source_Name", "18A", array=[NAME, OTHER, "4FGL J0000.0+0000"])]
    made.append(fits.Column("SpectrumType", "12A", array=["PowerLaw"] * 3))
    made += [fits.Column(n, "D", units.get(n), array=np.array(v)) for n, v in columns.items()]
    made.append(fits.Column("Flux_Band", "2E", array=np.ones((3, 2))))
    made.append(fits.Column("Unc_Flux_Band", "4E", array=np.ones((3, 4))))
    bounds = [
        fits.Column(n, "E", "MeV", array=v) for n, v in (("LowerEnergy", [1e2, 1e3]), ("UpperEnergy", [1e3, 1e5]))
    ]
    tables = [fits.BinTableHDU.from_columns(made, name="LAT_Point_Source_Catalog")]
    tables.append(fits.BinTableHDU.from_columns(bounds, name="EnergyBounds"))
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(path)


def test_a_source_of_a_catalogue_is_told_in_full(folder, tmp_path):
    done = run(
        folder, "--source", NAME.lower(), "--catalogue", folder / "gll_psc.fit", "--exposure", "survey", "--plot",
        "--out", tmp_path,
    )  # fmt: skip
    assert done.exit_code == 0, (done.output, done.exception)
    report = json.loads((tmp_path / "lat.json").read_text())
    assert report["source"] == NAME
    assert report["ts"] > 200
    straight = report["models"]["powerlaw"]
    assert abs(straight["flux"] - FLUX) < 4 * straight["flux_error"]
    assert abs(straight["index"] - INDEX) < 4 * straight["index_error"]
    assert set(report["models"]) == {"powerlaw", "logparabola", "plec"}
    assert report["place"]["r68_deg"] < report["place"]["r95_deg"] < 0.1
    assert len(report["bands"]) == 6
    assert [row["year"] for row in report["light_curve"]["years"]] == [0, 1]
    assert [row["name"] for row in report["neighbours"]] == [OTHER]
    assert len(report["diffuse_norms"]) == 6
    assert report["upper_limit_95"] is None
    for said in ("TS", "log-parabola", "TS_var", "E^2 dN/dE"):
        assert said in done.output
    assert (tmp_path / "lat.png").stat().st_size > 20_000


def test_wrong_input_is_one_line(folder, tmp_path):
    psc, sky, out = folder / "gll_psc.fit", folder / "sky" / "counted.h5", ("--out", tmp_path)
    for told, *arguments in (
        ("no source '4FGL J1234.5+678'", sky, "--source", "4FGL J1234.5+678", "--catalogue", psc),
        ("did you mean", sky, "--source", "4FGL J1234.5+678", "--catalogue", psc),
        ("rows without a place or a spectrum", sky, "--source", "4FGL J0000.0+0000", "--catalogue", psc),
        ("expected a catalogue", sky, "--source", NAME),
        ("one of them", sky, "--source", NAME, "--at", 1, 2, "--catalogue", psc),
        ("one of them", sky),
        ("latitude -90 to 90", sky, "--at", 10, 95),
        ("latitude -90 to 90", sky, "--at", "nan", 5),
        ("no such file", tmp_path / "none.h5", "--at", *PLACE),
        ("no counted.h5", tmp_path, "--at", *PLACE),
        ("no exposure: nobody knows", sky, "--at", *PLACE),
        ("window day: no photons", sky, "--at", *PLACE, "--window", "day", "--exposure", "survey"),
        ("no photons within 8 degrees", sky, "--at", 250, -45, "--exposure", "survey"),
        ("expected raysieve sky", psc.with_name("text.h5"), "--at", *PLACE),
        ("not FITS (it is text)", sky, "--source", NAME, "--catalogue", psc.with_name("text.h5")),
    ):
        psc.with_name("text.h5").write_text("no file of ours")
        said = fault(*arguments, *out)
        assert told in said, arguments
        assert "\n" not in said.strip()


def test_map_files_that_are_none_are_refused(folder, tmp_path):
    at = ("--at", *PLACE, "--out", tmp_path / "x")
    good = folder / "sky" / "mission.fits"
    with fits.open(good) as file:
        file["FRONT"].data["VALUE"][3] = -4
        file.writeto(tmp_path / "negative.fits")
    assert "1 rows of" in fault(tmp_path / "negative.fits", *at)
    with fits.open(good) as file:
        file["BANDS"].data["E_MIN"][0] = 100
        file.writeto(tmp_path / "bands.fits")
    assert "expected 6 bands" in fault(tmp_path / "bands.fits", *at)
    with fits.open(good) as file:
        file["BACK_EXPOSURE"].data["CHANNEL2"][:] = np.nan
        file.writeto(tmp_path / "nan.fits")
    assert "not below 0" in fault(tmp_path / "nan.fits", *at)
    with fits.open(good) as file:
        del file["FRONT_EXPOSURE"]
        file.writeto(tmp_path / "without.fits")
    assert "no exposure: nobody knows" in fault(tmp_path / "without.fits", *at)
