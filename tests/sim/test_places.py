import math

import numpy as np
import pytest

from config.errors import ConfigError
from config.load import load
from sim.places import FlatField, PointSource, place

WFI = load("wfi").detector
QUICK = load("quick").detector


def seeded():
    return np.random.default_rng(4)


@pytest.mark.parametrize("psf", ["king", "gaussian"])
def test_half_of_the_photons_lie_within_the_hew(psf):
    home = WFI.quadrants[2]
    source = PointSource(x_px=home.origin_x_px + 200.0, y_px=home.origin_y_px + 300.0, hew_arcsec=9.0, psf=psf)
    quadrant, x, y = source.draw(100_000, True, WFI, seeded())
    radius = np.hypot(x - 200, y - 300)[quadrant == home.id] * source.arcsec_per_px
    assert (radius < 4.5).sum() / 100_000 == pytest.approx(0.5, abs=0.01)
    within = 1 - (1 + 3.0) ** -0.5 if psf == "king" else 0.5  # King: half of it at r = sqrt(3) cores
    core = 4.5 / math.sqrt(3)
    assert (radius < 4.5).mean() == pytest.approx(within, abs=0.03)
    if psf == "king":
        assert (radius < 10 * core).sum() / 100_000 == pytest.approx(1 - 101**-0.5, abs=0.01)


def test_a_point_without_extent_is_a_point():
    home = QUICK.quadrants[0]
    source = PointSource(x_px=home.origin_x_px + 3.25, y_px=home.origin_y_px + 7.5, hew_arcsec=0.0)
    quadrant, x, y = source.draw(10, True, QUICK, seeded())
    assert (set(quadrant.tolist()), set(x.tolist()), set(y.tolist())) == ({home.id}, {3.25}, {7.5})


def test_photons_in_the_gaps_are_not_seen():
    left, right = QUICK.quadrants[2], QUICK.quadrants[1]  # same rows, 8 columns between them
    x = np.array([left.origin_x_px + 63.4, left.origin_x_px + 63.6, right.origin_x_px - 0.6, right.origin_x_px - 0.4])
    quadrant, at, _ = place(x, np.full(4, left.origin_y_px + 5.0), QUICK)
    assert sorted(zip(quadrant.tolist(), np.round(at, 3).tolist(), strict=True)) == [(1, -0.4), (2, 63.4)]


def test_a_flat_field_has_its_rate_in_each_quadrant():
    quadrant, x, y = FlatField().draw(5, True, QUICK, seeded())
    assert np.bincount(quadrant).tolist() == [5, 5, 5, 5]
    assert x.size == y.size == 20


@pytest.mark.parametrize("bad", [{"x_px": math.inf}, {"hew_arcsec": -1.0}, {"arcsec_per_px": 0.0}, {"psf": "round"}])
def test_a_bad_source_is_refused(bad):
    with pytest.raises(ConfigError, match="point source: expected"):
        PointSource(**{"x_px": 0.0, "y_px": 0.0, **bad})
