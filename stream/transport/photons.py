"""A stream of photons: from FT1 files or a recording of our own, as messages in blocks of six hours.

The recording is an HDF5 file that any reader with the bitshuffle filter opens:

    attributes   format = "raysieve photons", version = 1, run_id, about = what it was made of (JSON)
    photons      PHOTON, rising in time, each of them in good time
    gti          GTI, rising
    pointing     POINTING, rising; no rows: nobody knows where the instrument looked, and there is no exposure
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from stream.errors import ConfigError
from stream.lat.photons import BLOCK_S, GTI, MJDREF, PHOTON, POINTING, Table, inside, joined, within, without
from stream.messages import End, Message, Product, Quadrant, Start
from stream.transport import hdf5
from stream.transport.fitsrows import table_names
from stream.transport.ft1 import Ft1, merge
from stream.transport.ft2 import read_pointing

FORMAT: Final = "raysieve photons"
RECORDED, FT1, FT2 = "recording of photons", "FT1", "FT2"
CHUNK_ROWS: Final = 1 << 16
READ_ROWS: Final = 1 << 20
MOST: Final = 100_000  # photons in a message
STREAM: Final = "photons"


@dataclass(frozen=True, slots=True, eq=False)
class PhotonStream:
    """Photons rising in time, their good time, and where the instrument looked (no rows: not known)."""

    run_id: str
    gti: Table
    pointing: Table
    pieces: Callable[[], Iterator[Table]]
    counters: Counter[str] = field(default_factory=Counter)  # of what was left out so far
    said: tuple[str, ...] = ()

    def messages(self) -> Iterator[Message]:
        """Yield Start, products "photons" (tables PHOTONS, GTI, POINTING), End.

        A product lies within one block of BLOCK_S and says from when to when it goes (TSTART, TSTOP); those of a block
        follow each other without a gap. One without POINTING: not known.
        """
        yield start_of(self.run_id)
        yield from _batches(self)
        yield End(stream=STREAM)


def start_of(run_id: str) -> Start:
    """Return the start of a stream of photons; it has no frames: one pixel stands for the whole instrument."""
    return Start(
        stream=STREAM,
        run_id=run_id,
        quadrants=(Quadrant(id=0, columns=1, rows=1),),
        frame_time_ns=1_000_000_000,
        live_time_ns=1_000_000_000,
        mjdref=MJDREF,
        telescope="GLAST",
        instrument="LAT",
    )


def open_photons(paths: Sequence[Path], class_bit: int | None = None) -> PhotonStream:
    """Open one recording, or FT1 files and the FT2 files of the same time, in any order.

    Time in which the pointing says that data are not to be used is no good time. class_bit: of EVENT_CLASS; None: the
    source class. Raises ConfigError (one line) for anything else.
    """
    recorded = [path for path in paths if kind_of(path) == RECORDED]
    if recorded:
        if len(paths) > 1 or class_bit is not None:
            raise ConfigError(f"{recorded[0]}: a recording goes alone: it has its pointing and its class of events")
        return _recorded(recorded[0])
    files = [Ft1(path, class_bit) for path in paths if kind_of(path) == FT1]
    ft2 = [path for path in paths if kind_of(path) == FT2]
    if not files:
        raise ConfigError(f"{', '.join(map(str, paths))}: no photons; expected FT1 files (EVENTS with L and B)")
    pointing, counters = read_ft2(ft2)
    dead = pointing[pointing["LIVETIME"] <= 0]
    gti = without(joined([file.gti for file in files]), dead["START"], dead["STOP"])

    def pieces() -> Iterator[Table]:
        for rows in merge(files, counters):
            good = inside(gti, rows["TIME"])
            counters["not_live"] += int((~good).sum())
            yield rows[good]
        for file in files:
            counters.update(file.counters)

    span = (gti["START"][0], gti["STOP"][-1]) if len(gti) else (0.0, 0.0)
    said = tuple(line for file in files for line in file.said)
    return PhotonStream(f"{span[0]:.0f}-{span[1]:.0f}", gti, pointing, pieces, counters, said)


def read_ft2(paths: Sequence[Path]) -> tuple[Table, Counter[str]]:
    """Return the POINTING rows of FT2 files, and what was counted; no files: no rows. Raises ConfigError."""
    counters: Counter[str] = Counter()
    return (read_pointing(paths, counters) if paths else np.empty(0, POINTING)), counters


def kind_of(path: Path) -> str:
    """Return what a file is to this source: RECORDED, FT2, or FT1 (any other FITS file). Raises ConfigError."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    with path.open("rb") as file:
        if file.read(8) == b"\x89HDF\r\n\x1a\n":
            return RECORDED
    return FT2 if "SC_DATA" in table_names(path) else FT1


