import json
import socket

import pytest
from click.testing import CliRunner

from config.extra import installed_by
from raysieve import cli
from stream.commands import doctor


def run(*words):
    result = CliRunner().invoke(cli, ["doctor", *map(str, words)])
    return result.exit_code, result.output


def of(what, *words):
    found = json.loads(run("--json", *words)[1])
    return next(each for each in found if each["what"] == what)


def test_a_machine_that_runs_the_tests_is_sound(tmp_path):
    code, said = run("--out", tmp_path / "not" / "there", "--set", f"links.directory={tmp_path}")
    assert code == 0, said
    assert "BAD" not in said
    assert f"GB free at {tmp_path}" in said
    assert "bitshuffle + LZ4" in said


def test_what_is_missing_is_said_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "DISK_GB", 1e9)
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    assert of("disk", "--out", tmp_path)["mark"] == "bad"
    assert run("--out", tmp_path)[0] == 1
    train = of("extra train")
    assert (train["mark"], train["do"]) == ("note", installed_by("train"))


def test_a_model_that_is_not_what_its_card_says_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.onnx").write_bytes(b"x")
    (tmp_path / "a.toml").write_text('sha256 = "00"\n')
    monkeypatch.setattr(doctor, "STORE", tmp_path)
    monkeypatch.setattr("stream.infer.STORE", tmp_path)
    assert of("models")["found"].startswith("0 of 1")
    assert "a.toml: sha256" in of("model")["found"]


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_an_address_that_is_taken_is_noted(tmp_path, transport):
    kind = socket.AF_UNIX if transport == "ipc" else socket.AF_INET
    with socket.socket(kind) as taken:
        taken.bind(str(tmp_path / "frames.sock") if transport == "ipc" else ("127.0.0.1", 0))
        taken.listen()
        place = f"links.directory={tmp_path}" if transport == "ipc" else f"links.first_port={taken.getsockname()[1]}"
        found = of("addresses", "--set", f"links.transport={transport}", "--set", place)
    assert found["mark"] == "note"
    assert found["found"].startswith("taken:")


def test_a_configuration_that_is_none_is_named():
    code, said = run("--config", "nothing.toml")
    assert code == 1
    assert "nothing.toml" in said


def test_speed_is_measured_beside_what_the_camera_gives(monkeypatch):
    monkeypatch.setattr(doctor, "SPEED_S", 0.05)
    said = of("speed", "--config", "quick")
    assert "the camera has 800" in said["found"]
    monkeypatch.setattr(doctor, "SPARE", 1e9)
    assert of("speed", "--config", "quick")["mark"] == "note"
    assert "not measured" in of("speed", "--config", "lat")["found"]


def test_where_kernels_are_kept_nobody_else_writes(tmp_path, monkeypatch):
    assert of("kernels")["mark"] == "good"
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    tmp_path.chmod(0o777)
    assert (of("kernels")["mark"], of("kernels")["found"]) == ("bad", f"kept in {tmp_path}")
