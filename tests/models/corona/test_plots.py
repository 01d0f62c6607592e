"""Pictures of how well coronae are known."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from models.corona.dataset import Spectra
from models.corona.plots import curve
from models.corona.train import Plan, train
from raysieve import cli
from tests.pictures import check
from tests.sim.corona.coronae import made


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Return a network that has hardly learned, and spectra that it has not seen."""
    folder = tmp_path_factory.mktemp("coronae")
    other = made(folder, 2)
    given = Spectra(made(folder, 1, 250))
    train(given, Spectra(other, given.lines), folder / "net.npz", Plan(steps=12, batch=64))
    return folder / "net.npz", other


def test_the_command_draws_parameters_and_lines(judged, tmp_path, drawn):
    words = ["evaluate", "corona", *map(str, judged), "--json", "--plot", str(tmp_path)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    names = ("corona_one.png", "corona_any.png", "corona_lines.png")
    assert done.stderr.split()[-3:] == [str(tmp_path / name) for name in names]
    found = json.loads(done.stdout)
    labels = [check(tmp_path / name, figure) for name, figure in zip(names, drawn, strict=True)]
    assert labels[0] == labels[1]
    assert {"true log T (K)", "recovered log n (cm$^{-3}$)", "SNR", "stated share (%)"} <= set(labels[0])
    assert labels[2] == ["recall (%)", "precision (%)", "SNR", "share of lines (%)"]
    held = drawn[1].axes[2].get_lines()[0].get_ydata()[0]  # of log T, 68 %, of the lowest SNR
    assert held == pytest.approx(100 * found["coverage 68 % of log T, any, SNR 1-3"][0] - 68)


def test_a_curve_of_recall_and_precision():
    seen = np.array([[True, True, False, False]])
    recall, precision = curve(np.array([[3.0, 1.0, 2.0, 0.0]]), seen)
    np.testing.assert_allclose(recall, [0.5, 0.5, 1.0, 1.0])
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3, 1 / 2])
    assert not len(curve(np.zeros((1, 4)), ~np.ones((1, 4), bool))[0])
