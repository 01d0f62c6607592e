import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from config.load import load
from config.simulate import Sensor
from sim.charge import PAIR_ENERGY_EV
from sim.diffusion import SHARED, draw_electrons, share, sigma_um, spread_um

LAYOUT = load("quick").detector
PIXEL = LAYOUT.pixel_um
SIZE = LAYOUT.columns * PIXEL
WFI = load("wfi").simulate.sensor
inside = st.floats(20 * PIXEL, 44 * PIXEL)
depth = st.floats(0, WFI.thickness_um)
point = st.tuples(inside, inside, depth)


def image_of(steps, energies, sensor=WFI):
    start, end = (np.array([s[k] for s in steps], np.float32).reshape(-1, 3) for k in (0, 1))
    owner = np.zeros(len(steps), int)
    rows = share((owner, owner), (start, end, np.array(energies, np.float32)), sensor, LAYOUT)
    image = np.zeros((LAYOUT.rows, LAYOUT.columns))
    np.add.at(image, (rows["y"], rows["x"]), rows["energy_ev"])
    return image


def plain_image(steps, energies, sensor=WFI, piece_um=0.1):
    """Return the same from pieces of 0.1 um, with every pixel of the quadrant looked at."""
    edges = np.arange(LAYOUT.columns + 1) * PIXEL
    image = np.zeros((LAYOUT.rows, LAYOUT.columns))
    for (start, end), energy in zip(steps, energies, strict=True):
        way = np.subtract(end, start)
        n = max(1, math.ceil(np.linalg.norm(way) / piece_um))
        at = np.array(start) + np.outer((np.arange(n) + 0.5) / n, way)
        sigma = sigma_um(sensor, at[:, 2])
        in_x, in_y = (np.diff(ndtr((edges - at[:, [k]]) / sigma[:, None]), axis=1) for k in (0, 1))
        image += energy / n * in_y.T @ in_x
    return image


def test_sigma_is_that_of_a_constant_field():
    kt = 1.380649e-23 * 213 / 1.602176634e-19
    for z in (0.0, 100.0, 449.0):
        expected = math.sqrt(0.2**2 + 2 * kt * (450 - z) * 450 / 61.4)
        assert sigma_um(Sensor(), z) == pytest.approx(expected, rel=1e-5)
    assert sigma_um(Sensor(), 0) == pytest.approx(11.0, abs=0.05)
    assert sigma_um(Sensor(), [450.0, 500.0]) == pytest.approx([0.2, 0.2])
    assert sigma_um(Sensor(bias_v=4 * 61.4, cloud_um=0.0), 0) == pytest.approx(11.0 / 2, abs=0.03)


@settings(deadline=None, max_examples=25)
@given(start=point, way=st.tuples(*[st.floats(-200, 200)] * 3))
def test_sharing_equals_its_plain_twin(start, way):
    end = np.add(start, way)
    end[2] = np.clip(end[2], 0, WFI.thickness_um)
    image = image_of([(start, end)], [10_000.0])
    np.testing.assert_allclose(image, plain_image([(start, end)], [10_000.0]), atol=10)


@settings(deadline=None, max_examples=50)
@given(start=point, end=point, energy=st.floats(10, 1e6))
def test_energy_is_conserved_inside(start, end, energy):
    assert image_of([(start, end)], [energy]).sum() == pytest.approx(energy, rel=1e-4)


def test_a_whole_track_equals_its_plain_twin():
    rng = np.random.default_rng(1)
    knots = np.cumsum(rng.normal(0, (30, 30, 8), (60, 3)), axis=0)
    knots += [32 * PIXEL, 32 * PIXEL, 200]
    knots[:, 2] = np.clip(knots[:, 2], 0, 450)
    steps = list(pairwise(knots))
    energies = rng.uniform(100, 3000, len(steps))
    expected = plain_image(steps, energies)
    image = image_of(steps, energies)
    np.testing.assert_allclose(image, expected, atol=1e-3 * expected.sum() / (expected > 1).sum())
    assert image.sum() == pytest.approx(sum(energies), rel=1e-4)


