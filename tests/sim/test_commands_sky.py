"""`raysieve simulate wfi` and `frames`: what they write, and one clear line for every wish that cannot be."""

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from config.errors import RaysieveError
from raysieve import cli
from sim.commands.frames import shape_of
from sim.frame_file import read_set
from sim.hit_library import HitLibrary, shipped
from stream.transport.recording import Recording
from tests.sim.libraries import drawn, write


def run(command, out, *options, config="wfi"):
    given = ["simulate", command, out, "--config", config, *options]
    return CliRunner().invoke(cli, list(map(str, given)))


def made(command, out, *options, config="wfi"):
    done = run(command, out, *options, config=config)
    assert done.exit_code == 0, done.output
    return done


def refused(command, out, *options, config="wfi"):
    before = out.read_bytes() if out.is_file() else None
    done = run(command, out, *options, config=config)
    assert isinstance(done.exception, RaysieveError), done.output
    assert "\n" not in str(done.exception)
    assert (out.read_bytes() if out.is_file() else None) == before
    return str(done.exception)


@pytest.fixture
def arf(tmp_path):
    columns = [
        fits.Column("ENERG_LO", "E", array=[0.2, 1.0, 5.0]),
        fits.Column("ENERG_HI", "E", array=[1.0, 5.0, 12.0]),
        fits.Column("SPECRESP", "E", array=[500.0, 800.0, 100.0]),
    ]
    path = tmp_path / "area.arf"
    fits.BinTableHDU.from_columns(columns, name="SPECRESP").writeto(path)
    return path


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "spectrum.txt"
    path.write_text("# eV  photons per eV\n500 2\n1000 1\n8000 0.1\n")
    return path


def truth(path):
    with Recording(path) as recording:
        return {name: recording.truth(name) for name in recording.tables}, len(recording)


def test_wfi_with_every_option_of_the_sky(tmp_path, arf, table):
    wishes = [
        ["--spectrum", "table", "--table", table, "--arf", arf],
        ["--spectrum", "power_law", "--index", 2.0, "--energy-ev", 300, 5000],
        ["--spectrum", "lines", "--line-ev", 5895, "--line-ev", 6490],
        ["--point", 900, 300, "--hew-arcsec", 5, "--photons", 10],
        ["--hits", "straight", "--particles", 3],
        ["--particles", 0],
    ]
    for i, options in enumerate(wishes):
        made("wfi", tmp_path / f"{i}.h5", "--readouts", 2, *options)
    tables = [truth(tmp_path / f"{i}.h5")[0] for i in range(len(wishes))]
    assert set(np.unique(tables[2]["photons"]["energy_ev"])) <= {5895.0, 6490.0}
    assert tables[1]["photons"]["energy_ev"].max() <= 5000
    assert (tables[3]["photons"]["quadrant"] == 0).mean() > 0.8
    assert "track_pixels" in tables[4]
    assert "particles" not in tables[5]


def test_wfi_takes_its_particles_from_the_shipped_library(tmp_path):
    done = made("wfi", tmp_path / "a.h5", "--readouts", 5, "--particles", 4, "--seed", 2)
    assert "20 frames" in done.output
    tables, frames = truth(tmp_path / "a.h5")
    assert frames == 20
    with HitLibrary(shipped()) as library:
        rows = library.primaries()
    used = tables["particles"]
    assert used["library"].tolist() == list(range(len(used)))
    assert np.array_equal(used["deposit_kev"], rows["deposit_kev"][used["library"]])
    made("wfi", tmp_path / "b.h5", "--readouts", 5, "--particles", 4, "--seed", 2)
    again, _ = truth(tmp_path / "b.h5")
    assert all(np.array_equal(again[name], tables[name]) for name in tables)


def test_wfi_in_the_dark(tmp_path):
    made("wfi", tmp_path / "a.h5", "--readouts", 2, "--dark")
    tables, frames = truth(tmp_path / "a.h5")
    assert frames == 8
    assert set(tables) == {"bad_pixels"}


def test_a_library_that_is_too_small_is_told(tmp_path):
    hits = write(tmp_path / "hits.h5", drawn(10, 1))
    done = made("wfi", tmp_path / "a.h5", "--readouts", 10, "--particles", 3, "--hits", hits)
    assert "note: hits.h5 holds 10 primaries; each is used" in done.output
    assert "in 4 mirror images" in done.output


