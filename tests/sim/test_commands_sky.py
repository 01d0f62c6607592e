"""`raysieve simulate wfi` and `frames`: what they write, and one clear line for every wish that cannot be."""

import json

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from config.errors import RaysieveError
from config.load import load
from raysieve import cli
from sim.commands.frames import rates_of, shape_of
from sim.commands.scene import particles
from sim.frame_file import read_set
from sim.geant4.spectrum import ALPHAS
from sim.hit_library import HitLibrary, shipped
from sim.particles import Pixels
from sim.pools import ParticlePool
from sim.seeds import Seeds
from stream.messages import Frame
from stream.transport.link import Pull
from stream.transport.recording import Recording
from tests.sim.libraries import drawn, write

WFI = load("wfi")
LAYOUT = WFI.detector
WINDOWS = {"64": (1, 64, 64), "100": (1, 100, 100), "quadrant": (1, 512, 512), "camera": (4, 512, 512)}


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
    assert used["library"].tolist() == [(used["library"][0] + i) % len(rows) for i in range(len(used))]
    assert np.array_equal(used["deposit_kev"], rows["deposit_kev"][used["library"]])
    made("wfi", tmp_path / "b.h5", "--readouts", 5, "--particles", 4, "--seed", 2)
    again, _ = truth(tmp_path / "b.h5")
    assert all(np.array_equal(again[name], tables[name]) for name in tables)


def test_wfi_in_the_dark(tmp_path):
    made("wfi", tmp_path / "a.h5", "--readouts", 2, "--dark")
    tables, frames = truth(tmp_path / "a.h5")
    assert frames == 8
    assert set(tables) == {"bad_pixels"}
    with Recording(tmp_path / "a.h5") as recording:
        about = json.loads(recording.about)
    assert (about["dark"], about["photons"], about["seed"]) == (True, 0, 0)
    assert "library" not in about


def test_a_library_that_is_too_small_is_told(tmp_path):
    hits = write(tmp_path / "hits.h5", drawn(10, 1))
    done = made("wfi", tmp_path / "a.h5", "--readouts", 10, "--particles", 3, "--hits", hits)
    assert "note: hits.h5 gives 10 primaries; each is used" in done.output
    assert "in 4 mirror images" in done.output


def test_a_part_of_the_library_for_wfi(tmp_path):
    made("wfi", tmp_path / "a.h5", "--readouts", 30, "--particles", 3, "--part", 0.9, 1)
    with Recording(tmp_path / "a.h5") as recording, HitLibrary(shipped()) as library:
        used, about = recording.truth("particles")["library"], json.loads(recording.about)
        assert int(0.9 * len(library)) <= used.min() <= used.max() < len(library)
        assert about["library"]["seed"] == library.production.seed
    assert np.unique(used).size == used.size
    assert (about["part"], about["particles"]) == ([0.9, 1.0], 3.0)


@pytest.mark.parametrize(("command", "options"), [("wfi", ["--readouts", 1]), ("frames", ["--per-class", 1])])
def test_files_are_replaced_only_when_told(command, options, tmp_path):
    out = tmp_path / "a.h5"
    made(command, out, *options, "--seed", 1)
    before = out.read_bytes()
    assert f"{out}: exists; --overwrite replaces it" in refused(command, out, *options, "--seed", 2)
    made(command, out, *options, "--seed", 2, "--overwrite")
    assert out.read_bytes() != before


def test_much_of_a_point_source_beside_the_pixels_is_told(tmp_path):
    edge, inside = (
        made("wfi", tmp_path / f"{x}.h5", "--readouts", 1, "--point", x, 300).output
        for x in (LAYOUT.quadrants[0].origin_x_px, LAYOUT.quadrants[0].origin_x_px + 256)
    )
    assert "% of the point source falls on pixels, the rest into gaps or beside" in edge
    assert "note" not in inside


