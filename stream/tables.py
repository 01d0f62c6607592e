"""The tables of an event list, under the column names of its FITS file (units and meaning: `transport/eventcards`)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.kernels.intervals import seconds, union
from stream.messages import Gap, Quadrant, Quality, Start

Table = NDArray[Any]
Columns = Mapping[str, tuple[str, str]]  # FITS name -> type, name in the message

_EVENT: Columns = {
    "FRAME": ("<i8", "frame"),
    "QUADRANT": ("<u1", "quadrant"),
    "RAWX": ("<i2", "x"),
    "RAWY": ("<i2", "y"),
    "SUBX": ("<f4", "sub_x"),
    "SUBY": ("<f4", "sub_y"),
    "DETX": ("<f4", "focal_x"),
    "DETY": ("<f4", "focal_y"),
    "PHA": ("<i4", "pha"),
    "PI": ("<i4", "pi"),
    "ENERGY": ("<f4", "energy_ev"),
    "PATTERN": ("<u1", "pattern"),
    "GRADE": ("<i2", "grade"),
    "NEIGHBOURS": ("<u1", "neighbours"),
    "VFAINT": ("<u1", "vfaint"),
    "NPIX": ("<i2", "pixels"),
    "TRACKDIST": ("<f4", "track_distance"),
    "MIPDIST": ("<f4", "mip_distance"),
    "FLAG": ("<i4", "flag"),
    "SRC_FRAME": ("<i8", "source_frame"),
}
P_PARTICLE: Columns = {"P_PARTICLE": ("<f4", "p_particle")}
P_CLASS: Columns = {"P_CLASS": ("(4,)<f4", "p_class")}
_SOURCE = [("SRC_CHIP", "<i2"), ("SRC_X", "<i4"), ("SRC_Y", "<i4")]
TRACKS: Columns = {
    "FRAME": ("<i8", "frame"),
    "QUADRANT": ("<u1", "quadrant"),
    "NPIX": ("<i4", "pixels"),
    "RAWX": ("<f4", "x"),
    "RAWY": ("<f4", "y"),
    "XMIN": ("<i2", "x_min"),
    "XMAX": ("<i2", "x_max"),
    "YMIN": ("<i2", "y_min"),
    "YMAX": ("<i2", "y_max"),
    "ENERGY": ("<f4", "energy_ev"),
    "PEAK": ("<f4", "peak_ev"),
    "MEANX": ("<f4", "mean_x"),
    "MEANY": ("<f4", "mean_y"),
    "VARX": ("<f4", "var_x"),
    "VARY": ("<f4", "var_y"),
    "COVXY": ("<f4", "cov_xy"),
    "SRC_FRAME": ("<i8", "source_frame"),
}
FRAMES: Columns = {
    "FRAME": ("<i8", "frame"),
    "QUADRANT": ("<u1", "quadrant"),
    "QUALITY": ("<i4", "quality"),
    "NHITS": ("<i4", "hits"),
    "NEVENTS": ("<i4", "events"),
    "NREJECT": ("<i4", "rejected"),
    "NTRACKS": ("<i4", "tracks"),
    "CMODE": ("<f4", "common_mode"),
    "SRC_FRAME": ("<i8", "source_frame"),
}
BADPIX: Columns = {
    "FRAME": ("<i8", "frame"),
    "QUADRANT": ("<u1", "quadrant"),
    "RAWX": ("<i2", "x"),
    "RAWY": ("<i2", "y"),
    "TYPE": ("<i2", "kind"),
}
_GAPS = np.dtype(
    [
        ("FIRST", "<i8"),
        ("LAST", "<i8"),
        ("QUADRANT", "<i2"),  # -1: all
        ("REASON", "S16"),
        ("TSTART", "<f8"),  # NaN: there is no read-out from which the time would follow
        ("TSTOP", "<f8"),
    ]
)
_GTI = np.dtype([("START", "<f8"), ("STOP", "<f8"), ("START_NS", "<i8"), ("STOP_NS", "<i8")])


def event_table(events: Table, start: Start, island: int, *, rejected: bool, scores: Columns) -> Table:
    """Return EVENT rows as EVENTS, or with REASON as REJECTED.

    `island` 3 or 5: the pixels kept in PHAS, (n, 9) or (n, 25), row by row from low y; `scores`: the columns of
    screening that are wanted (P_PARTICLE, P_CLASS). No events give no rows.
    """
    columns = {**_EVENT, **scores}
    more = [("REASON", "<i4")] if rejected else []
    table = renamed(events, columns, start.frame_time_ns // 2, [*more, *_SOURCE, ("PHAS", "<f4", (island * island,))])
    if rejected:
        table["REASON"] = events["reason"]
    chip, segment, x0, y0 = _source_numbers(start.quadrants)[events["quadrant"]].T
    table["SRC_CHIP"] = chip + np.where(segment > 0, events["x"] // np.maximum(segment, 1), 0)
    table["SRC_X"] = x0 + events["x"]
    table["SRC_Y"] = y0 + events["y"]
    cut = (5 - island) // 2
    square = events["island"].reshape(-1, 5, 5)[:, cut : 5 - cut, cut : 5 - cut]
    table["PHAS"] = square.reshape(-1, island * island)
    return table


def renamed(rows: Table, columns: Columns, half_frame_ns: int, more: Sequence[Any] = ()) -> Table:
    """Return rows under their FITS names, TIME (s, middle of the frame) first; `more` is left to the caller."""
    types = [(name, kind) for name, (kind, _) in columns.items()]
    table = np.empty(len(rows), [("TIME", "<f8"), *types, *more])
    table["TIME"] = seconds(rows["time_ns"] + half_frame_ns)
    for name, (_, source) in columns.items():
        table[name] = rows[source]
    return table


def gti_table(readouts: Table, frame_time_ns: int) -> Table:
    """Return the intervals (START, STOP in s and exact in ns) in which at least one quadrant was read and usable."""
    begin = readouts["time_ns"][usable(readouts)]
    # A gap of less than half a frame holds no read-out: it is the jitter of the clock.
    first, last = union(begin, begin + frame_time_ns, frame_time_ns // 2)
    table = np.empty(len(first), _GTI)
    table["START"], table["STOP"] = seconds(first), seconds(last)
    table["START_NS"], table["STOP_NS"] = first, last
    return table


def gap_table(gaps: Sequence[Gap], known: NDArray[np.int64], frame_time_ns: int) -> Table:
    """Return GAPS; `known` (n, 2) int64: frame, time (ns) of read-outs, rising; the one before gives the time."""
    rows = [(g.first, g.last, g.quadrant, g.reason.encode("ascii", "replace")[:16], np.nan, np.nan) for g in gaps]
    table = np.array(rows, _GAPS)
    if len(known) and len(table):
        frame, time_ns = known[np.maximum(np.searchsorted(known[:, 0], table["FIRST"]) - 1, 0)].T
        table["TSTART"] = seconds(time_ns + (table["FIRST"] - frame) * frame_time_ns)
        table["TSTOP"] = seconds(time_ns + (table["LAST"] + 1 - frame) * frame_time_ns)
    return table[np.lexsort((table["QUADRANT"], table["FIRST"]))]


def joined(parts: Sequence[Table], dtype: np.dtype[Any]) -> Table:
    """Return tables of this type as one, a copy; no rows for no parts."""
    if not parts:
        return np.empty(0, dtype)
    opaque = np.dtype((np.void, dtype.itemsize))  # twenty times faster than field by field
    return np.concatenate([part.view(opaque) for part in parts]).view(dtype)


def in_order(rows: Sequence[Table], dtype: np.dtype[Any]) -> Table:
    """Return message tables as one, rising by frame, then quadrant; equal ones stay as they came."""
    table = joined([np.ascontiguousarray(part, dtype) for part in rows], dtype)
    key = readout_key(table)
    return pick(table, np.argsort(key, kind="stable")) if np.any(key[1:] < key[:-1]) else table


def pick(table: Table, which: NDArray[Any]) -> Table:
    """Return the rows of a mask or of indices, copied as opaque bytes."""
    return table.view(np.dtype((np.void, table.dtype.itemsize)))[which].view(table.dtype)


def readout_key(table: Table) -> NDArray[np.int64]:
    """Return (n,) int64, one value for each quadrant read-out, rising by frame, then quadrant."""
    key: NDArray[np.int64] = table["frame"] * 256 + table["quadrant"]
    return key


UNUSABLE = Quality.OVERFLOW | Quality.DEAD


def usable(readouts: Table) -> NDArray[np.bool_]:
    """Return (n,) bool: the events of this READOUT row are used."""
    return (readouts["quality"] & UNUSABLE) == 0


def adds_livetime(readouts: Table) -> NDArray[np.bool_]:
    """Return (n,) bool: this READOUT row adds livetime. A late one does, a repeated exposure does not."""
    return (readouts["quality"] & (UNUSABLE | Quality.REPEATED_EXPOSURE)) == 0


def _source_numbers(quadrants: Iterable[Quadrant]) -> NDArray[np.int64]:
    """(256, 4): the source's chip, columns per chip, x and y of pixel (0, 0), by quadrant id."""
    numbers = np.tile(np.array([-1, 0, 0, 0], np.int64), (256, 1))
    for q in quadrants:
        numbers[q.id] = q.source_chip, q.segment_columns, q.source_x, q.source_y
    return numbers
