import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import ConfigError
from config.load import load
from sim.charge import FANO, PAIR_ENERGY_EV
from sim.kernels import share_charge
from sim.photons import PHOTON, XRays

LAYOUT = load("quick").detector
SHAPE = (LAYOUT.rows, LAYOUT.columns)
inside = st.floats(2.0, 60.0)


def image_of(x, y, electrons, sigma, half=1):
    one = (np.array([float(v)]) for v in (x, y, electrons))
    _, at_x, at_y, part = share_charge(*one, sigma, half, SHAPE)
    image = np.zeros(SHAPE)
    np.add.at(image, (at_y, at_x), part)
    return image


def seeded(number=0):
    return np.random.default_rng(number)


@settings(deadline=None)
@given(x=inside, y=inside, electrons=st.floats(10, 20_000), sigma=st.floats(0.01, 0.16))
def test_charge_is_conserved(x, y, electrons, sigma):
    assert image_of(x, y, electrons, sigma).sum() == pytest.approx(electrons, abs=1e-3 + 1e-6 * electrons)


@settings(deadline=None, max_examples=25)
@given(x=inside, y=inside, sigma=st.floats(0.05, 0.3))
def test_sharing_equals_numerical_integration(x, y, sigma):
    fine = (np.arange(-3, 5, 0.001) + 0.0005)[:, None] + np.rint([x, y]) - 0.5
    density = np.exp(-0.5 * ((fine - [x, y]) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
    in_x, in_y = density.reshape(8, 1000, 2).mean(1).T
    image = image_of(x, y, 1000, sigma, half=2)
    column, row = round(x), round(y)
    expected = 1000 * np.outer(in_y, in_x)[1:6, 1:6]
    np.testing.assert_allclose(image[row - 2 : row + 3, column - 2 : column + 3], expected, atol=0.02)


def test_charge_off_the_edge_is_lost():
    image = image_of(-0.5, 20.0, 1000, 0.12)
    assert image.sum() == pytest.approx(500, abs=0.01)
    assert image[20, 0] == pytest.approx(500, abs=0.1)


def test_a_wide_cloud_gets_a_wide_window():
    deposit = XRays(per_frame=1, fixed=True, cloud_px=1.0).expose(0, LAYOUT, seeded())
    for quadrant, photon in enumerate(deposit.truth["photons"]):
        mine = deposit.charges[deposit.charges["quadrant"] == quadrant]
        reach = np.abs(mine["x"] - photon["x"]).max()
        assert reach < 7
        assert mine["electrons"].sum() <= photon["electrons"] * 1.00001


def test_the_centre_of_charge_is_the_position():
    deposit = XRays(per_frame=40, fixed=True, cloud_px=0.5).expose(0, LAYOUT, seeded(1))
    photon = deposit.truth["photons"][0]
    image = image_of(photon["x"], photon["y"], photon["electrons"], 0.5, half=3)
    rows, columns = np.indices(SHAPE)
    assert (image * columns).sum() / image.sum() == pytest.approx(photon["x"], abs=0.01)
    assert (image * rows).sum() / image.sum() == pytest.approx(photon["y"], abs=0.01)


def test_positions_fill_the_quadrants_evenly():
    photons = XRays(per_frame=5000).draw(0, LAYOUT, seeded(2))
    for axis, size in (("x", LAYOUT.columns), ("y", LAYOUT.rows)):
        counts, _ = np.histogram(photons[axis], size, (-0.5, size - 0.5))
        assert counts.sum() == photons.size
        assert ((counts - counts.mean()) ** 2).sum() / counts.mean() == pytest.approx(
            size - 1, abs=5 * math.sqrt(2 * size)
        )


@pytest.mark.parametrize(("spectrum", "shape"), [("uniform", lambda e: e), ("log_uniform", np.log)])
def test_energies_follow_the_spectrum(spectrum, shape):
    photons = XRays(per_frame=5000, spectrum=spectrum).draw(0, LAYOUT, seeded(3))
    low, high = shape(300.0), shape(10_000.0)
    counts, _ = np.histogram(shape(photons["energy_ev"].astype(float)), 20, (low - 1e-6, high + 1e-3))
    assert counts.sum() == photons.size
    assert np.abs(counts - counts.mean()).max() < 5 * math.sqrt(counts.mean())


def test_lines_come_in_the_ratio_of_their_weights():
    source = XRays(per_frame=5000, spectrum="lines", lines_ev=(5895.0, 6490.0), line_weights=(3.0, 1.0))
    energies = source.draw(0, LAYOUT, seeded(4))["energy_ev"]
    assert set(energies.tolist()) == {5895.0, 6490.0}
    assert (energies == 5895.0).mean() == pytest.approx(0.75, abs=0.02)


def test_fano_noise_has_its_width():
    source = XRays(per_frame=20_000, spectrum="lines", lines_ev=(5895.0,))
    electrons = source.draw(0, LAYOUT, seeded(5))["electrons"].astype(float)
    pairs = 5895 / PAIR_ENERGY_EV
    assert electrons.mean() == pytest.approx(pairs, abs=0.3)
    assert electrons.std() == pytest.approx(math.sqrt(FANO * pairs), rel=0.02)


def test_numbers_are_poisson_in_each_quadrant():
    source, rng = XRays(per_frame=3.0), seeded(6)
    tables = [source.draw(r, LAYOUT, rng) for r in range(1500)]
    counts = np.array([np.bincount(t["quadrant"], minlength=4) for t in tables])
    assert counts.mean() == pytest.approx(3, abs=0.1)
    assert counts.var() == pytest.approx(3, abs=0.25)
    assert (counts == 0).mean() == pytest.approx(math.exp(-3), abs=0.015)


def test_a_fixed_number_is_exact():
    photons = XRays(per_frame=7, fixed=True).draw(11, LAYOUT, seeded())
    assert np.bincount(photons["quadrant"]).tolist() == [7, 7, 7, 7]
    assert (photons["frame"] == 11).all()


def test_no_photons_no_charge():
    deposit = XRays(per_frame=0).expose(0, LAYOUT, seeded())
    assert deposit.charges.size == 0
    assert deposit.truth["photons"].dtype == PHOTON
    assert deposit.truth["photons"].size == 0


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ({"per_frame": -1}, "per_frame >= 0"),
        ({"per_frame": math.nan}, "per_frame >= 0"),
        ({"per_frame": 0.5, "fixed": True}, "whole per_frame"),
        ({"spectrum": "blue"}, "spectrum log_uniform"),
        ({"energy_min_ev": 0}, "0 < energy_min_ev"),
        ({"energy_min_ev": 9.0, "energy_max_ev": 3.0}, "energy_min_ev <= energy_max_ev"),
        ({"spectrum": "lines"}, "lines_ev"),
        ({"spectrum": "lines", "lines_ev": (1.0,), "line_weights": (1.0, 2.0)}, "one of line_weights"),
        ({"spectrum": "lines", "lines_ev": (1.0,), "line_weights": (0.0,)}, "not all 0"),
        ({"cloud_px": 0}, "cloud_px"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(bad, expected):
    with pytest.raises(ConfigError, match=expected) as fault:
        XRays(**bad)
    assert str(fault.value).startswith("X-rays: expected ")
    assert "\n" not in str(fault.value)
