import json

import h5py
import numpy as np
import pytest

from config.errors import ConfigError
from sim.frame_file import FrameFile, read_set
from sim.frame_sets import CLASSES, OWNER, PARTICLE_ROW, XRAY_ROW, Frames

SHAPE = (1, 6, 7)


def block(n, seed):
    rng = np.random.default_rng(seed)
    tables = {
        "pixels": np.zeros(3 * n, OWNER),
        "xrays": np.zeros(n, XRAY_ROW),
        "particles": np.zeros(n // 2, PARTICLE_ROW),
    }
    for table in tables.values():
        table["frame"] = rng.integers(0, n, table.size)
    label = rng.integers(0, 4, n).astype(np.uint8)
    return Frames(rng.integers(-30, 900, (n, *SHAPE)).astype(np.int16), label, tables)


def written(path, *blocks):
    with FrameFile(path, SHAPE, {"seed": 5, "part": (0, 9)}) as file:
        for one in blocks:
            file.write(one)
    return path


def test_a_set_comes_back_as_it_was_written(tmp_path):
    blocks = [block(20, 1), block(1, 2), block(8, 3)]
    with read_set(written(tmp_path / "a" / "set.h5", *blocks)) as file:
        assert np.array_equal(file["frames"], np.concatenate([one.pixels for one in blocks]))
        assert np.array_equal(file["label"], np.concatenate([one.label for one in blocks]))
        for name in ("pixels", "xrays", "particles"):
            assert np.array_equal(file[name], np.concatenate([one.tables[name] for one in blocks]))
        assert json.loads(file.attrs["about"]) == {"seed": 5, "part": [0, 9]}
        assert json.loads(file.attrs["classes"]) == list(CLASSES)


def test_an_empty_set_can_be_read(tmp_path):
    with read_set(written(tmp_path / "set.h5")) as file:
        assert file["frames"].shape == (0, *SHAPE)


def refused(path):
    with pytest.raises(ConfigError) as caught:
        read_set(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


@pytest.mark.parametrize("change", ["label", "frames", "short", "table", "columns"])
def test_a_damaged_set_is_one_line(change, tmp_path):
    path = written(tmp_path / "set.h5", block(20, 1))
    with h5py.File(path, "r+") as file:
        if change == "columns":
            del file["xrays"]
            file["xrays"] = np.zeros(3, PARTICLE_ROW)
        elif change == "short":
            file["label"].resize(3, axis=0)
        else:
            del file["pixels" if change == "table" else change]
    refused(path)


def test_another_file_is_one_line(tmp_path):
    refused(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("hello")
    refused(tmp_path / "text.h5")
    path = written(tmp_path / "set.h5", block(2000, 1))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path)
