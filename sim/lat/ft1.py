"""Simulated photons as the mission's files: FT1 (events and good times), FT2 (spacecraft), and beside them the truth.

Files grow piece by piece, so that ten years need no more memory than a few days. Bit columns have the most significant
bit first: the source class is 128 in EVENT_CLASS, front 1 and back 2 in EVENT_TYPE.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import h5py
import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from sim.lat.orbit import ROCK_DEG, ROW_S
from stream.lat.bands import TYPES
from stream.lat.sphere import equatorial
from stream.transport.fitsfile import disk_faults
from stream.transport.hdf5 import filters

Floats = NDArray[np.float64]
SOURCE_CLASS: Final = 128
EVENTS: Final = (  # name, FITS format, type on disk, unit
    ("ENERGY", "E", ">f4", "MeV"),
    *[(name, "E", ">f4", "deg") for name in ("RA", "DEC", "L", "B", "THETA", "PHI", "ZENITH_ANGLE")],
    ("TIME", "D", ">f8", "s"),
    ("EVENT_ID", "J", ">i4", ""),
    ("RUN_ID", "J", ">i4", ""),
    ("EVENT_CLASS", "32X", ">u4", ""),
    ("EVENT_TYPE", "32X", ">u4", ""),
    ("CONVERSION_TYPE", "I", ">i2", ""),
)
POINTINGS: Final = (
    ("START", "D", ">f8", "s"),
    ("STOP", "D", ">f8", "s"),
    ("LAT_GEO", "E", ">f4", "deg"),
    ("LON_GEO", "E", ">f4", "deg"),
    *[(f"{axis}_{of}", "E", ">f4", "deg") for of in ("ZENITH", "SCZ", "SCX", "NPOLE") for axis in ("RA", "DEC")],
    ("ROCK_ANGLE", "E", ">f4", "deg"),
    ("LAT_MODE", "J", ">i4", ""),
    ("LAT_CONFIG", "B", "u1", ""),
    ("DATA_QUAL", "B", "u1", ""),
    ("IN_SAA", "L", "u1", ""),
    ("LIVETIME", "D", ">f8", "s"),
)
SURVEY_MODE: Final = 5  # of LAT_MODE
Columns = tuple[tuple[str, str, str, str], ...]


class RowFile:
    """A FITS file whose first table grows; it has its name only when it is whole. LinkError when the disk refuses."""

    def __init__(self, path: Path, name: str, columns: Columns, header: dict[str, Any]) -> None:
        self._path, self._partial, self._rows = path, path.with_name(f".{path.name}.partial"), 0
        self.dtype = np.dtype([(column, kind) for column, _, kind, _ in columns])
        made = [fits.Column(column, form, unit=unit or None) for column, form, _, unit in columns]
        table = fits.BinTableHDU.from_columns(made, nrows=0, name=name)
        table.header.update(header)
        primary = fits.PrimaryHDU()
        primary.header.update({key: header[key] for key in ("TELESCOP", "INSTRUME", "ORIGIN")})
        with disk_faults(path):
            self._file = self._partial.open("wb")
        self._file.write(primary.header.tostring().encode())
        self._count_at = self._file.tell() + table.header.index("NAXIS2") * 80
        self._file.write(table.header.tostring().encode())

    def write(self, rows: NDArray[Any]) -> None:
        """Append rows of `dtype`."""
        with disk_faults(self._path):
            self._file.write(rows.tobytes())
        self._rows += len(rows)

    def close(self, more: bytes = b"") -> None:
        """Write how many rows there are and what follows, whole HDUs; the file takes its name."""
        with disk_faults(self._path):
            self._file.write(b"\0" * (-self._rows * self.dtype.itemsize % 2880) + more)
            self._file.seek(self._count_at)
            self._file.write(str(fits.Card("NAXIS2", self._rows)).encode())
            self._file.close()
            self._partial.replace(self._path)

    def drop(self) -> None:
        """Throw away what was written."""
        self._file.close()
        self._partial.unlink(missing_ok=True)


class Recording:
    """An FT1 file, the truth in HDF5, and an FT2 file if asked for; a context: without its end nothing is left."""

    def __init__(self, photons: Path, spacecraft: Path | None, span_s: tuple[float, float], about: str) -> None:
        header = _header(span_s)
        self._ft1 = RowFile(photons, "EVENTS", EVENTS, header | _cuts())
        self._ft2 = RowFile(spacecraft, "SC_DATA", POINTINGS, header) if spacecraft else None
        self._truth, self._span = photons.with_suffix(".h5"), span_s
        self._partial = self._truth.with_name(f".{self._truth.name}.partial")
        self._file = h5py.File(self._partial, "w")
        self._file.attrs["kind"], self._file.attrs["about"] = "lat truth", about
        self._origin = self._file.create_dataset(
            "ORIGIN", (0,), np.int32, maxshape=(None,), chunks=(65536,), **filters()
        )
        self._gti: list[Floats] = []
        self.photons = 0

    def __enter__(self) -> Self:
        return self

    def put_sources(self, table: NDArray[Any], classes: Sequence[str]) -> None:
        """Keep the true sources; ORIGIN is a row of them, -1: diffuse light."""
        data = self._file.create_dataset("SOURCES", data=table, **filters())
        data.attrs["classes"] = list(classes)

    def write(self, events: NDArray[Any], gti: Floats, run: int) -> None:
        """Append EVENT rows, by time, and the good times they lie in, (k, 2)."""
        out = np.zeros(len(events), self._ft1.dtype)
        out["ENERGY"], out["TIME"] = events["energy_mev"], events["time_s"]
        out["L"], out["B"] = events["glon_deg"], events["glat_deg"]
        out["RA"], out["DEC"] = equatorial(events["glon_deg"], events["glat_deg"])
        out["THETA"], out["PHI"] = events["theta_deg"], events["phi_deg"]
        out["ZENITH_ANGLE"] = events["zenith_deg"]
        kind = events["channel"].astype(np.int64) % len(TYPES)
        out["EVENT_CLASS"], out["EVENT_TYPE"], out["CONVERSION_TYPE"] = SOURCE_CLASS, kind + 1, kind
        out["RUN_ID"], out["EVENT_ID"] = run, np.arange(1, len(events) + 1)
        self._ft1.write(out)
        self._origin.resize((self.photons + len(events),))
        self._origin[self.photons :] = events["source"]
        self.photons += len(events)
        self._gti.append(gti)

    def point(self, rows: NDArray[Any]) -> None:
        """Append ROWs of pointing, which hold the directions at their starts."""
        if self._ft2 is None:
            return
        out = np.zeros(len(rows), self._ft2.dtype)
        out["START"], out["STOP"], out["LIVETIME"] = rows["start_s"], rows["start_s"] + ROW_S, rows["live_s"]
        out["LON_GEO"], out["LAT_GEO"], out["ROCK_ANGLE"] = rows["lon_deg"], rows["lat_deg"], rows["rock_deg"]
        x = rows["zenith"] - np.einsum("ni,ni->n", rows["zenith"], rows["axis"])[:, None] * rows["axis"]
        for name, vector in (("SCZ", rows["axis"]), ("SCX", x), ("ZENITH", rows["zenith"]), ("NPOLE", rows["pole"])):
            out[f"RA_{name}"] = np.degrees(np.arctan2(vector[:, 1], vector[:, 0])) % 360
            out[f"DEC_{name}"] = np.degrees(np.arctan2(vector[:, 2], np.hypot(vector[:, 0], vector[:, 1])))
        dead = rows["live_s"] == 0
        out["LAT_MODE"], out["LAT_CONFIG"] = SURVEY_MODE, ~dead
        out["DATA_QUAL"], out["IN_SAA"] = ~dead, np.where(dead, ord("T"), ord("F"))
        self._ft2.write(out)

    def __exit__(self, kind: object, *_: object) -> None:
        self._file.close()
        if kind is not None:
            for file in (self._ft1, self._ft2):
                if file is not None:
                    file.drop()
            self._partial.unlink(missing_ok=True)
            return
        self._ft1.close(_gti(np.concatenate([np.zeros((0, 2)), *self._gti]), self._span))
        if self._ft2 is not None:
            self._ft2.close()
        self._partial.replace(self._truth)


def _gti(times: Floats, span_s: tuple[float, float]) -> bytes:
    """Return the HDU of good times; those that follow each other are one."""
    later = np.flatnonzero(times[1:, 0] > times[:-1, 1] + 1e-6) + 1
    first = np.concatenate([[0], later]).astype(int)[: len(times)]
    last = np.concatenate([later - 1, [len(times) - 1]]).astype(int)[: len(times)]
    joined = np.stack([times[first, 0], times[last, 1]], axis=1)
    columns = [fits.Column(name, "D", unit="s") for name in ("START", "STOP")]
    table = fits.BinTableHDU.from_columns(columns, nrows=0, name="GTI")
    table.header.update(_header(span_s) | {"ONTIME": float((joined[:, 1] - joined[:, 0]).sum())})
    table.header["NAXIS2"] = len(joined)
    data = joined.astype(">f8").tobytes()
    return table.header.tostring().encode() + data + b"\0" * (-len(data) % 2880)


def _header(span_s: tuple[float, float]) -> dict[str, Any]:
    return {
        "TELESCOP": "GLAST",
        "INSTRUME": "LAT",
        "ORIGIN": "raysieve: simulated",
        "TSTART": span_s[0],
        "TSTOP": span_s[1],
        "MJDREFI": 51910,
        "MJDREFF": 7.428703703703703e-4,
        "TIMEUNIT": "s",
        "TIMEZERO": 0.0,
        "TIMESYS": "TT",
        "TIMEREF": "LOCAL",
        "ROCKING": ROCK_DEG,
    }


def _cuts() -> dict[str, Any]:
    """Return the cuts in words of the mission (data sub-space)."""
    cuts = (
        ("BIT_MASK(EVENT_CLASS,128,P8R3)", "DIMENSIONLESS", "1:1"),
        ("TIME", "s", "TABLE"),
        ("BIT_MASK(EVENT_TYPE,3,P8R3)", "DIMENSIONLESS", "1:1"),
        ("ZENITH_ANGLE", "deg", "0:105"),
    )
    header: dict[str, Any] = {"PASS_VER": "P8R3", "NDSKEYS": len(cuts)}
    for k, (kind, unit, value) in enumerate(cuts, 1):
        header |= {f"DSTYP{k}": kind, f"DSUNI{k}": unit, f"DSVAL{k}": value}
        if value == "TABLE":
            header[f"DSREF{k}"] = ":GTI"
    return header
