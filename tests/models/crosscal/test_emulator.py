from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from config.errors import ConfigError
from models.crosscal.dataset import Grid, amplitudes_of, box_around, together
from models.crosscal.evaluate import evaluate, said_of
from models.crosscal.network import Box, Emulator, count
from models.crosscal.train import Plan, Standing, box_of, load, train
from raysieve import cli
from stream.crosscal.modifiers import family
from tests.models.crosscal.grids import KT, law, made

PLAN = Plan(steps=600, batch=256, wide=24, deep=2, rate=1e-2)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grids")
    return made(folder, 1), made(folder, 2, 64, tuple(np.geomspace(1.1, 11, 7).tolist()), failed=0)


@pytest.fixture(scope="module")
def trained(paths, tmp_path_factory):
    out = tmp_path_factory.mktemp("net") / "net.npz"
    network, standing = train([Grid(paths[0])], out, PLAN)
    return network, standing, out


def test_points_are_fits_that_came_to_their_end_and_whole_theta_are_kept_back(paths):
    grid = Grid(paths[0])
    assert len(grid.points) == 256 * len(KT) - 3
    assert grid.failed == 3
    learned, kept = grid.learned, grid.kept_back
    assert len(learned) + len(kept) == len(grid.points)
    assert not set(map(tuple, learned.theta)) & set(map(tuple, kept.theta))
    assert 0.09 < len(kept) / len(grid.points) < 0.11
    np.testing.assert_allclose(grid.points.ratio[:, 0], law(grid.points.theta, grid.points.kt_kev), atol=1e-12)
    assert grid.digest == Grid(paths[0]).digest != Grid(paths[1]).digest


def test_a_box_is_that_of_the_axes_of_a_grid(tmp_path):
    grid = Grid(made(tmp_path, 3, axes={"amplitude": (-0.1, 0.05)}))
    assert (grid.box.low[2], grid.box.high[2]) == (-0.1, 0.05)
    assert grid.box.kt_kev == (KT[0], KT[-1])
    assert grid.box.logs == (0, 1)


def test_grids_that_belong_together_are_one(tmp_path):
    whole, part = made(tmp_path, 3), made(tmp_path, 4, 64, axes={"mu_kev": (5.0, 20.0)})
    grids = [Grid(whole), Grid(part)]
    box = box_around(grids)
    assert (box.low, box.high) == ((0.3, 0.1, -0.3), (20.0, 3.0, 0.3))
    points = together([grid.points for grid in grids])
    assert len(points) == sum(len(grid.points) for grid in grids)
    assert len(np.unique(points.group)) == 256 + 64
    with pytest.raises(ConfigError, match="of family edge; expected gaussian"):
        box_around([grids[0], Grid(made(tmp_path, 5, 32, family="edge"))])


@pytest.mark.parametrize(
    ("name", "rows"), [("gaussian", (2,)), ("gaussians:2", (2, 5)), ("spline:3", (0, 1, 2)), ("edge", (1,))]
)
def test_amplitudes_are_what_is_zero_without_a_modification(name, rows):
    assert amplitudes_of(family(name)) == rows


@pytest.mark.parametrize("amplitudes", [(2,), (0, 2), ()])
def test_the_gradient_by_hand_is_that_of_autograd(amplitudes):
    torch.manual_seed(3)
    box = Box((-1.0, 0.1, -0.3), (1.0, 3.0, 0.2), (0.8, 16.0), amplitudes, (1,))
    network = Emulator(box, 16, 3).double()
    rng = np.random.default_rng(0)
    theta = torch.from_numpy(rng.uniform(box.low, box.high, (40, 3))).requires_grad_()
    kt = torch.from_numpy(rng.uniform(1, 12, 40)).requires_grad_()
    ratio, ln_sd, slope = network.with_gradient(theta, kt)
    plain, log_sd = network(theta, kt)
    torch.testing.assert_close(ratio, plain)
    torch.testing.assert_close(ln_sd, torch.exp(log_sd))
    for head in range(2):
        by_theta, by_kt = torch.autograd.grad(plain[:, head].sum(), (theta, kt), retain_graph=True)
        expected = torch.cat([by_theta, (by_kt * kt)[:, None]], dim=1)
        torch.testing.assert_close(slope[:, head], expected)


