import numpy as np
import pytest
from click.testing import CliRunner

from config.errors import RaysieveError
from config.load import load
from sim import event_sets
from sim.charge import PAIR_ENERGY_EV, PARTICLE, XRAY
from sim.commands import simulate
from sim.event_file import read_events
from sim.event_sets import (
    ALONE,
    IN_QUADRANT,
    IN_READOUT,
    IN_WINDOW,
    SPLIT_EV,
    EventSet,
    company,
    most_central,
    owned,
    places,
    track_owners,
    truth_of,
)
from sim.hit_library import HitLibrary
from sim.particles import PRIMARY_IN_FRAME, Particles, Pixels
from sim.photons import XRays
from sim.seeds import Seeds
from sim.telemetry import PIXEL, Telemetry, tabulate_truth
from sim.truth import BOTH, LEAST_ELECTRONS, LEAST_SHARE, NOISE
from stream.messages import EVENT, TRACK, WINDOW
from tests.sim.libraries import drawn, write

WFI = load("wfi")
READOUTS = 40
BAND = (300, 10_000)
LOUD = SPLIT_EV / PAIR_ENERGY_EV + 1  # electrons, just a signal


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with HitLibrary(write(tmp_path_factory.mktemp("library") / "hits.h5", drawn(300, 7))) as opened:
        yield opened


def camera_of(library, seed=1, per_readout=6.0):
    seeds = Seeds(seed)
    pixels = Pixels(library, WFI.simulate.sensor, WFI.detector)
    particles = Particles.of(pixels, per_readout, seeds, (0, len(library)))
    return Telemetry(WFI, (XRays(per_frame=3, sensor=WFI.simulate.sensor), particles), seeds=seeds)


def joined(library, with_windows=None, readouts=READOUTS, **camera):
    """Return the tables of a set by name; windows counted from its first."""
    blocks = list(EventSet(camera_of(library, **camera), WFI, with_windows).blocks(readouts))
    before = np.cumsum([0, *(len(one.windows) for one in blocks)])
    for one, first in zip(blocks, before, strict=False):
        one.truth["window"][one.truth["window"] >= 0] += first
    names = ("events", "truth", "tracks", "track_owner", "windows")
    return {name: np.concatenate([getattr(one, name) for one in blocks]) for name in names}


@pytest.fixture(scope="module")
def found(library):
    return joined(library, with_windows=0.5)


@pytest.fixture(scope="module")
def pixels(library):
    """The truth of every pixel, {(readout, quadrant): {(x, y): [(kind, place in the library, electrons)]}}."""
    camera = camera_of(library)
    tables = tabulate_truth((n, camera.deposits(n)) for n in range(READOUTS))
    named = {(row["frame"], row["owner"]): row["library"] for row in tables["particles"]}
    every = {}
    for row in tables["pixels"]:
        place = named[row["frame"], row["owner"]] if row["kind"] == PARTICLE else -1
        frame = every.setdefault((row["frame"], row["quadrant"]), {})
        frame.setdefault((row["x"], row["y"]), []).append((row["kind"], place, row["electrons"]))
    return every


def plain_truth(event, pixels):
    """Return kind, owner and company of one event, pixel by pixel."""
    here = pixels.get((event["frame"], event["quadrant"]), {})
    near = [
        part for u in (-1, 0, 1) for v in (-1, 0, 1) for part in here.get((event["x"] + u, event["y"] + v), [])
    ]  # fmt: skip
    by_kind = {kind: sum(e for k, _, e in near if k == kind) for kind in (XRAY, PARTICLE)}
    total = sum(by_kind.values())
    if total < LEAST_ELECTRONS:
        return NOISE, -1, ALONE
    kinds = [kind for kind, electrons in by_kind.items() if electrons >= LEAST_SHARE * total]
    if kinds != [PARTICLE]:
        return (BOTH if len(kinds) == 2 else XRAY), -1, ALONE
    electrons = {}
    for _, place, e in near:
        electrons[place] = electrons.get(place, 0) + e
    owner = max((place for place in electrons if place >= 0), key=electrons.get)
    bits = ALONE
    for (frame, quadrant), held in pixels.items():
        if frame != event["frame"]:
            continue
        for (x, y), parts in held.items():
            if not any(place == owner and e * PAIR_ENERGY_EV >= SPLIT_EV for _, place, e in parts):
                continue
            away = max(abs(x - event["x"]), abs(y - event["y"]))
            if quadrant == event["quadrant"] and away <= 2:
                continue
            bits |= IN_READOUT | IN_QUADRANT * (quadrant == event["quadrant"])
            bits |= IN_WINDOW * (quadrant == event["quadrant"] and away <= 32)
    return PARTICLE, owner, bits


