import math

import numpy as np
import pytest
from scipy.special import ndtr

from config.errors import ConfigError
from config.load import load
from sim.bad_pixels import BadPixel, scatter, tabulate
from sim.charge import CHARGE, empty_charges
from sim.detector import Detector, Imperfections, Step, transfer
from sim.seeds import Seeds
from stream.messages import DEAD, FLICKERING, HOT

LAYOUT = load("quick").detector
QUIET = {"offset_spread_adu": 0.0, "column_spread_adu": 0.0}
STILL = {**QUIET, "noise_e": 0.0}


def camera(layout=LAYOUT, **model):
    return Detector(layout, Imperfections(**model), Seeds(5))


def frames(detector, n, quadrant=0, charges=None):
    charge = empty_charges() if charges is None else charges
    return np.stack([detector.read(r, quadrant, charge) for r in range(n)])


def one_charge(x, y, electrons):
    charge = np.zeros(1, CHARGE)
    charge["x"], charge["y"], charge["electrons"] = x, y, electrons
    return charge


def test_noise_has_its_rms_and_mean():
    dark = frames(camera(**QUIET), 300).astype(float) - 500
    assert dark.mean() == pytest.approx(0, abs=5 * 7 / math.sqrt(dark.size))
    assert dark.std() == pytest.approx(math.sqrt(49 + 1 / 12), rel=5 / math.sqrt(2 * dark.size))  # 1/12: the ADC


def test_the_noise_is_gaussian_in_its_body_and_far_out_in_its_tails():
    detector = camera(load("wfi").detector, **QUIET, noise_e=70.0, offset_mean_adu=2000.0)
    counts = np.zeros(4001, np.int64)
    for readout in range(2000):
        counts += np.bincount(detector.read(readout, 0, empty_charges()).ravel(), minlength=4001)
    n = counts.sum()
    assert n == 2000 * 512**2
    below = n * ndtr((np.arange(4001) - 2000 + 0.5) / 70)  # expected up to and with each value
    for sigmas in (2.7, 3, 3.5, 4, 4.5, 5, 5.5):  # exact here: within the chance of so many pixels
        edge = math.ceil(sigmas * 70)
        expected = below[2000 - edge]
        for found in (counts[: 2001 - edge].sum(), counts[2000 + edge :].sum()):
            assert abs(int(found) - expected) < 5 * math.sqrt(expected) + 1
    kolmogorov = 1.95 * math.sqrt(n)  # 0.1 %
    assert np.abs(np.cumsum(counts) - below).max() < kolmogorov + 0.5 * n / 65536  # half a step of the table


def test_the_counts_of_each_level_are_those_of_a_gaussian():
    dark = frames(camera(load("wfi").detector, **QUIET), 40)
    counts = np.bincount(dark.ravel(), minlength=1001)[480:521]
    levels = np.arange(480, 521) - 500
    expected = dark.size * (ndtr((levels + 0.5) / 7) - ndtr((levels - 0.5) / 7))
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert chi2 < 41 + 6 * math.sqrt(2 * 41)


def test_pixels_and_frames_are_independent():
    z = frames(camera(**QUIET), 200).astype(float) - 500
    bound = 5 * 49 / math.sqrt(z.size)
    for a, b in ((z[1:], z[:-1]), (z[:, 1:], z[:, :-1]), (z[:, :, 1:], z[:, :, :-1])):
        assert abs((a * b).mean()) < bound


def test_offset_map_has_spread_and_column_structure():
    offset = camera(load("wfi").detector, offset_spread_adu=10, column_spread_adu=5).true_maps(0).offset
    assert offset.mean() == pytest.approx(500, abs=1)
    assert offset.std() == pytest.approx(math.hypot(10, 5), rel=0.05)
    assert offset.mean(axis=0).std() == pytest.approx(5, rel=0.2)


def test_frames_lie_around_the_true_maps():
    detector = camera(noise_spread=0.1)
    dark, maps = frames(detector, 400), detector.true_maps(0)
    pull = (dark.mean(0) - maps.offset) / maps.noise * math.sqrt(400)
    assert pull.std() == pytest.approx(1, abs=0.05)
    assert np.corrcoef(dark.std(0).ravel(), maps.noise.ravel())[0, 1] > 0.9


