import json

import pytest
from click.testing import CliRunner

from config.errors import ConfigError
from models.commands import evaluate


def run(*words):
    return CliRunner().invoke(evaluate, [str(word) for word in words])


@pytest.fixture(scope="module")
def given(torch, event_sets, small_models):
    network = ["--frames", small_models / "frames.onnx", "-c", "wfi", "--calibration", event_sets["calibration"]]
    return ["filter", small_models / "forest.onnx", event_sets["test"], *network]


def test_everything_side_by_side_with_pictures(given, event_sets, small_models, tmp_path):
    more = ["--islands", small_models / "islands.onnx", "--training", event_sets["training"]]
    done = run(*given, *more, "--json", "--plot", tmp_path / "plots")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    for name in ("CAM + forest", "islands", "energy only", "energy + pattern", "best feature of the maps alone"):
        value, low, high = figures[f"{name}, 1.82 % lost: FOR relative improvement"]
        assert low <= value <= high
        assert 0 <= figures[f"{name}, 4-8 keV, 3.11 % lost: recall"][0] <= 100
    best = "perfect in four quadrants, else energy only, 1.82 % lost: of ceiling four quadrants"
    assert figures[best][0] >= 100
    assert figures["ceiling, 64 x 64"][0] < figures["ceiling, four quadrants"][0]
    names = ["screening_background.png", "screening_lost.png", "screening_roc.png", "screening_scores.png"]
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == names


def test_the_table_of_the_shipped_models_alone(given):
    done = run(*given)
    assert done.exit_code == 0, done.output
    assert "1.82 % lost (%, 68 % interval)" in done.output
    assert "particles with company in 64 x 64" in done.output
    assert "energy only" not in done.output


def test_the_context_model_by_itself(event_sets, small_models, torch):
    model, sets = small_models / "islands.onnx", [event_sets["test"], "--calibration", event_sets["calibration"]]
    done = run("islands", model, *sets, "-c", "wfi", "--max-lost", "0.05")
    assert done.exit_code == 0, done.output
    assert "5 % lost (%, 68 % interval)" in done.output


@pytest.mark.parametrize("option", ["--calibration", "--training"])
def test_events_of_the_same_primaries_are_refused(given, event_sets, option):
    done = run(*given, option, event_sets["test"])
    assert isinstance(done.exception, ConfigError)
    assert "expected events of different primaries, got the same" in str(done.exception)


def test_a_forest_of_another_network_is_refused(given, small_models, tmp_path):
    forest = tmp_path / "forest.onnx"
    forest.write_bytes((small_models / "forest.onnx").read_bytes())
    forest.with_suffix(".toml").write_text(f'frames_sha256 = "{"0" * 64}"')
    done = run(given[0], forest, *given[2:])
    assert isinstance(done.exception, ConfigError)
    assert "grown behind network 000000000000; expected" in str(done.exception)


def test_a_folder_that_cannot_be_made_is_refused(given, tmp_path):
    (tmp_path / "file").write_text("")
    done = run(*given, "--plot", tmp_path / "file" / "plots")
    assert isinstance(done.exception, ConfigError)
    assert "file/plots: cannot be written" in str(done.exception)
