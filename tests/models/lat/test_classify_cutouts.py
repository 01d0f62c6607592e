import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from export.card import write_card
from export.lat_cutouts import describe, write
from models.commands import evaluate as commands
from models.lat.classify_fakes import area, only_sources, rejection, roc
from models.lat.classify_network import CutoutNet
from models.lat.classify_train import CutoutSet, Plan, calibrate, class_weights, load, train, turned
from models.sources.evaluate import Judged
from sim.lat.cutout_sets import KIND
from sim.lat.cutouts import KINDS
from stream.errors import ConfigError
from stream.judges.lat_cutouts import WAYS, CutoutJudge, cutout_shape, inputs_of
from stream.lat.bands import BANDS
from stream.lat.cutouts import SIDE, YEARS, Cutouts
from tests.sim.lat.cutout_skies import WHOLE, made


def cutouts(rows, name):
    given = CutoutSet.__new__(CutoutSet)
    given.path, given.rows, given.sky, given.about = name, rows, np.zeros(len(rows), np.int64), name
    return given


@pytest.fixture(scope="module")
def sets():
    rows = np.random.default_rng(1).permutation(made()[1])
    return cutouts(rows[::2], "one"), cutouts(rows[1::2], "other")


@pytest.mark.parametrize("way", WAYS)
def test_years_are_in_order_and_have_the_mean_taken_off(sets, way):
    given = sets[0].cutouts(np.arange(len(sets[0])))
    image = inputs_of(given, way)
    assert image.shape == (len(given), *cutout_shape(way))
    shuffled = np.random.default_rng(2).permutation(YEARS)
    mixed = Cutouts(given.counts[:, :, shuffled], given.background, given.good_s[:, shuffled])
    np.testing.assert_array_equal(np.sort(inputs_of(mixed, way), axis=2), np.sort(image, axis=2))
    share = given.good_s / given.good_s.sum(axis=1, keepdims=True)
    total = given.counts.sum(axis=2, keepdims=True)
    level = given.background[:, :, None, None, None] / SIDE**2
    least = np.sqrt(np.maximum(total, level) / WHOLE + 0.25)
    change = np.sinh(image[:, :BANDS].astype(float)) * least
    np.testing.assert_allclose(change.sum(axis=2), 0, atol=2e-2)
    there = np.all(np.isin(share, (0, np.float32(1 / WHOLE))))
    assert there
    yearly = change.sum(axis=(1, 3, 4))
    assert np.all(np.diff(yearly, axis=1) > -2e-2)
    assert np.all((yearly == 0).sum(axis=1) >= YEARS - WHOLE)  # years that are not there
    assert inputs_of(given[:0], way).shape == (0, *cutout_shape(way))


def test_training_goes_on_is_calibrated_and_exported_with_parity(sets, tmp_path):
    given, other = sets
    out, plan = tmp_path / "net.npz", Plan(epochs=2, batch=16)
    network = train(given, other, out, plan)
    assert float(network.scale) != 1.0
    again = load(out)
    image = torch.from_numpy(other.inputs(np.arange(5), "counts"))
    with torch.no_grad():
        np.testing.assert_allclose(again(image), network(image), atol=1e-5)  # channels may lie otherwise
    with pytest.raises(ConfigError, match="of another training"):
        train(given, other, out, Plan(epochs=3, batch=16))
    with pytest.raises(ConfigError, match="the same skies"):
        train(given, given, tmp_path / "x.npz", plan)
    unseen = tmp_path / "test.h5"
    with h5py.File(unseen, "w") as file:  # as `write_set` writes one sky
        file.attrs["kind"], file.attrs["about"], file["sky0000"] = KIND, "other", other.rows
    words = ["lat-cutouts", str(out), str(unseen), "--plot", str(tmp_path / "plots")]
    said = CliRunner().invoke(commands, words, catch_exceptions=False)
    names = {f"cutouts_{what}.png" for what in ("confusion", "reliability", "classes_all", "classes_sources", "fakes")}
    assert {path.name for path in (tmp_path / "plots").iterdir()} == names
    assert all(name in said.output for name in names)
    model = tmp_path / "net.onnx"
    probability, way = write(out, model)
    facts = describe(out, probability, model, other, way)
    assert facts["parity"]["difference"] < 1e-5
    assert facts["parity"]["changed"] == 0
    write_card(model, facts)
    judge = CutoutJudge(str(model))
    assert judge.classes == KINDS
    unseen = other.cutouts(np.arange(len(other)))
    np.testing.assert_allclose(judge.judge(unseen).sum(axis=1), 1, atol=1e-5)
    assert judge.judge(unseen[:0]).shape == (0, 5)


def test_calibration_finds_the_scale_back():
    rng = np.random.default_rng(3)
    true = rng.standard_normal((20_000, 5))
    p = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    label = (p.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1).clip(max=4)
    network = CutoutNet(6)
    calibrate(network, (2.5 * true).astype(np.float32), label)
    assert float(network.scale) == pytest.approx(0.4, abs=0.02)
    np.testing.assert_allclose(network.shift, network.shift.mean(), atol=0.06)


def test_turns_weights_and_the_rejection_of_fakes():
    image = np.arange(36, dtype=np.float32).reshape(1, 6, 6)
    assert len({turned(image, turn).tobytes() for turn in range(8)}) == 8
    weights = class_weights(np.array([0] * 90 + [1] * 9 + [2] * 9 + [3] * 9 + [4] * 9))
    assert weights[1] / weights[0] == pytest.approx(9.1)
    label = np.repeat([0, 4], 500)
    score = np.concatenate([np.linspace(0, 0.5, 500), np.linspace(0.25, 0.75, 500)])
    p = np.stack([1 - score, 0 * score, 0 * score, 0 * score, score], axis=1)
    judged = Judged(KINDS, label, p, p.argmax(axis=1), np.arange(1000))
    assert area(score, label == 4) == pytest.approx(0.875, abs=0.005)
    told = rejection(judged)
    assert told["fakes rejected where 90 % of the sources are kept"][0] == pytest.approx(0.6, abs=0.01)
    table = roc(judged)
    assert table["lost_sources"] == sorted(table["lost_sources"], reverse=True)
    assert table["kept_fakes"] == sorted(table["kept_fakes"])
    assert only_sources(judged).classes == KINDS[:4]
