"""What an event list says about itself: units, ranges and meaning of its columns, and the cards of its headers.

The header of a product holds facts and integer counts (`stream/stages/record.py`); all times here follow from them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from stream.kernels.intervals import seconds, union
from stream.messages import Flag, Quality, Reason

Card = str | int | float | bool
Cards = dict[str, Card]

# fmt: off
COLUMNS = {  # name -> unit, meaning; "": no unit; PIXEL: that of a pixel of the frame; PHA: adu, or eV for real pixels
    "TIME":       ("s",     "middle of the frame (TIMEPIXR = 0.5)"),
    "FRAME":      ("",      "number of the read-out"),
    "QUADRANT":   ("",      "quadrant"),
    "RAWX":       ("pixel", "column in the quadrant, from 0"),
    "RAWY":       ("pixel", "row in the quadrant, from 0"),
    "SUBX":       ("pixel", "position in the pixel, -0.5 to 0.5"),
    "SUBY":       ("pixel", "position in the pixel, -0.5 to 0.5"),
    "DETX":       ("pixel", "focal plane with the real gaps, SUBX included"),
    "DETY":       ("pixel", "focal plane with the real gaps, SUBY included"),
    "PHA":        ("PHA",   "sum of the pixels at or above split, no gain correction"),
    "PI":         ("chan",  "channel of ENERGY, PI_EV wide, from 0"),
    "ENERGY":     ("eV",    "sum times GAIN_EV, with charge loss corrected"),
    "PATTERN":    ("",      "0 single 1-4 double 5-8 triple 9-12 quad 13 invalid"),
    "GRADE":      ("",      "grade of the mission"),
    "NEIGHBOURS": ("",      "at or above split: 1 2 4 / 8 . 16 / 32 64 128, low y first"),
    "VFAINT":     ("",      "1: signal in the outer ring of 5x5"),
    "NPIX":       ("",      "number of pixels"),
    "TRACKDIST":  ("pixel", "to the nearest track or MIP pixel of the frame; -1 none"),
    "MIPDIST":    ("pixel", "to the nearest MIP pixel of the frame; -1 none"),
    "FLAG":       ("",      "bits as in FLAGBITn"),
    "P_PARTICLE": ("",      "probability of a particle; NaN not screened"),
    "P_CLASS":    ("",      "window empty, X-ray, particle, mixed; NaN not screened"),
    "REASON":     ("",      "why: bits as in REASBITn"),
    "SRC_FRAME":  ("",      "frame number of the source; -1 none"),
    "SRC_CHIP":   ("",      "chip number of the source; -1 none"),
    "SRC_X":      ("pixel", "column as the source counts it"),
    "SRC_Y":      ("pixel", "row as the source counts it"),
    "PHAS":       ("PIXEL", "3x3 or 5x5 pixels row by row, low y first; NaN no data"),
    "XMIN":       ("pixel", "first column"),
    "XMAX":       ("pixel", "last column"),
    "YMIN":       ("pixel", "first row"),
    "YMAX":       ("pixel", "last row"),
    "PEAK":       ("eV",    "brightest pixel"),
    "MEANX":      ("pixel", "centre of its pixels, unweighted"),
    "MEANY":      ("pixel", "centre of its pixels, unweighted"),
    "VARX":       ("pixel2", "variance of its pixels, unweighted"),
    "VARY":       ("pixel2", "variance of its pixels, unweighted"),
    "COVXY":      ("pixel2", "covariance of its pixels, unweighted"),
    "QUALITY":    ("",      "bits as in QUALBITn"),
    "NHITS":      ("",      "pixels above the event threshold"),
    "NEVENTS":    ("",      "events found, rejected ones included"),
    "NREJECT":    ("",      "rejected ones among the events"),
    "NTRACKS":    ("",      "particle tracks"),
    "CMODE":      ("PIXEL", "common mode, mean of the rows"),
    "FIRST":      ("",      "first read-out that is not in the stream"),
    "LAST":       ("",      "last read-out that is not in the stream"),
    "TSTART":     ("s",     "begin of the first"),
    "TSTOP":      ("s",     "end of the last"),
    "TYPE":       ("",      "1 hot 2 flickering 3 dead"),
    "START":      ("s",     "begin of an interval"),
    "STOP":       ("s",     "end of an interval"),
    "START_NS":   ("ns",    "the same, exact"),
    "STOP_NS":    ("ns",    "the same, exact"),
    "TRACKS.RAWX":   ("pixel", "signal-weighted centre"),
    "TRACKS.RAWY":   ("pixel", "signal-weighted centre"),
    "TRACKS.ENERGY": ("eV",    "sum of the pixels"),
    "GAPS.QUADRANT": ("",      "quadrant; -1 all"),
    "GAPS.REASON":   ("",      "why it is missing"),
}
COMMENTS = {
    "TELESCOP": "mission", "INSTRUME": "instrument", "FILTER": "filter", "OBS_ID": "run", "OBJECT": "target",
    "DATAMODE": "mode of the data", "DATE-OBS": "TSTART in TT", "DATE-END": "TSTOP in TT",
    "MJDREFI": "[d] MJD of time 0, whole days", "MJDREFF": "[d] MJD of time 0, rest", "TIMESYS": "time system",
    "TIMEREF": "no barycentric correction", "TIMEUNIT": "unit of times", "TIMEZERO": "[s] nothing to add",
    "TSTART": "[s] begin of the first read-out", "TSTOP": "[s] end of the last read-out", "TIMEDEL": "[s] frame time",
    "TIMEPIXR": "TIME is the middle of the frame", "TELAPSE": "[s] TSTOP - TSTART", "ONTIME": "[s] sum of the GTI",
    "LIVETIME": "[s] mean of the quadrants", "EXPOSURE": "[s] LIVETIME", "DEADC": "LIVETIME / ONTIME",
    "RADECSYS": "", "EQUINOX": "", "RA_PNT": "[deg] 0 if unknown", "DEC_PNT": "[deg] 0 if unknown",
    "PA_PNT": "[deg] 0 if unknown", "ORIGIN": "", "CREATOR": "", "ANCRFILE": "", "RESPFILE": "", "HDUCLASS": "",
    "HDUCLAS1": "", "HDUCLAS2": "", "CPREF": "columns to bin for an image", "STREAM": "source of the frames",
    "FRAME_NS": "[ns] from one read-out to the next", "LIVE_NS": "[ns] of it, sensitive",
    "PIXTYPE": "pixels of the frames: ADU or real numbers", "GAIN_EV": "[eV] per unit of a pixel",
    "SATURAT": "end of the ADC range", "PICHANS": "channels of PI", "PI_EV": "[eV] width of a channel",
    "MIP_EV": "[eV] particle above", "EVT_THR": "event threshold", "EVT_UNIT": "unit of EVT_THR",
    "SPL_THR": "split threshold", "SPL_UNIT": "unit of SPL_THR", "SCREEN": "model that screens",
    "SCR_SHA": "its SHA-256, first digits", "SCRTREES": "forest that judges what it finds",
    "SCRT_SHA": "its SHA-256, first digits", "SCR_THR": "rejected above this P_PARTICLE",
    "SCR_LOST": "share of X-rays that may be lost by that", "SCR_PROV": "where it was asked to run",
    "NQUADS": "quadrants", "ROLL": "file of the run", "NEXTEND": "tables in this file",
    "INTERVAL": "first interval in this file", "TSTARTNS": "[ns] TSTART, exact", "TSTOPNS": "[ns] TSTOP, exact",
    "NREADOUT": "quadrant read-outs in FRAMES", "NOVERFLW": "of them with more hits than can be held",
    "NDEAD": "of them without a common mode: stuck, not read",
    "NLATE": "of them late", "NREPEAT": "of them repeated exposures: no livetime",
    "NGAPREAD": "quadrant read-outs named in GAPS", "NDISCARD": "events of overflowed frames, left out",
}
# fmt: on
_SUMMED = ("NREADOUT", "NOVERFLW", "NDEAD", "NLATE", "NREPEAT", "NGAPREAD", "NDISCARD")
_CLASSES = {"EVENTS": ("EVENTS", "ACCEPTED"), "REJECTED": ("EVENTS", "REJECTED"), "GTI": ("GTI", "STANDARD")}
_BITS = {"FLAG": ("FLAGBIT", Flag), "REASON": ("REASBIT", Reason), "QUALITY": ("QUALBIT", Quality)}
_DEFAULTS: Cards = {
    "FILTER": "NONE", "DATAMODE": "FRAME", "RADECSYS": "ICRS", "EQUINOX": 2000.0, "RA_PNT": 0.0, "DEC_PNT": 0.0,
    "PA_PNT": 0.0, "ANCRFILE": "NONE", "RESPFILE": "NONE", "ORIGIN": "raysieve", "CREATOR": "raysieve",
}  # fmt: skip


_STANDARD = {  # in the header of every table
    "TELESCOP", "INSTRUME", "FILTER", "OBS_ID", "OBJECT", "DATAMODE", "DATE-OBS", "DATE-END", "MJDREFI", "MJDREFF",
    "TIMESYS", "TIMEREF", "TIMEUNIT", "TIMEZERO", "TSTART", "TSTOP", "TIMEDEL", "TIMEPIXR", "TELAPSE", "ONTIME",
    "LIVETIME", "EXPOSURE", "DEADC", "RADECSYS", "EQUINOX", "RA_PNT", "DEC_PNT", "PA_PNT", "ORIGIN", "CREATOR",
}  # fmt: skip


def quadrants_of(header: Mapping[str, Any]) -> list[int]:
    """Return the quadrant ids that a header describes."""
    return [q for q in range(256) if f"Q{q:02d}X0" in header]


def run_cards(header: Mapping[str, Card], gti: NDArray[Any]) -> Cards:
    """Return all cards of the run for a file of these counts (product header) and intervals (GTI table).

    LIVETIME = usable quadrant read-outs x live time / quadrants; what was not read adds nothing.
    """
    start, stop = int(header["TSTARTNS"]), int(header["TSTOPNS"])
    frame, live, quadrants = int(header["FRAME_NS"]), int(header["LIVE_NS"]), max(1, int(header["NQUADS"]))
    on_time = int((gti["STOP_NS"] - gti["START_NS"]).sum())
    reads = {q: int(header[f"NREAD{q:02d}"]) for q in quadrants_of(header)}
    live_time = sum(reads.values()) * live / (quadrants * 10**9)
    first, last = seconds(np.array([start, stop]))
    cards: Cards = {
        "DATE-OBS": _date(header, start),
        "DATE-END": _date(header, stop),
        "TIMESYS": "TT",
        "TIMEREF": "LOCAL",
        "TIMEUNIT": "s",
        "TIMEZERO": 0.0,
        "TSTART": float(first),
        "TSTOP": float(last),
        "TIMEDEL": frame / 10**9,
        "TIMEPIXR": 0.5,
        "TELAPSE": (stop - start) / 10**9,
        "ONTIME": on_time / 10**9,
        "LIVETIME": live_time,
        "EXPOSURE": live_time,
        "DEADC": live_time * 10**9 / on_time if on_time else 0.0,
    }
    return {**_DEFAULTS, **header, **cards, **{f"LIVTI{q:02d}": n * live / 10**9 for q, n in reads.items()}}


def merged_header(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts and counts of two products of one file as one header."""
    merged = dict(first)
    for name in [*_SUMMED, *(f"NREAD{q:02d}" for q in quadrants_of(merged))]:
        merged[name] += second[name]
    if second["NREADOUT"]:
        both = bool(first["NREADOUT"])
        merged["TSTARTNS"] = min(first["TSTARTNS"], second["TSTARTNS"]) if both else second["TSTARTNS"]
        merged["TSTOPNS"] = max(first["TSTOPNS"], second["TSTOPNS"]) if both else second["TSTOPNS"]
    return merged