def test_there_is_no_bias_without_a_modification():
    box = Box((0.3, 0.1, -0.3), (10.0, 3.0, 0.3), (0.8, 16.0), (2,), (0, 1))
    theta = torch.tensor([[0.5, 2.0, 0.0], [9.0, 0.2, 0.0]])
    ratio, _ = Emulator(box)(theta, torch.tensor([1.0, 9.0]))
    assert (ratio == 0).all()
    assert count(Emulator(box)) < 10_000


def test_training_learns_the_law_and_goes_on(paths, trained, tmp_path):
    network, standing, out = trained
    assert standing.step == PLAN.steps
    assert standing.median < 2e-3
    grid = Grid(paths[1])
    ratio, ln_sd = said_of(network, grid.points)
    assert np.median(np.abs(ratio[:, 0] - grid.points.ratio[:, 0])) < 2e-3
    assert np.median(np.abs(ln_sd[:, 0] / grid.points.ln_sd[:, 0] - 1)) < 0.1
    again, state = load(out)
    assert box_of(state) == Grid(paths[0]).box
    np.testing.assert_array_equal(said_of(again, grid.points)[0], ratio)
    told: list[Standing] = []
    train([Grid(paths[0])], out, PLAN, told.append)
    assert not told
    with pytest.raises(ConfigError, match="of another training"):
        train([Grid(paths[0])], out, replace(PLAN, seed=1))
    few = made(tmp_path, 5, 8, failed=0)
    with pytest.raises(ConfigError, match="too few theta"):
        train([Grid(few)], tmp_path / "few.npz", PLAN)


def test_a_training_begins_with_weights_of_the_same_box(paths, trained, tmp_path):
    grids, plan = [Grid(path) for path in paths], replace(PLAN, steps=1, rate=1e-9)
    network, _ = train(grids[:1], tmp_path / "next.npz", plan, first=trained[2])
    for one, other in zip(network.parameters(), trained[0].parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    assert load(tmp_path / "next.npz")[1]["begun"]
    wide = Grid(made(tmp_path, 3, kt=(0.5, 5.0)))
    with pytest.raises(ConfigError, match="of another box"):
        train([*grids, wide], tmp_path / "wide.npz", plan, first=trained[2])


def test_an_interrupted_training_ends_as_if_it_had_not_been(paths, tmp_path, monkeypatch):
    monkeypatch.setattr("models.crosscal.train.EVERY", 10)
    plan = Plan(steps=30, batch=64, wide=8, deep=2)
    whole, _ = train([Grid(paths[0])], tmp_path / "whole.npz", plan)

    def stop(now: Standing) -> None:
        if now.step == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train([Grid(paths[0])], tmp_path / "part.npz", plan, stop)
    part, standing = train([Grid(paths[0])], tmp_path / "part.npz", plan)
    assert standing.step == 30
    for one, other in zip(whole.parameters(), part.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_figures_are_of_theta_that_it_has_not_seen(paths, trained, tmp_path):
    network, _, out = trained
    state = load(out)[1]
    found = evaluate(network, state, [Grid(path) for path in paths])
    assert 0 < found["kept back: error of kt_fit, median"][0] < 2e-3
    assert found["other points: error of kt_fit, worst"][0] >= found["other points: error of kt_fit, median"][0]
    assert "other points: error of kt_fit, 10-100 keV, median" in found
    assert "other points: error of kt_fit, 0-2 keV, worst" in found
    for value, low, high in found.values():
        assert low - 1e-12 <= value <= high + 1e-12
    with pytest.raises(ConfigError, match="beyond the range"):
        evaluate(network, state, [Grid(made(tmp_path, 7, 32, (0.5, 2.0)))])
    with pytest.raises(ConfigError, match="of family edge"):
        evaluate(network, state, [Grid(made(tmp_path, 8, 32, family="edge"))])


def test_other_files_are_refused(tmp_path, paths):
    (tmp_path / "bad.h5").write_text("no")
    with pytest.raises(ConfigError, match="expected a grid of `raysieve simulate crosscal`"):
        Grid(tmp_path / "bad.h5")
    path = made(tmp_path, 9, 4)
    with h5py.File(path, "r+") as file:
        file["converged"][:] = 0
    with pytest.raises(ConfigError, match="no fit that came to its end"):
        Grid(path)
    np.savez(tmp_path / "z.npz", state=np.array("{}"))
    with pytest.raises(ConfigError, match="not an emulator"):
        load(tmp_path / "z.npz")
    told = CliRunner().invoke(cli, ["evaluate", "crosscal", str(tmp_path / "z.npz"), str(paths[1])])
    assert "not an emulator" in str(told.exception)