def test_common_mode_moves_whole_rows():
    dark = frames(camera(**QUIET, common_mode_rms_adu=20.0), 100).astype(float) - 500
    rows = dark.mean(axis=2)
    assert rows.std() == pytest.approx(20, rel=0.05)
    assert (dark - rows[:, :, None]).std() == pytest.approx(7, rel=0.02)


def test_a_step_shifts_its_rows_in_its_readouts_only():
    step = Step(adu=20.0, first_row=10, last_row=19, first_readout=3, last_readout=5)
    detector = camera(**STILL, steps=(step,))
    levels = frames(detector, 8)
    expected = np.full(levels.shape, 500)
    expected[3:6, 10:20] = 520
    assert (levels == expected).all()


def test_a_hot_pixel_appears_at_its_readout():
    detector = camera(**STILL, bad_pixels=(BadPixel(quadrant=0, x=7, y=9, level_adu=3000.0, first_readout=4),))
    levels = frames(detector, 8)
    assert levels[:, 9, 7].tolist() == [500] * 4 + [3500] * 4
    assert (np.delete(levels.reshape(8, -1), 9 * 64 + 7, axis=1) == 500).all()
    assert (frames(detector, 8, quadrant=1) == 500).all()


def test_a_flickering_pixel_keeps_its_duty():
    pixel = BadPixel(quadrant=0, x=1, y=2, kind=FLICKERING, duty=0.2)
    lit = frames(camera(**STILL, bad_pixels=(pixel,)), 1000)[:, 2, 1] > 1000
    assert lit.mean() == pytest.approx(0.2, abs=0.06)


def test_a_dead_pixel_sees_nothing():
    detector = camera(bad_pixels=(BadPixel(quadrant=0, x=1, y=2, kind=DEAD),))
    assert (frames(detector, 5, charges=one_charge(1, 2, 9000.0))[:, 2, 1] == 0).all()


def test_charge_arrives_in_its_pixel_and_adds_up():
    charges = np.concatenate([one_charge(3, 4, 100.0), one_charge(3, 4, 50.0), one_charge(5, 4, 7.0)])
    level = camera(**STILL).read(0, 0, charges)
    assert level[4, 3] == 650
    assert level[4, 5] == 507
    assert int(level.sum()) == 500 * level.size + 157


def test_the_gain_of_the_configuration_holds():
    layout = LAYOUT.model_copy(update={"gain_ev_per_adu": 7.3})  # two electrons per ADU
    detector = camera(layout, **QUIET)
    assert detector.true_maps(0).noise[0, 0] == pytest.approx(3.5)
    assert camera(layout, **STILL).read(0, 0, one_charge(0, 0, 200.0))[0, 0] == 600


@pytest.mark.parametrize(("electrons", "level"), [(1e9, 65535), (-1e6, 0)])
def test_the_adc_ends(electrons, level):
    assert camera(**STILL).read(0, 0, one_charge(0, 0, electrons))[0, 0] == level


def test_a_smaller_adc_ends_earlier():
    layout = LAYOUT.model_copy(update={"adc_max_adu": 4095.0})
    assert camera(layout, **STILL).read(0, 0, one_charge(0, 0, 1e5)).max() == 4095


def test_no_pixel_is_above_the_clip():
    bright = Detector(LAYOUT, Imperfections(clip_ev=22_000.0), Seeds(5))
    level = bright.read(0, 0, one_charge(3, 4, 1e5))
    assert bright.top_adu == 500 + 22_000 // 3.65
    assert level.max() == level[4, 3] == bright.top_adu
    small = LAYOUT.model_copy(update={"adc_max_adu": 4095.0})
    assert Detector(small, Imperfections(clip_ev=22_000.0), Seeds(5)).top_adu == 4095


def test_a_frame_leaves_nothing_behind():
    pixel = BadPixel(quadrant=0, x=7, y=9, first_readout=0)
    detector = camera(**STILL, bad_pixels=(pixel, BadPixel(quadrant=0, x=8, y=9, kind=DEAD)))
    detector.read(0, 0, one_charge(3, 4, 100.0))
    assert (detector.read(0, 1, empty_charges()) == 500).all()


