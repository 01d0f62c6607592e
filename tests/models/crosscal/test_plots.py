"""Pictures of what an emulator is off by."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from models.crosscal.dataset import Grid
from models.crosscal.train import Plan, train
from raysieve import cli
from tests.models.crosscal.grids import made
from tests.pictures import check


def test_the_command_draws_errors_by_all_that_they_depend_on(tmp_path, drawn):
    own, other = made(tmp_path, 1, 64), made(tmp_path, 2, 32, (1.5, 3.0, 9.0), failed=0)
    weights, folder = tmp_path / "net.npz", tmp_path / "pictures"
    train([Grid(own)], weights, Plan(steps=60, batch=128, wide=16, deep=2))
    words = ["evaluate", "crosscal", str(weights), str(own), str(other), "--json", "--plot", str(folder)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    found, names = json.loads(done.stdout), ("crosscal_kept_back.png", "crosscal_other_points.png")
    assert done.stderr.split()[-2:] == [str(folder / name) for name in names]
    for name, figure in zip(names, drawn, strict=True):
        labels = check(folder / name, figure)
        assert {"true kT (keV)", "mu (keV)", "sigma (keV)", "amplitude", "error of kt_fit (%)"} <= set(labels)
    assert drawn[1].get_suptitle() == "gaussian: 96 fits of 32 theta, other points"
    worst = drawn[1].axes[2].get_lines()[-1].get_ydata()  # by true kT
    assert len(worst) == 3
    assert np.max(worst) == pytest.approx(100 * found["other points: error of kt_fit, worst"][0])
