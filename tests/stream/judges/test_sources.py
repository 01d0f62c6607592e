import hashlib
import tomllib
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import ModelError
from stream.judges.sources import FEATURES, Judge, columns_to_features, features_of, hyperscore

HIGHEST = 100 * (1 + (1 / 3) ** 2.1)  # 109.96, at P = 1


@pytest.fixture(scope="module")
def model(fused, source_tables, tmp_path_factory):
    pytest.importorskip("onnx", reason="no train extra: onnx not installed (pip install -e '.[train]')")
    from export.card import write_card
    from export.sources import describe, write
    from models.sources.dataset import read_sources

    out = tmp_path_factory.mktemp("judge") / "sources.onnx"
    write(fused, out)
    write_card(out, describe(fused, out, read_sources(source_tables[1])))
    return out


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_hyperscore_rises_with_p_from_100_to_110(p):
    p = np.sort(p)
    score = hyperscore(p)
    assert (np.diff(score) >= 0).all()
    assert (score >= 100).all()
    assert (score <= HIGHEST + 1e-9).all()


def test_hyperscore_is_that_of_the_seed():
    assert hyperscore([0.0, 1.0]).tolist() == [100, pytest.approx(109.96, abs=0.005)]
    p = np.array([0.1, 0.5, 0.9])
    z = 5.4 * np.log(p) - np.log(2)
    np.testing.assert_allclose(hyperscore(p), 100 * (1 + (1 / (1 + np.exp(-z))) ** 2.1))
    assert hyperscore(0.5) == pytest.approx(100.009, abs=0.0005)
    assert hyperscore([]).size == 0


def test_a_posterior_sums_to_one_with_the_outlier(model, known_sources):
    judge, unseen = Judge(str(model)), known_sources[1]
    found = judge.judge(unseen.x, unseen.error)
    np.testing.assert_allclose(found.p.sum(axis=1) + found.outlier, 1, atol=1e-6)
    assert np.mean(found.p.argmax(axis=1) == unseen.label) > 0.8
    np.testing.assert_allclose(found.hyperscore, hyperscore(found.p.max(axis=1)))
    assert judge.about["classes"].startswith("sources ")


def test_many_sources_are_judged_as_single_ones_are(model, known_sources):
    judge = Judge(str(model))
    x = np.tile(known_sources[1].x[:100], (25, 1))
    found = judge.judge(x)
    np.testing.assert_allclose(found.p[-100:], judge.judge(x[:100]).p, atol=1e-7)
    assert found.p.shape == (2500, 3)


def test_a_prior_takes_the_place_of_the_trained_one_up_to_a_constant(model, known_sources):
    judge, x = Judge(str(model)), known_sources[1].x[:20]
    base = judge.judge(x)
    same = judge.judge(x, None, np.tile(judge.log_prior - 700, (20, 1)))
    np.testing.assert_allclose(same.p, base.p, atol=1e-6)
    more = judge.judge(x, None, judge.log_prior + np.log([3, 1, 1]))
    ratio = (more.p[:, 0] / more.p[:, 1]) / (base.p[:, 0] / base.p[:, 1])
    np.testing.assert_allclose(ratio[base.p[:, 1] > 1e-4], 3, rtol=1e-2)
    np.testing.assert_allclose(np.exp(judge.prior_at([0.0, -90.0])).sum(axis=1), 1)


def test_a_large_error_says_less_and_nan_is_exact(model, known_sources):
    judge, x = Judge(str(model)), known_sources[1].x[:50]
    exact = judge.judge(x, np.full_like(x, np.nan))
    np.testing.assert_array_equal(exact.p, judge.judge(x).p)
    vague = judge.judge(x, np.full_like(x, 1e3))
    assert vague.p.max(axis=1).mean() < exact.p.max(axis=1).mean() - 0.1


def test_no_sources_are_no_posterior(model):
    found = Judge(str(model)).judge(np.empty((0, 4)))
    assert (found.p.shape, found.outlier.shape, found.hyperscore.shape) == ((0, 3), (0,), (0,))


