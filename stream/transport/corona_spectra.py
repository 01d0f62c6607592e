"""Coronal spectra and line fluxes in files: OGIP, tables (FITS, ECSV), sets of `raysieve simulate corona`, IDL saves.

A table has wavelengths (wavelength_a of bins' middles, or lo_a and hi_a of their ends; TG's BIN_LO and BIN_HI), counts,
area_cm2, perhaps fwhm_a and background; the exposure is in its header (EXPOSURE) or metadata (exposure_s).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from astropy.table import Table

from stream.corona.fluxes import Fluxes
from stream.corona.instrument import Instrument, check_edges
from stream.corona.lines import ERG_A, SYMBOLS
from stream.corona.observed import Observed
from stream.errors import ConfigError
from stream.spectra.grid import Floats
from stream.transport.fitsfile import open_fits
from stream.transport.hdf5 import FAULTS
from stream.transport.idlsave import read_idl
from stream.transport.ogip import read_arf, read_observation

ROW: Final = re.compile(r"(?P<file>.+)\{(?P<row>\d+)\}")
FWHM_A: Final = 0.023  # of HETG's medium grating, where a file does not say
NAMES: Final = {
    "wavelength_a": ("wavelength_a", "wavelength", "lambda", "wave"),
    "lo": ("lo_a", "bin_lo", "wave_lo"),
    "hi": ("hi_a", "bin_hi", "wave_hi"),
    "counts": ("counts",),
    "area_cm2": ("area_cm2", "area", "specresp"),
    "fwhm_a": ("fwhm_a", "fwhm"),
    "background": ("background", "background_counts"),
}
HYDROGEN: Final = 0.83  # nuclei per electron: factor of the emissivities of IDL's line tables (PINTofALE)
IDL_UNIT: Final = 1e-23  # erg cm3 s-1 of their emissivities
Kinds = Observed | Fluxes


def read_corona(
    path: Path,
    rmf: Path | None = None,
    arf: Path | None = None,
    fwhm_a: float | None = None,
    exposure_s: float | None = None,
) -> Kinds:
    """Return a spectrum, or line fluxes, of any of these files. Raises ConfigError, in one line, for anything else.

    rmf, arf: of OGIP spectra, or an ARF that gives a table its area. fwhm_a: of a line, where the file has none.
    """
    found = ROW.fullmatch(str(path))
    file = Path(found["file"]) if found else path
    if not file.is_file():
        raise ConfigError(f"{file}: no such file")
    name = file.name.lower()
    if name.endswith((".save", ".sav")):
        return of_idl(file, read_idl(file), fwhm_a)
    if name.endswith((".h5", ".hdf5")):
        return of_set(file, int(found["row"]) if found else 0)
    if name.endswith((".ecsv", ".csv")):
        return of_table(file, _table(file, "ascii"), (arf, fwhm_a, exposure_s))
    if rmf is not None or _holds_channels(file):
        return of_ogip(path, rmf, arf)
    return of_table(file, _table(file, "fits"), (arf, fwhm_a, exposure_s))


def spectra_in(path: Path) -> int:
    """Return how many spectra a set of `raysieve simulate corona` holds from which none was chosen; 0 for all else."""
    if not h5py.is_hdf5(path):
        return 0
    with h5py.File(path, "r") as file:
        return len(file["counts"]) if "counts" in file else 0


def of_ogip(path: Path, rmf: Path | None, arf: Path | None) -> Observed:
    """Return a spectrum of a camera, or of a grating with its RMF."""
    spectrum, response = read_observation(path, rmf, arf)
    about = {key: value for key, value in spectrum.about.items() if key in ("TELESCOP", "INSTRUME", "OBJECT")}
    good = (spectrum.quality == 0) if spectrum.quality is not None else None
    back = None
    if spectrum.background is not None:
        off = spectrum.background
        ratio = spectrum.backscal * spectrum.areascal * spectrum.exposure_s
        back = off.counts * ratio / (off.backscal * off.areascal * off.exposure_s)
    instrument = Instrument.ccd(path.name, response)
    return Observed(path.name, spectrum.counts, instrument, spectrum.exposure_s, back, good, about)


def of_table(path: Path, table: Table, told: tuple[Path | None, float | None, float | None]) -> Observed:
    """Return the spectrum of a table. told: ARF, FWHM, exposure of the command, for what it lacks."""
    arf, fwhm_a, exposure_s = told
    meta = {str(key).lower(): value for key, value in table.meta.items()}
    columns = {str(name).lower(): np.ma.filled(table[name].astype(float), np.nan) for name in _numbers(table)}
    have = {key: columns[name] for key, names in NAMES.items() for name in names[::-1] if name in columns}
    if "counts" not in have:
        raise ConfigError(f"{path}: no column counts; expected {', '.join(NAMES)}")
    edges, order = edges_of(have, str(path))
    ordered = {
        key: np.asarray(have[key], float)[order]
        for key in ("counts", "area_cm2", "fwhm_a", "background")
        if key in have
    }
    if "area_cm2" not in ordered:
        if arf is None:
            raise ConfigError(f"{path}: no effective area: expected a column area_cm2, or an ARF (--arf)")
        ordered["area_cm2"] = area_of(arf, edges)
    exposure = exposure_s or meta.get("exposure_s") or meta.get("exposure")
    if exposure is None:
        raise ConfigError(f"{path}: no exposure: expected EXPOSURE in its header, or --exposure")
    width: Any = ordered.get("fwhm_a", fwhm_a or meta.get("fwhm_a") or FWHM_A)
    instrument = Instrument.of(path.name, edges, ordered["area_cm2"], width, "table")
    return Observed(path.name, ordered["counts"], instrument, _number(path, exposure), ordered.get("background"))


def edges_of(have: Mapping[str, Floats], name: str) -> tuple[Floats, Any]:
    """Return bounds of bins, rising (B + 1,), and the rows in their order. Raises ConfigError for no such grid.

    Ends (lo, hi) may come in any order of rows, as gratings have them; middles must rise or fall all along.
    """
    if "lo" in have and "hi" in have:
        order = np.argsort(have["lo"], kind="stable")
        low, high = have["lo"][order], have["hi"][order]
        if not np.allclose(low[1:], high[:-1], rtol=0, atol=1e-4 * np.median(high - low) + 1e-6):
            raise ConfigError(f"{name}: wavelengths: expected bins that join, without gaps and without overlap")
        return check_edges(np.append(low, high[-1]), name), order
    if "wavelength_a" not in have:
        raise ConfigError(f"{name}: no wavelengths: expected a column wavelength_a, or lo_a and hi_a")
    middle = have["wavelength_a"]
    step = np.diff(middle)
    if len(middle) < 2 or not (np.all(step > 0) or np.all(step < 0)):
        raise ConfigError(f"{name}: wavelengths: expected a grid that rises (or falls) in every row")
    order = np.arange(len(middle)) if step[0] > 0 else np.arange(len(middle))[::-1]
    middle = middle[order]
    between = 0.5 * (middle[1:] + middle[:-1])
    ends = (2 * middle[0] - between[0], 2 * middle[-1] - between[-1])
    return check_edges(np.concatenate([[ends[0]], between, [ends[1]]]), name), order


def area_of(arf: Path, edges_a: Floats) -> Floats:
    """Return the area of an ARF in bins of wavelength."""
    low, high, area = read_arf(arf)
    at = 12.39841984 / np.sqrt(low * high)
    return np.interp(0.5 * (edges_a[1:] + edges_a[:-1]), at[::-1], area[::-1], left=0.0, right=0.0)


def of_set(path: Path, row: int) -> Observed:
    """Return one spectrum of a set of `raysieve simulate corona`."""
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("kind") != "corona":
                raise ConfigError(f"{path}: expected a set of `raysieve simulate corona`")
            spectra = len(file["counts"])
            if not 0 <= row < spectra:
                raise ConfigError(f"{path}: no spectrum {row}: expected 0 to {spectra - 1}, as {path.name}{{0}}")
            setup = [file[f"instrument/{name}"][:] for name in ("edges_a", "area_cm2", "fwhm_a")]
            counts = file["counts"][row].astype(float)
            exposure = float(file["truth"][row]["exposure_s"])
            name = str(file.attrs["instrument"])
    except FAULTS as fault:
        raise ConfigError(f"{path}: expected a set of `raysieve simulate corona` ({fault})") from None
    return Observed(f"{path.name}{{{row}}}", counts, Instrument.of(name, *setup), exposure)


def of_idl(path: Path, held: Mapping[str, Any], fwhm_a: float | None = None) -> Kinds:
    """Return the spectrum (counts spc_*, bounds ww_*, area effar_*) or the line fluxes (flx, sig, emis) of a save."""
    if {"flx", "sig", "emis", "wvl", "logt"} <= set(held):
        return _idl_fluxes(path, held)
    keys = {start: next((k for k in held if k.startswith(start)), None) for start in ("spc_", "ww_", "effar", "wvlar")}
    exposure = next((k for k in held if k.startswith("exptim")), None)
    if missing := [start for start, key in {**keys, "exptim": exposure}.items() if key is None]:
        raise ConfigError(
            f"{path}: no {', '.join(missing)}*: expected a spectrum, or fluxes (flx, sig, emis, wvl, logt)"
        )
    counts, bounds, area, at = (np.asarray(held[str(keys[k])], float) for k in ("spc_", "ww_", "effar", "wvlar"))
    if len(bounds) != len(counts) + 1 or len(area) != len(at):
        raise ConfigError(f"{path}: {keys['ww_']}: expected one bound more than counts, and an area per wavelength")
    if bounds[-1] == bounds[-2]:  # lower ends, and the last of them again
        bounds, counts = bounds[:-1], counts[:-1]
    edges = check_edges(bounds, str(path))
    inside = np.interp(0.5 * (edges[1:] + edges[:-1]), at, area, left=0.0, right=0.0)
    instrument = Instrument.of(path.name, edges, np.maximum(inside, 0.0), fwhm_a or FWHM_A, "IDL save file")
    return Observed(path.name, counts, instrument, _number(path, held[str(exposure)]))


def _idl_fluxes(path: Path, held: Mapping[str, Any]) -> Fluxes:
    wavelength, flux, sigma, log_t = (np.asarray(held[k], float) for k in ("wvl", "flx", "sig", "logt"))
    emis = np.asarray(held["emis"], float)
    charge = np.asarray(held.get("zz", held.get("z", np.ones(len(flux)))), int)
    abundance = np.asarray(held.get("abnd", np.ones(30)), float)
    if len(charge) != len(flux) or np.any(charge < 1) or np.any(charge > min(len(abundance), 30)):
        raise ConfigError(f"{path}: z: expected the nuclear charge, 1 to 30, of each line")
    if emis.shape != (len(flux), len(log_t)):
        raise ConfigError(f"{path}: emis: expected {len(flux)} x {len(log_t)}, lines by log T; got {emis.shape}")
    per_dex = IDL_UNIT * HYDROGEN * np.log(10.0) * wavelength / ERG_A * abundance[charge - 1]
    symbols = SYMBOLS.split()
    published = {}
    if "bestdem" in held and np.shape(held.get("demerr", ())) == (2, len(log_t)):
        low, high = np.asarray(held["demerr"], float)
        published = {"dem": np.asarray(held["bestdem"], float), "low": low, "high": high}
    names = tuple(symbols[z - 1] for z in charge)
    return Fluxes(path.name, wavelength, flux, sigma, names, log_t, emis * per_dex[:, None], published)


def _holds_channels(path: Path) -> bool:
    with open_fits(path) as hdus:
        return any(
            hdu.name == "SPECTRUM" and "BIN_LO" not in {str(c).upper() for c in hdu.columns.names}
            for hdu in hdus[1:]
            if getattr(hdu, "columns", None) is not None
        )


def _table(path: Path, kind: str) -> Table:
    try:
        if kind == "fits":
            with open_fits(path) as hdus:
                return Table.read(hdus, format="fits")
        return Table.read(path, format="ascii.ecsv" if path.name.lower().endswith(".ecsv") else "ascii.csv")
    except ConfigError:
        raise
    except Exception as fault:  # astropy raises what it likes
        told = str(fault).splitlines()[0][:120] if str(fault) else type(fault).__name__
        raise ConfigError(f"{path}: expected a table of a spectrum ({told})") from None


def _numbers(table: Table) -> list[str]:
    return [name for name in table.colnames if table[name].dtype.kind in "iuf" and table[name].ndim == 1]


def _number(path: Path, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{path}: exposure {value!r}: expected seconds") from None
