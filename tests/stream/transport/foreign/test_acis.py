from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.errors import ConfigError, LinkError
from stream.messages import DEAD, HOT
from stream.transport.foreign import acis
from tests.stream.transport.foreign.lists import (
    FIRST,
    FRAME_S,
    LAST,
    LIVE_S,
    T0,
    acis_list,
    bad_list,
    bias_frame,
    events,
    gti,
    read,
    table,
    write,
)


def islands_of(frames: Any, recording: Any, columns: dict[str, Any], half: int) -> list[np.ndarray]:
    """Return raw island and island from which it was made for each event: from the frame with its EXPNO and CCD."""
    chips = {q.id: q for q in recording.start.quadrants}
    by = {(f.source_frame, f.quadrant): f.pixels for f in frames}
    found = []
    for expno, ccd, x, y in zip(*(columns[n].tolist() for n in ("EXPNO", "CCD_ID", "CHIPX", "CHIPY")), strict=True):
        u, v = x - chips[ccd].source_x, y - chips[ccd].source_y
        around = np.pad(by[expno, ccd].astype(int), half)
        found.append(around[v : v + 2 * half + 1, u : u + 2 * half + 1])
    return found


@pytest.mark.parametrize("half", [1, 2])
def test_without_bias_islands_lie_on_a_pedestal_in_blank_frames(tmp_path: Path, half: int) -> None:
    columns = events(half, (5, 7))
    made = acis.convert(acis_list(tmp_path / "evt.fits", columns), tmp_path / "a.h5")
    recording, frames = read(tmp_path / "a.h5")
    assert made == (LAST - FIRST + 1, len(columns["EXPNO"]), 0)
    assert recording.start.blank == 0
    inside = [columns["PHAS"] != 0][0]  # cut() has 0 outside the chip
    found = np.array(islands_of(frames, recording, columns, half))
    assert np.array_equal(found[inside], columns["PHAS"][inside] + 4096)
    empty = [f for f in frames if f.source_frame == FIRST + 2]
    assert [f.quadrant for f in empty] == [5, 7]
    assert not any(f.pixels.any() for f in empty)


def test_every_exposure_becomes_a_read_out_with_its_time(tmp_path: Path) -> None:
    acis.convert(acis_list(tmp_path / "evt.fits", events(ccds=(6, 7))), tmp_path / "a.h5")
    recording, frames = read(tmp_path / "a.h5")
    assert [f.sequence for f in frames[::2]] == list(range(LAST - FIRST + 1))
    assert [f.source_frame for f in frames[::2]] == list(range(FIRST, LAST + 1))
    for number, late in ((6, 0), (7, 0.04)):  # the second chip is read later
        begin = [f.time_ns for f in frames if f.quadrant == number]
        wanted = [1e9 * (T0 + late + (n - 0.5) * FRAME_S) for n in range(FIRST, LAST + 1)]
        assert begin == pytest.approx(wanted, abs=1000)
    start = recording.start
    assert (start.frame_time_ns, start.live_time_ns) == (FRAME_S * 1e9, LIVE_S * 1e9)
    assert start.mjdref == (50814, 0.0)


def test_the_source_keeps_its_names(tmp_path: Path) -> None:
    acis.convert(acis_list(tmp_path / "evt.fits", events(ccds=(6, 7))), tmp_path / "a.h5")
    start = read(tmp_path / "a.h5")[0].start
    assert (start.telescope, start.instrument, start.target, start.run_id) == ("CHANDRA", "ACIS", "Kes 75", "6686")
    assert [(q.id, q.source_chip, q.source_x) for q in start.quadrants] == [(6, 6, 1), (7, 7, 1)]
    assert {q.columns for q in start.quadrants} == {1024}
    assert start.quadrants[1].origin_x_px - start.quadrants[0].origin_x_px > 1024


def test_the_gain_is_the_median_of_the_list(tmp_path: Path) -> None:
    columns = events()
    columns["PHA"][0] = 0
    acis.convert(acis_list(tmp_path / "evt.fits", columns), tmp_path / "a.h5")
    assert read(tmp_path / "a.h5")[0].start.gain_ev == 4.5
    del columns["ENERGY"]
    acis.convert(acis_list(tmp_path / "evt.fits", columns), tmp_path / "b.h5")
    assert read(tmp_path / "b.h5")[0].start.gain_ev == acis.GAIN_EV


