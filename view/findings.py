"""What a daemon has found, read from its products on the disk: sources, coronae, the gamma-ray sky, alerts."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MOST: Final = 40  # rows of a table that are shown
ALERTS: Final = 30
LEAST: Final = 10  # counts of a bin of a spectrum that is drawn
SKY: Final = "sky"  # folder of the gamma-ray sky
WINDOWS: Final = ("mission", "month", "week", "day", "six_hours")
SKY_SHAPE: Final = (180, 360)  # one degree
SOURCE_COLUMNS: Final = (
    "ID", "X", "Y", "NET_COUNTS", "NET_ERROR", "SIGNIFICANCE", "LOG_FLUX", "PHOTON_INDEX",
    "LOG_NH", "P_OUTLIER", "FLAG",
)  # fmt: skip
CORONA_COLUMNS: Final = ("LOG_T", "LOG_T_SD", "LOG_N", "LOG_N_SD", "LOG_NORM", "P_ONE", "P_TWO", "P_CONTINUOUS", "FLAG")
LAT_COLUMNS: Final = (
    "Source_Name", "GLON", "GLAT", "Conf_95_SemiMajor", "Signif_Avg", "Flux1000", "PL_Index", "P_Source",
    "ASSOC1", "CLASS1",
)  # fmt: skip
PRODUCTS: Final = {
    "sources": "sources.fits", "images": "images.fits", "coronae": "coronae.fits", "calibration": "calibration.fits"
}  # fmt: skip
LOOKS: Final = 200  # at the drift of a calibration that are shown, the newest

Found = dict[str, Any]


class Findings:
    """The newest products below OUT, read again when their files have changed. `look`: by one thread."""

    def __init__(self, out: Path) -> None:
        self._out, self._lock = out, Lock()
        self._read: dict[str, tuple[tuple[str, int], Found]] = {}  # name -> (file, when it was written), what is in it

    def look(self) -> None:
        """Read what is new."""
        places = {name: _newest(self._out, file) for name, file in PRODUCTS.items()}
        readers: dict[str, Callable[[Path], Found]] = {
            "sources": _sources, "images": _images, "coronae": _coronae, "calibration": _calibration
        }  # fmt: skip
        for window in WINDOWS:
            places[window] = _newest(self._out / SKY, f"{window}/catalogue.fits", deep=False)
            readers[window] = _catalogue
            places[f"map of {window}"] = _newest(self._out / SKY, f"{window}.fits", deep=False)
            readers[f"map of {window}"] = _sky_map
        alerts = self._out / SKY / "alerts"
        places["alerts"] = alerts if alerts.is_dir() else None
        readers["alerts"] = _alerts
        for name, path in places.items():
            self._again(name, path, readers[name])

    def _again(self, name: str, path: Path | None, reader: Callable[[Path], Found]) -> None:
        try:
            stamp = None if path is None else (str(path), path.stat().st_mtime_ns)
        except OSError:
            return
        if stamp is None or path is None:
            with self._lock:
                self._read.pop(name, None)
            return
        if name in self._read and self._read[name][0] == stamp:
            return
        try:
            found = reader(path)
        except Exception as fault:  # a file of another version, or one that is not whole: shown as it is
            found = {"error": f"{path.name}: cannot be read: {type(fault).__name__}: {fault}"[:300]}
        about = {"file": str(path.relative_to(self._out)), "written": stamp[1] / 1e9}
        with self._lock:
            self._read[name] = stamp, found | about

    def versions(self) -> dict[str, float]:
        """Return when each product that there is was written, s since 1970."""
        with self._lock:
            return {name: found["written"] for name, (_, found) in self._read.items()}

    def of(self, name: str) -> Found | None:
        """Return what is in a product, for JSON; None if there is none."""
        with self._lock:
            return self._read[name][1] if name in self._read else None


def _newest(folder: Path, file: str, *, deep: bool = True) -> Path | None:
    """Return the newest file of this name in a folder or, with deep, in one of its folders."""
    paths = [folder / file, *(folder.glob(f"*/{file}") if deep else ())]
    dated = []
    for path in paths:
        with suppress(OSError):
            dated.append((path.stat().st_mtime, path))
    return max(dated)[1] if dated else None


def _table(path: Path, extension: str) -> tuple[NDArray[Any], Any]:
    from astropy.io import fits

    with fits.open(path, memmap=False) as hdus:
        return np.asarray(hdus[extension].data), hdus[0].header


def _rows(table: NDArray[Any], columns: tuple[str, ...]) -> list[dict[str, Any]]:
    names = [name for name in columns if name in (table.dtype.names or ())]
    return [{name: plain(row[name]) for name in names} for row in table]


def plain(value: Any) -> Any:
    """Return a value of a table for JSON: text without padding, numbers of 6 digits, None for what is no number."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, np.ndarray):
        return [plain(one) for one in value.tolist()]
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, float):
        return float(f"{number:.6g}") if np.isfinite(number) else None
    return number


