import json

import h5py
import numpy as np
import pytest

from config.errors import ConfigError
from sim.event_file import FORMAT, EventFile, read_events
from sim.event_sets import TRUTH, Block
from stream.messages import EVENT, TRACK


def block(events, windows, seed):
    rng = np.random.default_rng(seed)
    tables = np.zeros(events, EVENT), np.zeros(events, TRUTH), np.zeros(events // 2, TRACK)
    tables[0]["frame"], tables[0]["energy_ev"] = rng.integers(0, 9, events), rng.random(events) * 1e4
    tables[1]["kind"], tables[1]["window"] = rng.integers(1, 3, events), rng.integers(-1, windows, events)
    pixels = rng.integers(-40, 9000, (windows, 64, 64)).astype(np.int16)
    return Block(9, *tables, rng.integers(-1, 99, events // 2), pixels)


def written(path, *blocks):
    with EventFile(path, {"seed": 5, "windows": 0.2}) as file:
        for one in blocks:
            file.write(one)
    return path


def test_a_set_comes_back_with_windows_counted_from_its_first(tmp_path):
    blocks = [block(40, 7, 1), block(0, 0, 2), block(9, 3, 3)]
    before = [one.truth["window"].copy() for one in blocks]
    with read_events(written(tmp_path / "a" / "set.h5", *blocks)) as file:
        assert file.attrs["readouts"] == 27
        assert json.loads(file.attrs["about"]) == {"seed": 5, "windows": 0.2}
        for name in ("events", "tracks", "track_owner", "windows"):
            together = np.concatenate([getattr(one, name) for one in blocks])
            assert file[name][()].tobytes() == together.astype(file[name].dtype).tobytes()
        expected = np.concatenate([before[0], np.where(before[2] < 0, -1, before[2] + 7)])
        assert file["truth"]["window"].tolist() == expected.tolist()
    assert all(np.array_equal(one.truth["window"], old) for one, old in zip(blocks, before, strict=True))


def test_an_empty_set_can_be_read(tmp_path):
    with read_events(written(tmp_path / "set.h5", block(0, 0, 1))) as file:
        assert file["events"].shape == (0,)
        assert file["windows"].shape == (0, 64, 64)


def refused(path, match=None):
    with pytest.raises(ConfigError, match=match) as caught:
        read_events(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("events", "/events: expected a dataset"),
        ("truth", "tables of different length"),
        ("tracks", "/tracks: expected a table of frame"),
        ("track_owner", "tables of different length"),
        ("windows", "/windows: expected int16 n x 64 x 64, got int16 2 x 32 x 32"),
    ],
)
def test_a_damaged_set_is_one_line(name, match, tmp_path):
    path = written(tmp_path / "set.h5", block(20, 2, 1))
    with h5py.File(path, "r+") as file:
        if name in ("truth", "track_owner"):
            file[name].resize(3, axis=0)
        else:
            del file[name]
            if name == "tracks":
                file[name] = np.zeros(10, EVENT[["frame", "time_ns"]].newbyteorder("<"))
            elif name == "windows":
                file[name] = np.zeros((2, 32, 32), np.int16)
    refused(path, match)


def test_a_foreign_file_is_one_line(tmp_path):
    refused(tmp_path / "none.h5", f"expected {FORMAT}")
    (tmp_path / "text.h5").write_text("hello")
    refused(tmp_path / "text.h5", f"expected {FORMAT}")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["format"] = np.bytes_("raysieve frame set")
    refused(tmp_path / "other.h5", f"attribute format: expected {FORMAT}, got 'raysieve frame set'")
    path = written(tmp_path / "set.h5", block(20_000, 40, 1))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path)
