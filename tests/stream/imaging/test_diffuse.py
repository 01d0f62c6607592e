import numpy as np
import pytest

from stream.errors import ConfigError
from stream.imaging.detect import detect
from stream.imaging.diffuse import diffuse_map, scores
from stream.imaging.field import Grid, LogField, Spectrum
from stream.imaging.morphology import measure
from tests.stream.imaging.toys import SIGMA, drawn, ridge

SPECTRUM = Spectrum(0.7, 6.0, 2.5)


def small(seed=0, shape=(14, 11)):
    rng = np.random.default_rng(seed)
    grid = Grid(shape, 1)
    exposure = rng.uniform(0.3, 1, shape)
    field = LogField.of(grid, SPECTRUM, rng.poisson(3 * exposure).astype(float), exposure, 1.0)
    field.settle(settled=1e-6)
    return field


def dense(grid, apply):
    """The matrix of a linear map of fields on the grid."""
    size = grid.shape[0] * grid.shape[1]
    return np.array([apply(row.reshape(grid.shape)).ravel() for row in np.eye(size)]).T


def test_the_prior_has_its_variance_and_correlation():
    grid = Grid((40, 40), 2)
    amplitude = grid.amplitude(SPECTRUM)
    rng = np.random.default_rng(0)
    fields = [grid.of_modes(amplitude * grid.to_modes(rng.standard_normal(grid.shape))) for _ in range(300)]
    fields = np.array([field - field.mean() for field in fields])
    assert fields.std() == pytest.approx(0.7, rel=0.1)
    near = np.mean(fields * np.roll(fields, 1, axis=1)) / fields.var()
    far = np.mean(fields * np.roll(fields, 12, axis=1)) / fields.var()
    assert near > 0.8
    assert abs(far) < 0.2


def test_interpolation_and_its_transpose():
    grid, rng = Grid((13, 9), 3), np.random.default_rng(1)
    cells, pixels = rng.normal(size=grid.shape), rng.normal(size=(13, 9))
    assert np.sum(grid.to_pixels(cells) * pixels) == pytest.approx(np.sum(cells * grid.to_cells(pixels)))
    np.testing.assert_allclose(grid.to_pixels(np.full(grid.shape, 2.0)), 2.0)
    assert grid.to_pixels(cells)[4, 7] == pytest.approx(cells[1, 2])


def test_solution_determinant_and_samples_equal_those_of_a_matrix():
    field = small()
    grid = field.grid
    matrix = dense(grid, lambda x: grid.of_modes(field.hessian(grid.to_modes(x))))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-10)
    rng = np.random.default_rng(2)
    right = rng.normal(size=grid.shape)
    found = grid.of_modes(field.solve(grid.to_modes(right))).ravel()
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right.ravel()), atol=0.06)
    evidence = np.mean([field.evidence(seed) for seed in range(30)])
    assert evidence == pytest.approx(field.value - 0.5 * np.linalg.slogdet(matrix)[1], abs=0.5)
    a = dense(grid, lambda x: grid.of_modes(field.amplitude * grid.to_modes(x)))
    exact = np.sqrt(np.diag(a @ np.linalg.inv(matrix) @ a.T))
    drawn_ones = field.samples(400, 3).std(axis=0).ravel()
    assert np.mean(drawn_ones / exact) == pytest.approx(1, abs=0.03)
    assert np.std(drawn_ones / exact) < 0.1


def test_at_the_maximum_the_counts_are_kept():
    field = small(4)
    assert np.sum(field.rate(field.xi) * field.exposure) == pytest.approx(field.counts.sum(), rel=0.01)


def test_the_evidence_prefers_the_spectrum_that_made_the_field():
    rng = np.random.default_rng(5)
    grid = Grid((48, 48), 1)
    truth = grid.amplitude(SPECTRUM)
    log_rate = grid.to_pixels(grid.of_modes(truth * grid.to_modes(rng.standard_normal(grid.shape))))
    counts = rng.poisson(np.exp(log_rate - log_rate.mean() + 2)).astype(float)

    def evidence(spectrum):
        field = LogField.of(grid, spectrum, counts, np.ones(counts.shape), 2.0)
        field.settle()
        return field.evidence()

    best = evidence(SPECTRUM)
    for other in (Spectrum(0.2, 6.0, 2.5), Spectrum(3.0, 6.0, 2.5), Spectrum(0.7, 1.0, 2.5), Spectrum(0.7, 40.0, 2.5)):
        assert best > evidence(other) + 2