def test_truth_is_what_a_slow_search_finds(found, pixels):
    expected = [plain_truth(event, pixels) for event in found["events"]]
    told = [(row["kind"], row["owner"], row["company"]) for row in found["truth"]]
    assert told == expected
    assert {kind for kind, *_ in told} >= {XRAY, PARTICLE}
    bits = np.unique([bits for *_, bits in told])
    assert {ALONE, IN_READOUT, IN_READOUT | IN_QUADRANT, IN_READOUT | IN_QUADRANT | IN_WINDOW} == set(bits.tolist())


def test_windows_hold_the_pixels_of_their_events(found):
    events, truth, windows = found["events"], found["truth"], found["windows"]
    rows = np.flatnonzero(truth["window"] >= 0)
    assert np.array_equal(np.unique(truth["window"][rows]), np.arange(len(windows)))
    gain = WFI.detector.gain_ev_per_adu
    for row in rows[:60]:
        island = events["island"][row].reshape(5, 5)[1:4, 1:4] * gain
        window = windows[truth["window"][row]]
        views = np.lib.stride_tricks.sliding_window_view(window, (3, 3))
        assert np.any(np.abs(views - np.clip(np.nan_to_num(island), -32768, 32767)).max(axis=(2, 3)) <= 0.51) or (
            events["flag"][row] != 0  # at the frame's edge: part of its 3 x 3 is in no window
        )


def test_windows_are_kept_of_all_particles_in_the_band_and_some_xrays(found):
    truth, energy = found["truth"], found["events"]["energy_ev"]
    band, has = (energy >= BAND[0]) & (energy < BAND[1]), found["truth"]["window"] >= 0
    assert not has[~band].any()
    assert has[band & (truth["kind"] == PARTICLE)].all()
    assert not has[np.isin(truth["kind"], (NOISE, BOTH))].any()
    assert has[band & (truth["kind"] == XRAY)].mean() == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_no_and_all_xrays_have_windows(share, library):
    found = joined(library, with_windows=share, readouts=8)
    energy = found["events"]["energy_ev"]
    xrays = (found["truth"]["kind"] == XRAY) & (energy >= BAND[0]) & (energy < BAND[1])
    assert xrays.any()
    assert (found["truth"]["window"][xrays] >= 0).mean() == share


def test_without_windows_the_events_are_the_same(found, library):
    plain = joined(library)
    assert plain["windows"].shape == (0, 64, 64)
    assert (plain["truth"]["window"] == -1).all()
    assert_same(plain, found)


def test_events_do_not_depend_on_the_blocks(found, library, monkeypatch):
    monkeypatch.setattr(event_sets, "BLOCK", 7)
    assert_same(joined(library, with_windows=0.5), found)


def assert_same(one, other):
    for name in ("events", "tracks"):
        assert one[name].tobytes() == other[name].tobytes()
    assert np.array_equal(one["track_owner"], other["track_owner"])
    for name in ("kind", "owner", "company"):
        assert np.array_equal(one["truth"][name], other["truth"][name])


def test_other_seeds_are_other_events(found, library):
    assert joined(library, readouts=3, seed=2)["events"].tobytes() != joined(library, readouts=3)["events"].tobytes()


def test_tracks_belong_to_the_primary_with_the_most_charge_in_them(found, pixels):
    assert len(found["tracks"]) > 20
    for track, owner in zip(found["tracks"], found["track_owner"], strict=True):
        electrons = {-1: 0.0}
        for (x, y), parts in pixels.get((track["frame"], track["quadrant"]), {}).items():
            if track["x_min"] <= x <= track["x_max"] and track["y_min"] <= y <= track["y_max"]:
                for kind, place, e in parts:
                    if kind == PARTICLE and e * PAIR_ENERGY_EV >= SPLIT_EV:
                        electrons[place] = electrons.get(place, 0) + e
        assert owner == max(electrons, key=electrons.get)


def test_a_set_without_particles_has_only_xrays():
    camera = Telemetry(WFI, (XRays(per_frame=3, sensor=WFI.simulate.sensor),), seeds=Seeds(1))
    (block,) = EventSet(camera, WFI, 1.0).blocks(4)
    assert block.readouts == 4
    assert set(block.truth["kind"]) == {XRAY}
    assert set(block.truth["owner"]) == {-1}
    assert not block.truth["company"].any()


# By hand: one read-out with two primaries, 11 and 22 in the library.
PRIMARIES = np.zeros(3, PRIMARY_IN_FRAME)
PRIMARIES["frame"], PRIMARIES["owner"], PRIMARIES["library"] = (5, 5, 6), (0, 1, 0), (11, 22, 33)
TABLES = {
    "particles": PRIMARIES,
    "pixels": np.array(
        [
            (6, 0, 100, 100, PARTICLE, 0, 500.0),
            (5, 0, 100, 100, PARTICLE, 0, 500.0),  # an event, with
            (5, 0, 132, 100, PARTICLE, 0, LOUD),  # company at the end of its window
            (5, 0, 300, 300, PARTICLE, 1, 500.0),
            (5, 0, 333, 300, PARTICLE, 1, LOUD),  # just beyond it
            (5, 0, 335, 300, PARTICLE, 1, LOUD - 2),  # no signal
            (5, 1, 50, 50, PARTICLE, 1, 600.0),
            (5, 2, 60, 60, XRAY, 0, 700.0),
        ],
        PIXEL,
    ),
}


