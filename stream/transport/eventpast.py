"""What event lists on disk hold of a run that is not finished, so that another process can go on with it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from stream.ledger import Ledger, Past
from stream.messages import BAD_PIXEL, Gap
from stream.tables import BADPIX
from stream.transport.eventcards import quadrants_of
from stream.transport.fitsfile import TablePlace, places


def run_of(path: Path) -> str:
    """Return the run id of an event list of ours."""
    return str(fits.getval(path, "OBS_ID"))


def read_past(paths: Iterable[Path], given: int) -> Past:
    """Return what the event lists of one run hold, at least one; the newest has so many intervals."""
    files = list(paths)
    headers = [fits.getheader(path) for path in files]
    tables = [places(path) for path in files]
    ledger = Ledger(quadrants_of(headers[0]))
    for quadrant in ledger.recorded:
        own = [np.array(_rows(of, "FRAMES", "FRAME")[_rows(of, "FRAMES", "QUADRANT") == quadrant]) for of in tables]
        numbers = np.unique(np.concatenate(own))
        for part in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1):
            if part.size:
                ledger.record_range(quadrant, int(part[0]), int(part[-1]))
    for of in tables:
        columns = [_rows(of, "GAPS", name).tolist() for name in ("FIRST", "LAST", "QUADRANT")]
        for first, last, quadrant in zip(*columns, strict=True):
            ledger.lose(Gap(stream="", first=first, last=last, quadrant=quadrant, reason=""))
    half_ns = int(headers[0]["FRAME_NS"]) // 2
    bad = np.concatenate([_bad_pixels(of["BADPIX"], half_ns) for of in tables])
    return Past(
        ledger=ledger,
        roll=max(int(header["ROLL"]) for header in headers),
        given=given,
        bad_pixels=np.unique(bad),
        known=_newest(tables, half_ns),
    )


def _rows(of: Mapping[str, TablePlace], table: str, column: str) -> NDArray[Any]:
    return of[table].open()[column]


def _bad_pixels(place: TablePlace, half_ns: int) -> NDArray[Any]:
    rows = place.open()
    found = np.empty(len(rows), BAD_PIXEL)
    for name, (_, own) in BADPIX.items():
        found[own] = rows[name]
    found["time_ns"] = np.rint(rows["TIME"] * 1e9).astype(np.int64) - half_ns
    return found


def _newest(tables: Iterable[Mapping[str, TablePlace]], half_ns: int) -> NDArray[np.int64]:
    known = np.empty((0, 2), np.int64)
    for of in tables:
        frames = _rows(of, "FRAMES", "FRAME")
        if frames.size:
            place = int(np.argmax(frames))
            time_ns = round(float(_rows(of, "FRAMES", "TIME")[place]) * 1e9) - half_ns
            known = np.array([[int(frames[place]), time_ns]])
    return known