def merged_gti(tables: list[NDArray[Any]], frame_ns: int) -> NDArray[Any]:
    """Return the union of GTI tables; gaps below half a frame are closed."""
    all_rows = np.concatenate(tables)
    start, stop = union(all_rows["START_NS"].astype(np.int64), all_rows["STOP_NS"].astype(np.int64), frame_ns // 2)
    gti = np.empty(len(start), all_rows.dtype)
    gti["START"], gti["STOP"], gti["START_NS"], gti["STOP_NS"] = seconds(start), seconds(stop), start, stop
    return gti


def describe(header: Any, table: str, cards: Mapping[str, Card]) -> None:
    """Add cards, units, ranges and meanings of the columns to a table's header (fits.Header)."""
    if table in _CLASSES:
        header.extend(zip(("HDUCLASS", "HDUCLAS1", "HDUCLAS2"), ("OGIP", *_CLASSES[table]), strict=True))
    ranges = _ranges(cards) if table in ("EVENTS", "REJECTED") else {}
    pixel = "adu" if cards["PIXTYPE"] == "ADU" else ""
    units = {"PIXEL": pixel, "PHA": pixel or "eV"}
    for number in range(1, header["TFIELDS"] + 1):
        name = header[f"TTYPE{number}"]
        unit, meaning = COLUMNS.get(f"{table}.{name}", COLUMNS[name])
        if unit:
            header[f"TUNIT{number}"] = units.get(unit, unit)
        header[f"TCOMM{number}"] = meaning
        if name in ranges:
            header[f"TLMIN{number}"], header[f"TLMAX{number}"] = ranges[name]
        if name in _BITS and table != "GAPS":
            card, bits = _BITS[name]
            header.extend((f"{card}{k}", bit.name, f"value {int(bit)}") for k, bit in enumerate(bits))
    if table in ("EVENTS", "REJECTED"):
        header["CPREF"] = ("DETX,DETY", COMMENTS["CPREF"])
    put_cards(header, cards if table == "EVENTS" else {k: v for k, v in cards.items() if k in _STANDARD})


def put_cards(header: Any, cards: Mapping[str, Card]) -> None:
    """Add cards with their comments to a header (fits.Header); text becomes what FITS can hold."""
    for name, value in cards.items():
        if isinstance(value, str):
            value = "".join(c if " " <= c <= "~" else "?" for c in value)
        long = isinstance(value, str) and len(value) > 40
        header[name] = value if long else (value, COMMENTS.get(name, _comment(name)))


def _comment(name: str) -> str:
    for prefix, text in (
        ("NREAD", "read-outs of a quadrant that add livetime"),
        ("LIVTI", "[s] livetime of a quadrant"),
        ("MAPV", "map version of a quadrant"),
    ):
        if name.startswith(prefix):
            return text
    ends = {"X0": "focal plane column", "Y0": "focal plane row", "NX": "columns", "NY": "rows"}
    return f"{ends[name[-2:]]} of a quadrant" if name[0] == "Q" and name[-2:] in ends else ""


def _ranges(cards: Mapping[str, Any]) -> dict[str, tuple[Card, Card]]:
    """First and last value of the columns that people bin."""
    boxes = [[cards[f"Q{q:02d}{end}"] for end in ("X0", "Y0", "NX", "NY")] for q in quadrants_of(cards)]
    x0, y0, nx, ny = zip(*(boxes or [[0, 0, 1, 1]]), strict=True)
    right = max(x + n for x, n in zip(x0, nx, strict=True)) - 0.5
    top = max(y + n for y, n in zip(y0, ny, strict=True)) - 0.5
    top_ev = cards["PICHANS"] * cards["PI_EV"]
    top_pha = cards["SATURAT"] if cards["PIXTYPE"] == "ADU" else top_ev
    return {
        "QUADRANT": (0, max(quadrants_of(cards), default=0)),
        "RAWX": (0, max(nx) - 1),
        "RAWY": (0, max(ny) - 1),
        "DETX": (min(x0) - 0.5, right),
        "DETY": (min(y0) - 0.5, top),
        "PHA": (0, int(min(top_pha, 2**31 - 1))),
        "PI": (0, cards["PICHANS"] - 1),
        "ENERGY": (0.0, float(top_ev)),
        "PATTERN": (0, 13),
        "NEIGHBOURS": (0, 255),
        "P_PARTICLE": (0.0, 1.0),
    }


def _date(header: Mapping[str, Any], time_ns: int) -> str:
    day = float(header["MJDREFF"]) + time_ns / 86_400e9
    try:
        time = Time(float(header["MJDREFI"]), day, format="mjd", scale="tt")
        return str(Time(time, precision=6).isot)
    except ValueError:  # a year that has no calendar date
        return ""
