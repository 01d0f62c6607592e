import numpy as np
import pytest

from analyse.lat.bands import YEARLY, by_band, by_year
from analyse.lat.region import Optics
from analyse.lat.source import analyse_source
from stream.lat.bands import EDGES_MEV
from stream.lat.exposure import survey
from stream.lat.sky import expect
from stream.lat.sky import stand_in as diffuse
from tests.analyse.lat.conftest import FLUX, INDEX, PLACE, set_up
from tests.analyse.lat.skies import counted, sources


def test_fluxes_of_bands_are_those_of_the_spectrum(setup):
    bands = by_band(analyse_source(*setup, kinds=("powerlaw",)).best)
    edges = np.array(EDGES_MEV) ** (1 - INDEX)
    truth = FLUX * np.diff(edges) / (1e5 ** (1 - INDEX) - 1e3 ** (1 - INDEX))
    pulls = [(b.flux - t) / b.error for b, t in zip(bands, truth, strict=True) if b.limit is None]
    assert len(pulls) >= 5
    assert np.abs(pulls).max() < 4
    for band, true in zip(bands, truth, strict=True):
        middle = np.sqrt(band.low_mev * band.high_mev)
        if band.limit is not None:
            assert band.limit > 0.5 * true
        at = true * (1 - INDEX) / (band.high_mev ** (1 - INDEX) - band.low_mev ** (1 - INDEX)) * middle ** (2 - INDEX)
        assert band.e2dnde / band.flux == pytest.approx(1.602177e-6 * at / true, rel=0.1)


def light_curve(tools, optics, sky, years):
    exposure = survey(tools[0], years)
    best = analyse_source(*set_up(tools, optics, sky, PLACE, years), kinds=("powerlaw",)).best
    both = Optics.of(tools[0], YEARLY, together=True)
    return by_year(best, sky.years, sky.years_s, expect(diffuse(), exposure), both)


def test_a_steady_source_is_steady(tools, optics, sky):
    curve = light_curve(tools, optics, sky, 2)
    assert curve.years == (0, 1)
    assert curve.p_value > 1e-3
    for point in curve.points:
        assert abs(point.scale - 1) < 4 * point.error
    assert curve.constant == pytest.approx(1.0, abs=0.15)


def test_one_that_flares_varies(tools, optics):
    table = sources([4e-9], [PLACE], [2.2])
    sky = counted(PLACE, table, tools, 3, years=2, brightness=[[0.1, 1.9]])
    curve = light_curve(tools, optics, sky, 2)
    assert curve.p_value < 1e-6
    assert curve.ts_var > 50
    assert curve.points[1].scale > 4 * curve.points[0].scale
    assert curve.points[1].limit is None


def test_one_year_is_no_light_curve(setup, tools):
    best = analyse_source(*setup, kinds=("powerlaw",)).best
    assert by_year(best, {}, {}, expect(diffuse(), tools[1]), Optics.of(tools[0], YEARLY, together=True)) is None
