"""Event lists of other missions as pictures of the sky: where the events lie, their energies, exposure and WCS."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.messages import Product
from stream.spectra.response import Response
from stream.transport.eventlist import read_event_list

Floats = NDArray[np.float64]
LARGEST: Final = 2048  # pixels a side
PLACES: Final = {"sky": ("X", "Y"), "detector": ("DETX", "DETY")}
MARGIN: Final = 0.5
EPIC: Final = ("EMOS", "EPN")
KEPT: Final = ("TELESCOP", "INSTRUME", "OBJECT", "OBS_ID", "MJDREFI", "MJDREFF")
SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Frame:
    """How the image lies in the coordinates of the list."""

    names: tuple[str, str]
    low: tuple[float, float]  # lower edge of the first pixel
    bin_px: int
    shape: tuple[int, int]  # rows, columns

    def place(self, pixel: Floats, axis: int) -> Floats:
        """Return coordinates of the list of places in the image."""
        return self.low[axis] + (pixel + 0.5) * self.bin_px


def frame_of(events: NDArray[Any], header: Mapping[str, Any], coordinates: str, bin_px: int | None) -> Frame:
    """Return the image that holds all events, or the detector where the list says how large it is.

    coordinates: "sky", "detector" or "auto"; bin_px: None for the least that keeps the image below LARGEST.
    Raises ConfigError without their columns, or for an image too large.
    """
    names = events.dtype.names or ()
    kinds = [kind for kind in PLACES if coordinates in ("auto", kind)]
    pair = next((PLACES[kind] for kind in kinds if set(PLACES[kind]) <= set(names)), None)
    if pair is None:
        raise ConfigError(f"events: EVENTS has no columns {' or '.join('/'.join(PLACES[kind]) for kind in kinds)}")
    low, span = [], []
    for axis, name in enumerate(pair):
        values = np.asarray(events[name], float)
        values = values[np.isfinite(values)]
        begin, end = (values.min(), values.max()) if values.size else (0.0, 0.0)
        if name.startswith("DET") and header.get("NQUADS") == 1 and f"Q00N{'XY'[axis]}" in header:
            begin, end = 0.0, float(header[f"Q00N{'XY'[axis]}"]) - 1
        low.append(float(np.floor(begin + MARGIN) - MARGIN))
        span.append(end - low[-1])
    least = int(max(span) // LARGEST) + 1
    bin_px = bin_px or least
    size = [int(wide // bin_px) + 1 for wide in span]
    if max(size) > LARGEST:
        raise ConfigError(
            f"bin_px: an image of {size[0]} x {size[1]} pixels, at most {LARGEST} a side: expected {least} or more"
        )
    return Frame(pair, (low[0], low[1]), bin_px, (size[1], size[0]))


def pi_in_ev(header: Mapping[str, Any]) -> bool:
    """Return whether PI of a list is in eV, and no channel: of XMM-Newton's EPIC."""
    return header.get("TELESCOP") == "XMM" and str(header.get("INSTRUME", "")).startswith(EPIC)


def energy_of(
    events: NDArray[Any], response: Response | None, header: Mapping[str, Any] = MappingProxyType({})
) -> Floats:
    """Return energies, keV, (n,): of the column ENERGY (eV), or of PI or PHA by the response's EBOUNDS.

    PI of XMM-Newton's EPIC (by the header) is in eV, and no channel. NaN for channels that these do not hold. Raises
    ConfigError without any of them, or without a response for these.
    """
    names = events.dtype.names or ()
    if "ENERGY" in names:
        return np.asarray(events["ENERGY"], float) / 1000
    if "PI" in names and pi_in_ev(header):
        return np.asarray(events["PI"], float) / 1000
    kind = response.about.get("CHANTYPE", "PI") if response is not None else "PI"
    chosen = next((name for name in (kind, "PI", "PHA") if name in names), None)
    if chosen is None:
        raise ConfigError("events: EVENTS has no column ENERGY, PI or PHA")
    if response is None:
        raise ConfigError(
            f"events: EVENTS has {chosen} and no ENERGY: give the response (--rmf) that says what it means"
        )
    middle = (response.e_min_kev + response.e_max_kev) / 2
    return np.interp(events[chosen], response.channel, middle, left=np.nan, right=np.nan)


def good_time_of(tables: Mapping[str, NDArray[Any]]) -> tuple[Floats, Floats]:
    """Return begin and end (n,), s, of the good time: of the first table GTI, STDGTI01, ... that holds any; or none.

    Missions with several chips have a table for each; their exposures differ little.
    """
    for name, table in tables.items():
        if "GTI" in name and {"START", "STOP"} <= set(table.dtype.names or ()):
            start, stop = (np.asarray(table[key], float) for key in ("START", "STOP"))
            good = np.isfinite(start) & np.isfinite(stop) & (stop > start)
            if good.any():
                return start[good], stop[good]
    return np.empty(0), np.empty(0)


