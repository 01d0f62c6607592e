import numpy as np
import pytest
from click.testing import CliRunner

from config.errors import RaysieveError
from models.commands import evaluate as commands


def test_the_table_of_a_perfect_and_of_a_blind_network(torch):
    from models.frames.evaluate import table

    truth = np.repeat(np.arange(4, dtype=np.uint8), 25)
    assert all(row == (1.0, 1.0, 1.0) for row in table(truth, truth.astype(np.int64)).values())
    blind = table(truth, np.zeros(100, np.int64))
    assert blind["accuracy"][0] == 0.25
    assert blind["empty: F1"][0] == pytest.approx(0.4)
    assert blind["accuracy"][1] < 0.25 < blind["accuracy"][2]


def test_the_command_judges_and_refuses(torch, frame_sets, tmp_path):
    from models.frames.dataset import Frames
    from models.frames.train import Plan, train

    weights = tmp_path / "net.npz"
    train(Frames(frame_sets[0]), Frames(frame_sets[1]), weights, Plan(epochs=1, batch=64))
    words = ["frames", str(weights), str(frame_sets[1]), "--plot"]
    done = CliRunner().invoke(commands, [*words, str(tmp_path / "plots")])
    assert done.exit_code == 0, done.output
    assert "accuracy" in done.output
    assert "mixed: recall" in done.output
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {
        f"frames_{what}.png" for what in ("confusion", "reliability", "classes")
    }
    done = CliRunner().invoke(commands, [*words, str(weights)])
    assert str(done.exception).startswith(f"{weights}: cannot be written: expected a folder for pictures")
    done = CliRunner().invoke(commands, ["frames", str(frame_sets[1]), str(frame_sets[1])])
    assert isinstance(done.exception, RaysieveError)
    assert "not a checkpoint of this network" in str(done.exception)
