"""Reads catalogues of the LAT: gll_psc of 4FGL, DR1 (v20) to DR4 and FL16Y, and gll_psch of 3FHL.

What differs: the cut-off of a spectrum (PLEC_Expfactor and PLEC_Exp_Index up to DR2, PLEC_IndexS and PLEC_ExpfactorS
since DR3), CLASS1 or CLASS, `psr` and `msp`, seven or eight flux bands, the years of the light curve, MeV or GeV.
Columns are read without regard to case. In CLASS capitals mean identified, lower case associated.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.lat.catalogue import SHAPES, Catalogue, entry_dtype, flux_of, group_of
from stream.lat.exposure import ENERGY_MEV
from stream.transport.fitsfile import open_fits

Floats = NDArray[np.float64]

EXTENSION: Final = "LAT_Point_Source_Catalog"
_SHAPE: Final = {"powerlaw": "PL", "logparabola": "LP", "plsuperexpcutoff": "PLEC", "plsuperexpcutoff4": "PLEC4"}
_COPIED: Final = {  # of a row: columns, the first that is there; NaN without any
    "glon_deg": ("GLON",),
    "glat_deg": ("GLAT",),
    "conf_95_major_deg": ("Conf_95_SemiMajor",),
    "conf_95_minor_deg": ("Conf_95_SemiMinor",),
    "conf_95_angle_deg": ("Conf_95_PosAng",),
    "significance": ("Signif_Avg",),
    "flux1000_error": ("Unc_Flux1000",),
    "energy_flux": ("Energy_Flux100", "Energy_Flux"),
    "index": ("PL_Index", "PowerLaw_Index"),
    "index_error": ("Unc_PL_Index", "Unc_PowerLaw_Index"),
    "curvature": ("LP_beta", "beta"),
    "curvature_error": ("Unc_LP_beta", "Unc_beta"),
    "curvature_sigma": ("LP_SigCurv", "Signif_Curve"),
    "variability_index": ("Variability_Index",),
}
_NEEDED: Final = ("Source_Name", "GLON", "GLAT", "Signif_Avg", "SpectrumType", "Pivot_Energy", "Flux_Band")
# of a spectrum: norm, index, and the others, by shape; 3FHL has one set for all
_PARAMETERS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "PL": {"norm": ("PL_Flux_Density", "Flux_Density"), "index": ("PL_Index", "Spectral_Index")},
    "LP": {
        "norm": ("LP_Flux_Density", "Flux_Density"),
        "index": ("LP_Index", "Spectral_Index"),
        "beta": ("LP_beta", "beta"),
    },
    "PLEC": {
        "norm": ("PLEC_Flux_Density",),
        "index": ("PLEC_Index",),
        "expfactor": ("PLEC_Expfactor",),
        "exp_index": ("PLEC_Exp_Index",),
    },
    "PLEC4": {
        "norm": ("PLEC_Flux_Density",),
        "index": ("PLEC_IndexS",),
        "expfactor": ("PLEC_ExpfactorS",),
        "exp_index": ("PLEC_Exp_Index",),
    },
}


class _Table:
    """Columns of a FITS table by name without regard to case."""

    def __init__(self, path: Path, hdu: Any) -> None:
        self.path, self.data = path, hdu.data
        self._units = {column.name.lower(): (column.unit or "").lower().replace(" ", "") for column in hdu.columns}

    def __len__(self) -> int:
        return len(self.data)

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._units

    def first(self, names: Sequence[str]) -> Floats | None:
        """Return the first of several columns that is there as float64, or None."""
        for name in names:
            if name in self:
                return np.array(self.data[name], np.float64)
        return None

    def need(self, *names: str) -> Floats:
        """Return the first of several columns. Raises ConfigError if none is there."""
        found = self.first(names)
        if found is None:
            raise ConfigError(f"{self.path}: {EXTENSION}: expected a column {' or '.join(names)}")
        return found

    def text(self, *names: str) -> NDArray[np.str_]:
        """Return a column of texts without padding; empty texts if none of the names is there."""
        for name in names:
            if name in self:
                return np.char.strip(np.array(self.data[name], str))
        return np.full(len(self), "", "<U1")

    def in_mev(self, name: str, power: int) -> float:
        """Return what a column is multiplied with to have MeV^power. Raises ConfigError for another unit."""
        unit = self._units.get(name.lower(), "")
        if "mev" in unit:
            return 1.0
        if "gev" in unit:
            return 1000.0**power
        raise ConfigError(f"{self.path}: column {name}: unit {unit or 'none'}; expected one with MeV or GeV")


def read_catalogue(path: Path) -> Catalogue:
    """Read a catalogue; rows without a place or a spectrum are left out, counted in `counters`.

    Raises ConfigError for a file that is no catalogue of the LAT, or has other units.
    """
    with open_fits(path) as hdus:
        if EXTENSION not in hdus:
            raise ConfigError(f"{path}: no table {EXTENSION}; expected gll_psc or gll_psch, as the mission gives it")
        table = _Table(path, hdus[EXTENSION])
        title = str(hdus[0].header.get("FILENAME", path.name)).partition(".")[0]
        bands = _bands(path, hdus, table)
        return _read(table, title, bands)


def _bands(path: Path, hdus: Any, table: _Table) -> Floats:
    """Return the edges of the flux bands, (bands, 2) MeV: EnergyBounds has a row for each band and event type."""
    number = table.need("Flux_Band").shape[1]
    if "EnergyBounds" not in hdus:
        raise ConfigError(f"{path}: no table EnergyBounds; expected the edges of {number} bands")
    bounds = _Table(path, hdus["EnergyBounds"])
    low = bounds.need("LowerEnergy", "Energy_Low") * bounds.in_mev("LowerEnergy", 1)
    high = bounds.need("UpperEnergy", "Energy_High") * bounds.in_mev("UpperEnergy", 1)
    edges = np.unique(np.stack([low, high], axis=1), axis=0)
    if len(edges) != number:
        raise ConfigError(f"{path}: EnergyBounds: {len(edges)} bands; expected {number}, as Flux_Band has")
    return edges


def _read(table: _Table, title: str, bands: Floats) -> Catalogue:
    if missing := ", ".join(name for name in _NEEDED if name not in table):
        raise ConfigError(f"{table.path}: {EXTENSION}: no column {missing}; expected a catalogue of the LAT")
    history = table.first(("Flux_History",))
    years = history.shape[1] if history is not None else 0
    rows = np.zeros(len(table), entry_dtype(len(bands), years))
    nothing = np.full(len(table), np.nan)
    for name, columns in _COPIED.items():
        found = table.first(columns)
        rows[name] = nothing if found is None else found
    rows["pivot_mev"] = table.need("Pivot_Energy") * table.in_mev("Pivot_Energy", 1)
    rows["flux_band"] = table.need("Flux_Band")
    rows["flux_band_error"] = _errors(table.need("Unc_Flux_Band"), len(bands))
    if history is not None:
        rows["flux_history"], rows["flux_history_error"] = history, _errors(table.need("Unc_Flux_History"), years)
    _describe(table, rows)
    _put_spectra(table, rows)
    good = np.isfinite(rows["glon_deg"]) & np.isfinite(rows["glat_deg"]) & np.isfinite(rows["flux1000"])
    counters = Counter(
        {
            "no place or no spectrum": int(np.sum(~good)),
            "no position error": int(np.sum(~np.isfinite(rows["conf_95_major_deg"][good]))),
            "no significance": int(np.sum(~np.isfinite(rows["significance"][good]))),
        }
    )
    return Catalogue(rows[good], bands, title, counters)


def _errors(given: Floats, number: int) -> Floats:
    """Return errors down and up, (n, number, 2), both positive. Without a lower one (an upper limit): NaN."""
    return np.abs(given.reshape(-1, number, 2))


def _describe(table: _Table, rows: NDArray[Any]) -> None:
    rows["name"] = table.text("Source_Name")
    named = table.text("CLASS1", "CLASS")
    rows["class"] = np.char.lower(named)
    rows["identified"] = np.char.isupper(named) & (named != "")
    rows["associated"] = named != ""
    rows["group"] = [group_of(name) for name in rows["class"].tolist()]
    rows["extended"] = table.text("Extended_Source_Name") != ""
    flags = table.first(("Flags",))
    rows["flags"] = 0 if flags is None else flags.astype(np.int64)


def _put_spectra(table: _Table, rows: NDArray[Any]) -> None:
    """Fill shape, spectrum and flux1000; NaN where a parameter is missing or the shape is not known."""
    named = np.char.lower(table.text("SpectrumType"))
    rows["spectrum"], rows["flux1000"] = np.nan, np.nan
    for told in np.unique(named):
        shape = _SHAPE.get(str(told))
        if shape is None:
            continue
        if shape == "PLEC" and "PLEC_IndexS" in table:
            shape = "PLEC4"  # DR3 and later call it by the old name
        on = np.flatnonzero(named == told)
        parameters: dict[str, Floats] = {"pivot_mev": rows["pivot_mev"][on].astype(float)}
        for name, columns in _PARAMETERS[shape].items():
            parameters[name] = table.need(*columns)[on]
            if name == "norm":
                column = next(each for each in columns if each in table)
                parameters[name] *= table.in_mev(column, -1)
        rows["shape"][on] = shape[:4]
        rows["spectrum"][on] = SHAPES[shape](ENERGY_MEV.ravel(), parameters).reshape(-1, *ENERGY_MEV.shape)
        rows["flux1000"][on] = flux_of(shape, parameters)
