import json

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import ConfigError
from sim.hit_library import FORMAT, HIT, HitLibrary, LibraryWriter, shipped
from stream.transport import hdf5
from tests.sim.libraries import described, drawn, write

BATCHES = [drawn(40, 1), drawn(1, 2), drawn(25, 3)]
N = 66


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with HitLibrary(write(tmp_path_factory.mktemp("library") / "hits.h5", *BATCHES)) as opened:
        yield opened


def rebuilt(first, stop):
    """Slow twin: follow every way step by step, in all the rows that were written."""
    rows, place, count = [], 0, 0
    for primaries, segments, steps in BATCHES:
        ends = [*primaries["first_segment"][1:], len(segments)]
        used = 0
        for i in range(len(primaries)):
            for segment in segments[primaries["first_segment"][i] : ends[i]]:
                at = np.array([segment["x"], segment["y"], segment["z"]])
                for step in steps[used : used + segment["steps"]]:
                    end = at + np.array([step["dx"], step["dy"], step["dz"]])
                    if first <= place < stop:
                        rows.append((place, segment["quadrant"], at, end, step["energy_ev"], count))
                    at = end
                used += segment["steps"]
                count += first <= place < stop
            place += 1
    return np.array(rows, HIT)


@given(st.integers(0, N + 5), st.integers(0, N + 5))
@settings(max_examples=60, deadline=None)
def test_the_hits_of_any_range_are_the_ways_that_were_written(library, first, stop):
    hits, twin = library.hits(first, stop), rebuilt(first, stop)
    assert hits.dtype == HIT
    assert np.array_equal(hits, twin)


def test_the_tables_come_back_as_they_were_written(library):
    assert len(library) == N
    assert library.production == described()
    own = [np.concatenate([batch[table] for batch in BATCHES]) for table in range(2)]
    primaries = library.primaries()
    for name in ("number", "energy_gev", "deposit_kev"):
        assert np.array_equal(primaries[name], own[0][name])
    assert np.array_equal(library.segments(0, N), own[1])
    assert np.array_equal(library.primaries(40, 41), primaries[40:41])


def test_an_empty_range_has_no_rows(library):
    for first, stop in ((3, 3), (5, 2), (N, N + 1), (1000, 2000)):
        assert library.hits(first, stop).size == 0
        assert library.segments(first, stop).size == 0
        assert library.primaries(first, max(first, stop)).size == 0


class Noting:
    """A dataset that notes how many rows were asked for."""

    def __init__(self, dataset):
        self.dataset, self.rows = dataset, 0

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, part):
        rows = self.dataset[part]
        self.rows += len(rows)
        return rows


def test_only_the_range_is_read(tmp_path):
    with HitLibrary(write(tmp_path / "hits.h5", drawn(300, 4))) as library:
        tables = [Noting(getattr(library, name)) for name in ("_primaries", "_segments", "_steps")]
        library._primaries, library._segments, library._steps = tables
        hits = library.hits(100, 105)
        assert tables[2].rows == len(hits)
        assert tables[1].rows == hits["segment"].max() + 1
        assert tables[0].rows <= 7


def test_the_file_has_its_name_only_when_it_is_whole(tmp_path):
    writer = LibraryWriter(tmp_path / "hits.h5", described())
    writer.write(*BATCHES[0])
    assert not (tmp_path / "hits.h5").exists()
    writer.__exit__(RuntimeError, RuntimeError(), None)
    assert list(tmp_path.iterdir()) == []


def test_it_makes_its_folder(tmp_path):
    assert write(tmp_path / "a" / "b" / "hits.h5", *BATCHES).is_file()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        LibraryWriter(tmp_path / "file" / "hits.h5", described())
    with pytest.raises(ConfigError, match="a file to write, not a folder"):
        LibraryWriter(tmp_path, described())


def refused(path):
    with pytest.raises(ConfigError) as caught:
        HitLibrary(path)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said


def test_a_wrong_file_is_one_line(tmp_path):
    assert "no such file; raysieve simulate hits makes one" in refused(tmp_path / "none.h5")
    assert "no such file" in refused(tmp_path)
    (tmp_path / "text.h5").write_text("hello")
    assert f"file signature not found; expected {FORMAT}" in refused(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        hdf5.write_text(file, "format", "raysieve recording")
    assert f"expected {FORMAT}, got 'raysieve recording'" in refused(tmp_path / "other.h5")
    with h5py.File(tmp_path / "bare.h5", "w"):
        pass
    assert f"expected {FORMAT}, got ''" in refused(tmp_path / "bare.h5")


def test_an_empty_library_is_one_line(tmp_path):
    assert "at least one primary, it holds none" in refused(write(tmp_path / "hits.h5"))


def test_a_truncated_file_is_one_line(tmp_path):
    path = write(tmp_path / "hits.h5", *BATCHES)
    whole = path.read_bytes()
    for size in (len(whole) * 3 // 4, 2000, 100, 0):
        path.write_bytes(whole[:size])
        refused(path)


@pytest.mark.parametrize("change", ["production", "key", "table", "column", "json", "group"])
def test_a_damaged_library_is_one_line(change, tmp_path):
    path = write(tmp_path / "hits.h5", *BATCHES)
    with h5py.File(path, "r+") as file:
        stored = json.loads(file.attrs["production"])
        if change == "production":
            del file.attrs["production"]
        elif change == "key":
            file.attrs["production"] = json.dumps(stored | {"unknown": 1})
        elif change == "json":
            file.attrs["production"] = "[1"
        else:
            del file["steps"]
        if change == "column":
            file["steps"] = np.zeros(9, [("dx", "i4")])
        if change == "group":
            file.create_group("steps")
    refused(path)


def test_a_damaged_block_is_one_line_when_it_is_read(tmp_path):
    path = write(tmp_path / "hits.h5", *BATCHES)
    with h5py.File(path) as file:
        place = file["steps"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[place.byte_offset + place.size // 2] ^= 0xFF
    path.write_bytes(content)
    with HitLibrary(path) as library, pytest.raises(ConfigError, match="cannot be read"):
        library.hits(0, N)


def test_the_shipped_one_is_of_the_wfi():
    with HitLibrary(shipped()) as library:
        made = library.production
        rows = library.primaries()
        hits = library.hits(0, 200)
    assert (made.geometry, made.rows, made.columns, made.pixel_um) == ("close", 512, 512, 130.0)
    assert len(rows) / made.sphere_primaries == pytest.approx(0.0067, rel=0.1)  # of all primaries leave a signal
    assert np.median(rows["deposit_kev"]) == pytest.approx(285, rel=0.05)
    assert np.bincount(hits["primary"], hits["energy_ev"]) == pytest.approx(rows["deposit_kev"][:200] * 1e3, rel=1e-5)
