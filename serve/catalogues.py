"""The catalogue of sources of an uploaded event list: runs in a worker."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
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
from stream.transport.foreign.sky_list import Frame, energy_of, exposure_of, frame_of, pi_in_ev, sky_of
from stream.transport.ogip import read_response


def catalogue(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the sources of the file events through rmf and arf, which may be absent for the WFI.

    Raises ConfigError for files or settings that do not fit.
    """
    tables, header = read_event_list(folder / "events.fits")
    events, notes = tables["EVENTS"], ["exposure is taken as even over the image"]
    response = _response(folder, header, notes)
    if not response.has_area:
        notes.append("no area (arf): no fits, no fluxes")
    frame = frame_of(events, header, settings["coordinates"], settings["bin_px"])
    seen = _seen((events, header), frame, response, (exposure_of(header, tables), settings["psf_fwhm_px"]))
    found = make_catalogue(seen, settings["threshold_sigma"])
    at = _at(found.columns, frame, header)
    columns = measured(_in_list_px(found.columns, frame.bin_px), found.detections.sources, at)
    columns += _judged(
        (settings.get("class_model", ""), settings["psf_fwhm_px"] / frame.bin_px), found.columns, at, notes
    )
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


def _seen(
    of: tuple[NDArray[Any], Mapping[str, Any]], frame: Frame, response: Response, optics: tuple[float, float]
) -> Seen:
    (events, header), (exposure_s, fwhm_px) = of, optics
    names = events.dtype.names or ()
    chosen = next((name for name in (response.about.get("CHANTYPE", "PI"), "PI", "PHA") if name in names), None)
    energy = energy_of(events, response, header)
    if pi_in_ev(header) or chosen is None or chosen == "PHA" != response.about.get("CHANTYPE"):
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


def _at(columns: Columns, frame: Frame, header: Mapping[str, Any]) -> dict[str, Floats]:
    """Return places in the coordinates of the list, and on the sky where its keywords say how."""
    x, y = (frame.place(columns[name], axis) for axis, name in enumerate(("x", "y")))
    at = {"x_px": x, "y_px": y}
    wcs = sky_of(header, frame)
    if wcs is None:
        return at
    ra, dec = wcs.all_pix2world(x, y, 1)
    return at | {"ra_deg": np.asarray(ra, float), "dec_deg": np.asarray(dec, float)}


def _judged(
    given: tuple[str, float], columns: Columns, at: Mapping[str, Floats], notes: list[str]
) -> list[tuple[Column, NDArray[Any]]]:
    """Return the classes of the sources and their probabilities, if the service has a model of them and their PSF."""
    model, psf_fwhm_px = given
    if not model:
        notes.append("no classes: the service was started without --model")
        return []
    judge, n = Judge(model), len(at["x_px"])
    if not judge.fits(psf_fwhm_px):
        notes.append(f"no classes: {model} is made for a PSF of {judge.psf_fwhm_px:.1f} pixels, not {psf_fwhm_px:.1f}")
        return []
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
