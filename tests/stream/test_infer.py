import hashlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.schema import Screen
from stream import infer
from stream.errors import ModelError
from stream.infer import Card, available, card_of, open_model, rule_of, threshold_for
from tests.screens import ROC, forest, maps_of, network, trees

RNG = np.random.default_rng(0)
WINDOWS = RNG.gamma(0.1, 1000, (5, 64, 64)).astype(np.float32)


@pytest.fixture
def net(tmp_path):
    return network(tmp_path / "net.onnx")


def changed(model, *changes):
    """Change the text of a model's card."""
    card = model.with_suffix(".toml")
    text = card.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    card.write_text(text)


def test_a_model_does_what_it_is_made_to_do(net):
    model = open_model(str(net), "cpu")
    found = model.run(energy_ev=WINDOWS[:, None])
    assert set(found) == {"logits", "maps"}
    np.testing.assert_allclose(found["maps"], maps_of(WINDOWS), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["logits"], maps_of(WINDOWS).mean(axis=(2, 3)), rtol=1e-3, atol=1e-4)
    assert str(model) == f"net {card_of(str(net)).digest} on cpu f32"


def test_shipped_models_are_found_by_name(net, monkeypatch):
    monkeypatch.setattr(infer, "STORE", net.parent)
    assert card_of("net").model == net
    with pytest.raises(ModelError, match=r"^nte: no such model; expected an .onnx file, or a shipped one \(net\)$"):
        open_model("nte")


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(ModelError, match=r"none\.onnx: no such model; expected an \.onnx file"):
        open_model(str(tmp_path / "none.onnx"))


def test_a_damaged_model_is_refused(net):
    net.write_bytes(net.read_bytes()[:-10])
    with pytest.raises(ModelError, match=r"net\.toml: sha256: expected [0-9a-f]{64}, that of net\.onnx"):
        open_model(str(net))


def test_what_is_no_model_is_refused_though_its_card_says_so(net):
    digest = card_of(str(net)).get("sha256")
    net.write_bytes(b"nothing")
    changed(net, (digest, hashlib.sha256(b"nothing").hexdigest()))
    with pytest.raises(ModelError, match=r"net\.onnx: expected an ONNX model: ") as refused:
        open_model(str(net))
    assert "\n" not in str(refused.value)


def test_a_card_must_be_there_and_be_toml(net):
    net.with_suffix(".toml").write_text("sha256 = \n")
    with pytest.raises(ModelError, match=r"net\.toml: expected TOML: Invalid value \(at line 1"):
        open_model(str(net))
    net.with_suffix(".toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match=r"net\.toml: expected TOML: "):
        open_model(str(net))
    net.with_suffix(".toml").unlink()
    with pytest.raises(ModelError, match=r"net\.toml: no such card; expected what `raysieve export` writes"):
        open_model(str(net))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("sha256", "sha", r"sha256: missing"),
        ("[input.energy_ev]", "[input.energy]", r"input: expected \['energy_ev'\], found \['energy'\]"),
        ("[output.maps]", "[output.map]", r"output: expected \['logits', 'maps'\], found \['logits', 'map'\]"),
        ('dtype = "float32"', 'dtype = "float64"', r"input\.energy_ev\.dtype: expected float32, found float64"),
        ("    64,\n    64,\n", "    64,\n    32,\n", r"input\.energy_ev\.shape: expected \['n', 1, 64, 64\]"),
        ("    64,\n    64,\n", "    64,\n", r"input\.energy_ev\.shape: expected \['n', 1, 64, 64\]"),
        ('    "n",\n', "    8,\n", r"input\.energy_ev\.shape: expected \['n', 1, 64, 64\]"),
        ("shape = [", 'unit = "eV"\nform = [', r"input\.energy_ev\.shape: missing"),
    ],
)
def test_a_card_that_does_not_match_is_refused(net, before, after, said):
    changed(net, (before, after))
    with pytest.raises(ModelError, match=r"net\.toml: " + said) as refused:
        open_model(str(net))
    assert "\n" not in str(refused.value)


def test_a_card_of_other_things_is_refused(net):
    card = tomllib.loads(net.with_suffix(".toml").read_text())
    net.with_suffix(".toml").write_text(f'sha256 = "{card["sha256"]}"\ninput = 3\n')
    with pytest.raises(ModelError, match=r"net\.toml: input: expected \['energy_ev'\], found \[\]"):
        open_model(str(net))


def test_a_provider_that_is_not_here_is_named_with_those_that_are(net):
    (missing, *_) = [name for name in infer.PROVIDERS if name not in available()] or pytest.skip("all are here")
    with pytest.raises(ModelError, match=rf"^provider {missing}: not available; expected one of .*cpu, or auto$"):
        open_model(str(net), missing)


def test_auto_takes_the_first_that_works(net, tmp_path):
    assert open_model(str(net)).provider.split()[0] == available()[0]
    assert open_model(str(trees(tmp_path / "trees.onnx"))).provider == "cpu f32"


