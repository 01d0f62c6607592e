from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from scipy.stats import norm

from models.sources import fusion
from models.sources.dataset import Sources
from models.sources.fusion import Block, Fusion, Plan
from models.sources.missing import missing_of


def by_hand(mean, variance, outliers=0.0, flat=0.0):
    """A fusion of one feature that is never missing, one Gaussian for each of two classes."""
    block = Block(np.array([0]), np.array(mean)[:, None], np.array(variance)[:, None, None], np.log(np.eye(2) + 1e-300))
    missing = missing_of(np.zeros((4, 1), bool), np.array([0, 0, 1, 1]), 2, 1.0)
    ones = np.ones(1)
    plan = Plan(outliers=outliers, flat=flat)
    prior = np.log([0.5, 0.5])
    return Fusion(("a",), ("",), ("p", "q"), 0 * ones, ones, (block,), missing, np.array([1.0, 0.0]), prior, plan)


@drawn(st.floats(-5, 5), st.floats(0, 3), st.floats(0.01, 0.99))
def test_a_gaussian_is_convolved_with_the_error_of_the_source(x, error, share):
    model = by_hand([0.0, 1.0], [1.0, 0.25], outliers=1e-12, flat=1e-12)
    p, evidence, outlier = model.judge(np.array([[x]]), np.array([[error]]), np.log([[share, 1 - share]]))
    likelihood = norm([0, 1], np.sqrt(np.array([1, 0.25]) + error**2)).pdf(x) * [share, 1 - share]
    if likelihood.sum() > 1e-6:
        np.testing.assert_allclose(p[0], likelihood / likelihood.sum(), atol=1e-4)
        assert evidence[0] == pytest.approx(np.log(likelihood.sum()), abs=1e-4)
    assert p.sum() + outlier[0] == pytest.approx(1)


def test_a_large_error_leaves_the_prior_and_a_far_source_is_an_outlier():
    model = by_hand([0.0, 1.0], [0.1, 0.1], outliers=1e-3, flat=1e-6)
    p, _, _ = model.judge(np.array([[0.0]]), np.array([[1e4]]), np.log([[0.2, 0.8]]))
    np.testing.assert_allclose(p[0], [0.2, 0.8], atol=2e-3)
    _, evidence, outlier = model.judge(np.array([[0.3], [8.0]]), np.zeros((2, 1)))
    assert outlier[0] < 0.01
    assert outlier[1] > 0.99
    assert evidence[0] > evidence[1]


def test_probabilities_sum_to_one_and_nothing_measured_is_the_prior(fused, known_sources):
    p, evidence, outlier = fused.judge(known_sources[1])
    np.testing.assert_allclose(p.sum(axis=1) + outlier, 1, atol=1e-12)
    assert np.isfinite(evidence).all()
    nothing = np.full((1, len(fused.model.features)), np.nan)
    p, _, outlier = fused.model.judge(nothing, nothing)
    np.testing.assert_allclose(p[0] / (1 - outlier), np.exp(fused.model.log_prior), atol=1e-9)
    assert [one.shape for one in fused.model.judge(nothing[:0], nothing[:0])] == [(0, 3), (0,), (0,)]


def twin(missing, label, classes, smooth, parent):
    """ln P of what is missing, counted one source and one feature after the other."""
    out = np.zeros((len(missing), classes))
    for n, row in enumerate(missing):
        for c in range(classes):
            for i, own in enumerate(row):
                above = row[parent[i]] if parent[i] >= 0 else False
                same = missing[:, parent[i]] == above if parent[i] >= 0 else np.ones(len(missing), bool)
                hits = [np.sum(same & (missing[:, i] == bit)) for bit in (own, not own)]
                common = (hits[0] + 0.5) / (sum(hits) + 1)
                mine = same & (label == c)
                share = (np.sum(mine & (missing[:, i] == own)) + smooth * common) / (np.sum(mine) + smooth)
                out[n, c] += np.log(share)
    return out


def test_the_missing_data_term_is_that_of_a_slow_twin():
    rng = np.random.default_rng(3)
    missing = rng.random((60, 4)) < 0.4
    missing[:, 2] = missing[:, 1]
    label = rng.integers(3, size=60)
    model = missing_of(missing, label, 4, 2.0)  # of the fourth class there is no source
    assert model.parent[2] == 1 or model.parent[1] == 2  # what is missing together hangs together
    np.testing.assert_allclose(model.log_p(missing), twin(missing, label, 4, 2.0, model.parent), atol=1e-9)
    total = sum(
        np.exp(model.log_p(np.array([[a, b, c, d]], bool)))
        for a in (0, 1)
        for b in (0, 1)
        for c in (0, 1)
        for d in (0, 1)
    )
    np.testing.assert_allclose(total, 1)


def test_a_class_without_values_of_a_feature_has_the_common_density():
    rng = np.random.default_rng(4)
    label = np.repeat([0, 1, 2], 40)
    x = np.stack([rng.normal(label, 0.3), rng.normal(3 * label, 0.5)], axis=1)
    x[label == 2, 1] = np.nan
    given = Sources(Path("t"), ("a", "b"), ("", ""), ("p", "q", "r"), x, np.zeros_like(x), label, np.arange(120))
    model = fusion.fit(given, Plan(most=1))
    terms, _ = model.terms(np.array([[np.nan, 0.0], [np.nan, 3.0], [np.nan, 1e3]]), np.zeros((3, 2)))
    b = terms[:, [tuple(one.columns) for one in model.blocks].index((1,))]
    halves = np.logaddexp(b[:2, 0], b[:2, 1]) - np.log(2)
    np.testing.assert_allclose(b[:2, 2], halves, atol=0.1)  # of p and q, each as much as the other
    np.testing.assert_allclose(b[2], b[2, 0])  # far outside of all: the flat density, no class is ruled out
    p, _, _ = replace(model, exponent=np.ones(3)).judge(np.array([[2.0, np.nan]]), np.zeros((1, 2)))
    assert p[0].argmax() == 2
