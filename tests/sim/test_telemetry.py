import numpy as np
import pytest

from config.errors import ConfigError
from config.load import digest, load
from sim.bad_pixels import BadPixel
from sim.detector import Imperfections
from sim.photons import XRays
from sim.seeds import Seeds
from sim.telemetry import Telemetry, dark, record
from sim.tracks import Tracks
from stream.messages import BAD_PIXEL, End, Frame, Start

CONFIG = load("quick")
STILL = Imperfections(offset_spread_adu=0, column_spread_adu=0, noise_e=0)
SKY = (XRays(per_frame=3), Tracks(per_frame=0.5))


def flight(sources=SKY, model=None, seed=1):
    return Telemetry(CONFIG, sources, model, Seeds(seed))


def pixels_of(messages):
    return np.stack([m.pixels for m in messages if isinstance(m, Frame)])


class Tape:
    def __init__(self):
        self.frames, self.tables = [], {}

    def write(self, frame):
        self.frames.append(frame)

    def write_truth(self, name, table):
        self.tables.setdefault(name, []).append(table)


def test_a_stream_is_start_frames_end():
    start, *frames, end = flight().messages(5)
    assert isinstance(start, Start)
    assert end == End(stream=start.stream, frames=20)
    assert [(f.sequence, f.quadrant) for f in frames] == [(r, q) for r in range(5) for q in range(4)]
    assert {f.time_ns for f in frames} == {r * 5_000_000 for r in range(5)}
    assert {(f.pixels.shape, f.pixels.dtype.str, f.stream) for f in frames} == {((64, 64), "<u2", start.stream)}


def test_start_describes_the_camera():
    start = flight().start
    assert [(q.id, q.origin_x_px, q.origin_y_px, q.columns, q.rows) for q in start.quadrants] == [
        (q.id, q.origin_x_px, q.origin_y_px, 64, 64) for q in CONFIG.detector.quadrants
    ]
    assert (start.frame_time_ns, start.gain_ev, start.saturation) == (5_000_000, 3.65, 65535.0)
    assert start.config_digest == digest(CONFIG)


def test_two_milliseconds_work():
    fast = Telemetry(load("quick", ["detector.frame_time_s=0.002"]))
    assert [f.time_ns for f in fast.frames(3)] == [6_000_000] * 4


def test_the_same_seed_gives_the_same_frames_however_they_are_made():
    whole = pixels_of(flight().messages(6))
    assert (whole == pixels_of(flight().messages(6))).all()
    assert (whole[8:16] == pixels_of(flight().messages(2, first=2))).all()
    backwards = flight()
    assert (whole[::-4] == np.stack([backwards.frames(r)[3].pixels for r in range(5, -1, -1)])).all()
    assert (whole != pixels_of(flight(seed=2).messages(6))).mean() > 0.9


def test_noise_does_not_depend_on_the_sky():
    bright, empty = pixels_of(flight().messages(4)), pixels_of(flight(()).messages(4))
    assert 0 < (bright != empty).mean() < 0.1


def test_truth_accounts_for_all_charge():
    sky = flight(model=STILL)
    truth = sky.truth(10)
    kept = pixels_of(sky.messages(10)).astype(float).sum() - 500.0 * 40 * 64 * 64
    sent = truth["photons"]["electrons"].sum() + truth["track_pixels"]["energy_ev"].sum() / 3.65
    assert kept == pytest.approx(sent, rel=0.005)  # the rest: rounding, and clouds cut by a border


def test_truth_names_the_bright_pixels():
    sky = flight(model=STILL)
    photons, tracks = sky.truth(10)["photons"], sky.truth(10)["track_pixels"]
    signal = pixels_of(sky.messages(10)).reshape(10, 4, 64, 64).astype(float) - 500
    for p in photons:
        assert signal[p["frame"], p["quadrant"], round(float(p["y"])), round(float(p["x"]))] >= 0.2 * p["electrons"]
    at = (tracks["frame"], tracks["quadrant"], tracks["y"], tracks["x"])
    assert (signal[at] >= tracks["energy_ev"] / 3.65 - 1).all()
    signal[at] = 0
    for p in photons:
        x, y = round(float(p["x"])), round(float(p["y"]))
        signal[p["frame"], p["quadrant"], max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = 0
    assert not signal.any()


def test_truth_of_a_part_is_a_part_of_the_truth():
    whole, part = flight().truth(8)["photons"], flight().truth(3, first=4)["photons"]
    assert (whole[(whole["frame"] >= 4) & (whole["frame"] < 7)] == part).all()


def test_a_dark_run_has_the_same_camera_and_other_noise():
    model = Imperfections(noise_spread=0.1)
    night, day = dark(CONFIG, model, Seeds(1)), flight((), model)
    assert (night.detector.true_maps(2).offset == day.detector.true_maps(2).offset).all()
    assert night.truth(3) == {}
    maps = day.detector.true_maps(0)
    z = [(t.frames(0)[0].pixels - maps.offset) / maps.noise for t in (night, day)]
    assert abs((z[0] * z[1]).mean()) < 5 / 64
    assert np.abs(z).max() < 6


def test_empty_rates_and_empty_runs():
    nothing = flight((XRays(per_frame=0), Tracks(per_frame=0))).truth(5)
    assert {name: t.size for name, t in nothing.items()} == {"pixels": 0, "photons": 0, "track_pixels": 0}
    assert [type(m) for m in flight().messages(0)] == [Start, End]
    assert flight().truth(0) == {}


def test_a_recording_gets_frames_and_truth(monkeypatch):
    monkeypatch.setattr("sim.telemetry.TRUTH_EVERY", 4)
    model = Imperfections(bad_pixels=(BadPixel(quadrant=2, x=5, y=6, first_readout=3),))
    tape, done = Tape(), []
    record(flight(model=model), 10, tape, done.append)
    assert (pixels_of(tape.frames) == pixels_of(flight(model=model).messages(10))).all()
    assert (np.concatenate(tape.tables["photons"]) == flight().truth(10)["photons"]).all()
    assert tape.tables["bad_pixels"][0].tolist() == [(2, 5, 6, 1, 3, 15_000_000)]
    assert tape.tables["bad_pixels"][0].dtype == BAD_PIXEL
    assert done == list(range(1, 11))


@pytest.mark.parametrize("bad", [{"readouts": -1}, {"readouts": 1, "first": -1}])
def test_a_bad_range_is_refused(bad):
    with pytest.raises(ConfigError, match=r"^simulation: expected"):
        list(flight().messages(**bad))
    with pytest.raises(ConfigError, match=r"^simulation: expected"):
        flight().truth(**bad)
