import json

import numpy as np
import pytest
from click.testing import CliRunner

from export.lat_classify import compare, describe, write
from models.lat.classify_evaluate import BALANCED, ECE, intervals, scores
from models.lat.classify_linear import NEEDS, Linear, Plan, calibrated, judge_folds, train, train_folds
from models.lat.classify_store import load, save
from models.sources.dataset import Sources
from models.sources.evaluate import Judged
from raysieve import cli
from stream.errors import ConfigError
from stream.judges.lat import FEATURES, LIKELIHOOD, SPECTRAL, TEMPORAL
from stream.judges.sources import Judge

CLASSES = ("BLL", "FSRQ", "PSR")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Sources whose class shows in the spectrum, more in the light curve, and most in the likelihood fit."""
    rng = np.random.default_rng(1)
    label = rng.choice(3, 900, p=(0.6, 0.3, 0.1))
    x = rng.standard_normal((900, len(FEATURES)))
    names = list(FEATURES)
    for group, size in ((SPECTRAL, 0.35), (TEMPORAL, 0.8), (LIKELIHOOD, 1.5)):
        columns = [names.index(name) for name in group]
        x[:, columns] += size * rng.standard_normal((3, len(columns)))[label]
    x[::7, [names.index(name) for name in LIKELIHOOD]] = np.nan
    x[::11, 0] = np.nan
    path = tmp_path_factory.mktemp("made") / "gll_psc_v00.fit"
    field = rng.integers(0, 24, 900)
    return Sources(path, tuple(names), tuple(FEATURES.values()), CLASSES, x, 0 * x, label, field)


@pytest.fixture(scope="module")
def model(made):
    return train(made, Plan())


def test_the_more_is_known_the_better_it_tells_and_p_is_what_it_says(made):
    told, models = {}, train_folds(made, Plan())
    for name, hidden in {"all": (), "no fit": LIKELIHOOD, "spectrum": (*LIKELIHOOD, *TEMPORAL)}.items():
        told[name] = scores(judge_folds(made, models, tuple(hidden)))
    assert told["all"][BALANCED] > told["no fit"][BALANCED] > told["spectrum"][BALANCED] > 0.5
    assert all(one[ECE] < 0.06 for one in told.values())


def test_a_source_is_judged_by_the_head_that_has_what_it_needs(made, model):
    assert [head.name for head in model.heads] == list(NEEDS)
    x = made.x[1:5].copy()
    names = list(FEATURES)
    x[1, names.index("index")] = np.nan
    x[2, names.index("log_peak")] = np.nan
    x[3] = np.nan
    assert model.which(x).tolist() == [0, 1, 2, 3]
    p = model.judge(x)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert np.isfinite(p).all()
    other = model.judge(x, np.log([0.01, 0.01, 0.98]))
    assert (other[:, 2] > p[:, 2]).all()


def test_calibration_finds_the_exponents_back():
    rng = np.random.default_rng(2)
    prior = np.log([0.7, 0.2, 0.1])
    logits = 2 * rng.standard_normal((20_000, 3))
    p = np.exp(0.5 * logits + prior)
    p /= p.sum(axis=1, keepdims=True)
    label = np.array([rng.choice(3, p=row) for row in p])
    np.testing.assert_allclose(calibrated(logits, label, prior), (0.5, 1.0), atol=0.04)


def test_scores_by_hand():
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    judged = Judged(("A", "B"), np.array([0, 0, 1, 1]), p, np.array([0, 1, 1, 1]), np.arange(4))
    told = scores(judged)
    assert (told[BALANCED], told["accuracy"], told["A recall"], told["B precision"]) == (0.75, 0.75, 0.5, 2 / 3)
    value, low, high = intervals(judged)[BALANCED]
    assert low <= value <= high


def test_it_is_kept_and_others_are_refused(model, made, tmp_path):
    save(tmp_path / "model.npz", model)
    again = load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.judge(made.x), model.judge(made.x))
    assert again.about == model.about
    (tmp_path / "other.npz").write_text("no model")
    with pytest.raises(ConfigError, match=r"other.npz: not a model of gamma-ray classes"):
        load(tmp_path / "other.npz")


def test_onnx_says_the_same_and_the_judge_of_the_stream_runs_it(model, made, tmp_path):
    from export.card import write_card

    out = tmp_path / "model.onnx"
    write(model, out)
    parity = compare(model, out, made)
    assert parity.difference < 1e-6
    assert parity.changed == 0
    facts = describe(model, out, made)
    write_card(out, facts)
    assert facts["metrics"]["by source"][BALANCED][0] > facts["metrics"]["by source, spectrum alone"][BALANCED][0]
    judge = Judge(str(out))
    assert judge.classes == CLASSES
    x = made.x[:50].copy()
    x[3] = np.nan
    said = judge.judge(x)
    np.testing.assert_allclose(said.p, model.judge(x.astype(np.float32).astype(float)), atol=1e-6)
    assert judge.decide(said).tolist() == model.decide(said.p).tolist()
    other = made.pick(np.arange(500))
    with pytest.raises(ConfigError, match="the table of the training, gll_psc_v00"):
        describe(model, out, other)


def test_a_file_that_is_no_catalogue_is_one_clear_line(tmp_path):
    path = tmp_path / "catalogue.fit"
    path.write_text("nothing")
    for words in (("train", "lat-classify", path, "--out", tmp_path / "x.npz"), ("evaluate", "lat-classify", path)):
        done = CliRunner().invoke(cli, list(map(str, words)))
        assert isinstance(done.exception, ConfigError)
        assert "not FITS (it is text)" in str(done.exception)


def test_what_it_was_made_of_is_told(model, made):
    about = json.loads(model.about)
    assert (about["sources"], about["table"], about["digest"]) == (900, "gll_psc_v00.fit", made.digest())
    assert isinstance(model, Linear)
