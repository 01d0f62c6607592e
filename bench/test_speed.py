"""Frames of 512x512 uint16 per CPU-second on one core: the chain, its parts, and aare on the same frames.

The timer is process time: CPU seconds, so that a busy machine does not count. One round is a pass over 100 frames; the
figure is the median of 15 rounds, its interval the middle two thirds of them. The ratio to aare is taken at 5 sigma on
both sides.
"""

import numpy as np
import pytest

from bench import figures, scenes
from stream.kernels.common_mode import NO_LIMIT, row_common_mode
from stream.kernels.hits import find_hits
from stream.kernels.rows import round_offset, sift_rows
from stream.messages import Frame

FRAMES = 100
rates: dict[str, tuple[object, ...]] = {}


@pytest.fixture(scope="session")
def frames():
    cameras = {"2": scenes.camera(2), "50": scenes.camera(50), "2+tracks": scenes.camera(2, tracks=1.0)}
    return {k: [m for m in c.messages(FRAMES) if isinstance(m, Frame)] for k, c in cameras.items()}


@pytest.fixture(scope="session", autouse=True)
def report():
    yield
    for scene in ("2", "50"):
        ours, theirs = rates.get(f"full chain at 5 sigma, {scene} events"), rates.get(f"aare 3x3, {scene} events")
        if ours and theirs:
            rates[f"full chain / aare 3x3, {scene} events"] = (ours[0] / theirs[0], "ratio")
    figures.write("speed", "make bench", rates)


def measure(benchmark, name, work):
    benchmark.pedantic(work, rounds=15, warmup_rounds=2)
    slow, middle, fast = np.quantile(benchmark.stats.stats.data, [0.833, 0.5, 0.167])
    rates[name] = (FRAMES / float(middle), "frames/CPU-s", (FRAMES / float(slow), FRAMES / float(fast)))


@pytest.mark.parametrize("scene", ["2", "50", "2+tracks"])
def test_full_chain(benchmark, frames, scene):
    chain = scenes.chain(scenes.config())
    measure(benchmark, f"full chain, {scene} events", lambda: [chain(f) for f in frames[scene]])


@pytest.mark.parametrize("scene", ["2", "50"])
def test_full_chain_at_five_sigma(benchmark, frames, scene):
    chain = scenes.chain(scenes.five_sigma())
    measure(benchmark, f"full chain at 5 sigma, {scene} events", lambda: [chain(f) for f in frames[scene]])


@pytest.mark.parametrize("scene", ["2", "50"])
def test_static_maps(benchmark, frames, scene):
    chain = scenes.chain(scenes.changed("correct", common_mode="none", track=False))
    measure(benchmark, f"static maps, {scene} events", lambda: [chain(f) for f in frames[scene]])


@pytest.mark.parametrize("kernel", ["hits", "common mode", "both in one pass"])
def test_kernel(benchmark, frames, kernel):
    offset = np.rint(scenes.maps()[0].offset * 256).astype(np.int32)
    common, out = np.zeros(512, np.float32), np.empty((20_000, 2), np.int16)
    threshold = np.full((512, 512), 72, np.uint16)
    rule, low, rest = (np.int32(28 * 256), NO_LIMIT), np.empty((512, 512), np.uint16), np.empty(512, np.int32)
    round_offset(offset, 0, 1, low, rest)
    maps = (offset, threshold, low, rest, threshold[0])
    work = {
        "hits": lambda f: find_hits(f.pixels, offset, common, threshold, out),
        "common mode": lambda f: row_common_mode(f.pixels, offset, rule, common),
        "both in one pass": lambda f: sift_rows(f.pixels, maps, rule, common, out),
    }[kernel]
    measure(benchmark, f"kernel {kernel}, 2 events", lambda: [work(f) for f in frames["2"]])


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("scene", ["2", "50"])
def test_aare(benchmark, frames, scene, size):
    pytest.importorskip("aare")
    finder = scenes.rival(size=size)
    pixels = [f.pixels for f in frames[scene]]
    measure(benchmark, f"aare {size}x{size}, {scene} events", lambda: list(scenes.clusters(finder, iter(pixels))))
