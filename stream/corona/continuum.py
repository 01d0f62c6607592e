"""The continuum of a coronal plasma by element and temperature: free-free, free-bound, two-photon; at low density."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.spectra.grid import Floats

STEP: Final = 1e-3  # of ln photons on disc
FLOOR: Final = -32.0  # of ln photons below the most of an element


@dataclass(frozen=True, slots=True, eq=False)
class Continuum:
    """Log photons cm-2 s-1 A-1 for norm 1 (apec's), by element, temperature and wavelength.

    Abundances are in it, those of the line table.
    """

    elements: tuple[str, ...]  # (E,) "h", "he", "fe"
    log_t: Floats  # (T,) log10 of kelvin: those of the line table
    wavelength_a: Floats  # (W,) rising
    ln_photons: NDArray[np.float32]  # (E, T, W)

    def __post_init__(self) -> None:
        """Raise ConfigError for arrays that do not fit each other."""
        shape = (len(self.elements), len(self.log_t), len(self.wavelength_a))
        if self.ln_photons.shape != shape or np.any(np.diff(self.wavelength_a) <= 0):
            raise ConfigError("continuum table: expected rising wavelength_a (W,) and ln_photons (E, T, W)")

    def on(self, edges_a: Floats) -> NDArray[np.float32]:
        """Return log photons per bin (E, T, bins) of bins in Angstrom (bins + 1,); straight in both logarithms.

        Beyond the table's wavelengths its ends hold.
        """
        middle, width = np.log(0.5 * (edges_a[1:] + edges_a[:-1])), np.diff(edges_a)
        x = np.interp(middle, np.log(self.wavelength_a), np.arange(len(self.wavelength_a), dtype=float))
        row = np.minimum(x.astype(np.int64), len(self.wavelength_a) - 2)
        part = x - row
        density = self.ln_photons[..., row] * (1 - part) + self.ln_photons[..., row + 1] * part
        return (density + np.log(width)).astype(np.float32)


def pack(table: Continuum) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file."""
    top = table.ln_photons.max(axis=(1, 2))
    steps = np.rint(np.maximum(table.ln_photons - top[:, None, None], FLOOR) / STEP).astype(np.int16)
    steps[:, :, 1:] = np.diff(steps, axis=2)
    return {
        "element": np.array(table.elements, dtype="S"),
        "log_t": table.log_t,
        "wavelength_a": table.wavelength_a,
        "ln_top": top.astype(np.float64),
        "steps": steps,
    }


def read_continuum(path: Path | str) -> Continuum:
    """Return the table of a file. Raises ConfigError for another one."""
    try:
        with np.load(path, allow_pickle=False) as held:
            below = np.cumsum(held["steps"], axis=2, dtype=np.int32) * STEP
            ln_photons = (held["ln_top"][:, None, None] + below).astype(np.float32)
            elements = tuple(held["element"].astype(str).tolist())
            return Continuum(elements, held["log_t"], held["wavelength_a"], ln_photons)
    except (OSError, ValueError, KeyError, EOFError) as fault:
        raise ConfigError(f"{path}: expected a continuum table of `python -m sim.corona.continuum` ({fault})") from None


@cache
def shipped_continuum() -> Continuum:
    """Return the continuum that ships with this package. Raises ConfigError where there is none."""
    path = files("stream.corona") / "data" / "continuum.npz"
    if not path.is_file():
        raise ConfigError("coronal continuum: this installation has no stream/corona/data/continuum.npz")
    with as_file(path) as real:
        return read_continuum(real)
