"""Sources that are given, not drawn: a mock catalogue in the XML of the mission's tools, or a published catalogue."""

import gzip
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from sim.lat.catalogue import CLASSES, SOURCE, YEARS
from stream.errors import ConfigError
from stream.lat.bands import REFERENCE_MEV
from stream.lat.exposure import ENERGY_MEV
from stream.lat.sphere import GALACTIC, unit_vectors
from stream.transport.lat_catalogue import read_catalogue

_STEPS: Final = 129


def read_xml(path: Path) -> NDArray[Any]:
    """Read point sources of a source library (XML, plain or gzipped) as SOURCE rows, without variability.

    Spectra: PowerLaw, LogParabola, PLSuperExpCutoff and PLSuperExpCutoff2 (norm (E/E0)^g exp(-a E^b)). Those with a
    cut-off are PSR, the others BLL. Raises ConfigError for another file or another spectrum.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            root = ElementTree.parse(file).getroot()
    except (OSError, EOFError, ElementTree.ParseError) as fault:
        raise ConfigError(f"{path}: not a source library: {fault}") from None
    nodes = [node for node in root.iter("source") if node.get("type") == "PointSource"]
    if not nodes:
        raise ConfigError(f"{path}: expected a source library with point sources, found none")
    table = np.zeros(len(nodes), SOURCE)
    energy = np.geomspace(*REFERENCE_MEV, _STEPS)
    for row, node in zip(table, nodes, strict=True):
        try:
            kind, p = _read(node)
            spectrum, flux = _spectrum(kind, p, ENERGY_MEV), _spectrum(kind, p, energy)
            x, y, z = GALACTIC @ unit_vectors(p["RA"], p["DEC"])
        except (KeyError, AttributeError, TypeError, ValueError) as fault:
            raise ConfigError(f"{path}: source {node.get('name')}: expected a spectrum and a place ({fault})") from None
        row["glon_deg"], row["glat_deg"] = np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))
        row["class"] = CLASSES.index("PSR" if "Cutoff" in kind else "BLL")
        row["spectrum"], row["flux"] = spectrum, np.trapezoid(flux * energy, np.log(energy))
    table["yearly"] = 1.0
    return table


def _read(node: Any) -> tuple[str, dict[str, float]]:
    parameters = [one for part in ("spectrum", "spatialModel") for one in node.find(part).iter("parameter")]
    return node.find("spectrum").get("type"), {
        one.get("name"): float(one.get("scale")) * float(one.get("value")) for one in parameters
    }


def _spectrum(kind: str, p: dict[str, float], energy: NDArray[np.float64]) -> NDArray[np.float64]:
    if kind == "PowerLaw":
        return np.asarray(p["Prefactor"] * (energy / p["Scale"]) ** p["Index"])
    if kind == "LogParabola":
        x = energy / p["Eb"]
        return np.asarray(p["norm"] * x ** -(p["alpha"] + p["beta"] * np.log(x)))
    if kind == "PLSuperExpCutoff2":
        return np.asarray(
            p["Prefactor"] * (energy / p["Scale"]) ** p["Index1"] * np.exp(-p["Expfactor"] * energy ** p["Index2"])
        )
    if kind == "PLSuperExpCutoff":
        cut = np.exp(-((energy / p["Cutoff"]) ** p["Index2"]))
        return np.asarray(p["Prefactor"] * (energy / p["Scale"]) ** p["Index1"] * cut)
    raise ValueError(f"spectrum {kind} is not known")


def read_published(path: Path) -> NDArray[Any]:
    """Read a catalogue of the LAT as SOURCE rows; yearly fluxes are its own, of sources that vary (index > 18.48).

    18.48: 99 % of ten years of a steady source stay below it (4FGL-DR2). Sources of other classes count as BLL.
    """
    rows = read_catalogue(path).rows
    table = np.zeros(len(rows), SOURCE)
    table["class"] = [CLASSES.index(name if name in CLASSES else "BLL") for name in rows["group"].tolist()]
    for name in ("glon_deg", "glat_deg", "spectrum"):
        table[name] = rows[name]
    table["flux"], table["yearly"] = rows["flux1000"], 1.0
    history = rows["flux_history"]
    if history.shape[1] >= YEARS:
        mean = np.nanmean(history[:, :YEARS], axis=1, keepdims=True)
        varies = (rows["variability_index"] > 18.48) & np.isfinite(history[:, :YEARS]).all(axis=1) & (mean[:, 0] > 0)
        table["yearly"][varies] = (history[:, :YEARS] / mean)[varies]
    return table
