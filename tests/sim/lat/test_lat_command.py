import h5py
import hdf5plugin  # noqa: F401 - the filters of the truth
import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from raysieve import cli
from sim.lat.flight import START_S
from stream.lat.bands import ZENITH_DEG, channel_of


def run(folder, name, *options):
    done = CliRunner().invoke(
        cli, ["simulate", "lat", str(folder / name), "--background-error", "0", *map(str, options)]
    )
    return done


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lat")
    done = run(
        folder, "sky.fits", "--years", 0.004, "--seed", 3, "--spacecraft", folder / "pointing.fits", "--dispersion"
    )
    assert done.exit_code == 0, done.output
    return folder


def test_events_are_the_missions(made):
    with fits.open(made / "sky.fits", checksum=True) as file:
        assert [hdu.name for hdu in file] == ["PRIMARY", "EVENTS", "GTI"]
        events, header, gti = file["EVENTS"].data, file["EVENTS"].header, file["GTI"].data
        assert (header["MJDREFI"], header["TIMESYS"], header["PASS_VER"]) == (51910, "TT", "P8R3")
        assert header["DSVAL1"] == "1:1"
        back = events["CONVERSION_TYPE"] == 1
        np.testing.assert_array_equal(events["EVENT_TYPE"][:, -1], ~back)  # most significant bit first
        np.testing.assert_array_equal(events["EVENT_TYPE"][:, -2], back)
        assert events["EVENT_CLASS"][:, -8].all()
        assert events["EVENT_CLASS"].sum() == len(events)
        time = events["TIME"]
        assert np.all(np.diff(time) >= 0)
        row = np.searchsorted(gti["START"], time, side="right") - 1
        assert np.all((row >= 0) & (time <= gti["STOP"][row]))
        channel = channel_of(events["ENERGY"], events["CONVERSION_TYPE"])
        assert channel.min() >= 0
        assert len(events) > 20_000
        cut = np.array(ZENITH_DEG).ravel()[channel]
        assert np.mean(events["ZENITH_ANGLE"] > cut + 1e-3) < 0.01  # energies were measured after the cut
        assert header["TSTART"] == START_S // 30 * 30
        z = np.sin(np.radians(events["DEC"]))
        pole = np.cos(np.radians(62.87)) * np.sin(np.radians(events["B"]))
        turn = np.sin(np.radians(62.87)) * np.cos(np.radians(events["B"])) * np.sin(np.radians(events["L"] - 32.93))
        np.testing.assert_allclose(z, pole + turn, atol=1e-3)


def test_pointing_and_photons_belong_together(made):
    with fits.open(made / "pointing.fits") as file, fits.open(made / "sky.fits") as sky:
        rows, events = file["SC_DATA"].data, sky["EVENTS"].data
        lon, lat = np.radians(rows["RA_SCZ"]), np.radians(rows["DEC_SCZ"])
        axis = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
        k = np.searchsorted(rows["START"], events["TIME"], side="right") - 1
        ra, dec = np.radians(events["RA"]), np.radians(events["DEC"])
        place = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
        theta = np.degrees(np.arccos(np.clip(np.einsum("ni,ni->n", place, axis[k]), -1, 1)))
        off = np.abs(theta - events["THETA"])
        assert np.median(off) < 1.0  # half a row of 30 s: 1 degree of the orbit
        assert off.max() < 8.0  # while it slews
        assert np.all(rows["LIVETIME"][k] > 0)
        assert np.all((rows["LIVETIME"] == 0) == rows["IN_SAA"])


def test_the_truth_tells_the_source_of_every_photon(made):
    with h5py.File(made / "sky.h5") as truth, fits.open(made / "sky.fits") as sky:
        origin, sources, events = truth["ORIGIN"][:], truth["SOURCES"][:], sky["EVENTS"].data
        assert len(origin) == len(events)
        assert origin.max() < len(sources)
        brightest = int(np.bincount(origin[origin >= 0]).argmax())
        mine = events[(origin == brightest) & (events["ENERGY"] > 1000)]
        away = np.hypot(mine["B"] - sources["glat_deg"][brightest], 0)
        assert np.median(away) < 0.7
        assert list(truth["SOURCES"].attrs["classes"])[:2] == ["BLL", "FSRQ"]


def test_the_same_seed_makes_the_same_photons(made, tmp_path):
    again = run(
        tmp_path, "sky.fits", "--years", 0.004, "--seed", 3, "--spacecraft", tmp_path / "p.fits", "--dispersion"
    )
    assert again.exit_code == 0
    assert (tmp_path / "sky.fits").read_bytes() == (made / "sky.fits").read_bytes()


def test_a_mock_library_is_simulated_evenly(tmp_path):
    (tmp_path / "m.xml").write_text(
        "<source_library><source name='a' type='PointSource'><spectrum type='PowerLaw'>"
        "<parameter name='Prefactor' scale='1e-9' value='3'/><parameter name='Index' scale='1' value='-2'/>"
        "<parameter name='Scale' scale='1' value='1000'/></spectrum><spatialModel type='SkyDirFunction'>"
        "<parameter name='RA' scale='1' value='10'/><parameter name='DEC' scale='1' value='20'/></spatialModel>"
        "</source></source_library>"
    )
    done = run(tmp_path, "sky.fits", "--years", 0.001, "--mock", tmp_path / "m.xml")
    assert done.exit_code == 0, done.output
    assert "1 sources" in done.output
    with h5py.File(tmp_path / "sky.h5") as truth:
        # 1e-5 photons cm-2 s-1 above 300 MeV, 2 m2 sr over the whole sphere, 2.4e4 s live: 380
        assert 280 < np.sum(truth["ORIGIN"][:] == 0) < 480


def test_bad_requests_are_refused_in_one_line(made, tmp_path):
    for name, options, said in (
        ("sky.txt", (), "ends in .fits"),
        ("sky.fits", ("--iem", tmp_path / "none.fits"), "none.fits"),
        ("sky.fits", ("--mock", tmp_path / "none.xml"), "none.xml"),
        ("sky.fits", ("--years", "nan"), "--years nan: expected a number"),
        ("sky.fits", ("--start", "inf"), "--start inf: expected a number"),
        ("sky.fits", ("--density", "nan"), "--density nan: expected a number"),
        ("sky.fits", ("--spacecraft", tmp_path / "sky.fits"), "expected a file of its own"),
    ):
        done = run(tmp_path, name, *options)
        assert done.exit_code != 0
        assert said in str(done.output) + str(done.exception)
        assert not list(tmp_path.glob("*.fits"))
    assert "exists" in str(run(made, "sky.fits").exception)
