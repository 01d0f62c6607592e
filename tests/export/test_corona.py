import numpy as np
import pytest
from click.testing import CliRunner

from config.errors import ConfigError
from models.corona.dataset import Spectra
from models.corona.train import Plan, train
from raysieve import cli
from stream.judges.corona import CoronaJudge
from tests.sim.corona.coronae import BINS, ENDS_A, made


def test_an_exported_network_says_the_same_and_its_judge_knows_its_grid(tmp_path):
    given = Spectra(made(tmp_path, 1, 250))
    path = made(tmp_path, 2)
    weights, out = tmp_path / "net.npz", tmp_path / "net.onnx"
    train(given, Spectra(path, given.lines), weights, Plan(steps=3, batch=32))
    told = CliRunner().invoke(cli, ["export", "corona", str(weights), str(out), "--test", str(path)])
    assert told.exit_code == 0, told.output
    assert "0 changed decisions" in told.output
    judge = CoronaJudge(str(out))
    assert judge.instrument == "small"
    assert len(judge.ion) == len(given.lines)
    counts = Spectra(path, given.lines).counts
    said = judge.judge(counts)
    known = said.flag == 0
    assert known.mean() > 0.8
    assert np.isnan(said.mean[~known]).all()
    assert (said.low[known] <= said.high[known]).all()
    assert judge.judge(counts[:0]).mean.shape == (0, 2, 3)
    judge.check(np.linspace(*ENDS_A, BINS + 1))
    with pytest.raises(ConfigError, match="expected Angstrom"):
        judge.check(np.linspace(*ENDS_A, BINS + 1) / 10)
    evaluated = CliRunner().invoke(cli, ["evaluate", "corona", str(weights), str(path), "--json"])
    assert "RMSE log T" in evaluated.output
