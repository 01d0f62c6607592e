import numpy as np
import pytest
from astropy.table import Table
from click.testing import CliRunner

from config.load import load
from raysieve import cli
from sim.charge import PARTICLE, XRAY
from sim.commands import simulate
from sim.detector import Imperfections
from sim.photons import XRays
from sim.seeds import Seeds
from sim.telemetry import PIXEL, Telemetry
from sim.tracks import Tracks
from sim.truth import BOTH, LABEL, LEAST_ELECTRONS, NOISE, label

ROWS = np.array(
    [
        (0, 1, 10, 10, XRAY, 4, 500.0),
        (0, 1, 11, 10, XRAY, 4, 20.0),
        (0, 1, 30, 30, PARTICLE, 7, 900.0),
        (0, 1, 31, 31, XRAY, 5, 300.0),
        (0, 1, 50, 50, XRAY, 6, LEAST_ELECTRONS / 2),
        (3, 1, 0, 0, PARTICLE, 0, 800.0),
        (3, 1, 1, 0, XRAY, 1, 10.0),
    ],
    PIXEL,
)


def labels(*events):
    return label(*np.array(events).reshape(-1, 4).T, ROWS)


def test_each_event_has_what_lies_in_its_nine_pixels():
    found = labels((0, 1, 10, 10), (0, 1, 30, 30), (0, 1, 50, 50), (0, 1, 99, 99), (3, 1, 0, 0), (0, 1, 12, 10))
    assert found["kind"].tolist() == [XRAY, BOTH, NOISE, NOISE, PARTICLE, XRAY]
    assert found["owner"].tolist() == [4, 7, -1, -1, 0, 4]
    np.testing.assert_allclose(found["xray_e"], [520, 300, LEAST_ELECTRONS / 2, 0, 10, 20])
    np.testing.assert_allclose(found["particle_e"], [0, 900, 0, 0, 800, 0])


def test_other_frames_and_quadrants_do_not_count():
    assert labels((1, 1, 10, 10), (0, 0, 10, 10), (3, 1, 511, 0))["kind"].tolist() == [NOISE] * 3


def test_no_events_and_no_pixels():
    assert labels().dtype == LABEL
    assert labels().size == 0
    lone = label(*(np.array([v]) for v in (0, 0, 5, 5)), ROWS[:0])
    assert (lone["kind"].item(), lone["owner"].item()) == (NOISE, -1)


def test_labels_equal_those_of_a_slow_twin():
    camera = Telemetry(load("quick"), [XRays(per_frame=8), Tracks(per_frame=3)], Imperfections(), Seeds(3))
    pixels = camera.truth(4)["pixels"]
    rng = np.random.default_rng(0)
    events = np.column_stack([rng.integers(0, n, 200) for n in (4, 4, 64, 64)])
    found = label(*events.T, pixels)
    for event, row in zip(events.tolist(), found, strict=True):
        near = pixels[(pixels["frame"] == event[0]) & (pixels["quadrant"] == event[1])]
        near = near[(abs(near["x"] - event[2]) <= 1) & (abs(near["y"] - event[3]) <= 1)]
        for name, kind in (("xray_e", XRAY), ("particle_e", PARTICLE)):
            assert np.isclose(row[name], near["electrons"][near["kind"] == kind].sum(), rtol=1e-5)


def test_the_command_needs_truth(tmp_path):
    done = CliRunner().invoke(simulate, ["label", str(tmp_path / "no.fits"), str(tmp_path / "no.h5")])
    assert "no.h5" in str(done.exception)


def raysieve(*words):
    return CliRunner().invoke(cli, list(map(str, words)))


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    """Two skies, and the events that were found in the first."""
    folder = tmp_path_factory.mktemp("observed")
    sky = ("--config", "quick", "--readouts", 60, "--hits", "straight", "--particles", 0.2, "--photons", 2)
    commands = (
        ("simulate", "wfi", folder / "sky.h5", *sky, "--seed", 3),
        ("simulate", "wfi", folder / "other.h5", *sky, "--seed", 4),
        ("simulate", "wfi", folder / "dark.h5", "--config", "quick", "--readouts", 100, "--dark", "--seed", 3),
        ("calibrate-dark", folder / "dark.h5", folder / "maps.h5"),
        ("process", folder / "sky.h5", "--config", "quick", "--maps", folder / "maps.h5", "--out", folder),
    )
    for command in commands:
        done = raysieve(*command)
        assert done.exit_code == 0, done.output
    return folder


def test_most_events_of_a_recording_are_x_rays(observed, tmp_path):
    done = raysieve("simulate", "label", observed / "events.fits", observed / "sky.h5", tmp_path / "labelled.fits")
    assert done.exit_code == 0, done.output
    assert "note" not in done.output
    rows = Table.read(tmp_path / "labelled.fits", hdu=1)
    valid, rejected = (len(Table.read(observed / "events.fits", hdu=name)) for name in ("EVENTS", "REJECTED"))
    assert len(rows) == valid + rejected
    assert valid > 200
    assert np.mean(rows["TRUTH"][:valid] == XRAY) > 0.9
    assert np.mean(rows["TRUTH"][:valid] == NOISE) < 0.02
    assert (rows["OWNER"][rows["TRUTH"] != NOISE] >= 0).all()
    assert (rows["XRAY_E"][rows["TRUTH"] == XRAY] > 0).all()


def test_another_recording_is_told(observed):
    done = raysieve("simulate", "label", observed / "events.fits", observed / "other.h5")
    assert done.exit_code == 0, done.output
    assert "note: nothing made" in done.stderr
    assert "other.h5 what they were found in?" in done.stderr


def test_labels_are_replaced_only_when_told(observed, tmp_path):
    out = tmp_path / "labelled.fits"
    out.write_text("mine")
    command = ("simulate", "label", observed / "events.fits", observed / "sky.h5", out)
    assert "exists; --overwrite replaces it" in str(raysieve(*command).exception)
    assert out.read_text() == "mine"
    assert raysieve(*command, "--overwrite").exit_code == 0
    assert "TRUTH" in Table.read(out, hdu=1).colnames