@pytest.fixture(scope="module")
def mapped():
    """A ridge with sources; three draws."""
    rng, found = np.random.default_rng(8), []
    for seed in range(3):
        truth = [(*rng.uniform(10, 182, 2), 10 ** rng.uniform(1.3, 2.6)) for _ in range(12)]
        counts = drawn(ridge(192, 192), truth, seed=seed)
        found.append((truth, diffuse_map(counts, None, detect(counts, None, SIGMA, 4.4), SIGMA)))
    return found


def test_the_map_is_right_within_its_error(mapped):
    truth = ridge(192, 192)
    each = [scores(found.rate, found.error, truth) for _, found in mapped]
    assert np.mean([one["rms"] for one in each]) < 0.08
    assert abs(np.mean([one["bias"] for one in each])) < 0.02
    assert 0.55 < np.mean([one["coverage"] for one in each]) < 0.85
    first = [scores(found.first, found.error, truth)["rms"] for _, found in mapped]
    assert np.mean(first) < 0.16
    assert np.mean([one["rms"] for one in each]) < np.mean(first)


def test_fluxes_beside_the_map_are_right(mapped):
    pulls = []
    for truth, found in mapped:
        for one in found.fluxes:
            pulls.append(np.min(np.abs(one["rate"] - np.array(truth)[:, 2])) / one["rate_error"])
    assert np.mean(np.array(pulls) < 3) > 0.9


def test_exposure_with_gaps_is_divided_out_and_gaps_are_less_certain():
    exposure = np.full((128, 128), 500.0)
    exposure[:, 64:] = 1500
    exposure[40:80, 40:80] = 0
    counts = drawn(np.full((128, 128), 5e-4), [(100.0, 100.0, 0.1)], exposure, seed=9)
    found = diffuse_map(counts, exposure, detect(counts, exposure, SIGMA), SIGMA)
    assert found.rate[:, 64:].mean() == pytest.approx(5e-4, rel=0.06)
    assert found.rate[:, :64].mean() == pytest.approx(5e-4, rel=0.12)
    assert found.fluxes["rate"][0] == pytest.approx(0.1, abs=4 * found.fluxes["rate_error"][0])
    assert found.error[60, 55] >= 0.95 * found.error[20, 100]
    assert np.isfinite(found.rate).all()


@pytest.mark.parametrize("total", [0, 1, 20])
def test_few_counts_make_a_constant_map(total):
    counts = np.zeros((40, 50))
    counts.ravel()[np.random.default_rng(0).choice(2000, total, replace=False)] = 1
    exposure = np.full((40, 50), 10.0)
    found = diffuse_map(counts, exposure, detect(counts, exposure, SIGMA, 20.0), SIGMA)
    np.testing.assert_allclose(found.rate, (total + 0.5) / 20_000)
    np.testing.assert_allclose(found.error, np.sqrt(total + 0.5) / 20_000)
    assert found.spectrum is None


def test_without_exposure_nothing_is_known():
    nothing = np.zeros((16, 16))
    found = diffuse_map(nothing, nothing, detect(nothing, nothing, SIGMA), SIGMA)
    assert np.isnan(found.rate).all()
    assert np.isnan(found.error).all()


def test_bad_pixels_are_one_clear_line():
    counts = np.ones((16, 16))
    detections = detect(counts, None, SIGMA)
    counts[2, 3] = -4
    with pytest.raises(ConfigError, match="row 2, column 3"):
        diffuse_map(counts, None, detections, SIGMA)


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (5, 200)])
@pytest.mark.parametrize("exposed", [True, False])
def test_a_small_or_empty_image_has_a_map_of_its_shape(shape, exposed):
    nothing = np.zeros(shape)
    exposure = None if exposed else nothing
    detections = detect(nothing, exposure, SIGMA)
    found = diffuse_map(nothing, exposure, detections, SIGMA)
    assert found.rate.shape == found.error.shape == found.first.shape == shape
    assert measure(nothing, exposure, detections, SIGMA).shape == found.fluxes.shape == (0,)
