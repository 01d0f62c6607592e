import hashlib
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from config.errors import RaysieveError
from export.commands import export as commands
from models.sources.store import save
from stream.judges.sources import Judge

pytestmark = pytest.mark.usefixtures("torch")
KINDS = ("fusion", "challenger")


def exported(model, out, test, *options):
    return CliRunner().invoke(commands, ["sources", str(model), str(out), "--test", str(test), *options])


@pytest.fixture(scope="module")
def models(fused, boosted, source_tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    for kind, one in zip(KINDS, (fused, boosted), strict=True):
        save(folder / f"{kind}.npz", one)
        done = exported(folder / f"{kind}.npz", folder / f"{kind}.onnx", source_tables[1])
        assert done.exit_code == 0, done.output
        assert "0 changed decisions" in done.output
    return {kind: folder / f"{kind}.onnx" for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_onnx_is_the_model_and_the_card_says_so(models, known_sources, kind):
    card = tomllib.loads(models[kind].with_suffix(".toml").read_text())
    assert card["kind"] == kind
    assert card["sha256"] == hashlib.sha256(models[kind].read_bytes()).hexdigest()
    assert card["parity"]["difference"] < 1e-5
    assert (card["parity"]["sources"], card["parity"]["made_up"], card["parity"]["changed"]) == (300, 2000, 0)
    assert card["input"]["x"]["names"] == list(known_sources[0].features)
    assert card["input"]["x"]["units"] == ["", "dex of erg cm-2 s-1", "", "px"]
    assert card["output"]["p"]["names"] == list(known_sources[0].classes)
    assert sum(card["prior"]["p"]) == pytest.approx(1)
    assert card["test"]["how"] == "sources of another table"
    value, low, high = card["metrics"]["macro-F1"]
    assert 0.7 < low <= value <= high
    assert models[kind].stat().st_size < 2e6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [0, 1, 300])
def test_the_judge_says_what_the_model_says(models, fused, boosted, known_sources, kind, number):
    one = (fused, boosted)[KINDS.index(kind)]
    unseen = known_sources[1].pick(np.arange(number))
    judge = Judge(str(models[kind]))
    assert judge.features == known_sources[0].features
    found = judge.judge(unseen.x, unseen.error, judge.prior_at(unseen.sky[:, 1]))
    p, evidence, outlier = one.judge(unseen)
    np.testing.assert_allclose(found.p, p, atol=2e-5)
    np.testing.assert_allclose(found.log_evidence, evidence, atol=1e-3)
    np.testing.assert_allclose(found.outlier, outlier, atol=2e-5)
    np.testing.assert_array_equal(judge.decide(found), one.rule.decide(p))
    assert found.hyperscore.shape == (number,)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_measured_is_the_prior(models, kind):
    judge = Judge(str(models[kind]))
    nothing = np.full((2, 4), np.nan)
    found = judge.judge(nothing)
    np.testing.assert_allclose(found.p.sum(axis=1) + found.outlier, 1, atol=1e-6)
    if kind == "fusion":
        np.testing.assert_allclose(found.p[0], np.exp(judge.log_prior) * (1 - found.outlier[0]), atol=1e-6)


def test_parity_sees_another_model(models, fused, known_sources):
    from export.sources import compare

    other = replace(fused, model=replace(fused.model, exponent=fused.model.exponent * 1.01))
    found = compare(other, models["fusion"], known_sources[1])
    assert found.difference > 1e-3
    assert found.evidence > 1e-3


def test_the_table_of_the_training_is_cross_validated(models, source_tables):
    out = models["fusion"].with_name("again.onnx")
    done = exported(models["fusion"].with_suffix(".npz"), out, source_tables[0])
    assert done.exit_code == 0, done.output
    card = tomllib.loads(out.with_suffix(".toml").read_text())
    assert card["test"]["how"] == "5-fold cross-validation by source, all fitted inside the folds"


def test_what_cannot_be_exported_is_one_line(models, source_tables, tmp_path):
    out, model = tmp_path / "m.onnx", models["fusion"].with_suffix(".npz")
    (tmp_path / "other.csv").write_text("class,a\n" + "AGN,1\nCV,2\n" * 5)
    for words, told in (
        ((source_tables[0], out, source_tables[1]), "not a model of source classes"),
        ((model, out, tmp_path / "other.csv"), "feature photon_index: expected one of a"),
        ((model, out, tmp_path / "none.csv"), "no such file"),
    ):
        done = exported(*words)
        assert isinstance(done.exception, RaysieveError), done.output
        assert told in str(done.exception)
        assert "\n" not in str(done.exception)
        assert not out.exists()
