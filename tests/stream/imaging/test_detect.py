import numpy as np
import pytest

from stream.errors import ConfigError
from stream.imaging.detect import SOURCE, Flaw, detect, threshold_for
from tests.stream.imaging.toys import SIGMA, drawn, expected, matched, ridge

FLAT = np.full((128, 128), 0.3)


def test_bright_sources_are_found_where_they_are():
    truth = [(30.2, 40.7, 120.0), (90.5, 20.1, 60.0), (70.0, 100.0, 300.0), (20.0, 105.0, 45.0)]
    found = detect(drawn(FLAT, truth, seed=1), None, SIGMA, 5.0)
    own = matched(found.sources, truth)
    assert sorted(own) == [0, 1, 2, 3]
    x, y, counts = np.array(truth)[own].T
    sources = found.sources
    assert (np.abs(sources["x"] - x) < 4 * sources["x_error"]).all()
    assert (np.abs(sources["y"] - y) < 4 * sources["y_error"]).all()
    assert (np.abs(sources["net_counts"] - counts) < 4 * sources["net_error"]).all()
    assert (np.diff(sources["rate"]) <= 0).all()
    np.testing.assert_allclose(sources["rate"], sources["net_counts"], rtol=1e-3)
    assert list(sources["id"]) == [1, 2, 3, 4]
    assert not sources["flag"].any()
    assert found.background.mean() == pytest.approx(0.3, rel=0.05)


def test_segments_are_those_of_their_sources():
    truth = [(40.0, 40.0, 400.0), (90.0, 90.0, 200.0)]
    found = detect(drawn(FLAT, truth, seed=2), None, SIGMA)
    assert found.labels.dtype == np.int32
    for source in found.sources:
        assert found.labels[round(source["y"]), round(source["x"])] == source["id"]
        assert (found.labels == source["id"]).sum() == source["pixels"]
    assert set(np.unique(found.labels)) == {0, 1, 2}


@pytest.mark.parametrize("seed", range(6))
def test_a_ridge_without_sources_has_none(seed):
    assert len(detect(drawn(ridge(160, 160), seed=seed), None, SIGMA, 5.0).sources) == 0


def test_noise_has_as_many_peaks_as_the_threshold_is_chosen_for():
    threshold = threshold_for(256 * 256, SIGMA, 3.0)
    found = [
        len(detect(drawn(np.full((256, 256), 1.0), seed=seed), None, SIGMA, threshold).sources) for seed in range(12)
    ]
    assert 1.5 < np.mean(found) < 5
    assert threshold_for(512 * 512, 1.7) == pytest.approx(4.35, abs=0.02)
    assert threshold_for(100, 1.7) == threshold_for(0, 1.7) == 3


def test_overlapping_sources_are_told_apart():
    truth = [(60.0, 60.0, 400.0), (66.0, 60.0, 200.0), (60.0, 67.0, 80.0)]
    found = detect(drawn(FLAT, truth, seed=3), None, SIGMA)
    own = matched(found.sources, truth)
    assert sorted(own) == [0, 1, 2]
    counts = np.array(truth)[own, 2]
    assert (np.abs(found.sources["net_counts"] - counts) < 4 * found.sources["net_error"]).all()
    assert (found.sources["flag"] & Flaw.BLEND).all()


def test_a_bright_source_has_no_companions_of_noise():
    for seed in range(5):
        found = detect(drawn(FLAT, [(64.3, 63.8, 20_000.0)], seed=seed), None, SIGMA)
        assert len(found.sources) == 1
        assert abs(found.sources["net_counts"][0] - 20_000) < 4 * found.sources["net_error"][0]


def test_a_wide_source_is_one_and_called_extended():
    found = detect(drawn(FLAT, [(64.0, 64.0, 1500.0, 2.5 * SIGMA)], seed=4), None, SIGMA)
    assert len(found.sources) == 1
    assert found.sources["flag"][0] & Flaw.EXTENDED
    assert found.sources["sigma_px"][0] == pytest.approx(2.5 * SIGMA, rel=0.1)