def holds_photons(path: Path) -> bool:
    """Say whether a file is one of these, and not the recording of a camera; False if it is none at all."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        magic = file.read(8)
    if magic.startswith((b"SIMPLE", b"\x1f\x8b")):
        return True
    try:
        hdf5.open_file(path, (FORMAT,)).close()
    except ConfigError:
        return False
    return True


def write_photons(path: Path, stream: PhotonStream, about: dict[str, Any]) -> int:
    """Record a stream; returns how many photons it has. Raises LinkError if the disk refuses, ValueError if unordered.

    about: what it was made of; what the stream left out is added.
    """
    last, total = -np.inf, 0
    with hdf5.NewFile(path, FORMAT) as new:
        with new.writing():
            growing: Any = dict(maxshape=(None,), chunks=(CHUNK_ROWS,), **hdf5.filters())
            photons = new.file.create_dataset("photons", (0,), PHOTON, **growing)
            for name, rows in (("gti", stream.gti), ("pointing", stream.pointing)):
                kept = new.file.create_dataset(name, (0,), rows.dtype, **growing)
                hdf5.append(kept, rows)
        for rows in stream.pieces():
            if len(rows) and (rows["TIME"][0] < last or (np.diff(rows["TIME"]) < 0).any()):
                raise ValueError(f"{path}: photons of a recording must rise in time")
            last, total = float(rows["TIME"][-1]) if len(rows) else last, total + len(rows)
            with new.writing():
                hdf5.append(photons, rows)
        with new.writing():
            hdf5.write_text(new.file, "run_id", f"{stream.run_id}-{total}")
            hdf5.write_text(new.file, "about", json.dumps(about | {k: n for k, n in stream.counters.items() if n}))
    return total


def _recorded(path: Path) -> PhotonStream:
    with hdf5.open_file(path, (FORMAT,)) as file:
        try:
            length = len(hdf5.dataset(file, "photons", PHOTON, (None,)))
            gti = hdf5.dataset(file, "gti", GTI, (None,))[()]
            pointing = hdf5.dataset(file, "pointing", POINTING, (None,))[()]
            run_id = hdf5.read_text(file, "run_id")
        except hdf5.FAULTS as fault:
            raise ConfigError(f"{path}: {hdf5.reason(fault)}") from None

    def pieces() -> Iterator[Table]:
        with hdf5.open_file(path, (FORMAT,)) as file:
            for first in range(0, length, READ_ROWS):
                try:
                    yield file["photons"][first : first + READ_ROWS]
                except hdf5.FAULTS as fault:
                    raise ConfigError(f"{path}: photons from {first}: {hdf5.reason(fault)}") from None

    return PhotonStream(run_id, gti, pointing, pieces)


def _batches(stream: PhotonStream) -> Iterator[Product]:
    """Yield the products, block by block; a block of good time without photons gives one, too."""
    spans = zip(np.floor(stream.gti["START"] / BLOCK_S), np.ceil(stream.gti["STOP"] / BLOCK_S), strict=True)
    blocks = np.unique(np.concatenate([[], *(np.arange(*span) for span in spans)])).astype(np.int64)
    rest = _by_block(stream.pieces())
    number, coming = 0, next(rest, None)
    for block in blocks.tolist():
        good = _part(stream.gti, block * BLOCK_S, (block + 1) * BLOCK_S)
        good = within(good, block * BLOCK_S, (block + 1) * BLOCK_S)
        begin, end = float(good["START"][0]), float(good["STOP"][-1])
        held = np.empty(0, PHOTON)
        while coming is not None and coming[0] <= block:
            held = np.concatenate([held, coming[1]])
            coming = next(rest, None)
            while len(held) > MOST:
                cut = float(held["TIME"][MOST])
                yield _batch(stream, number, held[:MOST], good, (begin, cut))
                number, begin, held = number + 1, cut, held[MOST:]
        yield _batch(stream, number, held, good, (begin, end))
        number += 1


def _by_block(pieces: Iterator[Table]) -> Iterator[tuple[int, Table]]:
    for rows in pieces:
        block = np.floor(rows["TIME"] / BLOCK_S).astype(np.int64)
        cuts = np.flatnonzero(np.diff(block)) + 1
        for first, last in zip([0, *cuts], [*cuts, len(rows)], strict=True):
            if last > first:
                yield int(block[first]), rows[first:last]


def _part(rows: Table, start_s: float, stop_s: float) -> Table:
    """Return the rows that overlap an interval; rows that rise and do not overlap each other."""
    first, last = np.searchsorted(rows["STOP"], start_s, "right"), np.searchsorted(rows["START"], stop_s, "left")
    return rows[first : max(first, last)]


def _batch(stream: PhotonStream, number: int, rows: Table, good: Table, span: tuple[float, float]) -> Product:
    tables: dict[str, Table] = {"PHOTONS": rows, "GTI": within(good, *span)}
    if len(stream.pointing):
        tables["POINTING"] = _part(stream.pointing, *span)
    header: dict[str, str | int | float | bool] = {"TELESCOP": "GLAST", "INSTRUME": "LAT", "OBS_ID": stream.run_id}
    header |= {"TSTART": span[0], "TSTOP": span[1]}
    time_ns = round(span[1] * 1e9)
    return Product(stream=STREAM, kind="photons", sequence=number, time_ns=time_ns, header=header, tables=tables)
