import numpy as np
import pytest

from config.errors import ConfigError
from models.candidates import Events
from sim.charge import PARTICLE, XRAY
from sim.event_file import EventFile
from sim.event_sets import IN_READOUT, IN_WINDOW, TRUTH, Block
from sim.truth import BOTH, NOISE
from stream.messages import EVENT, TRACK, Reason

ROWS = [  # energy, reason, kind, place in the library, company, window
    (1000.0, 0, XRAY, -1, 0, 0),
    (300.0, Reason.PATTERN, XRAY, -1, 0, -1),
    (299.9, 0, XRAY, -1, 0, -1),
    (10_000.0, 0, PARTICLE, 3, 0, -1),
    (9999.0, 0, PARTICLE, 3, IN_READOUT, 1),
    (500.0, Reason.OUTER_RING, PARTICLE, 4, IN_READOUT | IN_WINDOW, 1),
    (2000.0, Reason.IN_TRACK, PARTICLE, 5, 0, 1),
    (2000.0, Reason.MIP | Reason.PATTERN, PARTICLE, 5, 0, 1),
    (2000.0, Reason.BAD_PIXEL, XRAY, -1, 0, 0),
    (2000.0, 0, NOISE, -1, 0, -1),
    (2000.0, 0, BOTH, 6, 0, -1),
    (np.nan, 0, XRAY, -1, 0, -1),
]


def written(path, rows=ROWS, **about):
    events, truth = np.zeros(len(rows), EVENT), np.zeros(len(rows), TRUTH)
    events["frame"] = np.arange(len(rows)) // 2
    for i, (energy, reason, *told) in enumerate(rows):
        events["energy_ev"][i], events["reason"][i] = energy, int(reason)
        for name, value in zip(("kind", "owner", "company", "window"), told, strict=True):
            truth[name][i] = value
    windows = np.zeros((2, 64, 64), np.int16)
    with EventFile(path, about) as file:
        file.write(Block(6, events, truth, np.zeros(0, TRACK), np.zeros(0, np.int64), windows))
    return Events(path)


def test_candidates_are_events_of_the_band_with_one_maker(tmp_path):
    events = written(tmp_path / "set.h5", windows=0.25)
    found = events.candidates()
    assert events.readouts == 6
    assert found.row.tolist() == [0, 1, 4, 5]
    assert found.energy_ev.tolist() == [1000, 300, 9999, 500]
    assert found.particle.tolist() == [False, False, True, True]
    assert found.group.tolist() == [-1, -1, 3, 4]
    assert found.kept.tolist() == [True, False, True, False]
    assert found.company.tolist() == [0, 0, IN_READOUT, IN_READOUT | IN_WINDOW]
    assert found.weight.tolist() == [1, 1, 1, 1]


def test_xrays_with_windows_stand_for_the_others(tmp_path):
    found = written(tmp_path / "set.h5", windows=0.25).candidates(with_windows=True)
    assert found.row.tolist() == [0, 4, 5]
    assert found.weight.tolist() == [4, 1, 1]


def test_some_of_them(tmp_path):
    found = written(tmp_path / "set.h5").candidates()
    particles = found.pick(found.particle)
    assert len(particles) == 2
    assert particles.row.tolist() == [4, 5]
    assert len(found.pick(np.zeros(4, bool))) == 0


@pytest.mark.parametrize("kind", [XRAY, PARTICLE])
def test_candidates_of_one_kind_are_one_line(kind, tmp_path):
    rows = [row for row in ROWS if row[2] == kind]
    with pytest.raises(ConfigError, match=r"set\.h5: expected candidates of both kinds"):
        written(tmp_path / "set.h5", rows).candidates()


def test_a_set_without_windows_is_one_line(tmp_path):
    events = written(tmp_path / "set.h5", [(*row[:-1], -1) for row in ROWS])
    with pytest.raises(ConfigError, match=r"set\.h5: expected candidates with windows of both kinds"):
        events.candidates(with_windows=True)


def test_a_foreign_file_is_one_line(tmp_path):
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(ConfigError, match=r"text\.h5: .*expected raysieve event set"):
        Events(tmp_path / "text.h5")
