"""Chandra ACIS event lists (FAINT 3x3, VFAINT 5x5) -> recordings.

With the flight bias frames the raw frames come back: bias plus islands, in the rows that were read. Without, a constant
pedestal takes the place of the bias, and pixels that were not sent are blank.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.messages import DEAD, HOT, Quadrant, Start
from stream.transport.foreign import islands, times
from stream.transport.foreign.fits_input import Table, read_image, read_table, read_tables
from stream.transport.maps import build
from stream.transport.recording import RecordingWriter

SIDE = 1024  # rows and columns of a chip; CHIPX and CHIPY count from 1
REACH = 2  # rows around an event that are kept: its 5x5 window
CHIP_PITCH_PX = 1042  # of the chips of ACIS-S in TDETX
PEDESTAL_ADU = 4096  # a bias-subtracted pixel can be as low as -4095 (a column whose bias is marked bad), 0 is blank
BLANK = 0
ADC_MAX_ADU = 4095
NOT_READ = 4096  # value in bias frames
BIAS_BAD = 4094  # and above: the flight software takes no events from such pixels
READ_NOISE_ADU = 2.0  # nominal; no file says, and flight thresholds are in ADU
GAIN_EV = 4.6  # eV per ADU where the list has no ENERGY

# Bits of STATUS in bad-pixel files that make a pixel useless: pixel (0) or column (1) bad by calibration, bias marked
# on board (3). The others warn of its surroundings (bit 8: next to a bad one, 11 to 14: node boundaries, rows next to
# the frame store) or hold for seconds only (15, 16: afterglows); the flight software took events there, and so do we:
# the level-2 list of ObsID 28229 has an event next to an afterglow that came three hours later.
BAD_BITS, BIAS_BIT = (0, 1, 3), 3


@dataclass(frozen=True, slots=True)
class _Chip:
    """What a chip reads without X-rays, in the rows that are kept."""

    first_row: int  # CHIPY of the lowest one
    bias: NDArray[np.int64]  # (rows, SIDE), ADU
    bad: NDArray[np.uint8]  # (rows, SIDE), 0 good, else the kind
    known: bool  # the bias was measured


def convert(events: Path, out: Path, *, bias: Sequence[Path] = (), bpix: Path | None = None) -> islands.Converted:
    """Write the recording of an event list with islands: one quadrant per CCD, all exposures of the observation.

    `bias`: flight bias frames, one for each CCD of the list; `bpix`: bad-pixel file.
    The gain of the recording is the median of ENERGY / PHA of all events, whatever their CCD.
    Raises ConfigError for files that cannot be used, LinkError if the disk refuses.
    """
    columns = dict.fromkeys(("TIME", "EXPNO", "CCD_ID", "CHIPX", "CHIPY"), (1,))
    table = read_table(events, "EVENTS", columns | {"PHAS": (9, 25), "PHA": (1,), "ENERGY": (1,)}, ("PHA", "ENERGY"))
    _check(table)
    numbers = np.unique(table["CCD_ID"]).tolist()
    frames = dict(read_bias(path) for path in bias)
    if bias and set(numbers) - set(frames):
        raise ConfigError(f"{events}: CCD {min(set(numbers) - set(frames))}: no bias frame for it")
    listed = read_bad_pixels(bpix) if bpix else {}
    chips = {n: _chip(table, n, frames.get(n), listed.get(n)) for n in numbers}
    exposures = _exposures(table, numbers)
    pixels = {n: _pixels(table, n, chips[n], int(exposures.source_frame[0])) for n in numbers}
    start = _start(table, chips)
    base = {n: (c.bias if c.known else np.full_like(c.bias, BLANK)).astype(np.uint16) for n, c in chips.items()}
    noise = {n: np.full(c.bias.shape, READ_NOISE_ADU) for n, c in chips.items()}
    maps = [build(n, c.bias, noise[n], c.bad) for n, c in chips.items()]
    with RecordingWriter(out, start, maps=maps, base=base) as writer:
        readouts, repeated = islands.write(writer, exposures, pixels)
    return islands.Converted(readouts, len(table), repeated)


def read_bias(path: Path) -> tuple[int, NDArray[np.int64]]:
    """Return CCD and bias frame (1024, 1024), ADU, NOT_READ in rows that were not read. Raises ConfigError."""
    image, header = read_image(path)
    if image.shape != (SIDE, SIDE):
        raise ConfigError(f"{path}: expected a bias frame of {SIDE} x {SIDE}, got {image.shape[0]} x {image.shape[1]}")
    if image.min() < 0 or image.max() > NOT_READ or (image == NOT_READ).all():
        raise ConfigError(f"{path}: expected a bias of 0..{ADC_MAX_ADU} ADU, {NOT_READ} where it was not read")
    return int(header.number("CCD_ID")), image


def read_bad_pixels(path: Path) -> dict[int, NDArray[np.uint8]]:
    """Return a map (1024, 1024) of the kinds of bad pixels for each CCD of a bad-pixel file. Raises ConfigError."""
    maps: dict[int, NDArray[np.uint8]] = {}
    tables = read_tables(path, "BADPIX", {"CHIPX": (2,), "CHIPY": (2,), "STATUS": (32,)})
    if not tables:
        raise ConfigError(f"{path}: no table BADPIX")
    for table in tables:
        bad = maps.setdefault(int(table.number("CCD_ID")), np.zeros((SIDE, SIDE), np.uint8))
        bits = table["STATUS"][:, ::-1] != 0  # FITS has the highest bit first
        for x, y, status in zip(table["CHIPX"], table["CHIPY"], bits, strict=True):
            if status[list(BAD_BITS)].any():
                bad[max(y.min(), 1) - 1 : y.max(), max(x.min(), 1) - 1 : x.max()] = DEAD if status[BIAS_BIT] else HOT
    return maps


def _check(table: Table) -> None:
    for name, low, high in (("CHIPX", 1, SIDE), ("CHIPY", 1, SIDE), ("CCD_ID", 0, 9), ("PHAS", -4096, 4095)):
        if table[name].dtype.kind != "i" or table[name].min() < low or table[name].max() > high:
            raise ConfigError(f"{table.path}: {table.name}: column {name}: expected whole numbers in {low}..{high}")
    if table["EXPNO"].dtype.kind != "i" or table["EXPNO"].min() < 0:
        raise ConfigError(f"{table.path}: {table.name}: column EXPNO: expected whole numbers from 0")


def _chip(table: Table, number: int, bias: NDArray[np.int64] | None, listed: NDArray[np.uint8] | None) -> _Chip:
    """Return the rows of a chip: those that were read, or, where no bias tells, those around its events."""
    y = table["CHIPY"][table["CCD_ID"] == number]
    if bias is None:
        first, last = max(1, int(y.min()) - REACH), min(SIDE, int(y.max()) + REACH)
        kept = np.full((last - first + 1, SIDE), PEDESTAL_ADU)
    else:
        read = np.flatnonzero((bias != NOT_READ).any(axis=1)) + 1
        first, last = int(read[0]), int(read[-1])
        kept = bias[first - 1 : last]
        if y.min() < first or y.max() > last:
            raise ConfigError(f"{table.path}: CCD {number}: events outside the rows {first}..{last} of the bias frame")
    bad = np.zeros(kept.shape, np.uint8) if listed is None else listed[first - 1 : last].copy()
    if bias is not None:
        bad[kept >= BIAS_BAD] = DEAD
    return _Chip(first, kept, bad, bias is not None)


def _exposures(table: Table, numbers: Sequence[int]) -> islands.Exposures:
    """Return every exposure of the observation, also before the first and after the last event.

    Those outside the GTI of a CCD are not exposed there. Without GTI: from the first to the last event.
    """
    frame_time_s = table.positive("TIMEDEL")
    begin = times.begin_s(table, frame_time_s)
    tables = read_tables(table.path, "GTI", {"START": (1,), "STOP": (1,)})
    own = {n: table["CCD_ID"] == n for n in numbers}
    good = {n: [gti for gti in tables if len(gti) and gti.number("CCD_ID", n) == n] for n in numbers}
    first, last = int(table["EXPNO"].min()), int(table["EXPNO"].max())
    for n in numbers:
        early, late = times.reach(table["EXPNO"][own[n]], begin[own[n]] + frame_time_s / 2, good[n], frame_time_s)
        first, last = max(0, min(first, early)), max(last, late)
    times.check_count(table, "EXPNO", last + 1 - first)
    time_ns, exposed = {}, {}
    for n in numbers:
        try:
            filled = times.fill(table["EXPNO"][own[n]] - first, begin[own[n]], last + 1 - first, frame_time_s)
        except ValueError as fault:
            raise ConfigError(f"{table.path}: CCD {n}: column TIME: {fault}") from None
        time_ns[n], exposed[n] = times.to_ns(filled), times.inside(filled + frame_time_s / 2, good[n])
    return islands.Exposures(np.arange(first, last + 1), time_ns, exposed)


def _pixels(table: Table, number: int, chip: _Chip, first: int) -> islands.Pixels:
    own = table["CCD_ID"] == number
    readout = table["EXPNO"][own] - first
    x, y = table["CHIPX"][own] - 1, table["CHIPY"][own] - chip.first_row
    found = islands.place(readout, x, y, table["PHAS"][own], chip.bias.shape)
    raw = found.value + chip.bias[found.y, found.x]
    if len(raw) and not (raw.min() >= 0 and raw.max() <= 65535):
        raise ConfigError(f"{table.path}: CCD {number}: the bias frame does not fit the islands, raw {raw.min()} ADU")
    return found._replace(value=raw.astype(np.uint16))


def _start(table: Table, chips: dict[int, _Chip]) -> Start:
    frame_time_ns = round(table.positive("TIMEDEL") * 1e9)
    live_time_ns = min(round(table.number("EXPTIME", frame_time_ns * 1e-9) * 1e9), frame_time_ns)
    gain_ev = GAIN_EV
    if "PHA" in table.columns and "ENERGY" in table.columns and (table["PHA"] > 0).any():
        good = table["PHA"] > 0
        gain_ev = float(np.median(table["ENERGY"][good] / table["PHA"][good]))
    known = all(chip.known for chip in chips.values())
    return Start(
        stream="acis",
        run_id=table.label("OBS_ID") or table.path.name.split(".")[0],
        quadrants=tuple(
            # Chips stand side by side as those of ACIS-S do: far enough that none touches the tracks of another.
            Quadrant(
                id=number,
                columns=SIDE,
                rows=len(chip.bias),
                origin_x_px=CHIP_PITCH_PX * number + 1,
                origin_y_px=chip.first_row,
                source_chip=number,
                source_x=1,
                source_y=chip.first_row,
            )
            for number, chip in chips.items()
        ),
        frame_time_ns=frame_time_ns,
        live_time_ns=live_time_ns,
        gain_ev=gain_ev,
        saturation=ADC_MAX_ADU if known else PEDESTAL_ADU + ADC_MAX_ADU,
        blank=-1 if known else BLANK,
        mjdref=table.mjdref(),
        telescope=table.label("TELESCOP", "CHANDRA"),
        instrument=table.label("INSTRUME", "ACIS"),
        target=table.label("OBJECT"),
    )
