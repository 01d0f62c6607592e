from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare, poisson

from config.errors import ConfigError
from config.load import load
from sim import frame_sets
from sim.charge import PAIR_ENERGY_EV, PARTICLE, XRAY
from sim.frame_sets import ALONE, CLASSES, TOGETHER, FrameSet, _at_least_one, write_set
from sim.hit_library import HitLibrary
from sim.particles import Pixels
from sim.photons import XRays
from sim.pools import ParticlePool, XRayPool
from sim.seeds import Seeds
from tests.sim.libraries import drawn, write

WFI = load("wfi")
SMALL, QUADRANT, CAMERA = (1, 64, 64), (1, 512, 512), (4, 512, 512)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with HitLibrary(write(tmp_path_factory.mktemp("library") / "hits.h5", drawn(120, 7))) as opened:
        yield opened


def a_set(library, per_class=40, shape=SMALL, rates=None, seed=1, config=WFI):
    layout, sensor, seeds = config.detector, config.simulate.sensor, Seeds(seed)
    particles = ParticlePool(Pixels(library, sensor, layout), (0, len(library)), shape, seeds, whole=shape == CAMERA)
    pools = (XRayPool(XRays(sensor=sensor), layout, shape, seeds), particles)
    return FrameSet(per_class, shape, rates, pools, config, seeds)


def joined(frames):
    blocks = list(frames.blocks())
    pixels = np.concatenate([block.pixels for block in blocks])
    label = np.concatenate([block.label for block in blocks])
    return pixels, label, {name: np.concatenate([b.tables[name] for b in blocks]) for name in blocks[0].tables}


@pytest.fixture(scope="module")
def small(library):
    return joined(a_set(library, per_class=700))


@pytest.fixture(scope="module", params=["small", "quadrant", "camera"])
def any_set(request, library):
    if request.param == "small":
        return SMALL, joined(a_set(library, per_class=100))
    shape = QUADRANT if request.param == "quadrant" else CAMERA
    return shape, joined(a_set(library, per_class=4, shape=shape, rates=(6.0, 5.0)))


def test_the_same_number_of_each_class_in_random_order(small):
    pixels, label, _ = small
    assert len(pixels) == 2800
    assert np.bincount(label).tolist() == [700] * 4
    runs = 1 + np.count_nonzero(np.diff(label))
    assert runs == pytest.approx(1 + 0.75 * 2800, abs=100)


def test_the_labels_say_what_the_truth_holds(any_set):
    _, (pixels, label, tables) = any_set
    xrays, particles = (np.bincount(tables[name]["frame"], minlength=len(pixels)) for name in ("xrays", "particles"))
    assert np.array_equal(xrays > 0, (label == CLASSES.index("xray")) | (label == CLASSES.index("mixed")))
    assert np.array_equal(particles > 0, (label == CLASSES.index("particle")) | (label == CLASSES.index("mixed")))


def test_every_owner_is_in_its_table(any_set):
    _, (_, _, tables) = any_set
    rows = tables["pixels"]
    for kind, name in ((XRAY, "xrays"), (PARTICLE, "particles")):
        mine = rows[rows["kind"] == kind]
        assert np.array_equal(np.unique(mine["owner"]), np.arange(len(tables[name])))
        assert np.array_equal(tables[name]["frame"][mine["owner"]], mine["frame"])
    assert set(np.unique(rows["kind"])) == {XRAY, PARTICLE}


def test_no_pixel_has_two_owners(any_set):
    _, (_, _, tables) = any_set
    rows = tables["pixels"]
    assert np.unique(rows[["frame", "quadrant", "y", "x"]]).size == rows.size


def test_frames_are_the_electrons_of_their_owners_and_noise(any_set):
    shape, (pixels, label, tables) = any_set
    assert pixels.shape[1:] == shape
    assert pixels.dtype == np.int16
    signal = np.zeros(pixels.shape, np.float32)
    rows = tables["pixels"]
    np.add.at(signal, (rows["frame"], rows["quadrant"], rows["y"], rows["x"]), rows["electrons"])
    rest = pixels - np.minimum(signal, WFI.simulate.read_out.clip_ev / PAIR_ENERGY_EV)
    assert rest.mean() == pytest.approx(0, abs=5 * 7 / np.sqrt(rest.size) + 0.01)
    assert rest.std() == pytest.approx(np.sqrt(49 + 1 / 12), rel=0.01)
    assert np.abs(rest).max() < 7 * 7
    assert not signal[label == 0].any()


