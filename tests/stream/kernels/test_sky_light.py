"""Expected light and the filter's images are those of plain sums."""

import numpy as np
import pytest
from scipy.optimize import minimize

from stream.kernels.sky_light import (
    design_cells,
    enlarge,
    filter_images,
    fit_norms,
    lay_background,
    rate_norms,
    sum_cells,
)

SIDE, STEP, BEGIN = 12, 3, 5
PRIOR = np.array([[1.0, 1.0, 0.0, 0.0], [11.0, 4.0, 100.0, 100.0]])
BOUNDS = np.array([[0.05, 0.05, -0.6, -0.6], [5.0, 10.0, 0.6, 0.6]])


@pytest.fixture
def rows():
    rng = np.random.default_rng(1)
    return rng.uniform(0.1, 2.0, (4, BEGIN + SIDE**2))


def image(values):
    return values[BEGIN:].reshape(SIDE, SIDE)


def in_cells(values):
    return values.reshape(SIDE // STEP, STEP, SIDE // STEP, STEP).sum(axis=(1, 3)).ravel()


def tilt():
    at = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    return at[None, :], at[:, None]


def test_an_image_is_enlarged_linearly_and_added():
    rng = np.random.default_rng(2)
    coarse, out = rng.normal(size=(5, 5)), np.ones((20, 20))
    enlarge(coarse, out)
    place = np.clip((np.arange(20) + 0.5) / 4 - 0.5, 0, 4)
    line = np.clip(1 - np.abs(place[:, None] - np.arange(5)), 0, 1)
    assert np.allclose(out, 1 + line @ coarse @ line.T)
    same = np.zeros((5, 5))
    enlarge(coarse, same)
    assert np.allclose(same, coarse)


def test_cells_hold_the_sums_of_their_pixels_and_rims_are_left_out(rows):
    iem, iso, _, _ = rows
    x, y = tilt()
    design, sums = np.empty((4, 16)), np.empty(16)
    design_cells(iem, iso, BEGIN, SIDE, STEP, design)
    sum_cells(iso, BEGIN, SIDE, STEP, sums)
    parts = (image(iem), image(iso), image(iem) * x, image(iem) * y)
    assert np.allclose(design, [in_cells(part) for part in parts])
    assert np.allclose(sums, in_cells(image(iso)))
    few = np.empty(4)
    sum_cells(iso, BEGIN, SIDE, 5, few)
    assert few[3] == pytest.approx(image(iso)[5:10, 5:10].sum())


def test_norms_are_the_most_likely_ones(rows):
    rng = np.random.default_rng(3)
    design = rng.uniform(0.5, 3.0, (4, 60))
    design[2:] *= rng.uniform(-1, 1, (2, 60))
    known, norms = rng.uniform(0, 1, 60), PRIOR[0].copy()
    counts = rng.poisson(np.array([1.3, 0.7, 0.1, -0.1]) @ design + known).astype(float)
    fit_norms(design, counts, known, norms, PRIOR, BOUNDS, 20)

    def worse(trial):
        expected = np.maximum(trial @ design + known, 1e-9)
        penalty = 0.5 * PRIOR[1] @ (trial - PRIOR[0]) ** 2
        return penalty - counts @ np.log(expected) + expected.sum()

    best = minimize(worse, PRIOR[0], bounds=BOUNDS.T)
    assert worse(norms) == pytest.approx(best.fun, abs=0.02)
    assert np.allclose(norms, best.x, atol=0.05)
    assert rate_norms(design, counts, known, norms, PRIOR, np.empty(60)) == pytest.approx(-worse(norms))


def test_a_background_is_its_light_times_norms(rows):
    iem, iso, out, _ = rows
    x, y = tilt()
    lay_background(iem, iso, BEGIN, SIDE, np.array([0.5, 2.0, -0.6, 0.1]), out)
    assert np.allclose(image(out), image(iem) * np.maximum(0.5 - 0.6 * x + 0.1 * y, 0.05) + 2 * image(iso))


def test_the_filter_weighs_excess_signal_and_variance(rows):
    rng = np.random.default_rng(4)
    counts, background, light, lit = rng.poisson(1.0, rows.shape[1]).astype(float), rows[0], rows[1], rows[2] / 100
    doubt, under, rate, more, least = rng.uniform(0.03, 0.1, SIDE), 50.0, 7.0, 0.3, 1.0
    out = np.empty((3, SIDE, SIDE), np.float32)
    filter_images(counts, background, light, lit, BEGIN, SIDE, doubt, under, rate, more, least, out)
    n, b, s = image(counts), image(background), image(lit) * rate
    m = np.maximum(b + image(light), least)
    seen = s / (m + more) / (1 + doubt[:, None] ** 2 * b * under)
    assert np.allclose(out, [seen * (n - m), seen * s, seen * s * m / (m + more)], rtol=1e-5, atol=1e-6)