def _sources(path: Path) -> Found:
    """Return the brightest sources, how probable each class is, and the fits that there are."""
    from astropy.io import fits

    table, header = _table(path, "SOURCES")
    order = np.argsort(-table["NET_COUNTS"], kind="stable")[:MOST]
    rows = _rows(table[order], SOURCE_COLUMNS)
    classes = [str(header[f"CLASS{k}"]) for k in range(32) if f"CLASS{k}" in header]
    if "P" in (table.dtype.names or ()):
        for row, p in zip(rows, table["P"][order], strict=True):
            row["P"] = plain(p)
    with fits.open(path, memmap=False) as hdus:
        fitted = np.asarray(hdus["FITTED"].data) if "FITTED" in hdus else ()
    curves = {str(row["ID"]): curve_of(row) for row in fitted if row["ID"] in table["ID"][order]}
    return {"number": len(table), "rows": rows, "classes": classes, "exposure_s": plain(header.get("EXPOSURE"))} | {
        "model": str(header.get("MODEL", "")), "curves": curves
    }  # fmt: skip


def curve_of(row: Any) -> Found:
    """Return a row of FITTED as counts / keV of bins joined to LEAST counts: x and width keV, y, error, model.

    Without the background, as its fit saw it. The last bin may hold fewer counts.
    """
    bins = slice(0, int(row["BINS"]))
    low, high, counts, behind, model = (
        np.asarray(row[name][bins], float) for name in ("E_LO", "E_HI", "COUNTS", "BACKGROUND", "MODEL")
    )
    whole = np.floor(np.concatenate([[0.0], np.cumsum(counts)[:-1]]) / LEAST)
    begins = np.flatnonzero(np.diff(whole, prepend=-1.0))
    counts, behind, model = (np.add.reduceat(values, begins) for values in (counts, behind, model))
    low, high = low[begins], high[np.append(begins[1:], len(high)) - 1]
    width = high - low
    error = np.sqrt(np.maximum(counts, 1.0)) / width
    columns = {"x": (low + high) / 2, "width": width, "y": (counts - behind) / width, "error": error}
    return {name: plain(values) for name, values in (columns | {"model": model / width}).items()}


def _images(path: Path) -> Found:
    """Return what is known of the images; the pixels stay on the disk."""
    from astropy.io import fits

    with fits.open(path, memmap=False) as hdus:
        header = hdus[0].header
        names = [hdu.name for hdu in hdus if hdu.name.startswith("COUNTS")]
        counts = [int(hdu.data.sum()) for hdu in hdus if hdu.name.startswith("COUNTS")]
    facts = {key: plain(header.get(key)) for key in ("EXPOSURE", "NINTERV", "MISSING", "TSTART", "TSTOP")}
    return {"bands": names, "counts": counts, "facts": facts}


def _coronae(path: Path) -> Found:
    table, _ = _table(path, "CORONAE")
    return {"number": len(table), "rows": _rows(table[:MOST], ("NAME", *CORONA_COLUMNS))}


