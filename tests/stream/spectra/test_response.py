import numpy as np
import pytest

from stream.spectra.response import Response, Runs
from stream.spectra.spectrum import Bins, Spectrum, group
from tests.stream.spectra.camera import camera


def plain_fold(matrix, area, photons):
    """The slow twin: sums as they are written."""
    out = np.zeros(matrix.shape[1])
    for j in range(matrix.shape[0]):
        for i in range(matrix.shape[1]):
            out[i] += np.float32(matrix[j, i]) * area[j] * photons[j]
    return out


def test_fold_equals_the_plain_sum():
    rng = np.random.default_rng(1)
    matrix = rng.random((30, 20)) * (rng.random((30, 20)) > 0.6)
    area, photons = rng.random(30), rng.random(30)
    edges, bounds = np.linspace(1, 4, 31), np.linspace(1, 3, 21)
    response = Response.of((edges[:-1], edges[1:]), (bounds[:-1], bounds[1:]), matrix, area)
    assert np.allclose(response.fold(photons), plain_fold(matrix, area, photons), rtol=1e-12)
    assert np.allclose(response.dense(), matrix.astype("f4") * area[:, None], rtol=1e-12)


def test_a_band_folds_to_its_channels_of_the_whole():
    response = camera()
    photons = np.random.default_rng(2).random(240)
    band = response.band(0.5, 8.0)
    used = np.searchsorted(response.energy_lo_kev, band.grid.low[0])
    part = photons[used : used + len(band.grid.low)]
    assert np.allclose(band.fold(part[None])[0], response.fold(photons)[band.channels], rtol=1e-6)
    assert response.band(0.5, 8.0) is band
    with pytest.raises(ValueError, match=r"no channel within 20.0-30.0 keV"):
        response.band(20.0, 30.0)


def test_runs_of_an_empty_matrix_fold_to_nothing():
    runs = Runs.of(np.zeros((3, 4)))
    assert runs.energy.size == runs.values.size == 0


@pytest.mark.parametrize("least", [1, 5, 20])
def test_groups_hold_enough_counts_and_lose_none(least):
    counts = np.random.default_rng(3).poisson(2.0, 200).astype(float)
    quality = np.zeros(200, np.int16)
    quality[[5, 77, 78]] = 2
    spectrum = Spectrum.of(counts, 1.0, quality=quality).grouped(least)
    joined = Bins.of(spectrum.grouping, quality)(counts)
    assert joined.min() >= least
    assert joined.sum() == counts[quality == 0].sum()


def test_groups_are_no_wider_than_told():
    grouping = group(np.zeros(20), np.ones(20, bool), 1.0, 4)
    assert np.flatnonzero(grouping == 1).tolist() == [0, 4, 8, 12, 16]


def test_a_response_knows_whether_it_has_an_area():
    edges, bounds = np.linspace(1, 4, 31), np.linspace(1, 3, 21)
    bins = (edges[:-1], edges[1:]), (bounds[:-1], bounds[1:])
    matrix = np.full((30, 20), 0.05)
    assert not Response.of(*bins, matrix).has_area
    assert Response.of(*bins, matrix, np.full(30, 200.0)).has_area
    assert Response.of(*bins, 200 * matrix).has_area  # RMF and ARF in one