@pytest.mark.parametrize("flux", ["protons", "all"])
def test_as_many_primaries_come_to_one_quadrant_as_to_four(flux):
    sky = {"flux": flux, "particles": 1.0, "hits": "", "part": (0.0, 1.0)}
    one = WFI.model_copy(update={"detector": LAYOUT.model_copy(update={"quadrants": LAYOUT.quadrants[:1]})})
    means = [next(iter(particles(config, sky, Seeds(1)))).schedule.mean for config in (WFI, one)]
    with HitLibrary(shipped()) as library:
        expected = len(library) / library.production.exposure_s * LAYOUT.frame_time_s
    assert means == pytest.approx([expected * (ALPHAS if flux == "all" else 1)] * 2)


@pytest.mark.parametrize("quadrants", [1, 2, 4])
def test_frames_of_the_camera_hold_as_many_particles_as_asked_for(quadrants):
    """What a frame holds: primaries that are seen, each with all its quadrants; the rate counts it in each of them."""
    layout = LAYOUT.model_copy(update={"quadrants": LAYOUT.quadrants[:quadrants]})
    shape = (quadrants, layout.rows, layout.columns)
    with HitLibrary(shipped()) as library:
        pixels = Pixels(library, WFI.simulate.sensor, layout)
        given = {"photons": 2.0, "particles": 3.0, "flux": None}
        xrays, primaries = rates_of(given, shape, pixels, WFI.model_copy(update={"detector": layout}))
        pool = ParticlePool(pixels, (0, len(library)), shape, Seeds(1), whole=True)
        items = [pool.take() for _ in range(500)]
    each = np.mean([np.unique(item.charges["quadrant"]).size for item in items])
    assert xrays == 2.0 * quadrants
    assert primaries * each == pytest.approx(3.0 * quadrants, rel=0.05)


def test_live_sends_what_wfi_records(tmp_path):
    options = ["--readouts", 3, "--hits", "straight", "--photons", 3, "--seed", 4]
    made("wfi", tmp_path / "a.h5", *options, config="quick")
    with Recording(tmp_path / "a.h5") as recording:
        recorded = [message for message in recording.messages() if isinstance(message, Frame)]
    with Pull(f"ipc://{tmp_path}/s", queue=64, bind=True) as reader:
        given = ["simulate", "live", "--config", "quick", "--to", reader.url, "--rate", "max", "--json", *options]
        done = CliRunner().invoke(cli, list(map(str, given)))
        assert done.exit_code == 0, done.output
        start, *sent, end = [reader.receive(10) for _ in range(14)]
    assert (start.run_id, end.frames) == ("sim-4-0", 12)
    assert [(f.sequence, f.quadrant) for f in sent] == [(f.sequence, f.quadrant) for f in recorded]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(sent, recorded, strict=True))
    account = json.loads(done.stdout.splitlines()[-1])
    assert (account["frames"], account["late"]) == (12, 0)


