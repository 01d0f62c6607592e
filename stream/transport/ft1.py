"""FT1, the photon lists of the LAT, as a source of messages: many files as one stream in order of time.

Columns and eras: Pass 8 has EVENT_CLASS and EVENT_TYPE as 32 bits, most significant first, earlier passes have
EVENT_CLASS as an integer; the source class is bit 7 (128) in Pass 8 and bit 2 in Pass 7.
"""

import heapq
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.lat.photons import PHOTON, Table, good_times, inside
from stream.transport.fitsrows import FitsRows, met_times

SOURCE_BIT: Final = {"P8": 7, "P7": 2}  # of EVENT_CLASS, by pass (Fermi-LAT's Cicerone, "Photon classification")
MEV: Final = {"MeV": 1.0, "GeV": 1e3, "TeV": 1e6, "keV": 1e-3}
PLACES: Final = (("L", "B"), ("GLON", "GLAT"))
_KEYED = np.dtype([("photon", PHOTON), ("key", "<u8")])


class Ft1:
    """The photons of one file, in order of time, without those that are not to be used.

    counters: `read`; left out: `other_class`, `no_numbers`, `outside_gti`; `unordered`: came after a later one, and
    were put in their place, for which the file is held in memory. said: what was done to its units.
    """

    def __init__(self, path: Path, class_bit: int | None = None) -> None:
        """class_bit: of EVENT_CLASS; None: the source class. Raises ConfigError for what is no FT1 file."""
        self._rows, times = FitsRows(path, "EVENTS"), FitsRows(path, "GTI")
        self.counters: Counter[str] = Counter()
        self.said: list[str] = []
        self.path = self._rows.path
        met_times(self._rows)
        self._rows.need({"TIME": "s", "ZENITH_ANGLE": "deg"})
        self._lon, self._lat = self._place()
        self._mev = self._energy()
        self._class = self._class_bit() if class_bit is None else class_bit
        self._kind = self._conversion()
        times.need({"START": "s", "STOP": "s"})
        spans = [(times.values(piece, "START"), times.values(piece, "STOP")) for piece in times.pieces()]
        self.gti = good_times(
            *(np.concatenate([[], *part]) for part in zip(*spans, strict=True)) if spans else ((), ())
        )
        self.first_s, self._ordered = self._look()

    def _place(self) -> tuple[str, str]:
        for lon, lat in PLACES:
            if lon in self._rows and lat in self._rows:
                self._rows.need({lon: "deg", lat: "deg"})
                return lon, lat
        raise ConfigError(f"{self.path}: EVENTS: expected galactic places, L and B or GLON and GLAT")

    def _energy(self) -> float:
        if "ENERGY" not in self._rows or (unit := self._rows.unit("ENERGY")) not in MEV:
            unit = self._rows.unit("ENERGY") if "ENERGY" in self._rows else "no such column"
            raise ConfigError(f"{self.path}: EVENTS.ENERGY: expected MeV (or GeV, TeV, keV), got {unit or 'no unit'}")
        if unit != "MeV":
            self.said.append(f"{self.path}: ENERGY is in {unit}: times {MEV[unit]:g}, as MeV")
        return MEV[unit]

    def _class_bit(self) -> int:
        if "EVENT_CLASS" not in self._rows:
            raise ConfigError(f"{self.path}: EVENTS: no column EVENT_CLASS; expected one, or --class-bit -1 to use all")
        header = self._rows.header
        said = [str(value) for key, value in header.items() if key.startswith("DSTYP") and "EVENT_CLASS" in str(value)]
        version = re.search(r"P[78]", " ".join([str(header.get("PASS_VER", "")), *said]))
        if version is None:
            raise ConfigError(f"{self.path}: EVENTS: PASS_VER: expected P7... or P8..., or --class-bit N")
        return SOURCE_BIT[version[0]]

    def _conversion(self) -> str:
        for name in ("CONVERSION_TYPE", "EVENT_TYPE"):
            if name in self._rows:
                return name
        raise ConfigError(f"{self.path}: EVENTS: front or back? expected a column CONVERSION_TYPE or EVENT_TYPE")

    def _look(self) -> tuple[float, bool]:
        """Return the time of the earliest photon (of the GTI, if there is none), and whether all are in order."""
        first, last, ordered = np.inf, -np.inf, True
        for piece in self._rows.pieces():
            time = self._rows.values(piece, "TIME")
            time = time[np.isfinite(time)]
            if len(time):
                ordered &= bool(time[0] >= last and (np.diff(time) >= 0).all())
                first, last = min(first, float(time.min())), max(last, float(time.max()))
        return first if np.isfinite(first) or not len(self.gti) else float(self.gti["START"][0]), ordered

    def photons(self) -> Iterator[NDArray[Any]]:
        """Yield PHOTON rows with the key of their event, rising in time."""
        pieces = (self._good(piece) for piece in self._rows.pieces())
        if self._ordered:
            yield from pieces
            return
        every = np.concatenate([np.empty(0, _KEYED), *pieces])
        time = every["photon"]["TIME"]
        self.counters["unordered"] += int((time < np.maximum.accumulate(time)).sum())
        yield every[np.argsort(time, kind="stable")]

    def _good(self, piece: NDArray[Any]) -> NDArray[Any]:
        rows, out = self._rows, np.zeros(len(piece), _KEYED)
        photon = out["photon"]
        photon["TIME"], photon["ZENITH"] = rows.values(piece, "TIME"), rows.values(piece, "ZENITH_ANGLE")
        photon["GLON"], photon["GLAT"] = rows.values(piece, self._lon), rows.values(piece, self._lat)
        photon["ENERGY"] = rows.values(piece, "ENERGY") * self._mev
        kind = rows.values(piece, self._kind).astype(np.int64)
        front, back = (kind == 0, kind == 1) if self._kind == "CONVERSION_TYPE" else (kind & 1 > 0, kind & 2 > 0)
        photon["CONVERSION"] = back
        if "EVENT_ID" in rows and "RUN_ID" in rows:
            run, event = (
                rows.values(piece, name).astype(np.int64).astype(np.uint64) for name in ("RUN_ID", "EVENT_ID")
            )
            out["key"] = (run << np.uint64(32)) | (event & np.uint64(0xFFFFFFFF))
        numbers = np.isfinite(photon["TIME"]) & (front ^ back) & (photon["ENERGY"] > 0) & np.isfinite(photon["ENERGY"])
        for name in ("ZENITH", "GLON", "GLAT"):
            numbers &= np.isfinite(photon[name])
        wanted = np.ones(len(piece), bool)
        if self._class >= 0:
            wanted = (rows.values(piece, "EVENT_CLASS").astype(np.int64) >> self._class) & 1 > 0
        good = inside(self.gti, photon["TIME"])
        self.counters["read"] += len(piece)
        self.counters["no_numbers"] += int((~numbers).sum())
        self.counters["other_class"] += int((numbers & ~wanted).sum())
        self.counters["outside_gti"] += int((numbers & wanted & ~good).sum())
        return out[numbers & wanted & good]


