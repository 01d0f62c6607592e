import hashlib
import tomllib

import numpy as np
import pytest
from click.testing import CliRunner

from config.errors import ConfigError, RaysieveError
from export.commands import export as commands


@pytest.fixture(scope="module")
def weights(torch, frame_sets, tmp_path_factory):
    from models.frames.dataset import Frames
    from models.frames.train import Plan, train

    path = tmp_path_factory.mktemp("weights") / "net.npz"
    train(Frames(frame_sets[0]), Frames(frame_sets[1]), path, Plan(epochs=2, batch=64))
    return path


def exported(weights, out, test, *options):
    return CliRunner().invoke(commands, ["frames", str(weights), str(out), "--test", str(test), *options])


def test_onnx_equals_the_network_and_the_card_says_so(weights, frame_sets, tmp_path):
    model = tmp_path / "frames.onnx"
    done = exported(weights, model, frame_sets[1])
    assert done.exit_code == 0, done.output
    assert "0 changed decisions" in done.output
    card = tomllib.loads(model.with_suffix(".toml").read_text())
    assert card["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert card["parity"]["frames"] == 64
    assert card["parity"]["logits"] < 1e-4
    assert card["parity"]["changed"] == 0
    assert card["input"]["energy_ev"] == {"shape": ["n", 1, 64, 64], "dtype": "float32", "unit": "eV"}
    assert card["output"]["maps"]["shape"] == ["n", 4, 16, 16]
    value, low, high = card["metrics"]["accuracy"]
    assert 0 <= low <= value <= high <= 1
    assert '"part": [0.0, 0.7]' in card["training"]["frames"]
    assert card["training"]["standing"]["epoch"] == 2


def test_any_number_of_frames_goes_through(weights, frame_sets, tmp_path):
    import onnxruntime

    model = tmp_path / "frames.onnx"
    assert exported(weights, model, frame_sets[1]).exit_code == 0
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for n in (1, 2, 37):
        logits, maps = session.run(None, {"energy_ev": np.zeros((n, 1, 64, 64), np.float32)})
        assert logits.shape == (n, 4)
        np.testing.assert_allclose(maps.mean(axis=(2, 3)), logits, atol=1e-4)


def test_what_cannot_be_exported_is_one_line(weights, frame_sets, tmp_path):
    model = tmp_path / "frames.onnx"
    done = exported(frame_sets[0], model, frame_sets[1])
    assert isinstance(done.exception, RaysieveError)
    assert "not a checkpoint of this network" in str(done.exception)
    assert not model.exists()
    model.write_bytes(b"mine")
    done = exported(frame_sets[0], model, frame_sets[1], "--overwrite")
    assert "not a checkpoint of this network" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["frames.onnx"]
    done = exported(weights, model, frame_sets[1])
    assert str(done.exception) == f"{model}: exists; --overwrite replaces it"
    assert model.read_bytes() == b"mine"


def test_a_damaged_model_is_one_line(weights, frame_sets, tmp_path):
    from export.frames import compare
    from models.frames.dataset import Frames
    from models.frames.evaluate import load

    model = tmp_path / "frames.onnx"
    model.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=r"frames\.onnx: cannot be run"):
        compare(load(weights), model, Frames(frame_sets[1]))
