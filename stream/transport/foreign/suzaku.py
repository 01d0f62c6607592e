"""Suzaku XIS event lists in 3x3 mode -> recordings."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.messages import Quadrant, Start
from stream.transport.foreign import islands, times
from stream.transport.foreign.fits_input import Table, read_table, read_tables
from stream.transport.maps import build
from stream.transport.recording import RecordingWriter

SIDE = 1024  # rows and columns; ACTX and ACTY count from 0
SEGMENT_COLUMNS = 256  # one read-out node each
PEDESTAL_ADU = 4096  # PHAS are bias-subtracted, of 12 bits, and may be negative; 0 is blank
BLANK = 0
ADC_MAX_ADU = 4095
READ_NOISE_ADU = 1.0  # nominal; thresholds are in ADU
GAIN_EV = 3.65  # of a PI channel; gain and CTI corrections of PHA are left to the mission's tools
ROW_BY_ROW = (1, 2, 3, 4, 0, 5, 6, 7, 8)  # PHAS has the centre first, then the ring row by row from low y


def convert(events: Path, out: Path) -> islands.Converted:
    """Write the recording of a 3x3 event list: one quadrant of four segments, every exposure from first to last.

    Raises ConfigError for a file that cannot be used, LinkError if the disk refuses.
    """
    columns = dict.fromkeys(("TIME", "ACTX", "ACTY", "EXPOSURE_SEQ_NO"), (1,))
    table = read_table(events, "EVENTS", columns | {"PHAS": (9,)})
    _check(table)
    frame_time_s = _frame_time_s(table)
    readout = np.rint((table["TIME"] - table["TIME"].min()) / frame_time_s).astype(np.int64)
    exposures = _exposures(table, readout, frame_time_s)
    shape = (SIDE, SIDE)
    values = (table["PHAS"][:, ROW_BY_ROW] + PEDESTAL_ADU).astype(np.uint16)
    pixels = islands.place(readout, table["ACTX"], table["ACTY"], values, shape)
    maps = [build(0, np.full(shape, PEDESTAL_ADU), np.full(shape, READ_NOISE_ADU), np.zeros(shape))]
    base = {0: np.full(shape, BLANK, np.uint16)}
    with RecordingWriter(out, _start(table, frame_time_s), maps=maps, base=base) as writer:
        readouts, repeated = islands.write(writer, exposures, {0: pixels})
    return islands.Converted(readouts, len(table), repeated)


def _check(table: Table) -> None:
    limits = (("ACTX", 0, SIDE - 1), ("ACTY", 0, SIDE - 1), ("PHAS", -4095, 4095), ("EXPOSURE_SEQ_NO", 0, 2**31))
    for name, low, high in limits:
        if table[name].dtype.kind != "i" or table[name].min() < low or table[name].max() > high:
            raise ConfigError(f"{table.path}: {table.name}: column {name}: expected whole numbers in {low}..{high}")


def _frame_time_s(table: Table) -> float:
    """Return the time from one exposure to the next.

    In burst mode the header has the exposure and the wait after it (SNAPTI1, DELAY1); window modes read more often
    than these say, which the closest exposures show.
    """
    period = table.number("SNAPTI1", 0.0) + table.number("DELAY1", 0.0)
    period = period if period > 0 else table.positive("TIMEDEL")
    steps = np.diff(np.unique(table["TIME"]))
    closest = float(steps[steps > times.SAME_S].min(initial=period))
    return closest if closest < 0.75 * period else period


def _exposures(table: Table, readout: NDArray[np.int64], frame_time_s: float) -> islands.Exposures:
    count = int(readout.max()) + 1
    times.check_count(table, "TIME", count)
    number = np.full(count, -1)
    number[readout] = table["EXPOSURE_SEQ_NO"]
    if (number[readout] != table["EXPOSURE_SEQ_NO"]).any():
        raise ConfigError(f"{table.path}: column EXPOSURE_SEQ_NO: different numbers at one TIME")
    try:
        filled = times.fill(readout, times.begin_s(table, frame_time_s), count, frame_time_s)
    except ValueError as fault:
        raise ConfigError(f"{table.path}: column TIME: {fault}") from None
    intervals = read_tables(table.path, "STDGTI", {"START": (1,), "STOP": (1,)})
    exposed = times.inside(filled + frame_time_s / 2, intervals)
    return islands.Exposures(number, {0: times.to_ns(filled)}, {0: exposed})


def _start(table: Table, frame_time_s: float) -> Start:
    segments = Quadrant(id=0, columns=SIDE, rows=SIDE, source_chip=0, segment_columns=SEGMENT_COLUMNS)
    return Start(
        stream="suzaku",
        run_id=table.label("OBS_ID") or table.path.name.split(".")[0],
        quadrants=(segments,),
        frame_time_ns=round(frame_time_s * 1e9),
        live_time_ns=round(min(table.positive("TIMEDEL"), frame_time_s) * 1e9),
        gain_ev=GAIN_EV,
        saturation=PEDESTAL_ADU + ADC_MAX_ADU,
        blank=BLANK,
        mjdref=table.mjdref(),
        telescope=table.label("TELESCOP", "SUZAKU"),
        instrument=table.label("INSTRUME", "XIS"),
        target=table.label("OBJECT"),
    )
