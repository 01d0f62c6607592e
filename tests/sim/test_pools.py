import itertools

import numpy as np
import pytest
from scipy.stats import kstest

from config.errors import ConfigError
from config.load import load
from sim import particles, pools
from sim.charge import PAIR_ENERGY_EV
from sim.hit_library import HitLibrary
from sim.mirrors import mirrors_of
from sim.particles import Pixels
from sim.photons import XRays
from sim.pools import VISIBLE_EV, Item, ParticlePool, XRayPool
from sim.seeds import Seeds
from sim.spectra import Spectrum
from tests.sim.libraries import drawn, write

WFI = load("wfi")
LAYOUT, SENSOR = WFI.detector, WFI.simulate.sensor
SMALL = (1, 64, 64)
N = 60


@pytest.fixture(scope="module")
def pixels(tmp_path_factory):
    with HitLibrary(write(tmp_path_factory.mktemp("library") / "hits.h5", drawn(N, 7))) as library:
        yield Pixels(library, SENSOR, LAYOUT)


def taken(pool, n):
    return [pool.take() for _ in range(n)]


def electrons(item):
    return {(int(q), int(x), int(y)): float(e) for q, x, y, e in item.charges[["quadrant", "x", "y", "electrons"]]}


def a_round(pool):
    """Return all items of the first round through the range."""
    items = [pool.take()]
    while pool._items or pool.rounds == 1:
        items.append(pool.take())
        if pool.rounds > 1:
            return items[:-1]
    return items


def test_items_lie_in_their_window_and_are_visible(pixels):
    for item in taken(ParticlePool(pixels, (0, N), SMALL, Seeds(1)), 300):
        assert (item.charges["quadrant"] == 0).all()
        assert 0 <= item.charges["x"].min() <= item.charges["x"].max() < 64
        assert 0 <= item.charges["y"].min() <= item.charges["y"].max() < 64
        assert item.charges["electrons"].max() * PAIR_ENERGY_EV >= VISIBLE_EV
        assert len(item.cells(SMALL)) == len(item.charges)
        _, _, left, bottom, mirror = item.truth
        assert 0 <= mirror < 4
        assert 0 <= left <= 512 - 64
        assert 0 <= bottom <= 512 - 64


def test_the_truth_of_an_item_leads_back_to_the_library(pixels):
    block, mirrors = pixels.block(0), mirrors_of(LAYOUT)
    pool, seen = ParticlePool(pixels, (0, N), SMALL, Seeds(1)), set()
    while pool.rounds < 5:
        item = pool.take()
        place, quadrant, left, bottom, mirror = item.truth
        seen.add(mirror)
        own = mirrors[mirror].apply(block.pixels[block.first[place] : block.first[place + 1]].copy())
        there = {(int(q), int(x), int(y)): float(e) for q, x, y, e in own[["quadrant", "x", "y", "energy_ev"]]}
        for (_, x, y), found in electrons(item).items():
            pairs = there[quadrant, x + left, y + bottom] / PAIR_ENERGY_EV
            assert found == pytest.approx(pairs, abs=6 * np.sqrt(SENSOR.fano * pairs) + 0.01)
    assert seen == {0, 1, 2, 3}


def test_a_whole_quadrant_as_window_keeps_all_of_a_primary(pixels):
    block = pixels.block(0)
    items = a_round(ParticlePool(pixels, (0, N), (1, 512, 512), Seeds(1)))
    seen = sorted((place, quadrant) for item in items for place, quadrant, *_ in [item.truth])
    there = sorted({(int(o), int(q)) for o, q in block.pixels[block.pixels["energy_ev"] > 150][["owner", "quadrant"]]})
    assert seen == there
    assert all(item.truth[2:] == (0, 0, 0) for item in items)


def test_a_window_of_nearly_a_quadrant_sees_nearly_every_primary(pixels):
    items = a_round(ParticlePool(pixels, (0, N), (1, 500, 500), Seeds(1)))
    assert len({item.truth[0] for item in items}) > 0.9 * N
    assert len({item.truth[2:4] for item in items}) > 30  # of 13 x 13 corners


def test_the_camera_as_window_keeps_all_of_a_primary_together(pixels):
    pool = ParticlePool(pixels, (0, N), (4, 512, 512), Seeds(1), whole=True)
    items = a_round(pool)
    assert sorted(item.truth[0] for item in items) == list(range(N))
    energy = pixels.library.primaries()["deposit_kev"] * 1e3
    found = {item.truth[0]: item.charges["electrons"].sum() * PAIR_ENERGY_EV for item in items}
    ratio = np.array([found[place] / energy[place] for place in range(N)])
    assert ratio.max() < 1.02
    assert np.median(ratio) > 0.98  # some charge is lost beyond the edges
    assert any(len(np.unique(item.charges["quadrant"])) > 1 for item in items)


