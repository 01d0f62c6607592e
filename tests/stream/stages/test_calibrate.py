import math
from dataclasses import replace

import numpy as np
import pytest

from config.errors import ConfigError
from config.load import load
from sim.bad_pixels import BadPixel, scatter
from sim.detector import Imperfections, Step
from sim.photons import XRays
from sim.seeds import Seeds
from sim.telemetry import Telemetry, dark
from sim.tracks import Tracks
from stream.messages import DEAD, HOT, End, Frame, Gap
from stream.stages.calibrate import Calibrate, DarkMaps, shrink_noise

CONFIG = load("quick")
BAD = scatter(CONFIG.detector, Seeds(3), hot=4, flickering=4, dead=3)
MODEL = Imperfections(noise_spread=0.05, common_mode_rms_adu=3.0, bad_pixels=BAD)
FRAMES = 500


def calibrate(messages):
    stage = Calibrate()
    passed = [out for message in messages for out in stage.process(message)]
    passed += stage.flush()
    return stage, passed


@pytest.fixture(scope="module")
def run():
    """Return a dark run with cosmic rays, stray photons, common mode and bad pixels, and its maps."""
    camera = Telemetry(CONFIG, (Tracks(per_frame=0.3), XRays(per_frame=0.5)), MODEL, Seeds(3, run=1))
    return camera, calibrate(camera.messages(FRAMES))[0].maps


def good_of(camera, maps):
    truth = camera.detector.true_maps(maps.quadrant)
    return truth, truth.bad == 0


def test_offsets_are_right_within_their_errors(run):
    camera, maps = run
    for quadrant in range(4):
        truth, good = good_of(camera, maps[quadrant])
        error = math.sqrt(49 + 9) / math.sqrt(FRAMES)
        pull = (maps[quadrant].offset - truth.offset)[good] / error
        assert pull.std() == pytest.approx(1, abs=0.1)
        assert (np.abs(pull) < 3).mean() > 0.99
        assert np.abs(pull).max() < 5.5


def test_noise_is_unbiased(run):
    camera, maps = run
    for quadrant in range(4):
        truth, good = good_of(camera, maps[quadrant])
        ratio = maps[quadrant].noise[good] / np.sqrt(truth.noise[good] ** 2 + 1 / 12)
        assert ratio.mean() == pytest.approx(1, abs=0.005)
        assert ratio.std() < 1 / math.sqrt(2 * FRAMES)  # what sampling alone would leave without shrinking


def test_bad_pixels_are_found_exactly(run):
    camera, maps = run
    for quadrant in range(4):
        np.testing.assert_array_equal(maps[quadrant].bad, camera.detector.true_maps(quadrant).bad)


def test_a_clean_camera_has_no_bad_pixels_and_the_maps_their_types():
    stage, _ = calibrate(dark(CONFIG, Imperfections(), Seeds(4)).messages(40))
    for maps in stage.maps.values():
        assert not maps.bad.any()
        assert [a.dtype.str for a in (maps.offset, maps.noise, maps.bad)] == ["<f4", "<f4", "|u1"]
    assert len({m.version for m in stage.maps.values()}) == 4


def test_noisy_late_and_stuck_pixels_are_bad():
    late = BadPixel(quadrant=0, x=3, y=3, first_readout=60)
    stuck = BadPixel(quadrant=0, x=9, y=9, level_adu=1e6)
    camera = dark(CONFIG, Imperfections(bad_pixels=(late, stuck)), Seeds(5))
    start, *frames, _ = camera.messages(200)
    for frame in frames[::4]:
        frame.pixels[20, 21] += np.uint16(500 * (frame.sequence % 2))  # loud, but inside its own clip
        frame.pixels[30, 31] = 500  # says nothing
    bad = calibrate([start, *frames])[0].maps[0].bad
    assert {(y, x): int(bad[y, x]) for y, x in np.argwhere(bad).tolist()} == {
        (3, 3): HOT,
        (9, 9): HOT,
        (20, 21): HOT,
        (30, 31): DEAD,
    }


def test_a_step_in_a_few_rows_harms_nothing():
    step = Step(adu=200.0, first_row=10, last_row=19, first_readout=50, last_readout=59)
    camera = dark(CONFIG, Imperfections(steps=(step,)), Seeds(6))
    maps = calibrate(camera.messages(100))[0].maps[1]
    assert not maps.bad.any()
    assert maps.noise[10:20].mean() == pytest.approx(7.006, rel=0.01)


def test_frames_end_here_and_all_else_passes():
    gap = Gap(stream="sim", first=1, last=2, quadrant=0, reason="lost")
    messages = [*dark(CONFIG).messages(16), gap]
    _, passed = calibrate(messages)
    assert passed == [m for m in messages if not isinstance(m, Frame)]


def test_frames_that_do_not_fit_are_counted():
    start, *frames, end = dark(CONFIG).messages(20)
    odd = [
        replace(frames[0], pixels=frames[0].pixels[1:]),
        replace(frames[0], pixels=frames[0].pixels.astype(np.float32)),
        replace(frames[0], quality=1),
        replace(frames[0], quadrant=77),
    ]
    stage, _ = calibrate([frames[0], start, *odd, *frames, end])
    plain, _ = calibrate([start, *frames, end])
    assert (stage.skipped, plain.skipped) == (5, 0)
    assert {q: m.version for q, m in stage.maps.items()} == {q: m.version for q, m in plain.maps.items()}


def test_a_run_without_frames_or_too_few_is_refused():
    with pytest.raises(ConfigError, match=r"^quadrant 0: dark run: expected at least 16 frames, got 15$"):
        calibrate(dark(CONFIG).messages(15))
    assert calibrate([End(stream="sim")])[0].maps == {}
    with pytest.raises(ConfigError, match=r"expected \(4, 8\) uint16"):
        DarkMaps((4, 8)).add(np.zeros((4, 7), np.uint16))


def test_the_result_can_be_asked_for_at_any_time():
    dark_maps = DarkMaps((64, 64))
    sizes = []
    for n, (frame, *_) in enumerate(dark(CONFIG).frames(r) for r in range(60)):
        dark_maps.add(frame.pixels)
        if n in (20, 59):
            sizes.append(dark_maps.result()[1].std())
    assert sizes[1] < 0.7 * sizes[0]


@pytest.mark.parametrize(("spread", "least", "most"), [(0.0, 0.0, 0.2), (0.1, 0.9, 1.0)])
def test_shrinking_takes_the_sampling_error_and_leaves_true_differences(spread, least, most):
    rng = np.random.default_rng(5)
    truth = 7 * (1 + spread * rng.standard_normal((100, 100)))
    measured = (truth * (1 + rng.standard_normal(truth.shape) / math.sqrt(2000))).astype(np.float32)
    measured[3, 4] = 20
    shrunk = shrink_noise(measured, np.full(truth.shape, 1000), np.ones(truth.shape, bool))
    assert shrunk[3, 4] == 20
    rest = np.arange(truth.size) != 304
    error = (shrunk / truth).ravel()[rest].std() * math.sqrt(2000)
    assert least <= error <= most + 0.02
