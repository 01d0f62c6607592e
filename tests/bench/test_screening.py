import json
import sys

import pytest

from config.errors import ConfigError


@pytest.fixture
def inputs(torch, tmp_path):
    from bench.screening.inputs import Inputs

    return Inputs(tmp_path / "train", tmp_path / "store")


@pytest.fixture(scope="session")
def torch():
    return pytest.importorskip("torch", reason="no train extra: torch not installed (pip install -e '.[train]')")


def test_a_missing_file_is_named_with_the_command_that_makes_it(inputs):
    context = (
        "train/test_events.h5: raysieve simulate events",
        "store/islands.onnx: raysieve export islands",
    )
    windows = ("train/frames.npz: raysieve train frames", "train/events_a.h5: raysieve simulate events")
    with pytest.raises(ConfigError, match="missing: ") as fault:
        inputs.require()
    assert all(words in str(fault.value) for words in context)
    assert not any(words in str(fault.value) for words in windows)
    there(inputs)
    with pytest.raises(ConfigError, match="missing: ") as fault:
        inputs.require()
    assert all(words in str(fault.value) for words in (context[0], *windows))


def there(inputs):
    """Put the models of the windows into the store."""
    inputs.store.mkdir()
    for name in ("frames", "filter"):
        (inputs.store / f"{name}.onnx").touch()


def test_a_set_says_how_it_was_made(inputs, event_set):
    from bench.screening.inputs import as_made

    library, command = as_made(event_set)
    assert library == ""  # the shipped one
    assert command == f"raysieve simulate events {event_set} -c wfi --part 0 0.4 --readouts 40 --windows 0.5 --seed 7"


@pytest.fixture(scope="session")
def event_set(tmp_path_factory):
    from click.testing import CliRunner

    from sim.commands import simulate

    path = tmp_path_factory.mktemp("sets") / "events_a.h5"
    words = ["-c", "wfi", "--part", "0", "0.4", "--readouts", "40", "--windows", "0.5", "--seed", "7"]
    done = CliRunner().invoke(simulate, ["events", str(path), *words])
    assert done.exit_code == 0, done.output
    return path


def test_windows_are_counted_as_the_stream_cuts_them(torch, event_set):
    import numpy as np

    from bench.screening.cost import loads
    from models.candidates import Events

    events = Events(event_set)
    candidates, windows = loads(events)
    assert candidates == len(events.candidates()) / 40
    band = events.events[(events.events["energy_ev"] >= 300) & (events.events["energy_ev"] < 10_000)]
    frames = np.unique(band["frame"] * 256 + band["quadrant"]).size
    assert frames / 40 <= windows <= len(band) / 40


def test_the_page_has_every_part_and_dashes_for_what_is_not_known(inputs, tmp_path, monkeypatch):
    from bench import figures
    from bench.screening import page

    inputs.folder.mkdir()
    there(inputs)
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    monkeypatch.setattr(page, "ROOT", tmp_path)
    monkeypatch.setattr(page, "as_made", lambda path: ["", str(path)])
    known = {"value": 41.4, "unit": "%", "ci": [40.0, 42.0], "command": ""}
    found = {f"test: {name}": {"value": 5000, "ci": None} for name in ("particle events", "X-rays", "X-rays, weighted")}
    found |= {"CAM + forest, 1.82 % lost: FOR relative improvement": known}
    found |= {"speed: network, OpenVINO bf16, 8": {"value": 0.642, "unit": "ms per window", "ci": None}}
    found |= {"cost: multiply-adds, DenseNet / islands": {"value": 40.0, "unit": "ratio", "ci": None}}
    (tmp_path / "screening.json").write_text(json.dumps(found))
    page.write(inputs)
    text = (tmp_path / "screening.md").read_text()
    assert "| **FOR relative improvement** | 41.37 | 41.4, or as below | 41.40 [40.00, 42.00] | - |" in text
    assert "| network, ms per window | OpenVINO bf16 | - | 0.642 | - | - | - | - |" in text
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == [
        "Both models",
        "The frame classifier (Table 1)",
        "Events (Table 2)",
        "With less, and with perfect sight",
        "By energy (Fig. 3 and 4)",
        "Ceilings of context",
        "Where the network looks (Fig. 1)",
        "Computation",
        "Speed",
        "How it was made",
    ]
    assert max(map(len, text.split("```")[0].splitlines())) < 250


def test_speed_is_measured_for_every_model_and_way_that_is_there(inputs, event_set, monkeypatch):
    from click.testing import CliRunner

    from bench.screening import speed
    from sim.commands import simulate
    from tests import screens

    assert speed.figures(inputs) == {}
    assert len(speed.missing({})) == 9
    for name, part in (("train", ("0", "0.7")), ("test", ("0.7", "1"))):
        words = ["frames", str(inputs.folder / f"{name}.h5"), "-c", "wfi", "--per-class", "16", "--part", *part]
        assert CliRunner().invoke(simulate, words).exit_code == 0
    inputs.store.mkdir()
    network = screens.network(inputs.store / "frames.onnx")
    screens.forest(inputs.store / "filter.onnx", network)
    found = speed.figures(inputs)
    for key in ("network, onnxruntime f32", "network, onnxruntime int8", "forest, onnxruntime f32"):
        for size in (1, 8, 64):
            value, unit = found[f"{key}, {size}"]
            assert (value > 0, unit.split()[0]) == (True, "ms")
    assert found["network, onnxruntime f32, ratio"][0] == found["forest, onnxruntime f32, ratio"][0] == 1
    assert found["network, onnxruntime f32, changed"] == (0, "classes of 64")
    assert 0 <= found["network, onnxruntime int8, accuracy"][0] <= 100
    absent = speed.missing(found)
    assert [key for key in absent if key.startswith("islands")] == [f"islands, {way}" for way in speed.WAYS["islands"]]
    monkeypatch.setitem(sys.modules, "openvino", None)
    without = speed.missing(speed.figures(inputs))
    assert set(without) - set(absent) <= {f"network, {way}" for way in speed.WAYS["network"] if "OpenVINO" in way}
    assert {key for key in without if "OpenVINO" not in key} == {"islands, onnxruntime f32"}


def test_frames_whose_particles_look_like_x_rays_are_ambiguous(torch):
    import numpy as np

    from bench.screening.ambiguous import _like_xrays
    from sim.frame_sets import OWNER

    def rows(*pixels):
        table = np.zeros(len(pixels), OWNER)
        for row, (x, y, energy_ev) in zip(table, pixels, strict=True):
            row["x"], row["y"], row["electrons"] = x, y, energy_ev / 3.65
        return table

    assert _like_xrays(rows((5, 5, 3000.0), (6, 5, 500.0), (40, 40, 9000.0)))
    assert not _like_xrays(rows((5, 5, 12_000.0)))
    assert not _like_xrays(rows((5, 5, 300.0), (6, 5, 300.0), (7, 5, 300.0)))
    assert not _like_xrays(rows())