IMPOSSIBLE = [
    (["--hits", "none.h5"], "hit library none.h5: no such file"),
    (["--arf", "none.arf"], "none.arf: "),
    (["--spectrum", "table", "--table", "none.txt"], "none.txt: "),
    (["--table", "none.txt"], "expected the file `table` for the shape table"),
    (["--spectrum", "lines"], "spectrum: expected lines_ev"),
    (["--spectrum", "lines", "--line-ev", "nan"], "spectrum: expected lines_ev, all > 0"),
    (["--spectrum", "power_law", "--index", "nan"], "-10 <= index <= 10"),
    (["--energy-ev", "500", "100"], "0 < energy_min_ev < energy_max_ev"),
    (["--photons", "nan"], "X-rays: expected per_frame >= 0"),
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        *IMPOSSIBLE,
        (["--photons", "inf"], "X-rays: expected per_frame >= 0"),
        (["--particles", "inf"], "particles: expected 0 <= primaries per read-out"),
        (["--particles", "nan"], "particles: expected 0 <= primaries per read-out"),
        (["--particles", "nan", "--hits", "straight"], "tracks: expected per_frame >= 0"),
        (["--point", "nan", "3"], "point source: expected x_px and y_px"),
        (["--flux", "all", "--hits", "straight"], "--flux: expected a hit library"),
    ],
)
def test_what_wfi_cannot_do_is_one_line(options, expected, tmp_path):
    assert expected in refused("wfi", tmp_path / "a.h5", "--readouts", 1, *options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["wfi", "frames"])
def test_a_camera_that_the_hits_do_not_fit_is_one_line(command, tmp_path):
    said = refused(command, tmp_path / "a.h5", config="quick")
    assert said == "camera for the hit library hits_close.h5: expected 512 x 512 pixels"


@pytest.mark.parametrize("command", ["wfi", "frames"])
def test_a_place_that_cannot_be_written_is_one_line(command, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(command, tmp_path / "file" / "a.h5")
    assert "a file to write, not a folder" in refused(command, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_frames_of_all_windows(tmp_path):
    for window, shape in (
        ("64", (1, 64, 64)),
        ("100", (1, 100, 100)),
        ("quadrant", (1, 512, 512)),
        ("camera", (4, 512, 512)),
    ):
        out = tmp_path / f"{window}.h5"
        done = made("frames", out, "--window", window, "--per-class", 3, "--photons", 4, "--particles", 4)
        assert "12 frames; 3 empty, 3 xray, 3 particle, 3 mixed" in done.output
        with read_set(out) as file:
            assert file["frames"].shape == (12, *shape)
            about = json.loads(file.attrs["about"])
            assert about["library"] == "hits_close.h5"


def test_parts_of_a_library_have_different_primaries(tmp_path):
    used = {}
    for low, high in ((0, 0.7), (0.7, 1)):
        out = tmp_path / f"{low}.h5"
        made("frames", out, "--per-class", 60, "--part", low, high)
        with read_set(out) as file:
            used[low] = set(file["particles"]["library"].tolist())
            part = json.loads(file.attrs["about"])["part"]
            assert all(part[0] <= place < part[1] for place in used[low])
    assert not used[0] & used[0.7]


def test_a_part_that_was_used_again_is_told(tmp_path):
    hits = write(tmp_path / "hits.h5", drawn(10, 1))
    done = made("frames", tmp_path / "a.h5", "--per-class", 50, "--hits", hits)
    assert "note: the 10 primaries of hits.h5 were begun" in done.output


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        *IMPOSSIBLE,
        (["--window", "4"], "--window 4: expected quadrant, camera or 5 to 512 pixels"),
        (["--window", "513"], "--window 513: expected"),
        (["--window", "big"], "--window big: expected"),
        (["--window", "²"], "--window ²: expected"),
        (["--part", "0.5", "0.5"], "--part 0.5 0.5: expected a range that holds primaries"),
        (["--part", "0.5", "nan"], "two numbers for --part"),
        (["--part", "0", "0.0001"], "a range that holds primaries"),
        (["--hits", "straight"], "a hit library, not straight tracks"),
        (["--point", "3", "3"], "no --point"),
        (["--window", "65", "--photons", "0"], "rates of X-rays and particles above 0"),
        (["--window", "65", "--photons", "100000"], "rates without pile-up everywhere"),
        (["--window", "quadrant", "--particles", "inf"], "rates without pile-up everywhere"),
    ],
)
def test_what_frames_cannot_do_is_one_line(options, expected, tmp_path):
    assert expected in refused("frames", tmp_path / "a.h5", "--per-class", 2, *options)
    assert [path for path in Path(tmp_path).iterdir() if path.name != "a.h5"] == []


def test_shapes_of_windows():
    assert shape_of("quadrant", 4, (40, 50)) == (1, 40, 50)
    assert shape_of("camera", 4, (40, 50)) == (4, 40, 50)
    assert shape_of("40", 4, (40, 50)) == (1, 40, 40)
