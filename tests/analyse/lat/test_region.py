import numpy as np
import pytest

from analyse.lat.bands import YEARLY
from analyse.lat.region import FINE_DEG, Optics, region_of
from stream.lat.exposure import counts, power_law
from stream.lat.patch import LAT, SIDE_DEG
from stream.lat.psf import profiles_of


def test_the_psf_of_each_channel_is_that_of_the_search(tools, optics):
    known = profiles_of(tools[0], LAT.blur_deg)
    np.testing.assert_allclose(optics.r68_deg, known.r68_deg, rtol=0.02)
    both = Optics.of(tools[0], YEARLY, together=True)
    pairs = known.r68_deg.reshape(-1, 2)
    assert np.all(both.r68_deg > pairs[:, 0])
    assert np.all(both.r68_deg < pairs[:, 1] + 0.15)


def test_a_source_makes_the_counts_that_its_spectrum_and_exposure_say(setup):
    region, source, _ = setup
    spectrum = power_law(1e-9, 2.2)[0]
    image = region.image(spectrum, np.array([8.03, 7.96]), source.seen)
    expected = counts(spectrum, source.seen).T.ravel()
    own = np.bincount(region.group, image, 6)
    np.testing.assert_allclose(own, expected.reshape(6, 2).sum(axis=1), rtol=0.03)  # what the wings lose
    steep = region.pixels(power_law(1e-9, 3.5)[0], np.array([8.0, 8.0]), source.seen)
    hard = region.pixels(power_law(1e-9, 1.2)[0], np.array([8.0, 8.0]), source.seen)
    channel = 6  # 2 to 7 GeV, front: its PSF shrinks threefold from edge to edge
    peaks = [LAT.image(v, channel).max() / LAT.image(v, channel).sum() for v in (steep, hard)]
    assert peaks[1] > 1.2 * peaks[0]


def test_cells_hold_all_counts_and_pixels_near_the_middle_stay(setup):
    region, _, _ = setup
    assert region.counts.sum() == region.patch.counts.sum()
    size = np.bincount(region.cell)
    away = np.hypot(*(region.patch.at - SIDE_DEG / 2).T)
    fine = away < FINE_DEG - 0.6
    assert np.all(size[region.cell[fine]] == 1)
    assert len(size) < 0.2 * len(region.cell)
    assert 0 < region.weight.min() < region.weight.max() <= 1
    equal = region_of(region.scene, region.optics, region.exposure, weighted=False)
    assert np.all(equal.weight == 1)
    one = region.of_groups([3])
    assert set(one.group[one.kept]) == {3}


def test_diffuse_light_is_that_of_the_scene(setup):
    region, _, _ = setup
    assert region.diffuse[:, 0].sum() == pytest.approx(region.scene.iem.sum())
    assert region.diffuse[:, 1].sum() == pytest.approx(region.scene.iso.sum())
    assert abs(region.diffuse[:, 2].sum()) < 0.2 * region.scene.iem.sum()