def test_with_bias_the_raw_frames_come_back(tmp_path: Path) -> None:
    columns = events(ccds=(6, 7))
    bias = {n: bias_frame(tmp_path / f"bias{n}.fits", n) for n in (7, 6)}
    files = [tmp_path / f"bias{n}.fits" for n in bias]
    acis.convert(acis_list(tmp_path / "evt.fits", columns), tmp_path / "a.h5", bias=files)
    recording, frames = read(tmp_path / "a.h5")
    assert (recording.start.blank, recording.start.saturation) == (-1, 4095)
    for number, read_rows in ((6, bias[6][398:470]), (7, bias[7][398:470])):
        empty = next(f for f in frames if f.quadrant == number and f.source_frame == FIRST + 2)
        assert np.array_equal(empty.pixels, read_rows)
    found = islands_of(frames, recording, columns, 1)
    where = zip(columns["CCD_ID"], columns["CHIPX"], columns["CHIPY"], columns["PHAS"], found, strict=True)
    for ccd, x, y, phas, raw in where:
        assert np.array_equal(raw, phas + bias[ccd][y - 2 : y + 1, x - 2 : x + 1])


def test_maps_hold_the_bias_and_the_bad_pixels(tmp_path: Path) -> None:
    bias = bias_frame(tmp_path / "bias.fits", 7)[398:470]
    entries = [((300, 302), (410, 412), [0]), ((800, 800), (1, 1024), [1, 8]), ((900, 901), (1, 1024), [3])]
    entries += [((100, 200), (1, 1024), [8]), ((50, 50), (1, 1024), [15]), ((256, 257), (1, 1024), [12])]
    bpix = bad_list(tmp_path / "bpix.fits", 7, entries)
    path = acis_list(tmp_path / "evt.fits", events())
    acis.convert(path, tmp_path / "a.h5", bias=[tmp_path / "bias.fits"], bpix=bpix)
    from stream.transport.maps import read_maps

    maps = read_maps(tmp_path / "a.h5")[7]
    assert read(tmp_path / "a.h5")[0].start.map_versions == {7: maps.version}
    assert np.array_equal(maps.offset, bias)
    wanted = np.zeros(bias.shape, np.uint8)
    wanted[410 - 399 : 413 - 399, 299:302] = HOT
    wanted[:, 799] = HOT
    wanted[:, 899:901] = wanted[:, 700] = DEAD
    assert np.array_equal(maps.bad, wanted)


def test_exposures_of_the_good_times_only(tmp_path: Path) -> None:
    good = [gti(FIRST - 3.2, FIRST + 2.2, CCD_ID=7), gti(FIRST + 3.8, LAST + 2.2, CCD_ID=7), gti(0, 999, CCD_ID=3)]
    made = acis.convert(acis_list(tmp_path / "evt.fits", events(), *good), tmp_path / "a.h5")
    frames = read(tmp_path / "a.h5")[1]
    exposed = [n for n in range(FIRST - 3, LAST + 3) if n != FIRST + 3]
    assert made.readouts == LAST - FIRST + 6
    assert [f.source_frame for f in frames] == exposed
    assert [f.sequence for f in frames] == [n - FIRST + 3 for n in exposed]  # the read-out between is missing
    begin = [1e9 * (T0 + (n - 0.5) * FRAME_S) for n in exposed]
    assert [f.time_ns for f in frames] == pytest.approx(begin, abs=1000)


