import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from stream.imaging.detect import line_of, score_of
from stream.kernels.sources import add_source, best_flux, fit_fluxes, significance_map

SIGMA = 1.2
STAMP = np.outer(line_of(SIGMA), line_of(SIGMA))


def scene(seed, rows=14, columns=17, rate=0.4):
    rng = np.random.default_rng(seed)
    exposure = rng.uniform(0.2, 1, (rows, columns)) * (rng.random((rows, columns)) > 0.1)
    expected = rng.uniform(0.5, 1.5, (rows, columns)) * rate * exposure
    return rng.poisson(expected).astype(float), expected, exposure


def likelihood_ratio(counts, expected, exposure, y, x):
    """2 ln(L / L0) of the best point source at a pixel, found by a search, and its flux."""
    radius = len(STAMP) // 2
    p = np.zeros(counts.shape)
    for v in range(counts.shape[0]):
        for u in range(counts.shape[1]):
            if max(abs(v - y), abs(u - x)) <= radius:
                p[v, u] = exposure[v, u] * STAMP[v - y + radius, u - x + radius]
    seen = exposure > 0
    n, b, p = counts[seen], expected[seen], p[seen]

    def loss(f):
        return float(np.sum(f * p - n * np.log1p(f * p / b)))

    best = minimize_scalar(loss, bounds=(0, 50 + 5 * n.sum()), method="bounded", options={"xatol": 1e-9})
    return max(-2 * best.fun, 0), best.x


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(0, 13), st.integers(0, 16))
def test_significance_equals_that_of_a_plain_search(seed, y, x):
    counts, expected, exposure = scene(seed)
    found = np.full(counts.shape, -1.0)
    where = np.full(counts.shape, np.nan)
    where[y, x] = 1
    significance_map(counts, expected, exposure, STAMP, where, found)
    ratio, _ = likelihood_ratio(counts, expected, exposure, y, x)
    assert found[y, x] ** 2 == pytest.approx(ratio, rel=1e-4, abs=1e-5)
    assert (found == -1).sum() == found.size - 1


def test_the_score_has_mean_0_and_width_1_without_a_source():
    rng = np.random.default_rng(1)
    exposure = np.ones((300, 300))
    exposure[100:110] = 0
    expected = np.full(exposure.shape, 3.0) * exposure
    score = score_of(rng.poisson(expected).astype(float), np.maximum(expected, 1e-12), exposure, SIGMA)
    seen = exposure > 0
    assert abs(score[seen].mean()) < 0.03
    assert score[seen].std() == pytest.approx(1, abs=0.03)
    assert (score[~seen] == 0).all()


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(1e-4, 1), st.floats(1e-6, 10)), max_size=20))
def test_the_best_flux_solves_its_equation(pixels):
    n, p, b = np.array([*pixels, (0, 0, 1)], float).T
    n, p, b = n[:-1], p[:-1], b[:-1]
    total = p.sum() + 0.1
    flux = best_flux(n, p, b, len(n), total)
    if len(n) == 0 or np.sum(n * p / b) <= total:
        assert flux == pytest.approx(0, abs=1e-6)
    else:
        assert np.sum(n * p / (b + flux * p)) == pytest.approx(total, rel=1e-4)


def test_a_source_adds_its_counts_and_takes_them_back():
    image = np.zeros((40, 40))
    add_source(image, np.ones_like(image), (20.3, 18.7, 50.0, 1.5), 1.0)
    assert image.sum() == pytest.approx(50, rel=1e-5)
    y, x = np.mgrid[:40, :40]
    assert np.sum(image * x) / 50 == pytest.approx(20.3, abs=1e-3)
    assert np.sum(image * y) / 50 == pytest.approx(18.7, abs=1e-3)
    add_source(image, np.ones_like(image), (20.3, 18.7, 50.0, 1.5), -1.0)
    assert np.abs(image).max() < 1e-12
    add_source(image, np.ones_like(image), (-30.0, 99.0, 50.0, 1.5), 1.0)
    assert image.sum() == pytest.approx(0, abs=1e-12)


def test_fluxes_over_a_known_field_are_the_true_ones():
    rng = np.random.default_rng(5)
    exposure = np.ones((60, 60))
    table = np.array([[20.2, 20.9, 1.5], [24.0, 22.0, 1.5], [45.0, 40.0, 1.5], [200.0, 40.0, 1.5]])
    truth = np.array([300.0, 120.0, 800.0, 0.0])
    diffuse = np.full(exposure.shape, 0.5)
    pulls = []
    for _ in range(40):
        mean = diffuse.copy()
        for place, flux in zip(table, truth, strict=True):
            add_source(mean, exposure, (*place[:2], flux, 1.5), 1.0)
        model, flux, information, lost = np.zeros((60, 60)), np.zeros(4), np.zeros(4), np.zeros((60, 60))
        counts = rng.poisson(mean).astype(float)
        for _ in range(8):
            fit_fluxes((counts, diffuse, exposure, model), table, flux, information, lost)
        pulls.append((flux - truth)[:3] * np.sqrt(information[:3]))
        assert flux[3] == 0
        expected = diffuse + model
        assert (lost <= 1.001 * (diffuse**2 / expected).max()).all()
        assert (lost >= 0).all()
    assert np.abs(np.mean(pulls, axis=0)).max() < 0.5
    assert 0.75 < np.std(pulls) < 1.4