def test_a_range_has_only_its_own_primaries(pixels):
    for part in ((0, 20), (20, 45), (45, N)):
        pool = ParticlePool(pixels, part, SMALL, Seeds(1))
        places = [item.truth[0] for item in taken(pool, 400)]
        assert min(places) >= part[0]
        assert max(places) < part[1]
        assert pool.rounds > 1


def test_windows_are_others_in_each_round(pixels):
    pool = ParticlePool(pixels, (3, 4), SMALL, Seeds(1))
    corners = {item.truth[1:] for item in taken(pool, 50)}
    assert len(corners) > 20


def test_offsets_are_uniform(pixels):
    items = taken(ParticlePool(pixels, (0, N), SMALL, Seeds(2)), 3000)
    left = np.array([item.truth[2] % 64 for item in items])
    assert kstest((left + 0.5) / 64, "uniform").statistic < 0.05


def test_pools_depend_on_the_seed_only(pixels):
    for make in (
        lambda seed: ParticlePool(pixels, (0, N), SMALL, Seeds(seed)),
        lambda seed: XRayPool(XRays(sensor=SENSOR), LAYOUT, SMALL, Seeds(seed)),
    ):
        first, again, other = (taken(make(seed), 80) for seed in (1, 1, 2))
        assert all(
            a.truth == b.truth and np.array_equal(a.charges, b.charges) for a, b in zip(first, again, strict=True)
        )
        assert [item.truth for item in first] != [item.truth for item in other]


def test_other_seeds_begin_with_other_primaries(tmp_path, monkeypatch):
    monkeypatch.setattr(particles, "BLOCK", 16)
    monkeypatch.setattr(pools, "BLOCK", 16)
    with HitLibrary(write(tmp_path / "hits.h5", drawn(64, 7))) as library:
        small = Pixels(library, SENSOR, LAYOUT)
        rounds = [a_round(ParticlePool(small, (0, 64), (1, 512, 512), Seeds(seed))) for seed in range(20)]
    assert {items[0].truth[0] // 16 for items in rounds} == {0, 1, 2, 3}
    assert all({item.truth[0] for item in items} == set(range(64)) for items in rounds)


def test_x_rays_fall_uniformly_with_their_energy():
    spectrum = Spectrum(shape="lines", lines_ev=(1000.0, 5895.0))
    pool = XRayPool(XRays(spectrum=spectrum, sensor=SENSOR), LAYOUT, (3, 40, 50), Seeds(1))
    items = taken(pool, 4000)
    quadrant, x, y, energy = np.array([item.truth for item in items]).T
    assert set(energy) == {1000.0, 5895.0}
    assert np.bincount(quadrant.astype(int)) == pytest.approx([1333] * 3, abs=150)
    assert kstest((x + 0.5) / 50, "uniform").pvalue > 1e-4
    assert kstest((y + 0.5) / 40, "uniform").pvalue > 1e-4
    inner = (x > 2) & (x < 47) & (y > 2) & (y < 37) & (energy == 1000)
    collected = np.array([item.charges["electrons"].sum() for item in items])[inner] * PAIR_ENERGY_EV
    assert collected.mean() == pytest.approx(1000, rel=0.01)
    for item in items[:200]:
        assert (item.charges["quadrant"] == item.truth[0]).all()
        assert item.charges["x"].max() < 50
        assert item.charges["y"].max() < 40


def test_cells_number_the_pixels_of_a_frame():
    shape = (2, 3, 4)
    every = list(itertools.product(range(2), range(3), range(4)))
    charges = np.zeros(len(every), [("quadrant", "u1"), ("y", "i2"), ("x", "i2")])
    charges[:] = every
    assert sorted(Item(charges, ()).cells(shape)) == list(range(24))


def test_primaries_that_cannot_be_seen_are_one_line(tmp_path):
    primaries, segments, steps = drawn(5, 1)
    steps["energy_ev"] = 1
    with HitLibrary(write(tmp_path / "hits.h5", (primaries, segments, steps))) as library:
        pool = ParticlePool(Pixels(library, SENSOR, LAYOUT), (0, 5), SMALL, Seeds(1))
        with pytest.raises(ConfigError, match="primaries 0 to 4: none leaves visible signal in a window"):
            pool.take()


def test_x_rays_that_cannot_be_seen_are_one_line():
    gamma = Spectrum(shape="lines", lines_ev=(0.2,))  # far less than one electron
    pool = XRayPool(XRays(spectrum=gamma, sensor=SENSOR), LAYOUT, SMALL, Seeds(1))
    with pytest.raises(ConfigError, match="X-rays: expected some that leave charge"):
        pool.take()