def test_openvino_equals_the_cpu_and_is_rough_only_if_allowed(net, tmp_path):
    pytest.importorskip("openvino", reason="openvino not installed (pip install -e '.[openvino]')")
    model = open_model(str(net), "openvino")
    assert model.provider == "openvino f32"
    expected = open_model(str(net), "cpu")
    for n in (1, 5, 2):
        found, wanted = (m.run(energy_ev=WINDOWS[:n, None]) for m in (model, expected))
        for name in wanted:
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4, atol=1e-4)
    rough = open_model(str(network(tmp_path / "rough.onnx", parity={"bf16_ok": True})), "openvino")
    assert rough.provider in ("openvino bf16", "openvino f32")  # as the processor has it
    found = rough.run(energy_ev=WINDOWS[:, None])["logits"]
    np.testing.assert_allclose(found, expected.run(energy_ev=WINDOWS[:, None])["logits"], rtol=0.05, atol=0.05)


def test_a_provider_that_fails_while_it_runs_leaves_its_work_to_the_cpu(net):
    model, expected = open_model(str(net)), open_model(str(net), "cpu")
    model.provider, model.spare = "cuda f32", open_model(str(net), "cpu")
    lose_the_device(model)
    for _ in range(2):
        found = model.run(energy_ev=WINDOWS[:, None])
        np.testing.assert_array_equal(found["logits"], expected.run(energy_ev=WINDOWS[:, None])["logits"])
    assert str(model).endswith(" on cpu f32, as cuda f32 failed: CUDA error 999: device lost")
    lose_the_device(expected)
    with pytest.raises(RuntimeError, match="device lost"):  # there is nothing behind the CPU
        expected.run(energy_ev=WINDOWS[:, None])


def lose_the_device(model):
    def run(inputs):
        raise RuntimeError("CUDA error 999:\n device lost")

    model._run = run


def test_openvino_says_what_it_cannot_run(tmp_path):
    pytest.importorskip("openvino", reason="openvino not installed (pip install -e '.[openvino]')")
    with pytest.raises(ModelError, match=r"trees\.onnx: provider openvino cannot run it: ") as refused:
        open_model(str(trees(tmp_path / "trees.onnx")), "openvino")
    assert "\n" not in str(refused.value)


def card_with(**roc):
    return Card(Path("net.onnx"), {"roc": {**ROC, **roc}})


@pytest.mark.parametrize(
    ("lost", "threshold"), [(0.0, 1.0), (0.005, 0.875), (0.01, 0.75), (0.03, 0.625), (0.05, 0.5), (0.55, 0.125)]
)
def test_the_threshold_is_looked_up_in_the_card(lost, threshold):
    assert threshold_for(card_with(), lost) == pytest.approx(threshold)


def test_steps_and_ends_of_the_table():
    steps = card_with(threshold=[0.2, 0.4, 0.4, 0.6, 0.8], lost_xrays=[0.5, 0.5, 0.1, 0.1, 0.1])
    assert threshold_for(steps, 0.1) == 0.4
    assert threshold_for(steps, 0.9) == 0.2  # what loses less is allowed
    with pytest.raises(ModelError, match=r"net\.toml: roc\.lost_xrays: ends at 0\.1; expected 0\.05 or less"):
        threshold_for(steps, 0.05)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1), st.floats(0.001, 0.999))
def test_no_more_is_lost_than_wished(rows, wish):
    threshold, lost = sorted(t for t, _ in rows), sorted((v for _, v in rows), reverse=True)
    card = card_with(threshold=threshold, lost_xrays=lost)
    if lost[-1] > wish:
        with pytest.raises(ModelError, match="ends at"):
            threshold_for(card, wish)
        return
    found = threshold_for(card, wish)
    assert min(threshold) <= found <= max(threshold)
    stricter = [v for t, v in zip(threshold, lost, strict=True) if t > found]
    assert all(v <= wish for v in stricter)


@pytest.mark.parametrize(
    ("roc", "said"),
    [
        ({"threshold": [0.0, 1.0]}, "roc: expected a lost_xrays for each threshold"),
        ({"lost_xrays": [0.0, 0.1, 0.2, 0.3, 0.4]}, "roc: expected a lost_xrays for each threshold"),
        ({"threshold": []}, r"roc\.threshold: expected a list of numbers from 0 to 1"),
        ({"threshold": "all"}, r"roc\.threshold: expected a list of numbers from 0 to 1"),
        ({"lost_xrays": [1.0, float("nan"), 0.0]}, r"roc\.lost_xrays: expected a list of numbers"),
        ({"lost_xrays": [[1.0], 2.0]}, r"roc\.lost_xrays: expected a list of numbers"),
    ],
)
def test_what_is_no_roc_table_is_refused(roc, said):
    with pytest.raises(ModelError, match=r"net\.toml: " + said):
        threshold_for(card_with(**roc), 0.01)


def test_the_model_that_decides_is_the_last(net, tmp_path):
    wood = forest(tmp_path / "wood.onnx", net)
    card, threshold = rule_of(
        Screen(model=str(net), forest=str(wood), look="windows", max_lost_xray_fraction=0.01, provider="cpu")
    )
    assert card.model == wood
    assert threshold == 0.75
    with pytest.raises(ModelError, match=r"net\.toml: roc\.threshold: missing"):
        rule_of(Screen(model=str(net)))


def test_onnxruntime_sends_nothing_home_and_notes_nothing_there(tmp_path):
    (tmp_path / "file").touch()
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    program = "import os, sys, stream.infer as i; i.open_model('filter', 'cpu'); print(os.listdir(sys.argv[1]))"
    for home in (tmp_path / "home", tmp_path / "file" / "below"):
        (tmp_path / "home").mkdir(exist_ok=True)
        said = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "home")],
            env=environment | {"HOME": str(home)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert (said.stdout, said.stderr) == ("[]\n", "")
