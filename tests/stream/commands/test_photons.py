import json

import pytest
from click.testing import CliRunner

from raysieve import cli
from stream.errors import RaysieveError
from stream.lat.photons import BLOCK_S
from stream.transport.photons import open_photons, write_photons
from tests.stream.lat.skies import stream
from tests.stream.transport.lat_files import columns, write_ft1, write_ft2


@pytest.fixture
def recording(tmp_path):
    write_photons(tmp_path / "photons.h5", stream(300, 2 * BLOCK_S)[1], {"seed": 0})
    return tmp_path / "photons.h5"


def raysieve(*words):
    return CliRunner().invoke(cli, list(map(str, words)))


def test_ft1_and_ft2_become_one_recording_and_what_is_left_out_is_said(tmp_path):
    given = columns(50)
    given["ENERGY"][2][3] = float("nan")
    ft1, ft2 = write_ft1(tmp_path / "a.fits", given), write_ft2(tmp_path / "b.fits")
    done = raysieve("convert", "ft1", ft2, ft1, tmp_path / "p.h5")
    assert done.exit_code == 0, done.output
    assert "p.h5: 49 photons in 0.012 days of good time" in done.output
    assert "no numbers: 1" in done.output
    assert "there is no exposure" not in done.output
    assert "there is no exposure" in raysieve("convert", "ft1", ft1, tmp_path / "q.h5").output
    assert len(open_photons([tmp_path / "p.h5"]).pointing) == 40


def test_files_are_described(tmp_path, recording):
    ft1, ft2 = write_ft1(tmp_path / "a.fits", columns(50)), write_ft2(tmp_path / "b.fits")
    assert "a.fits: FT1, 50 photons, front" in raysieve("inspect", ft1).output
    assert "b.fits: FT2, 40 rows of pointing, 0.013 days live" in raysieve("inspect", ft2).output
    shown = raysieve("inspect", recording).output
    assert "photons.h5: recording of photons, " in shown
    assert "pointing: 72 rows" in shown


def test_the_table_of_photons_is_explained():
    shown = raysieve("explain", "lat").output
    assert "accumulate_sky  photons" in shown
    assert "localise" in shown
    assert "alert " not in shown  # without a catalogue
    assert "localise" not in raysieve("explain", "lat", "--set", "localise.windows=[]").output


def test_the_schema_of_alerts_is_printed():
    shown = json.loads(raysieve("explain", "lat", "--schema").output)
    assert shown["properties"]["flux_unit"] == {"enum": ["ph/cm2/s", "erg/cm2/s"]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "lat", "--only", "detect"), "--only detect: expected sky with lat"),
        (("replay", "{p}", "--to", "ipc:///tmp/none", "--loop", "2"), "photons come once; expected no --loop"),
        (("process", "{p}", "-c", "quick", "--out", "{o}"), "expected raysieve recording, got 'raysieve photons'"),
        (("process", "{p}", "-c", "lat", "--out", "{o}", "--maps", "{p}"), "photons have no maps and no scheduler"),
        (("convert", "ft1", "{p}", "{o}/again.fits"), "expected the name of a recording, .h5"),
        (
            ("explain", "lat", "--set", "accumulate_sky.every_h=6"),
            "accumulate_sky.every_h=6: no such key; did you mean every_s?",
        ),
        (
            ("explain", "lat", "--set", "accumulate_sky.exposure=guess"),
            "accumulate_sky.exposure=guess: Input should be",
        ),
        (("calibrate-dark", "{p}", "{o}/maps.h5"), "expected raysieve recording, got 'raysieve photons'"),
        (("glimpse", "lat"), "is for photons"),
        (
            ("replay", "{p}", "--to", "ipc://{o}/none.sock", "--rate", "max", "--wait", "0.2"),
            "no reader came within 0.2 s; what was sent is lost",
        ),
        (("explain", "wfi", "--schema"), "--schema: wfi raises no alerts; expected lat"),
    ],
)
def test_what_is_no_stream_of_photons_is_refused_in_one_line(recording, tmp_path, words, said):
    done = raysieve(*(word.format(p=recording, o=tmp_path) for word in words))
    assert isinstance(done.exception, RaysieveError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
