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


def test_kmeans_finds_what_the_laplacian_finds():
    from models.lat.kmeans import places_by_kmeans
    from stream.lat.masks import places_of
    from tests.stream.lat.test_masks import mask_of

    mask = mask_of([(4.0, 4.0, 0.9), (8.0, 8.0, 0.9), (8.4, 8.0, 0.8)])
    one, other = places_of(mask), places_by_kmeans(mask)
    assert np.sort(other.x_deg) == pytest.approx(np.sort(one.x_deg), abs=0.1)
    assert len(places_by_kmeans(np.zeros((160, 160))).p) == 0


def test_a_perfect_mask_is_complete_and_pure(sets):
    """The truth as a mask: what a network could reach at most."""
    from models.lat.dataset import Patches
    from models.lat.localise_evaluate import AT_A_TIME, judge, shares

    unseen = Patches(sets / "test.h5")
    _, masks = unseen.at(np.arange(len(unseen)))
    parts = iter(np.array_split(masks, range(AT_A_TIME, len(masks), AT_A_TIME)))
    told = {name: shares(one) for name, one in judge(unseen, lambda given: next(parts)).items()}
    assert told["network"]["all sky: purity"][0] > 0.9
    assert told["network"]["all sky, from 1.44e-09: completeness"][0] > 0.9
    assert told["network, K-Means"]["all sky: purity"][0] > 0.9
    assert told["filter"]["all sky, from 1.44e-09: position, median"][0] < 0.15


def test_the_export_says_what_the_network_says_and_runs_in_the_stream(sets, tmp_path):
    pytest.importorskip("onnxscript")
    from models.lat.dataset import Patches
    from models.lat.train import load, masks_of
    from stream.judges.lat_mask import MaskJudge

    train = ["train", "lat-localise", str(sets / "train.h5"), "--validation", str(sets / "test.h5"), "--epochs", "1"]
    weights, model = str(tmp_path / "net.npz"), str(tmp_path / "net.onnx")
    assert CliRunner().invoke(cli, [*train, "--first", "2", "--batch", "4", "--out", weights]).exit_code == 0
    told = CliRunner().invoke(
        cli, ["evaluate", "lat-localise", weights, str(sets / "test.h5"), "--plot", str(tmp_path)]
    )
    assert "K-Means" in told.output
    assert (tmp_path / "localise_places.png").is_file()
    done = CliRunner().invoke(cli, ["export", "lat-localise", weights, model, "--test", str(sets / "test.h5")])
    assert "on 8 patches largest difference" in done.output
    given, _ = Patches(sets / "test.h5").at(np.array([3]))
    said = MaskJudge(model).judge([image[0] for image in given])
    assert said == pytest.approx(masks_of(load(tmp_path / "net.npz"), given)[0], abs=0.02)  # bf16 where it has it
    again = CliRunner().invoke(cli, ["evaluate", "lat-localise", str(sets / "test.h5"), str(sets / "test.h5")])
    assert "not a checkpoint" in str(again.exception)
