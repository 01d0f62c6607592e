import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.geant4.aim import aim
from sim.geant4.compact import MERGE_UM, Names, compact
from sim.geant4.geometry import load_geometry
from sim.geant4.transport import Collected, to_arrays
from sim.kernels_hits import merge_steps

GEOMETRY, _ = load_geometry("close")
PRIMARIES = aim(GEOMETRY, 10, 1, 0)


def merged_plainly(segment, begin, end, energy, near2):
    """Slow twin: lists, one joined step after the other."""
    rows = []
    for i, number in enumerate(segment):
        last = rows[-1] if rows and rows[-1]["segment"] == number else None
        if last and last["short"] and np.sum((end[i] - last["start"]) ** 2) < near2:
            last["end"], last["energy"] = end[i], last["energy"] + energy[i]
            continue
        start = last["end"] if last else begin[number]
        short = np.sum((end[i] - start) ** 2) < near2
        rows.append({"segment": number, "start": start, "end": end[i], "energy": energy[i], "short": short})
    ends = np.array([row["end"] for row in rows]).reshape(-1, 3)
    return np.array([row["segment"] for row in rows], np.int64), ends, np.array([row["energy"] for row in rows])


@st.composite
def ways(draw):
    n, segments = draw(st.integers(0, 30)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.sampled_from([0.3, 1.0, 3.0, 30.0]))
    segment = np.sort(rng.integers(0, segments, n))
    begin = rng.normal(size=(segments, 3)) * size
    end = np.cumsum(rng.normal(size=(n, 3)) * rng.choice([0.1, 1.0, 5.0], (n, 1)) * size, axis=0)
    return segment, begin, end, rng.exponential(1000, n)


@given(ways())
def test_merging_equals_its_plain_twin(way):
    for ours, theirs in zip(merge_steps(*way, MERGE_UM**2), merged_plainly(*way, MERGE_UM**2), strict=True):
        assert ours.shape == theirs.shape
        assert ours == pytest.approx(theirs)


@given(ways())
def test_merging_keeps_the_energy_of_each_segment_and_its_end(way):
    segment, begin, end, energy = way
    owner, ends, sums = merge_steps(*way, MERGE_UM**2)
    n = len(begin)
    assert np.bincount(owner, sums, n) == pytest.approx(np.bincount(segment, energy, n))
    for number in np.unique(segment):
        assert np.array_equal(ends[owner == number][-1], end[segment == number][-1])


def test_a_long_step_keeps_its_energy_to_itself_even_if_the_next_comes_back():
    begin, end = np.zeros((1, 3)), np.array([[100.0, 0, 0], [0.5, 0, 0], [0.6, 0, 0], [0.7, 0, 0]])
    owner, ends, sums = merge_steps(np.zeros(4, np.int64), begin, end, np.array([100.0, 90.0, 1.0, 2.0]), 4.0)
    assert owner.tolist() == [0, 0, 0]
    assert ends[:, 0].tolist() == [100.0, 0.5, 0.7]
    assert sums.tolist() == [100.0, 90.0, 3.0]


def test_nothing_stays_nothing():
    none = merge_steps(np.empty(0, np.int64), np.empty((0, 3)), np.empty((0, 3)), np.empty(0), 4.0)
    assert [part.shape for part in none] == [(0,), (0, 3), (0,)]


def collected():
    """Two primaries: the second leaves a proton's way and a photon's point in another wafer, the first too little."""
    x, y = GEOMETRY.corner_mm(GEOMETRY.wafers.quadrants[2])
    top = GEOMETRY.wafers.z_mm + 0.225
    place = (x + 1.0, y + 2.0, top)
    segments = [
        (4, 0, 2212, "primary", 0, 2212, "world", 900.0, *GEOMETRY.corner_mm(GEOMETRY.wafers.quadrants[0]), top),
        (7, 2, 2212, "primary", 0, 2212, "world", 1000.0, *place),
        (7, 2, 22, "eBrem", 11, 22, "wall", 0.05, x + 3.0, y + 3.0, top - 0.1),
    ]
    steps = [
        (0, *place, 2e-7),  # 0.2 eV
        (1, x + 1.001, y + 2.0, top - 0.001, 0.001),  # 1.4 um: joined with the next
        (2, x + 3.0, y + 3.0, top - 0.1, 0.006),
        (1, x + 1.001, y + 2.001, top - 0.001, 0.002),
        (1, x + 1.0, y + 2.2, top - 0.45, 0.15),
    ]
    return Collected(segments, steps)


def test_what_was_collected_becomes_rows():
    names = {"processes": Names(), "volumes": Names(["wall"])}
    primaries, segments, steps = compact(to_arrays(collected()), PRIMARIES, GEOMETRY, 100, names)
    assert primaries["number"].tolist() == [107]
    assert primaries["deposit_kev"] == pytest.approx([159.0])
    assert primaries["energy_gev"] == pytest.approx(PRIMARIES.energy_gev[[7]])
    assert np.linalg.norm(primaries["sphere_mm"]) == pytest.approx(700, rel=1e-6)
    assert segments["quadrant"].tolist() == [2, 2]
    assert [names["processes"].names[n] for n in segments["creator"]] == ["primary", "eBrem"]
    assert [names["volumes"].names[n] for n in segments["origin"]] == ["world", "wall"]
    assert segments["entry_kev"] == pytest.approx([1e6, 50.0])
    assert segments[["x", "y", "z"]].tolist() == [(1000, 2000, 0), (3000, 3000, 100)]
    assert segments["steps"].tolist() == [2, 1]
    assert steps.tolist() == [(1, 1, 1, 3000), (-1, 199, 449, 150_000), (0, 0, 0, 6000)]


def test_no_signal_gives_no_rows():
    names = {"processes": Names(), "volumes": Names()}
    assert [len(rows) for rows in compact(to_arrays(Collected()), PRIMARIES, GEOMETRY, 0, names)] == [0, 0, 0]


def test_names_have_numbers_as_they_come():
    names = Names()
    assert names.number(np.array(["b", "a", "b"])).tolist() == [1, 0, 1]
    assert names.number(np.array(["c", "b"])).tolist() == [2, 1]
    assert names.number(np.array([], "U32")).size == 0
    many = Names()
    assert many.number(np.array([f"{i:03d}" for i in range(300)])).tolist() == [*range(255), *[255] * 45]
    assert len(many.names) == 255