def test_cti_moves_charge_into_the_rows_that_follow():
    charges = np.concatenate([one_charge(3, 0, 1000.0), one_charge(5, 49, 1000.0), one_charge(9, 63, 1000.0)])
    arrived = transfer(charges, 1e-3, 64)
    image = np.zeros((64, 64))
    np.add.at(image, (arrived["y"], arrived["x"]), arrived["electrons"])
    assert image[0:2, 3] == pytest.approx([999, 1], rel=1e-4)
    assert image[49:52, 5].sum() == pytest.approx(1000, rel=1e-6)  # nothing is lost
    assert image[49, 5] == pytest.approx(1000 * 0.999**50, rel=1e-5)
    assert image[50, 5] == pytest.approx(1000 * 50 * 1e-3 * 0.999**49, rel=1e-4)
    assert image[:, 9].sum() == pytest.approx(1000 * 0.999**64, rel=1e-5)  # but beyond the last row
    assert arrived["electrons"].sum() == pytest.approx(image.sum(), rel=1e-6)


def test_without_cti_charge_stays():
    charges = one_charge(3, 4, 1000.0)
    assert transfer(charges, 0.0, 64) is charges
    assert transfer(empty_charges(), 1e-3, 64).size == 0
    level = camera(**STILL, cti=1e-3).read(0, 0, charges)
    assert (level[4, 3], level[5, 3]) == (1495, 505)


def test_the_camera_of_a_configuration():
    config = load("quick", ["simulate.read_out.noise_e=3", "simulate.read_out.dead_pixels=0"])
    model = Imperfections.of(config, Seeds(1))
    assert (model.noise_e, model.clip_ev, model.common_mode_rms_adu) == (3, 22_000, 2)
    assert np.bincount([p.kind for p in model.bad_pixels]).tolist() == [0, 16, 16]
    assert model == Imperfections.of(config, Seeds(1))


def test_scattered_bad_pixels_are_all_different_and_tabulated():
    pixels = scatter(LAYOUT, Seeds(1), hot=3, flickering=2, dead=1)
    table = tabulate(pixels, 5_000_000)
    assert len({(p.quadrant, p.x, p.y) for p in pixels}) == table.size == 24
    assert np.bincount(table["kind"]).tolist() == [0, 12, 8, 4]
    bad = camera(bad_pixels=pixels).true_maps(2).bad
    assert np.bincount(bad[bad > 0]).tolist() == [0, 3, 2, 1]
    assert (tabulate((), 1).size, table["kind"][0]) == (0, HOT)


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ({"noise_e": -1.0}, "noise_e >= 0"),
        ({"offset_mean_adu": math.nan}, "offset_mean_adu >= 0"),
        ({"noise_spread": 0.5}, "noise_spread < 0.3"),
        ({"clip_ev": 0.0}, "clip_ev > 0"),
        ({"cti": 0.5}, "cti < 0.01"),
        ({"cti": 0.002}, r"cti \* rows <= 0.1"),
        ({"bad_pixels": (BadPixel(quadrant=9, x=0, y=0),)}, r"bad pixel \(0, 0\) in quadrant 9"),
        ({"bad_pixels": (BadPixel(quadrant=0, x=64, y=0),)}, r"bad pixel \(64, 0\)"),
    ],
)
def test_a_bad_model_is_refused_in_one_line(bad, expected):
    with pytest.raises(ConfigError, match=expected) as fault:
        camera(**bad)
    assert "\n" not in str(fault.value)


def test_a_bad_layout_is_refused():
    with pytest.raises(ConfigError, match="at least one quadrant"):
        camera(LAYOUT.model_copy(update={"quadrants": []}))
    with pytest.raises(ConfigError, match="adc_max_adu <= 65535"):
        camera(LAYOUT.model_copy(update={"adc_max_adu": 70000.0}))
    with pytest.raises(ConfigError, match="different id"):
        camera(LAYOUT.model_copy(update={"quadrants": [LAYOUT.quadrants[0]] * 2}))


@pytest.mark.parametrize("bad", [{"duty": 0.0}, {"kind": 7}, {"first_readout": -1}])
def test_a_bad_bad_pixel_is_refused(bad):
    with pytest.raises(ConfigError, match=r"^bad pixel \(1, 2\) of quadrant 0: expected"):
        BadPixel(quadrant=0, x=1, y=2, **bad)
