import numpy as np
import pytest

from models.sources.dataset import read_sources
from models.sources.evaluate import judge_unseen, published, scores
from models.sources.folds import folds_of
from models.sources.fusion import Plan
from models.sources.train import train

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def table(data):
    path = data / "catalogues" / "CSC_TD_11042023_MW.csv.gz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    return read_sources(path)


def test_the_table_is_read_with_classes_fields_and_what_is_missing(table):
    assert len(table) == 3126
    counts = dict(zip(table.classes, np.bincount(table.label).tolist(), strict=True))
    assert counts == {
        "AGN": 1596, "CV": 46, "HM-STAR": 108, "HMXB": 34, "LM-STAR": 826, "LMXB": 64, "NS": 100, "YSO": 352
    }  # fmt: skip
    known = dict(zip(table.features, np.isfinite(table.x).sum(axis=0).tolist(), strict=True))
    assert (known["log_flux"], known["photon_index"], known["mag_g"], known["j_h"]) == (3126, 861, 2381, 1692)
    orion = np.bincount(table.field).argsort()[-2]  # the second largest field
    assert np.mean(table.label[table.field == orion] == table.classes.index("YSO")) > 0.9
    np.testing.assert_allclose(table.sky[table.field == orion].mean(axis=0), [209, -19.4], atol=0.2)


def test_the_published_probabilities_have_the_published_scores(data):
    path = data / "catalogues" / "LOO_classes.csv.gz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    judged, names = published(path)
    told = scores(judged)
    assert len(names) == 2941
    for key, value in {"accuracy": 0.886, "macro-F1": 0.681, "ECE": 0.048, "LMXB F1": 0.218, "CV F1": 0.511}.items():
        assert told[key] == pytest.approx(value, abs=6e-4)


def test_the_fusion_tells_a_fifth_of_the_sources_that_it_never_saw(table):
    fold = folds_of(table, 5, 100, by_field=False)
    trained = train(table.pick(np.flatnonzero(fold > 0)), Plan(), sky=True)
    told = scores(judge_unseen(trained, table.pick(np.flatnonzero(fold == 0))))
    assert told["accuracy"] > 0.92
    assert told["macro-F1"] > 0.68
    assert told["ECE"] < 0.05
