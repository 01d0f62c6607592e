import hashlib
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers the filter
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import ConfigError, LinkError
from stream.messages import DEAD, FLICKERING, Maps, version_of
from stream.transport.maps import build, read_maps, write_maps
from stream.transport.recording import RecordingWriter
from tests.stream.transport.recordings import COLUMNS, ROWS, start


def some(quadrant: int = 3, seed: int = 0) -> Maps:
    rng = np.random.default_rng(seed)
    bad = rng.integers(0, DEAD + 1, (7, 5))
    return build(quadrant, rng.normal(500, 20, (7, 5)), rng.uniform(1, 3, (7, 5)), bad)


def test_maps_come_back(tmp_path: Path) -> None:
    given_maps = {n: some(n, seed=n) for n in (0, 255)}
    write_maps(tmp_path / "maps.h5", given_maps.values(), "run 1")
    back = read_maps(tmp_path / "maps.h5")
    assert back.keys() == given_maps.keys()
    for number, maps in back.items():
        assert maps.version == given_maps[number].version
        for name, dtype in (("offset", np.float32), ("noise", np.float32), ("bad", np.uint8)):
            assert getattr(maps, name).dtype == dtype
            assert np.array_equal(getattr(maps, name), getattr(given_maps[number], name))


def test_no_maps_are_a_file_without_any(tmp_path: Path) -> None:
    write_maps(tmp_path / "maps.h5", [], "run 1")
    assert read_maps(tmp_path / "maps.h5") == {}


def test_maps_are_read_from_a_recording(tmp_path: Path) -> None:
    flat = np.ones((ROWS, COLUMNS))
    maps = build(0, flat * 500, flat, flat * 0)
    with RecordingWriter(tmp_path / "a.h5", start(), maps=[maps]):
        pass
    assert read_maps(tmp_path / "a.h5")[0].version == maps.version


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(["offset", "noise", "bad"]), st.integers(0, 34))
def test_the_version_changes_with_any_pixel(name: str, place: int) -> None:
    maps = some()
    arrays = {part: getattr(maps, part).copy() for part in ("offset", "noise", "bad")}
    assert version_of(**arrays) == maps.version
    arrays[name].flat[place] += 1
    assert version_of(**arrays) != maps.version


def test_the_version_is_the_sha_256_of_the_arrays() -> None:
    maps = some()
    content = maps.offset.tobytes() + maps.noise.tobytes() + maps.bad.tobytes()
    assert hashlib.sha256(content).hexdigest().startswith(maps.version)
    assert len(maps.version) == 12


def test_a_wrong_version_is_put_right_when_written(tmp_path: Path) -> None:
    maps = some()
    wrong = Maps(quadrant=3, offset=maps.offset, noise=maps.noise, bad=maps.bad, version="truth")
    write_maps(tmp_path / "maps.h5", [wrong], "run 1")
    assert read_maps(tmp_path / "maps.h5")[3].version == maps.version


def change(path: Path, name: str, values: Any) -> None:
    with h5py.File(path, "r+") as file:
        del file["maps/q3"][name]
        file["maps/q3"][name] = values


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("offset", np.zeros((7, 5), "<f4"), "is not that of its arrays"),
        ("offset", np.zeros((7, 6), "<f4"), "noise: expected float32 7 x 6, got float32 7 x 5"),
        ("offset", np.zeros((7, 5), "<f8"), "expected float32 7 x 5, got float64"),
        ("offset", np.zeros((0, 5), "<f4"), "expected rows x columns of 1..8192"),
        ("offset", np.zeros(5, "<f4"), "expected rows x columns of 1..8192"),
        ("bad", np.zeros((7, 5), "<u2"), "expected uint8"),
    ],
)
def test_changed_arrays_are_refused(tmp_path: Path, name: str, values: Any, said: str) -> None:
    write_maps(tmp_path / "maps.h5", [some()], "run 1")
    change(tmp_path / "maps.h5", name, values)
    with pytest.raises(ConfigError, match="maps: ") as fault:
        read_maps(tmp_path / "maps.h5")
    assert said in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("offset", "noise", "bad", "said"),
    [
        (np.nan, 1, 0, "finite"),
        (500, np.inf, 0, "finite"),
        (500, -1, 0, "noise of at least 0"),
        (500, 1, DEAD + 1, "kinds of bad pixels"),
    ],
)
def test_impossible_maps_are_refused(tmp_path: Path, offset: float, noise: float, bad: int, said: str) -> None:
    flat = np.ones((7, 5))
    write_maps(tmp_path / "maps.h5", [build(3, flat * offset, flat * noise, flat * bad)], "run 1")
    with pytest.raises(ConfigError, match=said):
        read_maps(tmp_path / "maps.h5")


def test_bad_pixels_may_hold_anything(tmp_path: Path) -> None:
    offset = np.full((7, 5), np.nan)
    write_maps(tmp_path / "maps.h5", [build(3, offset, offset, np.full((7, 5), FLICKERING))], "run 1")
    assert np.isnan(read_maps(tmp_path / "maps.h5")[3].offset).all()


@pytest.mark.parametrize("name", ["q256", "q-1", "Q3", "3"])
def test_maps_of_no_quadrant_are_refused(tmp_path: Path, name: str) -> None:
    write_maps(tmp_path / "maps.h5", [some()], "run 1")
    with h5py.File(tmp_path / "maps.h5", "r+") as file:
        file["maps"].move("q3", name)
    with pytest.raises(ConfigError, match="expected q0 to q255"):
        read_maps(tmp_path / "maps.h5")


def test_a_folder_that_is_not_there_is_a_link_error(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="cannot be written"):
        write_maps(tmp_path / "none" / "maps.h5", [some()], "run 1")