def test_wrong_columns_and_other_models_are_one_line(model, tmp_path):
    judge = Judge(str(model))
    for words in (
        (np.zeros((2, 3)),),
        (np.zeros((2, 4)), np.zeros((1, 4))),
        (np.zeros((2, 4)), None, np.zeros((2, 2))),
    ):
        with pytest.raises(ModelError, match=r"sources\.onnx: expected x and error \(2, 4\)") as fault:
            judge.judge(*words)
        assert "\n" not in str(fault.value)
    with pytest.raises(ModelError, match=r"input: expected \['error', 'log_prior', 'x'\], found"):
        Judge("filter")
    copy, card = tmp_path / "bad.onnx", model.with_suffix(".toml").read_text()
    copy.write_bytes(model.read_bytes())
    assert tomllib.loads(card)["sha256"] == hashlib.sha256(copy.read_bytes()).hexdigest()
    head, tail = card.split("threshold = [")
    copy.with_suffix(".toml").write_text(head + "threshold = []" + tail.split("]", 1)[1])
    with pytest.raises(ModelError, match=r"decision\.threshold: expected 3 numbers"):
        Judge(str(copy))


def fit(names, values, errors, bound=None, value=120.0, expected=100.0, spread=10.0):
    return SimpleNamespace(
        names=names,
        values=np.array(values),
        errors=np.array(errors),
        at_bound=np.array(bound or [False] * len(names)),
        value=value,
        expected=expected,
        expected_sd=spread,
        converged=True,
    )


def test_features_of_fits_and_morphology():
    fits = [
        fit(["tbabs.nH", "powerlaw.PhoIndex", "powerlaw.norm"], [0.1, 1.8, 1e-4], [0.05, 0.2, 1e-5]),
        None,
        fit(["tbabs.nH", "apec.kT"], [0.0, 10.0], [0.1, 1.0], [True, False], spread=0.0),
    ]
    shape = np.zeros(3, [("fwhm_px", float), ("fwhm_error_px", float), ("local_density", float), ("neighbours", int)])
    shape["fwhm_px"], shape["fwhm_error_px"], shape["local_density"] = 2.5, 0.1, (0.01, 0, 1)
    columns = features_of(fits, shape, {"log_flux": [-13, -14, -15]})
    assert columns["log_nh"][0] == pytest.approx(-1)
    assert columns["log_nh_error"][0] == pytest.approx(0.5 / np.log(10))
    assert columns["photon_index"].tolist()[0] == 1.8
    assert columns["log_kt"][2] == pytest.approx(1)
    assert columns["goodness"][0] == 2
    assert np.isnan([columns["photon_index"][1], columns["log_nh"][2], columns["goodness"][2]]).all()
    assert columns["fwhm_px_error"].tolist() == [0.1] * 3
    assert columns["log_local_density"][0] == pytest.approx(-2)
    assert np.isnan(columns["log_local_density"][1])
    assert {name.removesuffix("_error") for name in columns} <= set(FEATURES)
    x, error = columns_to_features(["photon_index", "log_flux", "extent_sigma"], columns, 3)
    assert x.dtype == error.dtype == np.float32
    assert x[:, 1].tolist() == [-13, -14, -15]
    assert np.isnan(x[:, 2]).all()
    assert error[:, 0].tolist() == [pytest.approx(0.2), 0, 0]


def test_a_width_that_did_not_converge_is_missing():
    shape = np.zeros(2, [("fwhm_px", float), ("concentration", float), ("converged", bool)])
    shape["converged"] = True, False
    columns = features_of([None, None], shape)
    assert np.isnan(columns["fwhm_px"]).tolist() == [False, True]
    assert columns["concentration"].tolist() == [0, 0]


def test_features_that_nobody_measured_are_one_line():
    with pytest.raises(ModelError, match="features: expected some of redshift; found log_flux"):
        columns_to_features(["redshift"], {"log_flux": [1.0]}, 1)
    assert columns_to_features(["log_flux"], features_of([]) | {"log_flux": np.empty(0)}, 0)[0].shape == (0, 1)
