import tomllib

import numpy as np
import pytest
from click.testing import CliRunner

from config.errors import ConfigError
from raysieve import cli
from stream.errors import ModelError
from stream.judges.crosscal import Emulator
from tests.models.crosscal.grids import law, made


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("emulator")
    grid, other = made(folder, 1, 512), made(folder, 2, 32, (1.3, 4.0, 9.0))
    weights, out = folder / "net.npz", folder / "net.onnx"
    plan = ["--steps", "500", "--batch", "256", "--wide", "24", "--deep", "2", "--rate", "0.01"]
    said = CliRunner().invoke(cli, ["train", "crosscal", str(grid), "--out", str(weights), *plan])
    assert said.exit_code == 0, said.output
    tests = ["--test", str(grid), "--test", str(other)]
    told = CliRunner().invoke(cli, ["export", "crosscal", str(weights), str(out), *tests])
    assert told.exit_code == 0, told.output
    assert "0 changed decisions" in told.output
    shown = CliRunner().invoke(cli, ["evaluate", "crosscal", str(weights), str(other), "--json"])
    assert "other points: error of kt_fit, median" in shown.output
    return out


def test_an_exported_emulator_says_the_same_and_its_gradient_is_that_of_differences(exported):
    card = tomllib.loads(exported.with_suffix(".toml").read_text())
    assert card["parity"]["difference"] < 1e-5
    assert card["parity"]["gradient"] < 1e-4
    assert card["parity"]["finite_differences"] < 1e-4
    judge = Emulator(str(exported))
    assert judge.family.name == "gaussian"
    np.testing.assert_allclose(judge.low, [0.3, 0.1, -0.3])
    rng = np.random.default_rng(0)
    theta, kt = rng.uniform(judge.low, judge.high, (700, 3)), rng.uniform(1.1, 11, 700)
    said = judge.predict(theta, kt)
    assert np.median(np.abs(said.ln_ratio[:, 0] - law(theta, kt))) < 6e-3
    np.testing.assert_array_equal(judge.ln_ratio(theta, kt), said.ln_ratio)
    step = 1e-2 * (judge.high - judge.low)
    at = np.clip(theta, judge.low + step, judge.high - step)
    for j in range(3):
        off = np.zeros(3)
        off[j] = step[j]
        numeric = (judge.ln_ratio(at + off, kt) - judge.ln_ratio(at - off, kt))[:, 0] / (2 * step[j])
        slope = judge.predict(at, kt).gradient[:, 0, j]
        assert np.sqrt(np.mean((numeric - slope) ** 2)) < 0.05 * np.sqrt(np.mean(slope**2))


def test_beyond_what_it_knows_it_says_what_the_edge_is_and_flags_it(exported):
    judge = Emulator(str(exported))
    theta = np.array([[2.0, 1.0, 0.1], [2.0, 1.0, 0.5], [2.0, 1.0, 0.1], [2.0, 1.0, 0.0]])
    said = judge.predict(theta, np.array([5.0, 5.0, 30.0, 5.0]))
    np.testing.assert_array_equal(said.beyond, [False, True, True, False])
    np.testing.assert_array_equal(said.ln_ratio[1], judge.ln_ratio([2.0, 1.0, 0.3], [5.0])[0])
    np.testing.assert_array_equal(said.ln_ratio[3], 0)
    assert (said.ln_sd > 0).all()
    none = judge.predict(np.empty((0, 3)), np.empty(0))
    assert none.gradient.shape == (0, 2, 4)
    assert not len(none.beyond)
    with pytest.raises(ConfigError, match="expected \\(n, 3\\), mu_kev, sigma_kev, amplitude"):
        judge.predict([1.0, 2.0], [5.0])
    with pytest.raises(ConfigError, match="expected numbers"):
        judge.predict([1.0, 2.0, np.nan], [5.0])


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('kind = "crosscal"', 'kind = "coronae"', "kind: expected crosscal"),
        ('family = "gaussian"', 'family = "lorentz"', "family: family 'lorentz': expected one of"),
        ('family = "gaussian"', 'family = "edge"', "theta.names: expected"),
        ('    "amplitude",', '    "depth",', "theta.names: expected"),
        ("kt_fit_kev = [", "kt_fit_kev = [1.0,", "kt_fit_kev: expected 2 numbers"),
    ],
)
def test_cards_that_do_not_fit_are_refused(exported, tmp_path, old, new, text):
    (tmp_path / "net.onnx").write_bytes(exported.read_bytes())
    card = exported.with_suffix(".toml").read_text()
    assert old in card
    (tmp_path / "net.toml").write_text(card.replace(old, new, 1))
    with pytest.raises(ModelError, match=text):
        Emulator(str(tmp_path / "net.onnx"))
