import numpy as np
import pytest

from models.lat.classify_evaluate import BALANCED, ECE, scores
from models.lat.classify_linear import Plan, judge_folds, train_folds
from models.lat.classify_table import read_table

pytestmark = pytest.mark.real


@pytest.mark.parametrize(("kind", "sources", "least"), [("classes", 2479, 0.85), ("agn-psr", 3779, 0.95)])
def test_classes_of_dr2_are_told_sector_by_sector(dr2, kind, sources, least):
    given = read_table(dr2, kind)
    assert len(given) == sources
    assert len(np.unique(given.field)) == 24
    told = scores(judge_folds(given, train_folds(given, Plan(), by_field=True), by_field=True))
    assert told[BALANCED] >= least
    assert told[ECE] < 0.03
