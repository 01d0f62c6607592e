import numpy as np
import pytest

from stream.imaging.detect import detect
from stream.imaging.image import FWHM
from stream.imaging.morphology import MORPHOLOGY, RINGS, measure
from tests.stream.imaging.toys import SIGMA, drawn, expected, matched

FLAT = np.full((160, 160), 0.3)
GRID = [(x, y) for x in range(16, 150, 32) for y in range(16, 150, 32)]


def measured(truth, seed, background=FLAT, threshold=4.0, exposure=None):
    counts = drawn(background, truth, exposure, seed)
    detections = detect(counts, exposure, SIGMA, threshold)
    return detections, measure(counts, exposure, detections, SIGMA)


def many(counts, seeds, sigma=SIGMA):
    """Sources of equal counts at random places between pixels; only those that are found."""
    tables = []
    for seed in range(seeds):
        shift = np.random.default_rng(seed).uniform(-3, 3, (len(GRID), 2))
        truth = [(x + u, y + v, counts, sigma) for (x, y), (u, v) in zip(GRID, shift, strict=True)]
        detections, table = measured(truth, seed)
        tables.append(table[matched(detections.sources, truth) >= 0])
    return np.concatenate(tables)


@pytest.mark.parametrize("counts", [40, 100, 400])
def test_widths_have_no_bias_and_errors_are_right(counts):
    table = many(counts, 8)
    pull = (table["fwhm_px"] - 4.0) / table["fwhm_error_px"]
    assert table["converged"].mean() > 0.98
    assert np.median(table["fwhm_px"]) == pytest.approx(
        4.0, abs=5 * 1.25 * table["fwhm_px"].std() / np.sqrt(len(table))
    )
    assert np.median(table["fwhm_px"]) == pytest.approx(4.0, abs=0.15)
    assert 0.8 < pull.std() < 1.3
    net = (table["net_counts"] - counts) / table["net_error"]
    assert 0.8 < net.std() < 1.2
    assert np.abs(table["extent_sigma"].mean()) < 0.35
    assert 0.75 < table["extent_sigma"].std() < 1.3


def test_a_wide_source_is_significantly_extended():
    table = many(400, 1, 1.6 * SIGMA)
    assert (table["extent_sigma"] > 5).all()
    assert np.median(table["fwhm_px"]) == pytest.approx(6.4, abs=0.3)
    assert np.median(table["concentration"]) < 0.38


def test_the_width_of_a_source_beside_a_bright_one_is_its_own():
    truth = [(80.0, 80.0, 2000.0), (87.0, 80.0, 300.0)]
    fwhm = []
    for seed in range(8):
        detections, table = measured(truth, seed)
        fwhm.append(table["fwhm_px"][np.argsort(matched(detections.sources, truth))][1])
    assert np.mean(fwhm) == pytest.approx(4.0, abs=0.3)


def test_the_profile_is_that_of_the_psf_and_nothing_beyond():
    table = many(400, 2)
    y, x = np.mgrid[:41, :41]
    for k in range(RINGS.size - 1):
        plain = []
        for u, v in np.random.default_rng(0).uniform(19.5, 20.5, (100, 2)):
            r = np.hypot(x - u, y - v) / (FWHM * SIGMA)
            ring = (r >= RINGS[k]) & (r < RINGS[k + 1])
            plain.append(expected(np.zeros((41, 41)), [(u, v, 400.0)])[ring].mean())
        error = np.sqrt(np.mean(table["profile_error"][:, k] ** 2) / len(table))
        assert table["profile"][:, k].mean() == pytest.approx(np.mean(plain), abs=4 * error + 0.1)
    assert np.median(table["concentration"]) == pytest.approx(0.5, abs=0.03)


def test_company_is_counted_and_its_distance_told():
    truth = [(80.0, 80.0, 500.0), (80.0, 95.0, 500.0), (100.0, 80.0, 60.0), (10.0, 10.0, 60.0)]
    detections, table = measured(truth, 3)
    own = matched(detections.sources, truth)
    assert sorted(own) == [0, 1, 2, 3]
    table = table[np.argsort(own)]
    assert list(table["neighbours"]) == [2, 2, 2, 0]
    assert table["nearest_px"][0] == pytest.approx(15, abs=0.5)
    assert table["nearest_bright_px"][2] == pytest.approx(20, abs=0.7)
    assert table["nearest_bright_px"][3] == pytest.approx(np.hypot(70, 70), abs=0.7)
    assert table["local_density"][0] > table["local_density"][3] >= 0
    lone = measured([(80.0, 80.0, 500.0)], 1)[1]
    assert np.isnan(lone["nearest_px"][0])
    assert np.isnan(lone["nearest_bright_px"][0])
    assert lone["local_density"][0] == lone["neighbours"][0] == 0


def test_sources_at_edges_and_gaps_are_measured_with_what_is_there():
    exposure = np.full((160, 160), 1000.0)
    exposure[:, 82:86] = 0
    truth = [(0.0, 50.0, 0.4), (81.0, 100.0, 0.4)]
    fwhm = []
    for seed in range(6):
        detections, table = measured(truth, seed, FLAT / 1000, 5.0, exposure)
        assert sorted(matched(detections.sources, truth)) == [0, 1]
        assert np.isfinite(table["fwhm_px"]).all()
        fwhm.extend(table["fwhm_px"])
        assert (np.abs(table["net_counts"] - detections.sources["net_counts"]) < 3 * table["net_error"]).all()
    assert np.mean(fwhm) == pytest.approx(4.0, abs=0.3)


def test_without_sources_the_table_is_empty():
    for counts in (np.zeros((32, 32)), drawn(np.full((32, 32), 0.3))):
        table = measure(counts, None, detect(counts, None, SIGMA, 6.0), SIGMA)
        assert table.shape == (0,)
        assert table.dtype == MORPHOLOGY
