"""The catalogue of sources of an uploaded event list: runs in a worker."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from numpy.typing import NDArray

from config.errors import ConfigError
from serve.columns import Column, Columns, Floats, measured
from serve.texts import named, number
from sim.sources.camera import built_in
from stream.imaging.image import FWHM
from stream.judges.catalogue import Seen, make_catalogue
from stream.judges.sources import Judge, columns_to_features
from stream.spectra.response import Response
from stream.transport.eventlist import read_event_list
from stream.transport.ogip import read_response

LARGEST: Final = 2048  # pixels a side
PLACES: Final = {"sky": ("X", "Y"), "detector": ("DETX", "DETY")}
MARGIN: Final = 0.5


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


def catalogue(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the sources of the file events through rmf and arf, which may be absent for the WFI.

    Raises ConfigError for files or settings that do not fit.
    """
    tables, header = read_event_list(folder / "events.fits")
    events, notes = tables["EVENTS"], ["exposure is taken as even over the image"]
    response = _response(folder, header, notes)
    frame = _frame(events, header, settings)
    seen = _seen(events, frame, response, (_exposure(tables, header), settings["psf_fwhm_px"]))
    found = make_catalogue(seen, settings["threshold_sigma"])
    at = _at(found.columns, frame, header)
    columns = measured(_in_list_px(found.columns, frame.bin_px), found.detections.sources, at)
    columns += _judged(settings.get("class_model", ""), found.columns, at, notes)
    return {
        "kind": "catalogue",
        **named(header),
        "exposure_s": number(seen.exposure_s.max(initial=0)),
        "threshold_sigma": settings["threshold_sigma"],
        "coordinates": frame.names,
        "bin_px": frame.bin_px,
        "events": len(events),
        "notes": notes,
        "columns": [column._asdict() for column, _ in columns],
        "sources": [dict(zip([c.name for c, _ in columns], row, strict=True)) for row in _rows(columns)],
    }


def _in_list_px(columns: Columns, bin_px: int) -> Columns:
    """Return the columns with widths in pixels of the list."""
    return {**columns, **{name: columns[name] * bin_px for name in ("fwhm_px", "fwhm_px_error")}}


def _rows(columns: list[tuple[Column, NDArray[Any]]]) -> Any:
    return zip(*([_plain(value) for value in values.tolist()] for _, values in columns), strict=True)


def _plain(value: Any) -> Any:
    return number(value) if isinstance(value, float) else value


def _response(folder: Path, header: Mapping[str, Any], notes: list[str]) -> Response:
    rmf, arf = folder / "rmf.fits", folder / "arf.fits"
    if rmf.exists():
        return read_response(rmf, arf if arf.exists() else None)
    if arf.exists():
        raise ConfigError("arf: expected an rmf with it")
    if "WFI" not in str(header.get("INSTRUME", "")).upper():
        raise ConfigError(f"rmf: none given, and the list is of {header.get('INSTRUME', 'no instrument')}, not the WFI")
    notes.append("response: the simulator's own of the WFI; fluxes depend on it")
    return built_in().response


