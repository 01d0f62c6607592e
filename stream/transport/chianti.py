"""CHIANTI's emissivities of coronal lines: a grid that somebody has computed (npz), or the database through fiasco."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from stream.corona.lines import FLOOR, LineTable, pack, scatter_of
from stream.errors import ConfigError

# What such a grid holds: log10 by number + 12 of CHIANTI's sun_coronal_2021, and hydrogen nuclei per electron of a
# plasma in which hydrogen and helium are bare.
CORONAL_2021: Final = {
    "c": 8.46,
    "n": 7.83,
    "o": 8.69,
    "ne": 8.06,
    "na": 6.72,
    "mg": 8.05,
    "al": 6.93,
    "si": 8.01,
    "s": 7.12,
    "ar": 6.38,
    "ca": 6.80,
    "fe": 7.96,
    "ni": 6.70,
}
HYDROGEN_PER_ELECTRON: Final = 0.83
KEYS: Final = ("ion", "wavelength_angstrom", "lower", "upper", "G", "log_T", "log_n")


def read_grid(path: Path | str) -> LineTable:
    """Return the lines of an npz: KEYS, G erg cm3 s-1 sr-1 (lines, log T, log n). Raises ConfigError for another."""
    try:
        with np.load(path, allow_pickle=False) as held:
            ion, wavelength, lower, upper, g, log_t, log_n = (held[key] for key in KEYS)
    except (OSError, ValueError, KeyError, EOFError) as fault:
        raise ConfigError(f"{path}: expected an npz with {', '.join(KEYS)} ({fault})") from None
    if g.shape != (len(ion), len(log_t), len(log_n)) or not np.all(np.isfinite(g) & (g >= 0)):
        raise ConfigError(f"{path}: G: expected (lines, log_T, log_n), none below 0")
    return table_of({"ion": ion, "wavelength_a": wavelength, "lower": lower, "upper": upper, "g": g}, (log_t, log_n))


def table_of(lines: dict[str, Any], grid: tuple[Any, Any]) -> LineTable:
    """Return the table of lines with a wavelength and some light. lines: ion, wavelength_a, lower, upper, g (L, T, N).

    grid: log10 T (T,) and log10 n (N,). Lines of elements without an abundance here are left out.
    """
    g = np.asarray(lines["g"], float)
    top = g.max(axis=(1, 2), initial=0.0)
    ion = np.asarray(lines["ion"]).astype(str)
    known = np.isin([name.partition("_")[0] for name in ion.tolist()], list(CORONAL_2021))
    wavelength = np.asarray(lines["wavelength_a"], float)
    rows = np.flatnonzero((top > 0) & (wavelength > 0) & known)
    rows = rows[np.argsort(wavelength[rows], kind="stable")]
    with np.errstate(divide="ignore"):
        ln_top = np.log(top[rows])[:, None, None]
        ln_g = np.maximum(np.log(g[rows]), ln_top + FLOOR)
    lower, upper = (np.asarray(lines[name])[rows].astype(np.int32) for name in ("lower", "upper"))
    return LineTable(
        ion=ion[rows],
        wavelength_a=wavelength[rows],
        lower=lower,
        upper=upper,
        log_t=np.asarray(grid[0], float),
        log_n=np.asarray(grid[1], float),
        ln_g=ln_g.astype(np.float32),
        scatter=scatter_of(ion[rows], lower, upper),
        abundance=CORONAL_2021,
        hydrogen_per_electron=HYDROGEN_PER_ELECTRON,
        about="G(T, n) of CHIANTI; abundances sun_coronal_2021",
    )


def write_lines(path: Path, table: LineTable) -> None:
    """Write the file that `stream.corona.lines.read_lines` reads. It has its name only when it is whole."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **pack(table))  # type: ignore[arg-type]
    partial.replace(path)