def merge(files: Sequence[Ft1], counters: Counter[str]) -> Iterator[Table]:
    """Yield the PHOTON rows of all files in order of time, each event once; what came again is counted as `twice`.

    Files are opened when their time has come. An event is known by its run, number and time.
    """
    waiting = sorted(((file.first_s, k) for k, file in enumerate(files)), reverse=True)
    held: list[tuple[float, int, NDArray[Any], Iterator[NDArray[Any]]]] = []  # last time, file, rows, what follows
    tail = np.empty(0, _KEYED)
    while waiting or held:
        if waiting and (not held or waiting[-1][0] <= held[0][0]):
            number = waiting.pop()[1]
            _hold(held, number, np.empty(0, _KEYED), files[number].photons())
            continue
        limit = held[0][0]
        ready, later = [tail], []
        for last, number, rows, source in held:
            cut = int(np.searchsorted(rows["photon"]["TIME"], limit, side="right"))
            ready.append(rows[:cut])
            later.append((last, number, rows[cut:], source))
        held = []
        for _, number, rows, source in later:
            _hold(held, number, rows, source)
        rows = np.concatenate(ready)
        fresh = _once(rows, len(tail), counters)
        tail = rows[rows["photon"]["TIME"] == limit]
        yield np.ascontiguousarray(fresh["photon"])


def _hold(held: list[Any], number: int, rows: NDArray[Any], source: Iterator[NDArray[Any]]) -> None:
    """Keep a file among those that are open, earliest end first, with rows to give; one that is over is let go."""
    while not len(rows):
        more = next(source, None)
        if more is None:
            return
        rows = more
    heapq.heappush(held, (float(rows["photon"]["TIME"][-1]), number, rows, source))


def _once(rows: NDArray[Any], known: int, counters: Counter[str]) -> NDArray[Any]:
    """Return rows in order of time, each event once, without the first `known` of them."""
    number = np.arange(len(rows))
    order = np.lexsort((number, rows["key"], rows["photon"]["TIME"]))
    key, time = rows["key"][order], rows["photon"]["TIME"][order]
    again = np.append(False, (key[1:] == key[:-1]) & (time[1:] == time[:-1]) & (key[1:] > 0))[: len(rows)]
    counters["twice"] += int((again & (order >= known)).sum())
    kept = order[~again & (order >= known)]
    return rows[kept]