def test_small_pixels_get_all_their_neighbours():
    small = LAYOUT.model_copy(update={"pixel_um": 5.0})
    at = np.array([[160.0, 160.0, 0.0]], np.float32)
    rows = share((np.zeros(1, int), np.zeros(1, int)), (at, at, np.array([1000.0])), WFI, small)
    assert rows["energy_ev"].sum() == pytest.approx(1000)
    assert np.ptp(rows["x"]) == np.ptp(rows["y"]) >= 16  # 4 sigma of 11 um on each side
    centre = (rows["x"] + 0.5) * 5.0 - 160
    variance = (rows["energy_ev"] * centre**2).sum() / 1000
    assert math.sqrt(variance - 25 / 12) == pytest.approx(sigma_um(WFI, 0), rel=2e-3)


def test_charge_beyond_the_quadrant_is_lost():
    edge = [((0.0, SIZE / 2, 0.0), (0.0, SIZE / 2, 0.0)), ((-50.0, 650.0, 450.0), (50.0, 650.0, 450.0))]
    for step in edge:
        assert image_of([step], [1000.0]).sum() == pytest.approx(500, rel=0.02)
    far = (SIZE + 300.0, -300.0, 10.0)
    assert not image_of([(far, far)], [1000.0]).any()


def test_rows_are_sorted_and_owners_and_quadrants_stay_apart():
    at = np.array([[65.0, 65.0, 400.0]] * 4, np.float32)
    owner, quadrant = np.array([7, 3, 7, 7]), np.array([1, 0, 0, 1])
    rows = share((owner, quadrant), (at, at, np.array([1.0, 2.0, 4.0, 8.0])), WFI, LAYOUT)
    assert rows.tolist() == [(3, 0, 0, 0, 2.0), (7, 0, 0, 0, 4.0), (7, 1, 0, 0, 9.0)]


def test_many_owners_on_the_same_pixels_do_not_mix():
    rng = np.random.default_rng(2)
    n = 3000
    at = rng.uniform((0, 0, 0), (4 * PIXEL, 4 * PIXEL, 450), (n, 3)).astype(np.float32)
    energy = rng.uniform(100, 1000, n)
    rows = share((np.arange(n), np.zeros(n, int)), (at, at, energy), WFI, LAYOUT)
    assert (np.diff(rows["owner"] * LAYOUT.rows**2 + rows["y"] * LAYOUT.columns + rows["x"]) > 0).all()
    near = (at[:, :2] < 45).any(axis=1)  # these lose charge over the border
    got = np.bincount(rows["owner"], rows["energy_ev"], n)
    np.testing.assert_allclose(got[~near], energy[~near], rtol=1e-4)


def test_no_steps_no_rows():
    none = np.empty(0, np.int64)
    rows = share((none, none), (np.empty((0, 3), np.float32), np.empty((0, 3), np.float32), none * 1.0), WFI, LAYOUT)
    assert rows.dtype == SHARED
    assert rows.size == 0


def test_electrons_have_fanos_variance():
    electrons = draw_electrons(np.full(200_000, 5895.0), 0.115, np.random.default_rng(3)).astype(float)
    pairs = 5895 / PAIR_ENERGY_EV
    assert electrons.mean() == pytest.approx(pairs, abs=5 * math.sqrt(0.115 * pairs / electrons.size))
    assert electrons.var() == pytest.approx(0.115 * pairs, rel=0.02)
    assert draw_electrons(np.zeros(3), 0.115, np.random.default_rng(3)).tolist() == [0, 0, 0]
    assert draw_electrons(np.full(999, 0.1), 1.0, np.random.default_rng(3)).min() == 0


def test_the_spread_is_per_um_of_drift():
    assert spread_um(Sensor()) * 450 + 0.2**2 == pytest.approx(float(sigma_um(Sensor(), 0)) ** 2)
