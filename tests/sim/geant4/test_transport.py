"""Geant4 itself, in a process of its own."""

import numpy as np
import pytest

from sim.geant4.geometry import load_geometry, parse_geometry

CLOSE = load_geometry("close")[1]
BARE = CLOSE.partition("[board]")[0] + CLOSE[CLOSE.index("[wafers]") :]  # nothing behind the wafers
NEUTRAL = (22, 2112, 111, 130, 310, 3122)
COLUMNS = ("particle", "creator", "parent", "entering", "origin", "entry_mev", "x", "y", "z")


@pytest.fixture(scope="module")
def raw(in_engine):
    return in_engine("tracked", CLOSE)[0]


@pytest.fixture(scope="module")
def straight(in_engine):
    return in_engine("straight", BARE)[0]


def test_a_primary_gives_the_same_whatever_was_tracked_before(raw):
    """The second run took every third one, backwards: the numbers in it are places in that list."""
    order = np.arange(299, 99, -3)
    for place, primary in enumerate(order.tolist()):
        first, again = raw["primary"] == primary, raw["again_primary"] == place
        for name in COLUMNS:
            assert np.array_equal(raw[name][first], raw[f"again_{name}"][again])
        steps = np.isin(raw["step_segment"], np.flatnonzero(first))
        steps_again = np.isin(raw["again_step_segment"], np.flatnonzero(again))
        assert np.array_equal(raw["step_mev"][steps], raw["again_step_mev"][steps_again])
    assert raw["none"] == 0


def test_deposits_lie_in_the_wafers(raw):
    geometry = parse_geometry(CLOSE, "")
    half = geometry.wafers.thickness_um * 0.5e-3
    assert np.abs(raw["step_end"][:, 2] - geometry.wafers.z_mm).max() <= half + 1e-9
    corners = np.array([geometry.corner_mm(q) for q in geometry.wafers.quadrants])[raw["wafer"][raw["step_segment"]]]
    local = raw["step_end"][:, :2] - corners
    assert (local >= -1e-9).all()
    assert (local <= 512 * 0.13 + 1e-9).all()
    assert (raw["step_mev"] > 0).all()


def test_a_neutral_particle_leaves_its_energy_at_a_point(raw):
    neutral = np.flatnonzero(np.isin(raw["particle"], NEUTRAL))
    assert neutral.size
    steps = np.isin(raw["step_segment"], neutral)
    begin = np.column_stack([raw["x"], raw["y"], raw["z"]])[raw["step_segment"][steps]]
    assert np.array_equal(begin, raw["step_end"][steps])
    assert (np.bincount(raw["step_segment"][steps])[neutral] == 1).all()


def test_segments_say_where_they_come_from(raw):
    first = raw["parent"] == 0
    primary = raw["creator"] == "primary"
    assert np.array_equal(first, primary)  # all others were made by something, be it far from the silicon
    assert (raw["particle"][primary] == 2212).all()
    assert (raw["origin"][primary] == "world").all()
    inside = raw["entry_mev"] == 0
    assert (raw["particle"][~inside] == raw["entering"][~inside]).all()
    assert inside.any()
    solids = [f"{part}{i}" for part in ("wall_skin", "board") for i in range(3)]
    assert {"world"} < set(raw["origin"].tolist()) <= {"world", "wall", "cavity", "wafer", *solids}


def test_all_pieces_of_a_passage_know_the_energy_on_entering(raw):
    """A proton of the flux: every piece of its first passage, also after a step without deposit."""
    pieces = (raw["creator"] == "primary") & (raw["entry_mev"] == 0)
    assert pieces.sum() == 0


def test_a_run_that_was_cut_short_is_refused(in_engine):
    assert in_engine("interrupted", BARE)[0]["said"] == "Geant4 tracked 5 of 20 primaries"


def test_1_gev_protons_straight_through_the_wafer(straight):
    """PDG: most probable 138.8 keV in 450 um of silicon; the mean is Bethe's less what delta rays carry away."""
    here = straight["wafer"][straight["step_segment"]] == 0  # a few delta rays turn round and reach other wafers
    kev = np.bincount(straight["primary"][straight["step_segment"]][here], straight["step_mev"][here] * 1e3, 1500)
    assert kev.min() > 50
    assert kev.mean() == pytest.approx(175, rel=0.05)
    ordered = np.sort(kev)
    third = ordered.size // 3  # the narrowest interval that holds a third of them, as a mode that chance moves little
    start = (ordered[third:] - ordered[:-third]).argmin()
    assert 135 < ordered[start : start + third].mean() < 146
    entries = straight["entry_mev"][straight["creator"] == "primary"]
    assert entries == pytest.approx(np.full(entries.size, 1000.0))
