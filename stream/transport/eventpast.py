"""What event lists on disk hold of a run that is not finished, so that another process can go on with it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from stream.ledger import Ledger, Past
from stream.messages import BAD_PIXEL, Gap
from stream.tables import BADPIX
from stream.transport.eventcards import quadrants_of
from stream.transport.fitsfile import TablePlace, Tables, mapped, read_cards, whole


def run_of(path: Path) -> str:
    """Return the run id of an event list of ours."""
    return str(fits.getval(path, "OBS_ID"))


def read_past(found: Sequence[Tables], given: int) -> Past:
    """Return what the event lists of one run hold, at least one; the newest has so many intervals."""
    headers = [_facts(of["FRAMES"].path) for of in found]
    ledger = Ledger(quadrants_of(headers[0]))
    frames = [_columns(of["FRAMES"], "FRAME", "QUADRANT", "TIME") for of in found]
    number, of_quadrant = (np.concatenate([rows[name] for rows in frames]) for name in ("FRAME", "QUADRANT"))
    for quadrant in ledger.recorded:
        numbers = np.unique(number[of_quadrant == quadrant])
        for part in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1):
            if part.size:
                ledger.record_range(quadrant, int(part[0]), int(part[-1]))
    for of in found:
        columns = _columns(of["GAPS"], "FIRST", "LAST", "QUADRANT").values()
        for first, last, quadrant in zip(*(rows.tolist() for rows in columns), strict=True):
            ledger.lose(Gap(stream="", first=first, last=last, quadrant=quadrant, reason=""))
    half_ns = whole(headers[0]["FRAME_NS"]) // 2
    return Past(
        ledger=ledger,
        roll=max(whole(header["ROLL"]) for header in headers),
        given=given,
        bad_pixels=np.unique(np.concatenate([_bad_pixels(of["BADPIX"], half_ns) for of in found])),
        known=_newest(frames, half_ns),
    )


def _facts(path: Path) -> Mapping[str, str]:
    return read_cards(mapped(path))[0]


def _columns(place: TablePlace, *names: str) -> Mapping[str, NDArray[Any]]:
    rows = place.open()
    return {name: np.array(rows[name]) for name in names}  # copies: views would keep every file mapped


def _bad_pixels(place: TablePlace, half_ns: int) -> NDArray[Any]:
    rows = place.open()
    found = np.empty(len(rows), BAD_PIXEL)
    for name, (_, own) in BADPIX.items():
        found[own] = rows[name]
    found["time_ns"] = np.rint(rows["TIME"] * 1e9).astype(np.int64) - half_ns
    return found


def _newest(frames: Iterable[Mapping[str, NDArray[Any]]], half_ns: int) -> NDArray[np.int64]:
    """Return number and time of the last read-out of the last list that has one."""
    known = np.empty((0, 2), np.int64)
    for rows in frames:
        if rows["FRAME"].size:
            place = int(np.argmax(rows["FRAME"]))
            known = np.array([[int(rows["FRAME"][place]), round(float(rows["TIME"][place]) * 1e9) - half_ns]])
    return known
