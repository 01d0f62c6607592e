from dataclasses import replace

import numpy as np
import pytest

from stream.errors import ConfigError
from stream.imaging.embedding import choose_epsilon, embed, explained


def arc(n, seed=0, features=5):
    """Points along an arc in many dimensions, and how far along."""
    rng = np.random.default_rng(seed)
    along = rng.beta(2, 1, n)  # more at one end: with alpha = 1 that must not matter
    turned = np.linalg.qr(np.random.default_rng(99).normal(size=(features, features)))[0]
    flat = np.zeros((n, features))
    flat[:, 0], flat[:, 1] = np.cos(np.pi * along), np.sin(np.pi * along)
    return (flat + rng.normal(0, 0.01, flat.shape)) @ turned, along


def plain(features, embedding):
    """Coordinates by the definition: the whole random walk and its right eigenvectors."""
    x = np.clip((features - embedding.centre) / embedding.scale, -6, 6)
    k = np.array([[np.exp(-np.sum((a - b) ** 2) / embedding.epsilon) for b in x] for a in x])
    q = k.sum(1)
    k = k / np.outer(q**embedding.alpha, q**embedding.alpha)
    values, vectors = np.linalg.eig(k / k.sum(1, keepdims=True))
    order = np.argsort(-values.real)[1 : 1 + embedding.eigenvalues.size]
    return values.real[order], vectors.real[:, order]


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_coordinates_are_eigenvectors_of_the_plain_walk(alpha):
    x, _ = arc(80)
    found = embed(x, 3, alpha=alpha)
    values, vectors = plain(x, found)
    np.testing.assert_allclose(found.eigenvalues, values, rtol=1e-8)
    for k in range(3):
        assert abs(np.corrcoef(found.coordinates[:, k], vectors[:, k])[0, 1]) == pytest.approx(1, abs=1e-8)
    assert (np.diff(found.eigenvalues) < 0).all()


def test_the_first_coordinate_orders_an_arc():
    x, along = arc(400)
    order = np.argsort(np.argsort(embed(x, 2).coordinates[:, 0]))
    assert abs(np.corrcoef(order, np.argsort(np.argsort(along)))[0, 1]) > 0.99


def test_extension_gives_known_sources_what_they_have_and_new_ones_what_they_would():
    x, _ = arc(600)
    found = embed(x[:400], 2)
    np.testing.assert_allclose(found.extend(x[:400]), found.coordinates, atol=1e-12)
    np.testing.assert_allclose(found.vectors * found.eigenvalues, found.coordinates, atol=1e-8)
    whole = embed(x, 2)
    for k in range(2):
        assert abs(np.corrcoef(whole.coordinates[400:, k], found.extend(x[400:])[:, k])[0, 1]) > 0.95
    few = embed(x, 2, most=200)
    assert few.landmarks.shape == (200, 5)
    assert few.coordinates.shape == (600, 2)
    assert abs(np.corrcoef(few.coordinates[:, 0], whole.coordinates[:, 0])[0, 1]) > 0.99


def test_the_kernel_lies_between_the_smallest_and_the_largest_distance():
    x, _ = arc(200)
    squares = np.sum((x[:, None] - x[None]) ** 2, axis=2)
    assert np.sort(squares, axis=1)[:, 1].mean() < choose_epsilon(squares) < 4 * squares.max()
    assert choose_epsilon(np.zeros((4, 4))) == 1
    assert choose_epsilon(4 * squares) == pytest.approx(4 * choose_epsilon(squares))


def test_units_of_features_do_not_matter():
    x, _ = arc(100)
    one, other = embed(x, 2), embed(x * [1e6, 1, 1e-3, 5, 2] + 7, 2)
    np.testing.assert_allclose(one.coordinates, other.coordinates, rtol=1e-6, atol=1e-6)


def test_missing_features_and_few_sources():
    x, _ = arc(100)
    x[3, 2] = x[50, :] = np.nan
    assert np.isfinite(embed(x, 3).coordinates).all()
    assert embed(np.zeros((0, 3)), 2).coordinates.shape == (0, 2)
    assert embed(np.zeros((0, 3)), 2).extend(np.ones((2, 3))).shape == (2, 2)
    assert np.isnan(embed(np.ones((1, 3)), 2).coordinates).all()
    three = embed([[0.0, 1], [2, 3], [5, 1]], 4).coordinates
    assert np.isfinite(three[:, :2]).all()
    assert np.isnan(three[:, 2:]).all()


def test_a_source_far_from_all_has_no_place():
    x, _ = arc(400, features=2)
    found = replace(embed(x, 2), epsilon=1e-3)
    assert np.isnan(found.extend(np.full((1, 2), 1e9))).all()


def test_bad_features_are_one_clear_line():
    with pytest.raises(ConfigError, match="features: expected a table"):
        embed(np.ones(4))
    with pytest.raises(ConfigError, match="row 1, column 0 is infinite"):
        embed([[1.0, 2], [np.inf, 3]])
    with pytest.raises(ConfigError, match=r"features: expected a table \(sources, 2\)"):
        embed([[1.0, 2], [2, 3], [4, 5]], 1).extend(np.ones((3, 4)))


def test_classes_explain_coordinates_as_far_as_they_do():
    rng = np.random.default_rng(4)
    label = rng.integers(0, 3, 300)
    coordinates = np.stack([label + rng.normal(0, 0.5, 300), rng.normal(0, 1, 300)], axis=1)
    eta, p = explained(coordinates, label, 199)
    by_hand = sum(
        (label == k).sum() * (coordinates[label == k, 0].mean() - coordinates[:, 0].mean()) ** 2 for k in range(3)
    )
    assert eta[0] == pytest.approx(by_hand / np.sum((coordinates[:, 0] - coordinates[:, 0].mean()) ** 2))
    assert p[0] == 1 / 200
    assert eta[1] < 0.05
    assert p[1] > 0.02
    unknown = np.where(rng.random(300) < 0.3, -1, label)
    assert explained(coordinates, unknown, 99)[0][0] == pytest.approx(eta[0], abs=0.1)


def test_p_is_uniform_where_classes_mean_nothing():
    rng = np.random.default_rng(5)
    p = [explained(rng.normal(size=(60, 1)), rng.integers(0, 3, 60), 99, seed)[1][0] for seed in range(150)]
    assert np.mean(p) == pytest.approx(0.5, abs=0.1)
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.08)


def test_one_class_explains_nothing():
    eta, p = explained(np.random.default_rng(0).normal(size=(20, 2)), np.zeros(20, int))
    assert np.isnan(eta).all()
    assert np.isnan(p).all()
