"""Pixel lists of the Athena WFI Geant4 background (MIT) -> recordings.

`geant_events_*_pix.fits` has pixels sorted into frames; of `rawpix_*.fits` every primary becomes a frame of its own.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.messages import Quadrant, Start
from stream.transport.foreign import islands, times
from stream.transport.foreign.fits_input import Table, read_table
from stream.transport.maps import build
from stream.transport.recording import RecordingWriter

SIDE = 512
ORIGINS = {0: (632, 52), 1: (632, 610), 2: (59, 610), 3: (59, 52)}  # ACTX, ACTY of pixel (0, 0) of each DETID
FRAME_TIME_S = 0.005  # where the header has no TEXPFRAM
EV_PER_KEV = 1000.0
PEDESTAL_ADU = 500
ADC_MAX_ADU = 65535


def convert(pixels: Path, out: Path, *, adu_ev: float | None = None) -> islands.Converted:
    """Write the recording of a pixel list: four quadrants, every frame from first to last.

    Frames are float32, keV. With `adu_ev` they are uint16 ADU of that size, on a constant offset (in the maps),
    rounded, and cut at the end of the ADC's range.
    Raises ConfigError for a file that cannot be used, LinkError if the disk refuses.
    """
    if adu_ev is not None and not 0 < adu_ev < np.inf:
        raise ConfigError(f"{pixels}: adu_ev: expected eV above 0, got {adu_ev}")
    columns = dict.fromkeys(("FRAME", "PRIMID", "DETID", "ACTX", "ACTY", "ENERGY"), (1,))
    table = read_table(pixels, "", columns, ("FRAME", "PRIMID"))
    name = next((n for n in ("FRAME", "PRIMID") if n in table.columns), None)
    if name is None:
        raise ConfigError(f"{pixels}: {table.name}: no column FRAME or PRIMID")
    _check(table, name)
    exposures = _exposures(table, name)
    readout = table[name] - exposures.source_frame[0]
    found = {n: _quadrant(table, n, readout, adu_ev) for n in ORIGINS}
    shape = (SIDE, SIDE)
    dtype, level = ("<f4", 0) if adu_ev is None else ("<u2", PEDESTAL_ADU)
    maps = (
        [] if adu_ev is None else [build(n, np.full(shape, level), np.zeros(shape), np.zeros(shape)) for n in ORIGINS]
    )
    base = {n: np.full(shape, level, dtype) for n in ORIGINS}
    with RecordingWriter(out, _start(table, adu_ev), maps=maps, base=base) as writer:
        readouts, repeated = islands.write(writer, exposures, found)
    return islands.Converted(readouts, len(table), repeated)


def _check(table: Table, name: str) -> None:
    for column in (name, "DETID", "ACTX", "ACTY"):
        if table[column].dtype.kind != "i" or table[column].min() < 0:
            raise ConfigError(f"{table.path}: {table.name}: column {column}: expected whole numbers from 0")
    if table["DETID"].max() > max(ORIGINS):
        raise ConfigError(f"{table.path}: {table.name}: column DETID: expected 0..3, got {table['DETID'].max()}")
    origin = np.array([ORIGINS[n] for n in sorted(ORIGINS)])[table["DETID"]]
    places = np.stack([table["ACTX"], table["ACTY"]], axis=1) - origin
    outside = ((places < 0) | (places >= SIDE)).any(axis=1)
    if outside.any():
        raise ConfigError(f"{table.path}: {table.name}: row {int(outside.argmax())}: ACTX, ACTY outside its DETID")


def _exposures(table: Table, name: str) -> islands.Exposures:
    """Return all frames; from 0 to NFRAMES where the header has it, since the last ones may be empty."""
    frames = table[name]
    told = int(table.number("NFRAMES", 0)) if name == "FRAME" else 0
    first = 0 if told else int(frames.min())
    count = max(told, int(frames.max()) + 1 - first)
    times.check_count(table, name, count)
    frame_time_ns = round(_frame_time_s(table) * 1e9)
    number = np.arange(first, first + count)
    everywhere = {n: np.ones(count, bool) for n in ORIGINS}
    return islands.Exposures(number, dict.fromkeys(ORIGINS, number * frame_time_ns), everywhere)


def _quadrant(table: Table, number: int, readout: NDArray[np.int64], adu_ev: float | None) -> islands.Pixels:
    """Return the pixels of one quadrant; those that are listed more than once in a frame are summed."""
    own = table["DETID"] == number
    x, y = table["ACTX"][own] - ORIGINS[number][0], table["ACTY"][own] - ORIGINS[number][1]
    key, place = np.unique((readout[own] * SIDE + y) * SIDE + x, return_inverse=True)
    energy_kev = np.bincount(place, table["ENERGY"][own], len(key))
    if adu_ev is None:
        value = energy_kev.astype(np.float32)
    else:
        adu = np.rint(energy_kev * (EV_PER_KEV / adu_ev)) + PEDESTAL_ADU
        value = np.clip(adu, 0, ADC_MAX_ADU).astype(np.uint16)
    line, column = np.divmod(key, SIDE)
    return islands.Pixels(line // SIDE, np.zeros_like(key), column, line % SIDE, value)


def _frame_time_s(table: Table) -> float:
    return table.positive("TEXPFRAM") if "TEXPFRAM" in table.header else FRAME_TIME_S


def _start(table: Table, adu_ev: float | None) -> Start:
    frame_time_ns = round(_frame_time_s(table) * 1e9)
    return Start(
        stream="wfi",
        run_id=table.path.name.split(".")[0],
        quadrants=tuple(
            Quadrant(id=n, columns=SIDE, rows=SIDE, origin_x_px=x, origin_y_px=y, source_chip=n, source_x=x, source_y=y)
            for n, (x, y) in ORIGINS.items()
        ),
        frame_time_ns=frame_time_ns,
        live_time_ns=frame_time_ns,
        pixel_dtype="<f4" if adu_ev is None else "<u2",
        gain_ev=adu_ev or EV_PER_KEV,
        saturation=1e9 if adu_ev is None else ADC_MAX_ADU,
        telescope="ATHENA",
        instrument="WFI",
        target="GEANT4 BACKGROUND",
    )