def _calibration(path: Path) -> Found:
    """Return what fits of two telescopes tell of their areas: dT/T by temperature of each set, and drift by look."""
    from stream.stages.monitor_calibration import as_words

    table, header = _table(path, "CALIBRATION")
    drift, _ = _table(path, "DRIFT")
    columns = ("SET", "FITS", "SKIPPED", "START", "STOP", "CHI2", "DOF", "P", "KT", "DT", "DT_ERR", "FLAG")
    facts = {key.lower(): plain(header.get(key)) for key in ("MODEL", "FAMILY", "WINDOW_S", "ALARM_P")}
    looks = {name.lower(): [plain(one) for one in drift[name][-LOOKS:]] for name in ("TIME", "P")}
    sets = [row | {"words": as_words(row["FLAG"])} for row in _rows(table, columns)]
    return {"sets": sets, "drift": looks, "number": len(drift), **facts}


def _catalogue(path: Path) -> Found:
    """Return the detections of a window: all places, and the most significant rows."""
    table, header = _table(path, "LAT_Point_Source_Catalog")
    order = np.argsort(-table["Signif_Avg"], kind="stable")
    known = [bool(plain(name)) for name in table["ASSOC1"]] if "ASSOC1" in (table.dtype.names or ()) else []
    places = {name: np.round(table[key], 3).tolist() for name, key in (("l", "GLON"), ("b", "GLAT"))}
    places |= {"significance": np.round(table["Signif_Avg"], 2).tolist()}
    places |= {"name": [plain(name) for name in table["Source_Name"]]}
    rows = _rows(table[order[:MOST]], LAT_COLUMNS)
    facts = {key: plain(header.get(key)) for key in ("TSTART", "TSTOP", "LIVETIME", "REFCAT") if key in header}
    return {"number": len(table), "rows": rows, "places": places, "known": known, "facts": facts}


def _sky_map(path: Path) -> Found:
    """Return the counts of a window in squares of a degree, all bands, front and back: (180, 360), from b = -90.

    Columns are l from -180 to 180.
    """
    from astropy.io import fits
    from astropy_healpix import HEALPix

    image = np.zeros(SKY_SHAPE, np.int64)
    with fits.open(path, memmap=False) as hdus:
        sides, header = hdus["BANDS"].data["NSIDE"], hdus[0].header
        for name in ("FRONT", "BACK"):
            rows = hdus[name].data
            for band, nside in enumerate(sides):
                mine = rows[rows["CHANNEL"] == band]
                if not len(mine):
                    continue
                lon, lat = HEALPix(int(nside), order="ring").healpix_to_lonlat(mine["PIX"])
                x = ((lon.deg + 180) % 360).astype(int) % SKY_SHAPE[1]
                y = np.clip((lat.deg + 90).astype(int), 0, SKY_SHAPE[0] - 1)
                np.add.at(image, (y, x), mine["VALUE"])
        facts = {key: plain(header.get(key)) for key in ("TSTART", "TSTOP", "ONTIME", "EXPOSURE")}
    return {"photons": int(image.sum()), "image": image.reshape(-1).tolist(), "shape": SKY_SHAPE, "facts": facts}


def _alerts(folder: Path) -> Found:
    """Return the newest alerts, as they were written."""
    paths = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    keys = (
        "event_name",
        "id",
        "alert_datetime",
        "alert_tense",
        "ra",
        "dec",
        "ra_dec_error",
        "flux",
        "flux_ratio",
        "TS",
    )
    rows = []
    for path in paths[:ALERTS]:
        notice = json.loads(path.read_text())
        rows.append({key: notice[key] for key in keys if key in notice} | {"written": path.stat().st_mtime})
        if "ra" in notice and "dec" in notice:
            rows[-1] |= _galactic(float(notice["ra"]), float(notice["dec"]))
    return {"number": len(paths), "rows": rows}


def _galactic(ra: float, dec: float) -> dict[str, float]:
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    place = SkyCoord(ra * u.deg, dec * u.deg).galactic
    return {"l": round(float(place.l.deg), 3), "b": round(float(place.b.deg), 3)}
