import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest

from sim.geant4.aim import BACK_OFF_MM, aim, on_sphere
from sim.geant4.geometry import load_geometry

GEOMETRY, _ = load_geometry("close")
HALF = np.array(GEOMETRY.outer_mm)
N = 40_000


@pytest.fixture(scope="module")
def aimed():
    return aim(GEOMETRY, N, 1, 0)


def chords(start, direction):
    """Slow twin: how long each line is in the box (0: it misses), and where it enters."""
    with np.errstate(divide="ignore"):
        near, far = (-np.sign(direction) * HALF - start) / direction, (np.sign(direction) * HALF - start) / direction
    enter, leave = near.max(axis=1), far.min(axis=1)
    return np.maximum(leave - enter, 0), start + enter[:, None] * direction


def through_the_sphere(n, seed):
    """An isotropic flux: places uniform on the sphere, directions with a cosine law about the inward normal."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(n, 3))
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    direction = rng.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]  # plus the unit normal: Lambert's law
    inward = direction - normal
    return normal * GEOMETRY.sphere_radius_mm, inward / np.linalg.norm(inward, axis=1)[:, None]


def test_all_lines_meet_the_box_just_after_their_start(aimed):
    length, entry = chords(aimed.start_mm, aimed.direction)
    assert (length > 0).all()
    assert np.linalg.norm(entry - aimed.start_mm, axis=1) == pytest.approx(BACK_OFF_MM, abs=1e-9)
    assert np.linalg.norm(aimed.direction, axis=1) == pytest.approx(1)


def test_they_enter_uniformly_over_the_surface(aimed):
    _, entry = chords(aimed.start_mm, aimed.direction)
    face = np.abs(entry) / HALF
    axis = face.argmax(axis=1)
    areas = np.array([HALF[1] * HALF[2], HALF[2] * HALF[0], HALF[0] * HALF[1]])
    for side in range(3):
        for sign in (-1, 1):
            mine = (axis == side) & (np.sign(entry[np.arange(N), axis]) == sign)
            expected = N * areas[side] / areas.sum() / 2
            assert abs(mine.sum() - expected) < 4 * np.sqrt(expected)
            for other in (side + 1, side + 2):
                place = entry[mine, other % 3] / HALF[other % 3]
                assert kstest(place, "uniform", (-1, 2)).pvalue > 1e-4


def test_they_enter_with_a_cosine_law(aimed):
    _, entry = chords(aimed.start_mm, aimed.direction)
    axis = (np.abs(entry) / HALF).argmax(axis=1)
    cosine = np.abs(aimed.direction[np.arange(N), axis])
    assert kstest(cosine**2, "uniform").pvalue > 1e-4  # the share below a cosine c is c^2


def test_they_come_through_the_sphere_on_their_line(aimed):
    place = on_sphere(aimed, GEOMETRY.sphere_radius_mm)
    assert np.linalg.norm(place, axis=1) == pytest.approx(GEOMETRY.sphere_radius_mm)
    way = aimed.start_mm - place
    along = np.einsum("ij,ij->i", way, aimed.direction)
    assert (along > 0).all()
    assert way == pytest.approx(along[:, None] * aimed.direction, abs=1e-6)


def test_they_are_those_of_the_sphere_that_meet_the_box(aimed):
    thrown = 400_000
    start, direction = through_the_sphere(thrown, 2)
    length, _ = chords(start, direction)
    met = length > 0
    error = np.sqrt(met.mean() * (1 - met.mean()) / thrown)
    assert met.mean() == pytest.approx(GEOMETRY.aimed_fraction, abs=4 * error)
    ours, _ = chords(aimed.start_mm, aimed.direction)
    assert ks_2samp(ours, length[met]).pvalue > 1e-4
    assert ours.mean() == pytest.approx(4 * 8 * HALF.prod() / (8 * (HALF * np.roll(HALF, 1)).sum()), rel=0.01)  # Cauchy
    assert ks_2samp(aimed.direction[:, 2], direction[met, 2]).pvalue > 1e-4


def test_they_depend_on_seed_and_batch_only(aimed):
    again = aim(GEOMETRY, N, 1, 0)
    for name in ("start_mm", "direction", "energy_gev", "seeds"):
        assert np.array_equal(getattr(again, name), getattr(aimed, name))
        assert not np.array_equal(getattr(aim(GEOMETRY, N, 1, 1), name), getattr(aimed, name))
        assert not np.array_equal(getattr(aim(GEOMETRY, N, 2, 0), name), getattr(aimed, name))
    assert aimed.seeds.min() >= 1
    assert aimed.seeds.max() <= 2**31 - 2
    assert len(np.unique(aimed.seeds, axis=0)) == N