def exposure_of(header: Mapping[str, Any], tables: Mapping[str, NDArray[Any]]) -> float:
    """Return the exposure of a list, s: that of its keywords, or else its good time. Raises ConfigError for neither."""
    for key in ("EXPOSURE", "LIVETIME", "ONTIME"):
        if key in header:
            seconds = float(header[key])
            if not (np.isfinite(seconds) and seconds > 0):
                raise ConfigError(f"events: {key} {header[key]}: expected seconds above 0")
            return seconds
    start, stop = good_time_of(tables)
    if not len(start):
        raise ConfigError("events: no keyword EXPOSURE, LIVETIME or ONTIME, and no good time (a table GTI)")
    return float((stop - start).sum())


def sky_of(header: Mapping[str, Any], frame: Frame) -> WCS | None:
    """Return the WCS of a list's columns; None where it has none, or none of the sky."""
    number_of = {str(header[key]).upper(): key[5:] for key in header if key.startswith("TTYPE")}
    axes = [number_of.get(name, "") for name in frame.names]
    if not all(f"{key}{n}" in header for n in axes for key in ("TCTYP", "TCRPX", "TCRVL", "TCDLT")):
        return None
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = (
        [header[f"{key}{n}"] for n in axes] for key in ("TCTYP", "TCRPX", "TCRVL", "TCDLT")
    )
    return wcs if wcs.has_celestial and str(wcs.wcs.ctype[0]).startswith("RA") else None


def read_sky_list(path: Path, number: int, response: Response | None, bin_px: int | None) -> Product:
    """Return an event list of another mission as a product "events": one camera, evenly exposed, in sky pixels.

    bin_px: pixels of the list along one of the camera that it becomes, so that an image is not too large; None: the
    least that fits; card SKY_BIN. Events whose energy or place is not known are left out and counted in NOPLACE.
    Raises ConfigError, one line.
    """
    tables, header = read_event_list(path)
    events = tables["EVENTS"]
    try:
        frame, seconds = frame_of(events, header, "auto", bin_px), exposure_of(header, tables)
        energy = energy_of(events, response, header)
    except ConfigError as fault:
        raise ConfigError(f"{path}: {str(fault).removeprefix('events: ')}") from None
    bin_px = frame.bin_px
    x, y = ((np.asarray(events[n], float) - low) / bin_px - 0.5 for n, low in zip(frame.names, frame.low, strict=True))
    good = np.isfinite(x) & np.isfinite(y) & np.isfinite(energy)
    rows = np.zeros(int(good.sum()), [("TIME", "f8"), ("DETX", "f8"), ("DETY", "f8"), ("ENERGY", "f8"), ("PI", "i4")])
    for name, values in (("TIME", events["TIME"]), ("DETX", x), ("DETY", y), ("ENERGY", energy * 1000)):
        rows[name] = np.asarray(values, float)[good]
    span = float(np.ptp(rows["TIME"])) if len(rows) else seconds
    begin = float(rows["TIME"].min()) if len(rows) else 0.0
    start, stop = good_time_of(tables)
    if not len(start):
        start, stop = np.array([begin]), np.array([begin + max(span, seconds)])
    gti = np.zeros(len(start), [("START", "f8"), ("STOP", "f8"), ("STOP_NS", "i8")])
    gti["START"], gti["STOP"] = start, stop
    gti["STOP_NS"] = np.rint(gti["STOP"] * SECOND_NS)
    whole = max(float((gti["STOP"] - gti["START"]).sum()), seconds)
    cards: dict[str, Any] = {key: header[key] for key in KEPT if isinstance(header.get(key), str | int | float)}
    cards |= {"NQUADS": 1, "Q00X0": 0, "Q00Y0": 0, "Q00NX": frame.shape[1], "Q00NY": frame.shape[0]}
    cards |= {"FRAME_NS": SECOND_NS, "LIVE_NS": round(seconds / whole * SECOND_NS), "NREAD00": whole}
    cards |= {"NOPLACE": int((~good).sum()), "INTERVAL": number, "FOLDER": ".", "SKY_BIN": bin_px}
    sky = sky_of(header, frame)
    if sky is not None:
        for axis in (0, 1):
            cards[f"CTYPE{axis + 1}S"] = str(sky.wcs.ctype[axis])
            cards[f"CRPIX{axis + 1}S"] = (float(sky.wcs.crpix[axis]) - frame.low[axis]) / bin_px - 0.5
            cards[f"CRVAL{axis + 1}S"], cards[f"CDELT{axis + 1}S"] = (
                float(sky.wcs.crval[axis]), float(sky.wcs.cdelt[axis]) * bin_px,
            )  # fmt: skip
    return Product(
        stream="", kind="events", sequence=number, time_ns=round(begin * SECOND_NS), header=cards,
        tables={"EVENTS": rows, "GTI": gti},
    )  # fmt: skip
