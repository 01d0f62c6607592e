from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.errors import ConfigError
from stream.transport.foreign import wfi_pixels
from stream.transport.maps import read_maps
from tests.stream.transport.foreign.lists import read, table, write

ORIGINS = {0: (632, 52), 1: (632, 610), 2: (59, 610), 3: (59, 52)}


def pixels(count: int = 300, frames: tuple[int, ...] = (3, 4, 7)) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    chip = rng.integers(0, 4, count)
    chip[:2] = 2
    x, y = rng.integers(0, 512, (2, count))
    x[1], y[1] = x[0], y[0]
    origin = np.array([ORIGINS[n] for n in range(4)])[chip]
    number = np.sort(rng.choice(frames, count))
    number[[0, -1]] = frames[0], frames[-1]
    energy = rng.uniform(0.2, 50, count).astype(np.float32)
    energy[5] = 900
    return {
        "FRAME": number,
        "DETID": chip,
        "ACTX": x + origin[:, 0],
        "ACTY": y + origin[:, 1],
        "ENERGY": energy.astype(float),
    }


def plain(columns: dict[str, Any]) -> dict[int, np.ndarray]:
    """Return the focal plane of each frame, keV."""
    images: dict[int, np.ndarray] = {}
    for frame, _, x, y, energy in zip(*columns.values(), strict=True):
        images.setdefault(int(frame), np.zeros((1122, 1144)))[y, x] += energy
    return images


def test_frames_hold_the_energy_of_every_pixel(tmp_path: Path) -> None:
    columns = pixels()
    made = wfi_pixels.convert(write(tmp_path / "pix.fits", table(columns, "PIX")), tmp_path / "a.h5")
    recording, frames = read(tmp_path / "a.h5")
    assert made == (5, 300, 0)
    assert (recording.start.pixel_dtype, recording.start.gain_ev) == ("<f4", 1000.0)
    assert [(f.sequence, f.quadrant) for f in frames] == [(n, q) for n in range(5) for q in range(4)]
    images = plain(columns)
    for f in frames:
        x, y = ORIGINS[f.quadrant]
        wanted = images.get(f.source_frame, np.zeros((1122, 1144)))[y : y + 512, x : x + 512]
        assert np.allclose(f.pixels, wanted, rtol=1e-6, atol=0)
        assert f.time_ns == f.source_frame * 5_000_000


def test_the_source_keeps_its_names(tmp_path: Path) -> None:
    wfi_pixels.convert(write(tmp_path / "pix_0000.fits", table(pixels(), "PIX")), tmp_path / "a.h5")
    start = read(tmp_path / "a.h5")[0].start
    assert start.run_id == "pix_0000"
    for q in start.quadrants:
        assert (q.source_chip, q.source_x, q.source_y) == (q.id, *ORIGINS[q.id])
        assert (q.origin_x_px, q.origin_y_px, q.columns, q.rows) == (*ORIGINS[q.id], 512, 512)


def test_frames_in_adu_are_rounded_and_cut_at_the_end_of_the_range(tmp_path: Path) -> None:
    columns = pixels()
    path = write(tmp_path / "pix.fits", table(columns, "PIX"))
    wfi_pixels.convert(path, tmp_path / "a.h5", adu_ev=3.65)
    recording, frames = read(tmp_path / "a.h5")
    assert (recording.start.pixel_dtype, recording.start.gain_ev) == ("<u2", 3.65)
    images, maps = plain(columns), read_maps(tmp_path / "a.h5")
    for f in frames:
        x, y = ORIGINS[f.quadrant]
        kev = images.get(f.source_frame, np.zeros((1122, 1144)))[y : y + 512, x : x + 512]
        assert np.abs((f.pixels - maps[f.quadrant].offset) * 3.65 - 1000 * kev)[kev < 200].max() < 1.83
        assert (f.pixels[kev > 300] == 65535).all()
    assert max(f.pixels.max() for f in frames) == 65535


def test_empty_frames_at_the_ends_are_told_by_the_header(tmp_path: Path) -> None:
    path = write(tmp_path / "pix.fits", table(pixels(), "PIX", NFRAMES=10, TEXPFRAM=0.002))
    assert wfi_pixels.convert(path, tmp_path / "a.h5").readouts == 10
    recording, frames = read(tmp_path / "a.h5")
    assert [f.source_frame for f in frames[::4]] == list(range(10))
    assert recording.start.frame_time_ns == 2_000_000
    assert frames[-1].time_ns == 18_000_000


def test_primaries_are_frames_where_there_are_no_frames(tmp_path: Path) -> None:
    columns = pixels()
    columns["PRIMID"] = columns.pop("FRAME")
    wfi_pixels.convert(write(tmp_path / "raw.fits", table(columns, "RAW", NFRAMES=10)), tmp_path / "a.h5")
    assert [f.source_frame for f in read(tmp_path / "a.h5")[1][::4]] == [3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DETID", 4, "column DETID: expected 0..3, got 4"),
        ("ACTX", 58, "row 7: ACTX, ACTY outside its DETID"),
        ("ACTY", 1122, "row 7: ACTX, ACTY outside its DETID"),
        ("FRAME", -1, "column FRAME: expected whole numbers from 0"),
        ("FRAME", 2**31 - 1, "column FRAME: expected at most 5000000 exposures"),
        ("ENERGY", np.nan, "column ENERGY: expected finite numbers, row 7"),
    ],
)
def test_malformed_lists_are_refused(tmp_path: Path, name: str, value: float, said: str) -> None:
    columns = pixels()
    columns[name][7] = value
    with pytest.raises(ConfigError, match=said):
        wfi_pixels.convert(write(tmp_path / "pix.fits", table(columns, "PIX")), tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


@pytest.mark.parametrize("adu_ev", [0.0, -1.0, np.inf, np.nan])
def test_a_size_of_an_adu_is_above_0(tmp_path: Path, adu_ev: float) -> None:
    with pytest.raises(ConfigError, match="adu_ev: expected eV above 0"):
        wfi_pixels.convert(tmp_path / "pix.fits", tmp_path / "a.h5", adu_ev=adu_ev)


def test_a_list_without_frames_is_refused(tmp_path: Path) -> None:
    columns = {name: values for name, values in pixels().items() if name != "FRAME"}
    with pytest.raises(ConfigError, match="no column FRAME or PRIMID"):
        wfi_pixels.convert(write(tmp_path / "pix.fits", table(columns, "PIX")), tmp_path / "a.h5")