def test_there_are_as_many_events_in_a_frame_as_in_the_paper(library):
    _, label, tables = joined(a_set(library, per_class=4000, seed=3))
    xrays, particles = (np.bincount(tables[name]["frame"], minlength=16_000) for name in ("xrays", "particles"))
    for number, (own, table) in enumerate(((xrays, ALONE), (particles, ALONE)), start=1):
        counts = Counter(own[label == number].tolist())
        told = [counts[1], counts[2] + counts[3]]
        assert chisquare(told, [4000 * table[1,], 4000 * (table[2,] + table[3,])]).pvalue > 1e-4
        assert sum(told) == 4000
    both = Counter(zip(xrays[label == 3].tolist(), particles[label == 3].tolist(), strict=True))
    told = [both[1, 1], both[2, 1], both[1, 2], both[2, 2] + both[3, 1] + both[1, 3]]
    expected = np.array([TOGETHER[1, 1], TOGETHER[2, 1], TOGETHER[1, 2], 0.0])
    expected[3] = sum(TOGETHER.values()) - expected.sum()
    assert chisquare(told[:3], expected[:3] / expected[:3].sum() * sum(told[:3])).pvalue > 1e-4
    assert told[3] <= 6
    assert sum(told) == 4000


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.3, 4.0])
def test_rates_are_poissons_without_the_zero(rate):
    rng = np.random.default_rng(1)
    drawn_numbers = np.array([_at_least_one(rate, rng) for _ in range(20_000)])
    assert drawn_numbers.min() == 1
    expected = rate / -np.expm1(-rate)
    spread = np.sqrt(expected * (1 + rate - expected) / drawn_numbers.size)
    assert drawn_numbers.mean() == pytest.approx(expected, abs=5 * spread + 1e-9)
    assert (drawn_numbers == 1).mean() == pytest.approx(poisson.pmf(1, rate) / -np.expm1(-rate), abs=0.015)


def test_large_windows_take_the_rates(library):
    _, label, tables = joined(a_set(library, per_class=30, shape=(1, 256, 256), rates=(4.0, 2.0)))
    for name, rate, classes in (("xrays", 4.0, (1, 3)), ("particles", 2.0, (2, 3))):
        expected = rate / -np.expm1(-rate)
        assert len(tables[name]) / np.isin(label, classes).sum() == pytest.approx(expected, rel=0.2)


def test_camera_frames_have_all_quadrants(library):
    _, _, tables = joined(a_set(library, per_class=4, shape=CAMERA, rates=(6.0, 5.0)))
    assert set(tables["pixels"]["quadrant"]) == {0, 1, 2, 3}
    assert set(tables["xrays"]["quadrant"]) == {0, 1, 2, 3}


def test_the_same_seed_gives_the_same_set(library):
    first, again, other = (joined(a_set(library, seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first[0], again[0])
    assert all(np.array_equal(first[2][name], again[2][name]) for name in first[2])
    assert not np.array_equal(first[0], other[0])


def test_large_frames_are_made_few_at_a_time(library, monkeypatch):
    monkeypatch.setattr(frame_sets, "BLOCK_PIXELS", 5 * 512 * 512)
    frames = a_set(library, per_class=3, shape=QUADRANT, rates=(1.0, 1.0))
    assert [len(block.label) for block in frames.blocks()] == [5, 5, 2]


def test_pixels_are_clipped_where_the_camera_clips(library):
    config = load("wfi", ("simulate.read_out.clip_ev=2000.0",))
    pixels, _, tables = joined(a_set(library, config=config))
    assert tables["pixels"]["electrons"].max() > 2 * 2000 / PAIR_ENERGY_EV
    assert pixels.max() < 2000 / PAIR_ENERGY_EV + 7 * 7


def test_written_sets_are_counted(library):
    blocks, done = [], []
    counts = write_set(a_set(library, per_class=300), blocks.append, done.append)
    assert [counts[name] for name in CLASSES] == [300] * 4
    assert counts["xrays"] == sum(len(block.tables["xrays"]) for block in blocks)
    assert counts["particles"] == sum(len(block.tables["particles"]) for block in blocks)
    assert done[-1] == 1200


@pytest.mark.parametrize("rates", [(5000.0, 1.0), (1.0, 500.0), (float("inf"), 1.0)])
def test_rates_with_pile_up_everywhere_are_one_line(rates, library):
    with pytest.raises(ConfigError, match="expected rates without pile-up everywhere"):
        a_set(library, shape=(1, 100, 100), rates=rates)


@pytest.mark.parametrize("rates", [(0.0, 1.0), (1.0, 0.0), (float("nan"), 1.0), (1.0, float("nan"))])
def test_a_class_without_events_is_one_line(rates, library):
    with pytest.raises(ConfigError, match="frame set: expected"):
        a_set(library, shape=(1, 100, 100), rates=rates)


def test_frames_too_full_for_another_event_are_one_line(library, monkeypatch):
    monkeypatch.setattr(frame_sets, "MOST_COVERED", 10.0)
    frames = a_set(library, shape=(1, 8, 8), rates=(40.0, 1.0))
    with pytest.raises(ConfigError, match=r"no place without pile-up found in 200 tries, beside [0-9]+ pixels"):
        list(frames.blocks())


def test_no_frames_are_one_line(library):
    with pytest.raises(ConfigError, match="frame set: expected frames of each class"):
        a_set(library, per_class=0)
