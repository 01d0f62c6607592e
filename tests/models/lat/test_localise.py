"""The localisation network learns, from sets that are the same whatever makes them."""

import numpy as np
import pytest
from click.testing import CliRunner

from config.errors import ConfigError
from raysieve import cli

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patches")
    for name, seed in (("train", 1), ("test", 2)):
        words = ["simulate", "lat-patches", str(folder / f"{name}.h5"), "--skies", "2", "--per-sky", "4"]
        done = CliRunner().invoke(cli, [*words, "--seed", str(seed), "--processes", "2"], catch_exceptions=False)
        assert done.exit_code == 0
        assert "8 patches of 2 skies" in done.output
    return folder


def test_a_set_is_the_same_in_one_process(sets, tmp_path):
    from models.lat.dataset import Patches

    words = ["simulate", "lat-patches", str(tmp_path / "again.h5"), "--skies", "2", "--per-sky", "4", "--seed", "1"]
    assert CliRunner().invoke(cli, [*words, "--processes", "1"], catch_exceptions=False).exit_code == 0
    (one, mask), (other, again) = (
        Patches(path).at(np.arange(8)) for path in (sets / "train.h5", tmp_path / "again.h5")
    )
    assert np.array_equal(mask, again)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_masks_lie_where_the_filter_sees_sources(sets):
    from models.lat.dataset import Patches

    given, mask = Patches(sets / "train.h5").at(np.arange(8))
    significance = given[2][:, 4]
    assert significance[mask > 0].mean() > 3 * significance[mask == 0].mean()
    assert 0.002 < mask.mean() < 0.1


def test_training_lowers_the_loss_and_goes_on_from_a_checkpoint(sets, tmp_path):
    from models.lat.dataset import Patches
    from models.lat.train import Plan, loss_on, train

    given, unseen = Patches(sets / "train.h5"), Patches(sets / "test.h5")
    plan = Plan(epochs=15, batch=4, rate=0.01)
    told = []
    network = train(given, unseen, tmp_path / "net.npz", plan, lambda now: told.append((now.epoch, now.loss)))
    assert loss_on(network, given, plan) < told[0][1]
    again = train(given, unseen, tmp_path / "net.npz", plan)  # nothing is left to do
    for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ConfigError, match="the same skies"):
        train(given, given, tmp_path / "other.npz", plan)
    with pytest.raises(ConfigError, match="of another training"):
        train(given, unseen, tmp_path / "net.npz", Plan(epochs=9))


def test_what_is_no_set_is_refused_in_one_line(tmp_path):
    from models.lat.dataset import Patches

    (tmp_path / "x.h5").write_bytes(b"no")
    with pytest.raises(ConfigError, match=r"x\.h5: ") as refusal:
        Patches(tmp_path / "x.h5")
    assert "\n" not in str(refusal.value)