def _frame(events: NDArray[Any], header: Mapping[str, Any], settings: Mapping[str, Any]) -> Frame:
    """Return the image that holds all events, or the detector where the list says how large it is."""
    names, wanted = events.dtype.names or (), settings["coordinates"]
    kinds = [kind for kind in PLACES if wanted in ("auto", kind)]
    pair = next((PLACES[kind] for kind in kinds if set(PLACES[kind]) <= set(names)), None)
    if pair is None:
        raise ConfigError(f"events: EVENTS has no columns {' or '.join('/'.join(PLACES[kind]) for kind in kinds)}")
    low, size = [], []
    for axis, name in enumerate(pair):
        values = np.asarray(events[name], float)
        values = values[np.isfinite(values)]
        begin, end = (values.min(), values.max()) if values.size else (0.0, 0.0)
        if name.startswith("DET") and header.get("NQUADS") == 1 and f"Q00N{'XY'[axis]}" in header:
            begin, end = 0.0, float(header[f"Q00N{'XY'[axis]}"]) - 1
        low.append(float(np.floor(begin + MARGIN) - MARGIN))
        size.append(int((end - low[-1]) // settings["bin_px"]) + 1)
    if max(size) > LARGEST:
        least = -(-max(size) * settings["bin_px"] // LARGEST)
        raise ConfigError(
            f"bin_px: an image of {size[0]} x {size[1]} pixels, at most {LARGEST} a side: expected {least} or more"
        )
    return Frame(pair, (low[0], low[1]), settings["bin_px"], (size[1], size[0]))


def _seen(events: NDArray[Any], frame: Frame, response: Response, optics: tuple[float, float]) -> Seen:
    names, (exposure_s, fwhm_px) = events.dtype.names or (), optics
    chosen = next((name for name in (response.about.get("CHANTYPE", "PI"), "PI", "PHA") if name in names), None)
    if "ENERGY" in names:
        energy = np.asarray(events["ENERGY"], float) / 1000
    elif chosen is not None:
        middle = (response.e_min_kev + response.e_max_kev) / 2
        energy = np.interp(events[chosen], response.channel, middle, left=np.nan, right=np.nan)
    else:
        raise ConfigError("events: EVENTS has no column ENERGY, PI or PHA")
    if chosen is None or chosen == "PHA" != response.about.get("CHANTYPE"):
        bounds = np.searchsorted(response.e_min_kev, energy, side="right") - 1
        channel = response.channel[0] + bounds.astype(np.int64)
    else:
        channel = np.asarray(events[chosen], np.int64)
    x, y = (
        (np.asarray(events[n], float) - low) / frame.bin_px - 0.5 for n, low in zip(frame.names, frame.low, strict=True)
    )
    good = np.isfinite(x) & np.isfinite(y) & np.isfinite(energy)
    time = np.asarray(events["TIME"], float)
    exposure = np.full(frame.shape, exposure_s)
    sigma_px = fwhm_px / frame.bin_px / FWHM
    return Seen(x[good], y[good], energy[good], time[good], channel[good], exposure, response, sigma_px)


def _exposure(tables: Mapping[str, NDArray[Any]], header: Mapping[str, Any]) -> float:
    for key in ("EXPOSURE", "LIVETIME", "ONTIME"):
        if key in header:
            seconds = float(header[key])
            if not (np.isfinite(seconds) and seconds > 0):
                raise ConfigError(f"events: {key} {header[key]}: expected seconds above 0")
            return seconds
    raise ConfigError("events: no keyword EXPOSURE, LIVETIME or ONTIME")


def _at(columns: Columns, frame: Frame, header: Mapping[str, Any]) -> dict[str, Floats]:
    """Return places in the coordinates of the list, and on the sky where its keywords say how."""
    x, y = (frame.place(columns[name], axis) for axis, name in enumerate(("x", "y")))
    at = {"x_px": x, "y_px": y}
    number_of = {str(header[key]).upper(): key[5:] for key in header if key.startswith("TTYPE")}
    axes = [number_of.get(name, "") for name in frame.names]
    if not all(f"{key}{n}" in header for n in axes for key in ("TCTYP", "TCRPX", "TCRVL", "TCDLT")):
        return at
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = (
        [header[f"{key}{n}"] for n in axes] for key in ("TCTYP", "TCRPX", "TCRVL", "TCDLT")
    )
    if not wcs.has_celestial or not str(wcs.wcs.ctype[0]).startswith("RA"):
        return at
    ra, dec = wcs.all_pix2world(x, y, 1)
    return at | {"ra_deg": np.asarray(ra, float), "dec_deg": np.asarray(dec, float)}


def _judged(
    model: str, columns: Columns, at: Mapping[str, Floats], notes: list[str]
) -> list[tuple[Column, NDArray[Any]]]:
    """Return the classes of the sources and their probabilities, if the service has a model of them."""
    if not model:
        notes.append("no classes: the service was started without --model")
        return []
    judge, n = Judge(model), len(at["x_px"])
    x, error = columns_to_features(judge.features, columns, n)
    prior = None
    if "ra_deg" in at:
        prior = judge.prior_at(SkyCoord(at["ra_deg"], at["dec_deg"], unit="deg").galactic.b.deg)
    said = judge.judge(x, error, prior)
    chosen = np.array([judge.classes[i] for i in judge.decide(said)] if n else [], object)
    out: list[tuple[Column, NDArray[Any]]] = [(Column("class", "", "meta.code.class", f"by {model}"), chosen)]
    for name, p in zip(judge.classes, said.p.T, strict=True):
        out.append((Column(f"p_{name.lower()}", "", "stat.probability", f"of class {name}"), p))
    out.append((Column("p_outlier", "", "stat.probability", "of none of the classes"), said.outlier))
    return [*out, (Column("hyperscore", "", "", "a display value: rises with p"), said.hyperscore)]