IMPOSSIBLE = [
    (["--hits", "none.h5"], "hit library none.h5: no such file"),
    (["--arf", "none.arf"], "none.arf: "),
    (["--spectrum", "table", "--table", "none.txt"], "none.txt: "),
    (["--table", "none.txt"], "expected the file `table` for the shape table"),
    (["--spectrum", "lines"], "spectrum: expected lines_ev"),
    (["--spectrum", "lines", "--line-ev", "nan"], "spectrum: expected lines_ev, all > 0"),
    (["--spectrum", "power_law", "--index", "nan"], "-10 <= index <= 10"),
    (["--energy-ev", "500", "100"], "0 < energy_min_ev < energy_max_ev"),
    (["--line-ev", "500"], "--line-ev: expected --spectrum lines with it"),
    (["--index", "2"], "--index: expected --spectrum power_law with it"),
    (["--hew-arcsec", "5"], "--hew-arcsec: expected --point with it"),
    (["--part", "0.5", "0.5"], "--part 0.5 0.5: expected a range that holds primaries"),
    (["--part", "0.5", "nan"], "--part 0.5 nan: expected a range that holds primaries"),
    (["--part", "0", "0.0001"], "a range that holds primaries"),
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        *IMPOSSIBLE,
        (["--photons", "nan"], "X-rays: expected 0 <= per_frame <= 100,000"),
        (["--photons", "inf"], "X-rays: expected 0 <= per_frame <= 100,000"),
        (["--spectrum", "lines", "--line-ev", "500", "--energy-ev", "1", "2"], "--energy-ev: expected a spectrum"),
        (["--flux", "all", "--particles", "2"], "--particles: expected no --flux with it"),
        (["--part", "0", "0.5", "--hits", "straight"], "--part: expected a hit library with it"),
        (["--point", "100000", "3"], "a place on the focal plane: nothing of it is seen"),
        (["--dark", "--photons", "2", "--hits", "straight"], "--dark: expected no options of the sky: photons, hits"),
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
    assert said == "camera for the hit library hits_close.h5 (--hits straight takes any): expected 512 x 512 pixels"


@pytest.mark.parametrize("command", ["wfi", "frames"])
def test_a_place_that_cannot_be_written_is_one_line(command, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(command, tmp_path / "file" / "a.h5")
    assert "a file to write, not a folder" in refused(command, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_frames_of_all_windows(tmp_path):
    for window, shape in WINDOWS.items():
        out, rates = tmp_path / f"{window}.h5", () if window == "64" else ("--photons", 4, "--particles", 4)
        done = made("frames", out, "--window", window, "--per-class", 3, *rates)
        assert "12 frames; 3 empty, 3 xray, 3 particle, 3 mixed" in done.output
        with read_set(out) as file:
            assert file["frames"].shape == (12, *shape)
            about = json.loads(file.attrs["about"])
            assert (about["window"], about["library"]["geometry"]) == (window, "close")


def a_set(out, *part):
    made("frames", out, "--per-class", 60, "--part", *part)
    with read_set(out) as file:
        return {name: file[name][:] for name in ("frames", "label", "pixels", "xrays", "particles")}


def test_parts_of_a_library_share_nothing(tmp_path):
    low, high, again = (a_set(tmp_path / f"{i}.h5", *part) for i, part in enumerate(((0, 0.7), (0.7, 1), (0.7, 1))))
    with HitLibrary(shipped()) as library:
        border = int(0.7 * len(library))
    assert low["particles"]["library"].max() < border <= high["particles"]["library"].min()
    assert not set(low["xrays"]["energy_ev"].tolist()) & set(high["xrays"]["energy_ev"].tolist())
    empty, other = (made["frames"][made["label"] == 0].astype(float) for made in (low, high))
    assert abs(np.corrcoef(empty.ravel(), other.ravel())[0, 1]) < 5 / np.sqrt(empty.size)
    assert not {frame.tobytes() for frame in empty} & {frame.tobytes() for frame in other}
    assert all(np.array_equal(high[name], again[name]) for name in high)


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
        (["--hits", "straight"], "a hit library, not straight tracks"),
        (["--photons", "2"], "frame set: expected no rates: frames of 64 x 64 hold as many events as seed 003 says"),
        (["--flux", "all"], "frame set: expected no rates"),
        (["--window", "65", "--photons", "nan"], "X-rays: expected 0 <= per_frame <= 100,000"),
        (["--point", "3", "3"], "no --point"),
        (["--window", "65", "--photons", "0"], "rates of X-rays and particles above 0"),
        (["--window", "65", "--photons", "100000"], "rates without pile-up everywhere"),
        (["--window", "quadrant", "--particles", "inf"], "rates without pile-up everywhere"),
    ],
)
def test_what_frames_cannot_do_is_one_line(options, expected, tmp_path):
    assert expected in refused("frames", tmp_path / "a.h5", "--per-class", 2, *options)
    assert list(tmp_path.iterdir()) == []


def test_shapes_of_windows():
    assert shape_of("quadrant", 4, (40, 50)) == (1, 40, 50)
    assert shape_of("camera", 4, (40, 50)) == (4, 40, 50)
    assert shape_of("40", 4, (40, 50)) == (1, 40, 40)