def events_at(*rows):
    events = np.zeros(len(rows), EVENT)
    for i, place in enumerate(rows):
        for name, value in zip(("frame", "quadrant", "x", "y"), place, strict=True):
            events[name][i] = value
    return events


def test_company_by_hand():
    events = events_at(
        (5, 0, 100, 100), (5, 0, 300, 300), (5, 1, 50, 50), (6, 0, 100, 100), (5, 2, 60, 60), (5, 3, 9, 9)
    )
    owners = owned(TABLES)
    assert owners["frame"].tolist() == sorted(owners["frame"])
    assert set(owners["owner"]) == {11, 22, 33}
    truth = truth_of(events, owners, TABLES)
    assert truth["kind"].tolist() == [PARTICLE, PARTICLE, PARTICLE, PARTICLE, XRAY, NOISE]
    assert truth["owner"].tolist() == [11, 22, 22, 33, -1, -1]
    wide, other = IN_READOUT | IN_QUADRANT, IN_READOUT
    assert truth["company"].tolist() == [wide | IN_WINDOW, wide, other, ALONE, ALONE, ALONE]
    assert truth["window"].tolist() == [-1] * 6


def test_what_is_within_two_pixels_is_the_event_itself():
    owners = np.zeros(3, PIXEL)
    owners["x"], owners["y"] = (10, 12, 10), (10, 10, 8)
    assert company(events_at((0, 0, 10, 10)), np.array([0]), owners).tolist() == [ALONE]
    owners["x"][1] = 13
    assert company(events_at((0, 0, 10, 10)), np.array([0]), owners).tolist() == [IN_WINDOW | IN_QUADRANT | IN_READOUT]


def test_places_of_primaries_in_any_order():
    order = np.array([2, 0, 1])
    found = places(np.array([6, 5, 5, 5]), np.array([0, 1, 0, 1]), PRIMARIES[order])
    assert found.tolist() == [33, 22, 11, 22]


def test_tracks_by_hand():
    tracks = np.zeros(3, TRACK)
    tracks["frame"] = 5, 5, 6
    tracks["x_min"], tracks["x_max"], tracks["y_min"], tracks["y_max"] = 90, (310, 140, 95), 90, (310, 110, 95)
    assert track_owners(tracks, owned(TABLES)).tolist() == [11, 11, -1]
    assert track_owners(tracks[:0], owned(TABLES)).tolist() == []


def test_the_most_central_window_of_the_quadrant():
    windows = np.zeros(3, WINDOW)
    windows["quadrant"], windows["left"], windows["bottom"] = (1, 1, 2), (100, 110, 101), 100
    events = events_at((0, 1, 132, 132), (0, 1, 150, 132), (0, 2, 132, 132), (0, 1, 100, 100))
    assert most_central(events, windows).tolist() == [0, 1, 2, 0]
    assert most_central(events, windows[:0]).tolist() == [-1] * 4
    assert most_central(events[:0], windows).tolist() == []


def test_the_command_writes_a_set(tmp_path):
    out = tmp_path / "set.h5"
    words = ["events", str(out), "--config", "wfi", "--readouts", "30", "--particles", "4", "--windows", "0.5"]
    done = CliRunner().invoke(simulate, words)
    assert done.exit_code == 0, done.output
    assert "30 read-outs; events: 0 noise, " in done.output
    with read_events(out) as file:
        assert file.attrs["readouts"] == 30
        assert len(file["windows"]) == file["truth"]["window"].max() + 1
    done = CliRunner().invoke(simulate, words)
    assert str(done.exception) == f"{out}: exists; --overwrite replaces it"


def test_straight_tracks_have_no_primaries(tmp_path):
    done = CliRunner().invoke(simulate, ["events", str(tmp_path / "set.h5"), "--config", "wfi", "--hits", "straight"])
    assert isinstance(done.exception, RaysieveError)
    assert str(done.exception) == "event set: expected a hit library, not straight tracks"
    assert list(tmp_path.iterdir()) == []


def test_parts_of_a_library_have_x_rays_of_their_own(tmp_path):
    energies = []
    for name, part in (("a", ("0", "0.5")), ("b", ("0.5", "1"))):
        words = ["events", str(tmp_path / f"{name}.h5"), "--config", "wfi", "--readouts", "10", "--part", *part]
        assert CliRunner().invoke(simulate, words).exit_code == 0
        with read_events(tmp_path / f"{name}.h5") as file:
            energies.append(set(file["events"]["energy_ev"][file["truth"]["kind"] == XRAY].tolist()))
    assert all(energies)
    assert not energies[0] & energies[1]