def with_value(name: str, value: Any) -> dict[str, Any]:
    columns = events()
    columns[name] = columns[name].copy()
    columns[name][3] = value
    return columns


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (with_value("CHIPX", 0), "column CHIPX: expected whole numbers in 1..1024"),
        (with_value("CHIPY", 1025), "column CHIPY: expected whole numbers in 1..1024"),
        (with_value("CCD_ID", 10), "column CCD_ID: expected whole numbers in 0..9"),
        (with_value("PHAS", 5000), "column PHAS: expected whole numbers in -4096..4095"),
        (with_value("EXPNO", -1), "column EXPNO: expected whole numbers from 0"),
        (with_value("EXPNO", 2_000_000_000), "column EXPNO: expected at most 5000000 exposures"),
        (with_value("TIME", np.nan), "column TIME: expected finite numbers, row 3"),
        (with_value("TIME", T0), "column TIME: events of one exposure have different times"),
        (events() | {"TIME": -events()["TIME"]}, "column TIME: times do not rise"),
        (events() | {"PHAS": np.zeros((160, 4), int)}, "column PHAS: expected 9 or 25 values in a cell, got 4"),
        (events() | {"CHIPX": np.array(["a"] * 160)}, "column CHIPX: expected numbers"),
        (events() | {"EXPNO": events()["EXPNO"] + 0.5}, "column EXPNO: expected whole numbers"),
        ({n: v for n, v in events().items() if n != "PHAS"}, "no column PHAS"),
        ({n: v[:0] for n, v in events().items()}, "no rows"),
    ],
)
def test_malformed_lists_are_refused_in_one_line(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    path = acis_list(tmp_path / "evt.fits", columns)
    with pytest.raises(ConfigError) as fault:
        acis.convert(path, tmp_path / "a.h5")
    assert str(fault.value).startswith(f"{path}: ")
    assert said in str(fault.value)
    assert "\n" not in str(fault.value)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"TIMEDEL": 0.0}, "key TIMEDEL: expected a number above 0"),
        ({"TIMEDEL": "long"}, "key TIMEDEL: expected a number, got 'long'"),
        ({"MJDREF": True}, "key MJDREF: expected a number"),
    ],
)
def test_malformed_headers_are_refused(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        acis.convert(acis_list(tmp_path / "evt.fits", events(), **keys), tmp_path / "a.h5")


def test_files_without_what_is_needed_are_refused(tmp_path: Path) -> None:
    path = acis_list(tmp_path / "evt.fits", events())
    other = write(tmp_path / "other.fits", table({"A": np.arange(3)}, "OTHER"))
    bias_frame(tmp_path / "bias6.fits", 6)
    bias_frame(tmp_path / "bias7.fits", 7, (399, 430))
    for call, said in (
        (lambda: acis.convert(other, tmp_path / "a.h5"), "other.fits: no table EVENTS"),
        (lambda: acis.convert(path, tmp_path / "a.h5", bpix=other), "other.fits: no table BADPIX"),
        (lambda: acis.convert(path, tmp_path / "a.h5", bias=[tmp_path / "bias6.fits"]), "CCD 7: no bias frame"),
        (lambda: acis.convert(path, tmp_path / "a.h5", bias=[tmp_path / "bias7.fits"]), "outside the rows 399..430"),
        (lambda: acis.convert(path, tmp_path / "a.h5", bias=[other]), "other.fits: expected an image"),
        (lambda: acis.convert(tmp_path / "none", tmp_path / "a.h5"), "none: no such file"),
    ):
        with pytest.raises(ConfigError, match=said):
            call()


def test_a_bias_of_another_shape_or_range_is_refused(tmp_path: Path) -> None:
    from astropy.io import fits

    path = acis_list(tmp_path / "evt.fits", events())
    wrong = (np.zeros((512, 512), "i2"), np.full((1024, 1024), 4096, "i2"), np.full((1024, 1024), -5, "i2"))
    for image in (*wrong, np.zeros((1024, 1024)), np.zeros(9, "i2")):
        fits.PrimaryHDU(image, fits.Header({"CCD_ID": 7})).writeto(tmp_path / "bias.fits", overwrite=True)
        with pytest.raises(ConfigError, match=r"bias\.fits: expected"):
            acis.convert(path, tmp_path / "a.h5", bias=[tmp_path / "bias.fits"])


def test_an_output_that_cannot_be_written_is_a_link_error(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="cannot be written"):
        acis.convert(acis_list(tmp_path / "evt.fits", events()), tmp_path / "none" / "a.h5")
