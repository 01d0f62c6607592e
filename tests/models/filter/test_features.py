import json
import shutil

import h5py
import numpy as np
import pytest

from config.errors import ConfigError
from config.load import load
from models.candidates import Events
from sim import event_sets as sets
from sim.event_file import EventFile
from sim.event_sets import EventSet
from sim.photons import XRays
from sim.seeds import Seeds
from sim.telemetry import Telemetry
from stream.kernels.cam import cam_features
from stream.transport.hdf5 import write_text
from tests.screens import forest, maps_of

WFI = load("wfi")
pytestmark = pytest.mark.usefixtures("torch")


def test_places_are_those_of_the_stream(tmp_path, monkeypatch):
    from models.filter.features import places_of

    real, seen = sets.most_central, []

    def noted(events, windows):
        best = real(events, windows)
        seen.extend(
            (e["x"] - windows["left"][k], e["y"] - windows["bottom"][k]) for e, k in zip(events, best, strict=True)
        )
        return best

    monkeypatch.setattr(sets, "most_central", noted)
    camera = Telemetry(WFI, (XRays(per_frame=30, sensor=WFI.simulate.sensor),), seeds=Seeds(4))
    with EventFile(tmp_path / "set.h5", {"windows": 1.0, "library": {"rows": 512, "columns": 512}}) as file:
        for block in EventSet(camera, WFI, 1.0).blocks(6):
            file.write(block)
    events = Events(tmp_path / "set.h5")
    rows = np.flatnonzero(events.truth["window"] >= 0)
    assert len(rows) > 400
    assert len(np.unique(events.truth["window"][rows])) < len(rows)  # some share one
    found = places_of(events, rows)
    assert np.array_equal(np.stack(found, axis=1), seen)
    backwards = places_of(events, rows[::-1])
    assert np.array_equal(np.stack(backwards, axis=1), seen[::-1])
    assert places_of(events, rows[:0])[0].size == 0


def test_features_by_hand(event_sets, network):
    from models.filter.features import JUDGED, Network, features_of, places_of

    events = Events(event_sets["test"])
    told = []
    seen = features_of(events, Network(network), lambda done, of: told.append((done, of)))
    found = events.candidates(with_windows=True)
    assert np.array_equal(seen.found.row, found.row)
    number = len(events.file["windows"])
    assert told[-1] == (number, number)
    windows = events.file["windows"][()].astype(np.float32)
    maps = maps_of(windows).astype(np.float32)
    logits = maps.mean(axis=(2, 3))
    window, (x, y) = events.truth["window"][found.row].astype(np.int64), places_of(events, found.row)
    expected = cam_features(maps, logits, window, x, y, found.energy_ev, JUDGED, 64)
    assert np.isfinite(seen.features).all()
    near = np.abs(expected) < 1e4  # ratios of maps that go through 0 are as rough as these are
    np.testing.assert_allclose(seen.features[near], expected[near], rtol=1e-2, atol=1e-3)
    p = np.exp(logits[window])
    np.testing.assert_allclose(seen.p_class, p / p.sum(axis=1, keepdims=True), rtol=1e-4)
    np.testing.assert_allclose(seen.p_class[:, 1:3], seen.features[:, 1:3], rtol=1e-5)


def changed(path, out, change):
    shutil.copyfile(path, out)
    with h5py.File(out, "r+") as file:
        change(file)
    return Events(out)


def test_windows_of_other_events_are_one_line(event_sets, network, tmp_path):
    from models.filter.features import Network, features_of

    def shift(file):
        file["windows"][...] = np.roll(file["windows"][()], 2, axis=2)

    events = changed(event_sets["test"], tmp_path / "set.h5", shift)
    with pytest.raises(ConfigError, match=r"set\.h5: windows: expected each event at a peak of its window"):
        features_of(events, Network(network))


def test_a_set_that_does_not_say_its_frames_is_one_line(event_sets, network, tmp_path):
    from models.filter.features import Network, features_of

    events = changed(
        event_sets["test"], tmp_path / "set.h5", lambda file: write_text(file, "about", json.dumps({"windows": 0.5}))
    )
    with pytest.raises(ConfigError, match=r"set\.h5: attribute about: expected the rows and columns of a frame"):
        features_of(events, Network(network))


def test_another_network_is_one_line(tmp_path):
    from models.filter.features import Network

    with pytest.raises(ConfigError, match=r"none\.onnx: No such file or directory; expected a frame classifier"):
        Network(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ConfigError, match=r"text\.onnx: cannot be run; expected a frame classifier"):
        Network(tmp_path / "text.onnx")
    with pytest.raises(ConfigError, match=r"wood\.onnx: features, p_particle: expected a frame classifier"):
        Network(forest(tmp_path / "wood.onnx"))
