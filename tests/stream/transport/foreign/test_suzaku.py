from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.errors import ConfigError
from stream.transport.foreign import suzaku
from stream.transport.maps import read_maps
from tests.stream.transport.foreign.lists import SUZAKU_KEYS, T0, read, suzaku_events, table, write

AROUND = [(0, 0), (-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)]  # dx, dy of PHAS


def suzaku_list(path: Path, columns: dict[str, Any], *more: Any, **keys: Any) -> Path:
    return write(path, table(columns, **(SUZAKU_KEYS | keys)), *more)


def test_every_value_is_at_its_pixel(tmp_path: Path) -> None:
    columns = suzaku_events()
    made = suzaku.convert(suzaku_list(tmp_path / "evt.fits", columns), tmp_path / "a.h5")
    recording, frames = read(tmp_path / "a.h5")
    assert made == (5, len(columns["TIME"]), 0)
    by = {f.source_frame: f.pixels.astype(int) for f in frames}
    names = ("EXPOSURE_SEQ_NO", "ACTX", "ACTY", "PHAS")
    for number, x, y, phas in zip(*(columns[n] for n in names), strict=True):
        for (dx, dy), value in zip(AROUND, phas, strict=True):
            assert by[number][y + dy, x + dx] - 4096 == value
    assert sum((f.pixels != recording.start.blank).sum() for f in frames) == 9 * len(columns["TIME"])
    assert (read_maps(tmp_path / "a.h5")[0].offset == 4096).all()


def test_exposures_follow_the_clock(tmp_path: Path) -> None:
    suzaku.convert(suzaku_list(tmp_path / "evt.fits", suzaku_events()), tmp_path / "a.h5")
    recording, frames = read(tmp_path / "a.h5")
    assert [f.source_frame for f in frames] == [5, 6, -1, -1, 7]
    assert [f.time_ns for f in frames] == [round(1e9 * (T0 + 8 * n - 4)) for n in range(5)]
    start = recording.start
    assert (start.frame_time_ns, start.live_time_ns) == (8_000_000_000, 100_000_000)
    assert start.mjdref == (51544, 0.00074287037037037)
    assert (start.quadrants[0].segment_columns, start.quadrants[0].source_chip) == (256, 0)


def test_window_modes_read_more_often_than_the_header_says(tmp_path: Path) -> None:
    columns = suzaku_events()
    columns["TIME"] = T0 + np.array([0.0, 2.0, 8.0])[columns["EXPOSURE_SEQ_NO"] - 5]
    suzaku.convert(suzaku_list(tmp_path / "evt.fits", columns), tmp_path / "a.h5")
    recording, frames = read(tmp_path / "a.h5")
    assert recording.start.frame_time_ns == 2_000_000_000
    assert [f.source_frame for f in frames] == [5, 6, -1, -1, 7]


def test_exposures_of_the_good_times_only(tmp_path: Path) -> None:
    good = table({"START": np.array([T0 - 1, T0 + 20]), "STOP": np.array([T0 + 9, T0 + 40])}, "STDGTI")
    suzaku.convert(suzaku_list(tmp_path / "evt.fits", suzaku_events(), good), tmp_path / "a.h5")
    assert [f.sequence for f in read(tmp_path / "a.h5")[1]] == [0, 1, 3, 4]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ACTX", 1024, "column ACTX: expected whole numbers in 0..1023"),
        ("ACTY", -1, "column ACTY: expected whole numbers in 0..1023"),
        ("PHAS", 4096, "column PHAS: expected whole numbers in -4095..4095"),
        ("EXPOSURE_SEQ_NO", 99, "column EXPOSURE_SEQ_NO: different numbers at one TIME"),
        ("TIME", np.inf, "column TIME: expected finite numbers"),
        ("TIME", 1e12, "column TIME: expected at most 5000000 exposures"),
    ],
)
def test_malformed_lists_are_refused(tmp_path: Path, name: str, value: float, said: str) -> None:
    columns = suzaku_events()
    columns[name][-1] = value
    with pytest.raises(ConfigError, match=said):
        suzaku.convert(suzaku_list(tmp_path / "evt.fits", columns), tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


def test_other_modes_are_refused(tmp_path: Path) -> None:
    columns = suzaku_events()
    columns["PHAS"] = np.zeros((len(columns["TIME"]), 25), int)
    with pytest.raises(ConfigError, match="column PHAS: expected 9 values in a cell, got 25"):
        suzaku.convert(suzaku_list(tmp_path / "evt.fits", columns), tmp_path / "a.h5")
