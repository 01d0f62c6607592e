import itertools

import astropy_healpix.healpy as hp
import numpy as np
import pytest

from stream.lat.bands import BANDS, TYPES
from stream.lat.builtin import stand_in
from stream.lat.exposure import ENERGY_MEV, NODES, NSIDE, YEAR_S, survey
from stream.lat.livetime import BINS, CUTS_DEG, LEAST_COSINE, Livetime, in_good_time
from stream.lat.photons import POINTING, good_times
from stream.lat.sphere import separation

INSTRUMENT = stand_in()


def pointing(rows, seed=0, step_s=30.0, zenith_away=False):
    """Return rows of random directions; zenith_away: the zenith at the axis, so that no cut matters."""
    rng = np.random.default_rng(seed)
    table = np.zeros(rows, POINTING)
    table["START"] = np.arange(rows) * step_s
    table["STOP"], table["LIVETIME"] = table["START"] + step_s, 0.9 * step_s
    for prefix in ("", "ZENITH_"):
        table[f"{prefix}GLON"] = rng.uniform(0, 360, rows)
        table[f"{prefix}GLAT"] = np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))
    if zenith_away:
        table["ZENITH_GLON"], table["ZENITH_GLAT"] = table["GLON"], table["GLAT"]
    return table


def test_the_good_time_of_a_row_is_its_share():
    rows = in_good_time(pointing(4), good_times([15, 100], [60, 105]))
    assert rows["START"].tolist() == [0, 30, 90]
    np.testing.assert_allclose(rows["LIVETIME"], [13.5, 27, 4.5], rtol=1e-6)
    assert len(in_good_time(pointing(4), good_times([], []))) == 0


def test_exposure_is_that_of_a_slow_plain_twin():
    rows = pointing(200, seed=2)
    exposure = Livetime().add(rows).exposure(INSTRUMENT, "twin")
    rng = np.random.default_rng(3)
    for p in rng.integers(0, 12 * NSIDE**2, 5):
        lon, lat = hp.pix2ang(NSIDE, p, lonlat=True)
        theta = separation(lon, lat, rows["GLON"], rows["GLAT"])
        zenith = separation(lon, lat, rows["ZENITH_GLON"], rows["ZENITH_GLAT"])
        for kind, band, cut in ((0, 0, 100), (1, 0, 90), (0, 4, 105), (1, 5, 105)):
            seen = (zenith < cut) & (np.cos(np.radians(theta)) > LEAST_COSINE)
            area = INSTRUMENT.area_cm2(kind, ENERGY_MEV[band], np.cos(np.radians(theta[seen])))
            plain = area @ rows["LIVETIME"][seen].astype(float)
            np.testing.assert_allclose(exposure.cm2_s[kind, band, :, p], plain, rtol=0.02)  # bins of the cosine
    assert exposure.live_s == pytest.approx(200 * 27)


def test_even_pointing_gives_the_even_survey():
    years = 3000 * 27 / YEAR_S / 0.76
    exposure = Livetime().add(pointing(3000, zenith_away=True)).exposure(INSTRUMENT, "even")
    even = survey(INSTRUMENT, years)
    assert even.live_s == pytest.approx(exposure.live_s)
    np.testing.assert_allclose(exposure.cm2_s.mean(axis=-1), even.cm2_s.mean(axis=-1), rtol=0.006)
    spread = exposure.cm2_s.std(axis=-1) / exposure.cm2_s.mean(axis=-1)
    assert spread.max() < 0.06  # 3000 directions, each of a fifth of the sky


def test_looser_cuts_see_more_and_taking_away_leaves_nothing():
    rows = pointing(50)
    live = Livetime().add(rows)
    seen = [live.seen_s(cut) for cut in CUTS_DEG]
    assert all((b >= a).all() for a, b in itertools.pairwise(seen))
    assert seen[0].shape == (12 * NSIDE**2, BINS)
    assert seen[0].sum() < seen[-1].sum()
    live.add(rows, -1)
    assert live.live_s == pytest.approx(0)
    assert np.abs(live.zones).max() < 1e-9
    assert live.exposure(INSTRUMENT, "none").cm2_s.shape == (len(TYPES), BANDS, NODES, 12 * NSIDE**2)
