import numpy as np
from click.testing import CliRunner

from config.load import load
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
