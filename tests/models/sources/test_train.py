from dataclasses import replace

import numpy as np
import pytest

from config.errors import ConfigError
from models.sources.challenger import Boosting
from models.sources.evaluate import Judged, calibration_error, cross_validate, intervals, judge_unseen, scores
from models.sources.fusion import Plan
from models.sources.store import load, save
from models.sources.train import exponents, rule_for, train


def test_both_models_tell_unseen_sources(fused, boosted, known_sources):
    for one, least in ((fused, 0.85), (boosted, 0.8)):
        told = scores(judge_unseen(one, known_sources[1]))
        assert told["accuracy"] > least
        assert told["macro-F1"] > least - 0.1
        assert told["ECE"] < 0.12


def test_the_challenger_knows_no_outliers_and_takes_another_prior(boosted, known_sources):
    p, evidence, outlier = boosted.judge(known_sources[1])
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert np.isnan(evidence).all()
    assert (outlier == 0).all()
    x, error = known_sources[1].x, known_sources[1].error
    base, _, _ = boosted.model.judge(x, error)
    log = boosted.model.log_prior + np.log([1, 5, 1])
    more, _, _ = boosted.model.judge(x, error, log)
    np.testing.assert_allclose(more[:, 1] / more[:, 0], 5 * base[:, 1] / base[:, 0])


def test_the_arrays_of_the_trees_are_the_trees(known_sources):
    sklearn = pytest.importorskip("sklearn.ensemble")
    from models.sources.challenger import _trees

    for classes in (2, 3):
        kept = known_sources[0].pick(np.flatnonzero(known_sources[0].label < classes))
        x = kept.x[:, [0, 1, 3]].astype(np.float32)
        model = sklearn.HistGradientBoostingClassifier(max_iter=10, max_leaf_nodes=6, random_state=0)
        model.fit(x.astype(float), kept.label)
        base, trees = _trees(model, 3)
        found = (base + trees.sums(x, 3))[:, :classes]
        raw = model.decision_function(x.astype(float))
        expected = raw if classes == 3 else np.stack([0 * raw, raw], axis=1)
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("plan", [Plan(folds=2), Boosting(steps=3, folds=2)])
def test_a_feature_that_was_never_measured_says_nothing(known_sources, plan):
    pytest.importorskip("sklearn")
    x = known_sources[0].x.copy()
    x[:, 2] = np.nan
    x[1:, 3] = np.nan  # one value
    given = replace(known_sources[0], x=x)
    one = train(given, plan)
    p, _, outlier = one.judge(given)
    np.testing.assert_allclose(p.sum(axis=1) + outlier, 1)
    more = replace(given, x=np.where(np.isnan(x), np.nanmean(x, axis=1, keepdims=True), x))
    assert np.isfinite(one.judge(more)[0]).all()


def test_exponents_undo_counting_twice():
    rng = np.random.default_rng(0)
    label = rng.integers(2, size=2000)
    x = rng.normal(label, 1)
    log = -0.5 * (x[:, None] - np.arange(2)) ** 2
    twice = np.stack([log, log], axis=1)
    found = exponents(twice, label, np.log([0.5, 0.5]), np.ones(2), 0.01)
    assert found.sum() == pytest.approx(1, abs=0.15)
    noise = np.stack([log, rng.normal(size=log.shape)], axis=1)
    found = exponents(noise, label, np.log([0.5, 0.5]), np.ones(2), 0.01)
    np.testing.assert_allclose(found, [1, 0], atol=0.15)


def test_a_rule_helps_rare_classes():
    rng = np.random.default_rng(1)
    label = (rng.random(4000) < 0.05).astype(int)
    p = 1 / (1 + np.exp(-(rng.normal(2 * label, 1) - 4)))
    both = np.stack([1 - p, p], axis=1)
    rule = rule_for(both, label)
    assert rule.threshold[0] > rule.threshold[1]
    assert rule.decide(both).sum() > (both.argmax(axis=1)).sum()


def test_calibration_error_by_hand():
    p = np.array([[0.95, 0.05], [0.95, 0.05], [0.62, 0.38], [0.36, 0.64]])
    label = np.array([0, 1, 0, 1])
    assert calibration_error(p, label) == pytest.approx(0.5 * abs(0.95 - 0.5) + 0.5 * abs(0.63 - 1))
    assert calibration_error(p[:0], label[:0]) == 0


def test_scores_by_hand_and_intervals_hold_them():
    label = np.array([0, 0, 0, 1, 1, 2])
    p = np.eye(3)[[0, 0, 1, 1, 1, 1]]
    judged = Judged(("a", "b", "c"), label, p, p.argmax(axis=1), np.arange(6))
    told = scores(judged)
    assert told["accuracy"] == pytest.approx(4 / 6)
    assert told["a F1"] == pytest.approx(0.8)
    assert told["b precision"] == pytest.approx(0.5)
    assert (told["c F1"], told["c precision"], told["c recall"]) == (0, 0, 0)
    assert told["macro-F1"] == pytest.approx((0.8 + 2 / 3) / 3)
    value, low, high = intervals(judged)["accuracy"]
    assert low <= value <= high


def test_cross_validation_judges_every_source_once_with_models_that_did_not_see_it(known_sources):
    told = cross_validate(known_sources[0], Plan(folds=3), folds=3, by_field=True)
    assert set(told) == {False, True}
    for one in told.values():
        assert np.isfinite(one.p).all()
        assert scores(one)["accuracy"] > 0.75
    assert scores(told[True])["accuracy"] > scores(told[False])["accuracy"] - 0.03
    again = cross_validate(known_sources[0], Plan(folds=3), folds=3, by_field=True)
    np.testing.assert_array_equal(told[True].p, again[True].p)


def test_a_model_is_the_same_after_saving(fused, boosted, known_sources, tmp_path):
    for name, one in (("fusion", fused), ("challenger", boosted)):
        save(tmp_path / f"{name}.npz", one)
        again = load(tmp_path / f"{name}.npz")
        for ours, theirs in zip(again.judge(known_sources[1]), one.judge(known_sources[1]), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(again.rule.threshold, one.rule.threshold)
        assert again.model.plan == one.model.plan
    whole = (tmp_path / "fusion.npz").read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2]):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(ConfigError, match=r"bad\.npz: not a model of source classes") as fault:
            load(tmp_path / "bad.npz")
        assert "\n" not in str(fault.value)
    with pytest.raises(ConfigError, match="expected one of"):
        judge_unseen(fused, known_sources[1].only(["log_flux"]))
