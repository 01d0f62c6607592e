"""Posteriors of uploaded coronal spectra and of their population, by NUTS: runs in a worker."""

from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from config.errors import ConfigError
from serve.texts import number
from stream.corona.forward import Forward
from stream.corona.instrument import Instrument
from stream.corona.observed import Observed
from stream.transport.corona_spectra import read_corona

MOST: Final = 10  # spectra of a job
FAULTS: Final = (OSError, ValueError, TypeError, KeyError, IndexError)
UCDS: Final = {"log_t": "phys.temperature", "log_n": "phys.density", "log_norm": "phys.emissMeasure"}
UNITS: Final = {"log_t": "[K]", "log_n": "[cm-3]", "log_norm": ""}  # brackets: log10, as CDS writes it

NORM: Final = ", log10 of apec's norm, 1e-14 / (4 pi D^2) int n_e n_H dV in cm"


def corona(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return temperature, density and norm of each chosen spectrum of the file spectra, and their population.

    Raises ConfigError for a file or rows that do not fit, and for a posterior that fails its gates.
    """
    population, stars, windows, hierarchy = (
        import_module(f"analyse.corona.{name}") for name in ("population", "stars", "windows", "hierarchy")
    )
    files = import_module("analyse.corona.population_files")
    instrument, counts, exposure_s, names = read_uploaded(folder / "spectra.fits", settings["rows"])
    box = windows.Box(tuple(settings["log_t"]), tuple(settings["log_n"]))
    around = windows.Windows.around(Forward.through(instrument), settings["lines"], box)
    own, both = not settings["shared"], (settings["metals_dex"], settings["abundance_dex"])
    choices = hierarchy.Choices(
        likelihood=settings["likelihood"],
        own_lines=own,
        own_motion=own,
        calibration=settings["area_error"],
        spread=settings["spread"],
        abundances=both if any(both) else None,
    )
    how = population.Sampling(seed=settings["seed"])
    done = population.sample_population(stars.Stars.of(counts, exposure_s, names), around, choices, how)
    if fault := done.fault():
        raise ConfigError(f"the posterior fails its gates: {fault}")
    told = files.describe(done, settings["seed"])
    return {"kind": "corona", **_plain(told), **_table(files.star_table(done)), **_gates(told["batches"])}


def read_uploaded(
    path: Path, rows: list[int] | None
) -> tuple[Instrument, NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Return instrument, counts (S, B), exposures (S,) and names of chosen rows of a file; None: of all.

    A file has tables SPECTRA (NAME, EXPOSURE in s, COUNTS by bin) and GRID (EDGES and FWHM, Angstrom; AREA, cm2), or
    one spectrum as `raysieve analyse corona` takes a table. Raises ConfigError for others, and for more than MOST.
    """
    try:
        with fits.open(path, memmap=False) as held:
            found = _read_many(held) if "SPECTRA" in held and "GRID" in held else None
    except FAULTS as fault:
        raise ConfigError(f"spectra: expected tables SPECTRA and GRID, or one spectrum ({fault})") from None
    if found is None:
        one = read_corona(path)
        if not isinstance(one, Observed) or one.instrument.response is not None:
            raise ConfigError("spectra: expected counts by bins of wavelength, not a camera's channels")
        found = one.instrument, one.counts[None], np.array([one.exposure_s]), ["spectrum"]
    instrument, counts, exposure, names = found
    at = list(range(len(counts))) if rows is None else rows
    if wrong := [row for row in at if not 0 <= row < len(counts)]:
        raise ConfigError(f"rows: {wrong[0]}: expected 0 to {len(counts) - 1}, the file's")
    if not 0 < len(at) <= MOST:
        raise ConfigError(f"spectra: {len(at)} of them; expected 1 to {MOST} of a job: choose rows")
    return instrument, counts[at], exposure[at], [names[row] for row in at]


def _read_many(held: Any) -> tuple[Instrument, NDArray[np.float64], NDArray[np.float64], list[str]]:
    rows, grid = held["SPECTRA"].data, held["GRID"].data[0]
    edges, area, fwhm = (np.array(grid[name], float).ravel() for name in ("EDGES", "AREA", "FWHM"))
    counts, seconds = np.array(rows["COUNTS"], float), np.array(rows["EXPOSURE"], float)
    if counts.shape != (len(rows), len(area)) or len(edges) != len(area) + 1:
        raise ValueError(f"COUNTS {counts.shape}, AREA {area.shape}, EDGES {edges.shape}")
    return Instrument.of("spectra", edges, area, fwhm), counts, seconds, [str(name).strip() for name in rows["NAME"]]


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    """Return what JSON and VOTable can hold of a report: numbers without NaN."""
    clean: dict[str, Any] = {name: number(value) if isinstance(value, float) else value for name, value in told.items()}
    clean["population"] = {
        name: {key: number(value) for key, value in each.items()} for name, each in told["population"].items()
    }
    return clean


def _gates(batches: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the worst of all batches."""
    worst = {"least_ess": min, "most_r_hat": max, "divergences": max}
    return {name: number(float(of(batch[name] for batch in batches))) for name, of in worst.items()}


def _table(rows: NDArray[np.void]) -> dict[str, Any]:
    """Return columns and sources, as a catalogue has them: a row for each star."""
    names = [name for name in rows.dtype.names or () if name != "name"]
    columns = [{"name": "star", "unit": "", "ucd": "meta.id;meta.main", "about": "as the file names it"}]
    for name in names:
        of, _, what = name.partition("_q") if "_q" in name else name.partition("_sd")
        ucd = UCDS.get(of, "stat.value")
        share = f"quantile, {what} %" if what else "1 sigma" if name.endswith("_sd") else "mean"
        ucd = f"stat.error;{ucd}" if name.endswith("_sd") else ucd
        about = f"{share}{NORM if of == 'log_norm' else ''}" if of in UCDS else "effective draws"
        columns.append({"name": name, "unit": UNITS.get(of, ""), "ucd": ucd, "about": about})
    stars = [{"star": row["name"].decode(), **{name: number(float(row[name])) for name in names}} for row in rows]
    return {"columns": columns, "sources": stars}
