import hashlib
import sys
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


def parity_of(model):
    return tomllib.loads(model.with_suffix(".toml").read_text())["parity"]


def test_bf16_is_measured_where_it_is(weights, frame_sets, tmp_path):
    pytest.importorskip("openvino", reason="openvino not installed (pip install -e '.[openvino]')")
    from export import bf16
    from stream.infer import open_model

    model = tmp_path / "frames.onnx"
    done = exported(weights, model, frame_sets[1])
    parity = parity_of(model)
    if bf16.in_bf16(model) is None:
        assert bf16.NOT_HERE in done.output
        pytest.skip("no bf16 units in this processor")
    assert parity["bf16_frames"] == 64
    assert parity["logits"] < parity["bf16_logits"] < 1
    assert parity["maps"] < parity["bf16_maps"]
    assert parity["bf16_ok"] == (parity["bf16_changed"] == 0)
    told = "to be used" if parity["bf16_ok"] else "not to be used"
    assert f"in bf16 {parity['bf16_changed']} changed; {told}" in done.output
    assert open_model(str(model), "openvino").provider == f"openvino {'bf16' if parity['bf16_ok'] else 'f32'}"


def test_without_openvino_the_card_says_nothing_of_bf16(weights, frame_sets, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    model = tmp_path / "frames.onnx"
    done = exported(weights, model, frame_sets[1])
    assert done.exit_code == 0, done.output
    assert "bf16 not measured: no OpenVINO" in done.output
    assert set(parity_of(model)) == {"frames", "logits", "maps", "changed"}


def test_parity_by_hand(torch):
    from export.frames import Parity, as_facts

    one = np.array([[1, 0, 0, 0], [0, 1, 0, 0]], np.float32), np.zeros((2, 4, 16, 16), np.float32)
    other = np.array([[1, 0, 0.5, 0], [0, 0.25, 0.5, 0]], np.float32), np.full((2, 4, 16, 16), -2, np.float32)
    same, apart = Parity(), Parity()
    for _ in range(2):
        same.add(one, one)
        apart.add(one, other)
    assert same == Parity(4, 0, 0, 0)
    assert apart == Parity(4, 0.75, 2, 2)
    assert as_facts(same, None) == {"frames": 4, "logits": 0, "maps": 0, "changed": 0}
    assert as_facts(same, apart)["bf16_changed"] == 2
    for frames, changed, ok in ((4, 2, False), (2000, 2, False), (2001, 2, True), (0, 0, False)):
        assert as_facts(same, Parity(frames, 0, 0, changed))["bf16_ok"] is ok


def test_int8_is_another_model_with_a_card_of_its_own(weights, frame_sets, tmp_path):
    from stream.infer import open_model

    exact, model = tmp_path / "frames.onnx", tmp_path / "int8.onnx"
    assert exported(weights, exact, frame_sets[1]).exit_code == 0
    done = exported(weights, model, frame_sets[1], "--int8", str(frame_sets[0]))
    assert done.exit_code == 0, done.output
    assert "bf16" not in done.output
    card = tomllib.loads(model.with_suffix(".toml").read_text())
    assert card["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert card["int8"]["frames"] == 256
    assert '"part": [0.0, 0.7]' in card["int8"]["of"]
    assert set(card["parity"]) == {"frames", "logits", "maps", "changed"}
    assert card["parity"]["logits"] > parity_of(exact)["logits"]
    assert model.stat().st_size < 0.8 * exact.stat().st_size
    run = open_model(str(model), "cpu").run
    windows = np.random.default_rng(0).gamma(0.1, 1000, (37, 1, 64, 64)).astype(np.float32)
    for n in (1, 37):
        found = run(energy_ev=windows[:n])
        np.testing.assert_allclose(found["maps"].mean(axis=(2, 3)), found["logits"], atol=1e-4)
    near = open_model(str(exact), "cpu").run(energy_ev=windows)["logits"]
    assert np.abs(found["logits"] - near).max() < 0.2 * np.abs(near).max()


def test_int8_is_not_scaled_by_the_frames_of_the_test(weights, frame_sets, tmp_path):
    done = exported(weights, tmp_path / "int8.onnx", frame_sets[1], "--int8", str(frame_sets[1]))
    assert str(done.exception) == f"frame set {frame_sets[1]}: expected other frames than those of the test"
    assert not list(tmp_path.iterdir())
