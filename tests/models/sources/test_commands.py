import json

import pytest
from click.testing import CliRunner

from config.errors import ConfigError
from models.commands import evaluate, train


def run(group, *words):
    return CliRunner().invoke(group, ["sources", *map(str, words)])


@pytest.mark.parametrize("kind", ["fusion", "challenger"])
def test_train_and_evaluate(source_tables, tmp_path, kind):
    pytest.importorskip("sklearn")
    out = tmp_path / "model.npz"
    words = (source_tables[0], "--out", out, "--kind", kind, "--sky", "--by-field")
    done = run(train, *words)
    assert done.exit_code == 0, done.output
    assert f"{kind} of 4 features, 3 classes, 400 sources" in done.output
    done = run(evaluate, source_tables[1], "--model", out, "--json", "--plot", tmp_path / "plots")
    assert done.exit_code == 0, done.output
    value, low, high = json.loads(done.stdout)[""]["macro-F1"]
    assert 0.7 < low <= value <= high
    value, low, high = json.loads(done.stdout)["diffusion map, eta squared"]["DIFFUSION 1"]
    assert 0 < low <= value <= high < 1
    assert sorted(map(str, (tmp_path / "plots").iterdir())) == sorted(done.stderr.split())
    done = run(train, *words)
    assert str(done.exception) == f"{out}: exists; --overwrite replaces it"


def test_cross_validation_prints_a_table(source_tables):
    done = run(evaluate, source_tables[1], "--folds", "2", "--feature", "photon_index", "--feature", "motion")
    assert done.exit_code == 0, done.output
    assert "prior by latitude" in done.output
    assert "CV F1, rule" in done.output


def test_what_cannot_be_trained_is_one_line(source_tables, tmp_path):
    plain = tmp_path / "plain.csv"
    plain.write_text("class,a\n" + "p,1\nq,2\n" * 20)
    out = tmp_path / "m.npz"
    for words, told in (
        ((source_tables[0], "--feature", "gamma"), "feature gamma: expected one of"),
        ((plain, "--sky"), "--sky: expected columns l and b, or ra and dec"),
        ((tmp_path / "none.csv",), "no such file"),
    ):
        done = run(train, *words, "--out", out)
        assert isinstance(done.exception, ConfigError), done.output
        assert told in str(done.exception)
        assert not out.exists()
    done = run(evaluate, plain, "--model", plain)
    assert "not a model of source classes" in str(done.exception)