def test_a_source_at_the_edge_is_found_and_flagged():
    truth = [(0.0, 64.0, 300.0), (127.0, 127.0, 300.0)]
    found = detect(drawn(FLAT, truth, seed=5), None, SIGMA)
    own = matched(found.sources, truth)
    assert sorted(own) == [0, 1]
    assert (found.sources["flag"] & Flaw.EDGE).all()
    inside = np.array([expected(np.zeros((128, 128)), [truth[k]]).sum() for k in own])
    assert (np.abs(found.sources["net_counts"] - inside) < 4 * found.sources["net_error"]).all()
    assert (np.abs(found.sources["rate"] - 300) < 4 * found.sources["rate_error"]).all()


@pytest.mark.parametrize("seed", range(4))
def test_gaps_bad_pixels_and_vignetting_make_no_sources(seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :160]
    exposure = 1000 * np.exp(-((x - 80) ** 2 + (y - 80) ** 2) / (2 * 70.0**2))
    exposure[:, 70:76] = 0
    exposure[100:104] = 0
    exposure[rng.integers(160, size=300), rng.integers(160, size=300)] = 0
    exposure[:, 120:] *= 0.1
    truth = [(40.0, 40.0, 0.3), (76.5, 60.0, 0.3)]
    for sources in ((), truth):
        found = detect(drawn(np.full((160, 160), 2e-3), sources, exposure, seed), exposure, SIGMA, 5.0)
        assert sorted(matched(found.sources, sources)) == list(range(len(sources)))
        assert (np.abs(found.sources["rate"] - 0.3) < 4 * found.sources["rate_error"]).all()
        assert not found.significance[exposure == 0].any()
    assert found.sources["flag"][np.abs(found.sources["x"] - 76.5) < 3][0] & Flaw.HOLE


@pytest.mark.parametrize("shape", [(64, 64), (0, 0), (1, 1), (5, 200)])
def test_an_image_without_counts_has_no_sources(shape):
    for exposure in (None, np.zeros(shape)):
        found = detect(np.zeros(shape), exposure, SIGMA)
        assert found.sources.shape == (0,)
        assert found.sources.dtype == SOURCE
        assert not found.labels.any()
        assert found.labels.shape == found.significance.shape == found.background.shape == shape
        assert np.isfinite(found.significance).all()


def test_no_background_at_all():
    truth = [(30.0, 30.0, 40.0), (80.0, 90.0, 8.0)]
    found = detect(drawn(np.zeros((128, 128)), truth, seed=6), None, SIGMA)
    assert sorted(matched(found.sources, truth)) == [0, 1]
    one = np.zeros((128, 128))
    one[64, 64] = one[20, 100] = 1
    assert len(detect(one, None, SIGMA).sources) == 0


@pytest.mark.parametrize("value", [np.nan, -1.0, np.inf])
def test_a_bad_pixel_value_is_one_clear_line(value):
    counts = np.ones((8, 9))
    counts[3, 5] = value
    with pytest.raises(ConfigError, match=f"counts: .* row 3, column 5: {value}"):
        detect(counts, None, SIGMA)
    with pytest.raises(ConfigError, match=r"exposure: .* row 3, column 5"):
        detect(np.ones((8, 9)), counts, SIGMA)


@pytest.mark.parametrize(
    ("counts", "exposure", "sigma", "what"),
    [
        (np.ones(5), None, SIGMA, "counts: expected an image"),
        (np.ones((5, 6)), np.ones((6, 5)), SIGMA, r"exposure: expected the shape of counts, \(5, 6\)"),
        (np.ones((5, 6)), None, 0.3, "psf_sigma_px: expected at least 0.5"),
        (np.ones((5, 6)), None, np.nan, "psf_sigma_px"),
    ],
)
def test_input_that_is_none_is_named(counts, exposure, sigma, what):
    with pytest.raises(ConfigError, match=what):
        detect(counts, exposure, sigma)


def test_counts_without_exposure_do_not_count_and_are_told():
    exposure = np.ones((64, 64))
    exposure[30:34, 30:34] = 0
    counts = drawn(np.full((64, 64), 0.3), exposure=exposure, seed=7)
    counts[32, 32] = 500
    found = detect(counts, exposure, SIGMA)
    assert found.unexposed_counts == 500
    assert len(found.sources) == 0
