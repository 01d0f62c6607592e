"""Emissivities of coronal lines by temperature and density, in a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.errors import ConfigError
from stream.spectra.grid import Floats

SCATTER: Final = 0.10  # of an emissivity, 1 sigma of ln G: what codes and laboratories differ by in most lines
SCATTER_HE: Final = 0.20  # of the He-like forbidden and intercombination lines: two codes on the same files, O VII
STEP: Final = 1e-3  # of ln G on disc
FLOOR: Final = -30.0  # of ln G below its line's maximum: no light to speak of
ERG_A: Final = 1.986445857e-8  # h c: erg of a photon times its wavelength in A
NORM: Final = 1e14  # cm-5 of norm 1, as in XSPEC's apec: int n_e n_H dV / (4 pi D^2)
SYMBOLS: Final = "h he li be b c n o f ne na mg al si p s cl ar k ca sc ti v cr mn fe co ni cu zn"
CHARGES: Final = {name: z for z, name in enumerate(SYMBOLS.split(), start=1)}
FORBIDDEN, INTERCOMBINATION = 2, (3, 4, 5, 6)  # CHIANTI's numbers of 1s2s 3S1, 1s2p 3P and 1s2s 1S0, to level 1


@dataclass(frozen=True, slots=True, eq=False)
class LineTable:
    """Lines with ln G, by rising wavelength. L lines, T temperatures, N densities; ends of the grids hold beyond them.

    G is erg cm3 s-1 sr-1: light of a line by n_e^2; `abundance` and `hydrogen_per_electron` are in it.
    """

    ion: NDArray[np.str_]  # (L,) "fe_14" is Fe XIV
    wavelength_a: Floats  # (L,)
    lower: NDArray[np.int32]  # (L,) levels by CHIANTI's numbers
    upper: NDArray[np.int32]
    log_t: Floats  # (T,) log10 of kelvin, even steps
    log_n: Floats  # (N,) log10 of electrons cm-3, even steps
    ln_g: NDArray[np.float32]  # (L, T, N)
    scatter: NDArray[np.float32]  # (L,) 1 sigma of ln G: what atomic data are wrong by
    abundance: Mapping[str, float]  # log10 by number + 12, by element ("fe")
    hydrogen_per_electron: float
    about: str = ""
    _kept: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Raise ConfigError for arrays that do not fit each other."""
        n = len(self.wavelength_a)
        if self.ln_g.shape != (n, len(self.log_t), len(self.log_n)) or not len(self.ion) == len(self.scatter) == n:
            raise ConfigError("line table: expected ion, wavelength_a, scatter (L,) and ln_g (L, T, N)")
        for name in ("log_t", "log_n"):
            step = np.diff(getattr(self, name))
            if not len(step) or step[0] <= 0 or not np.allclose(step, step[0], atol=1e-6):
                raise ConfigError(f"line table: {name}: expected two or more values in even, rising steps")
        if np.any(np.diff(self.wavelength_a) < 0) or np.any(self.wavelength_a <= 0):
            raise ConfigError("line table: wavelength_a: expected rising wavelengths in Angstrom")
        if unknown := set(self.element) - set(self.abundance):
            raise ConfigError(f"line table: no abundance of {', '.join(sorted(unknown))}")

    def __len__(self) -> int:
        return len(self.wavelength_a)

    @property
    def element(self) -> NDArray[np.str_]:
        """Symbol of each line's element, (L,) of "fe"."""
        return np.array([name.partition("_")[0] for name in self.ion.tolist()], dtype="<U2")

    @property
    def charge(self) -> NDArray[np.int32]:
        """Charge of each line's ion, (L,): 13 of Fe XIV."""
        return np.array([int(name.partition("_")[2]) - 1 for name in self.ion.tolist()], dtype=np.int32)

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements with lines here, by nuclear charge."""
        return tuple(sorted(set(self.element.tolist()), key=CHARGES.__getitem__))

    @property
    def ln_photons(self) -> NDArray[np.float32]:
        """Log photons cm-2 s-1 for norm 1 (apec's), (T, N, L): as `stream.kernels.corona` takes it; made once."""
        if "photons" not in self._kept:
            to_photons = np.log(4 * np.pi * NORM / self.hydrogen_per_electron * self.wavelength_a / ERG_A)
            self._kept["photons"] = np.ascontiguousarray(
                np.moveaxis(self.ln_g + to_photons[:, None, None], 0, -1), dtype=np.float32
            )
        return self._kept["photons"]

    def place(self, log_t: ArrayLike, log_n: ArrayLike) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64], Floats]:
        """Return row and fraction of each temperature, then of each density; of any shape."""
        found: list[Any] = []
        for grid, at in ((self.log_t, log_t), (self.log_n, log_n)):
            x = (np.asarray(at, float) - grid[0]) / (grid[1] - grid[0])
            x = np.clip(x, 0.0, len(grid) - 1.0)
            row = np.minimum(x.astype(np.int64), len(grid) - 2)
            found += [row, x - row]
        return found[0], found[1], found[2], found[3]

    def emissivity(self, log_t: ArrayLike, log_n: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Return ln G (s, L) at s temperatures and densities (s,), and its derivatives by log_t and by log_n.

        Bilinear in ln G; beyond the grid its ends hold and the derivative is 0.
        """
        (t, n), g = np.broadcast_arrays(np.atleast_1d(log_t), np.atleast_1d(log_n)), np.moveaxis(self.ln_g, 0, -1)
        i, fx, j, fy = self.place(t, n)
        fx, fy = fx[:, None], fy[:, None]
        low, high = (g[i + k, j] * (1 - fy) + g[i + k, j + 1] * fy for k in (0, 1))
        by_n = (1 - fx) * (g[i, j + 1] - g[i, j]) + fx * (g[i + 1, j + 1] - g[i + 1, j])
        inside = [(at >= grid[0]) & (at <= grid[-1]) for at, grid in ((t, self.log_t), (n, self.log_n))]
        steps = self.log_t[1] - self.log_t[0], self.log_n[1] - self.log_n[0]
        slopes = [by * (ok[:, None] / step) for by, ok, step in zip((high - low, by_n), inside, steps, strict=True)]
        return low * (1 - fx) + high * fx, slopes[0], slopes[1]

    def select(
        self, low_a: float = 0.0, high_a: float = np.inf, least: float = 0.0, log_t: tuple[float, float] = (6.0, 7.0)
    ) -> "LineTable":
        """Return the lines within low_a..high_a that reach `least` of the strongest there at a temperature of log_t."""
        chosen = np.flatnonzero((self.wavelength_a >= low_a) & (self.wavelength_a <= high_a))
        if len(chosen) and least > 0:
            rows = (self.log_t >= log_t[0] - 1e-9) & (self.log_t <= log_t[1] + 1e-9)
            g = self.ln_g[chosen][:, rows] + np.log(self.wavelength_a[chosen])[:, None, None]  # by photons
            chosen = chosen[np.any(g - g.max(axis=0) >= np.log(least), axis=(1, 2))]
        return self.take(chosen)

    def take(self, rows: ArrayLike) -> "LineTable":
        """Return the lines of these rows, by wavelength."""
        at = np.sort(np.asarray(rows, np.int64))
        own = {name: getattr(self, name)[at] for name in ("ion", "wavelength_a", "lower", "upper", "ln_g", "scatter")}
        return replace(self, **own, _kept={})

    def find(self, ion: str, wavelength_a: float, within_a: float = 0.03) -> int:
        """Return the row of an ion's strongest line near a wavelength. Raises KeyError for none."""
        near = (self.ion == ion) & (np.abs(self.wavelength_a - wavelength_a) <= within_a)
        rows = np.flatnonzero(near)
        if not len(rows):
            raise KeyError(f"{ion} {wavelength_a:g} A")
        return int(rows[np.argmax(self.ln_g[rows].max(axis=(1, 2)))])


def scatter_of(ion: NDArray[np.str_], lower: NDArray[np.int32], upper: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return what the emissivity of each line (L,) is uncertain by, 1 sigma of ln G."""
    parts = [name.partition("_") for name in ion.tolist()]
    helium = np.array([CHARGES.get(symbol, 0) - int(stage) == 1 for symbol, _, stage in parts], dtype=bool)
    to_ground = (lower == 1) & np.isin(upper, (FORBIDDEN, *INTERCOMBINATION))
    return np.where(helium & to_ground, SCATTER_HE, SCATTER).astype(np.float32)


def pack(table: LineTable) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file: ln G as steps of 1/1000 below each line's maximum, along density as differences."""
    top = table.ln_g.max(axis=(1, 2))
    steps = np.rint(np.maximum(table.ln_g - top[:, None, None], FLOOR) / STEP).astype(np.int16)
    steps[:, :, 1:] = np.diff(steps, axis=2)
    names = list(table.abundance)
    return {
        "ion": table.ion.astype("S"),
        "wavelength_a": table.wavelength_a.astype(np.float64),
        "lower": table.lower.astype(np.int32),
        "upper": table.upper.astype(np.int32),
        "log_t": table.log_t,
        "log_n": table.log_n,
        "ln_top": top.astype(np.float64),
        "steps": steps,
        "scatter": table.scatter,
        "element": np.array(names, dtype="S"),
        "abundance": np.array([table.abundance[name] for name in names]),
        "hydrogen_per_electron": np.array(table.hydrogen_per_electron),
        "about": np.array(table.about),
    }


def read_lines(path: Path | str) -> LineTable:
    """Return the table of a file that `raysieve convert chianti` wrote. Raises ConfigError for another one."""
    try:
        with np.load(path, allow_pickle=False) as held:
            below = np.cumsum(held["steps"], axis=2, dtype=np.int32) * STEP
            arrays = {name: held[name] for name in ("lower", "upper", "log_t", "log_n", "scatter")}
            abundance = zip(held["element"].astype(str).tolist(), held["abundance"].tolist(), strict=True)
            return LineTable(
                ion=held["ion"].astype(str),
                wavelength_a=held["wavelength_a"],
                ln_g=(held["ln_top"][:, None, None] + below).astype(np.float32),
                abundance=dict(abundance),
                hydrogen_per_electron=float(held["hydrogen_per_electron"]),
                about=str(held["about"]),
                **arrays,
            )
    except (OSError, ValueError, KeyError, EOFError) as fault:
        raise ConfigError(f"{path}: expected a line table as `raysieve convert chianti` writes it ({fault})") from None


@cache
def shipped_lines() -> LineTable:
    """Return the lines that ship with this package: 1.5 to 500 A. Raises ConfigError where there are none."""
    path = files("stream.corona") / "data" / "lines.npz"
    if not path.is_file():
        raise ConfigError("coronal lines: this installation has no stream/corona/data/lines.npz: give a table")
    with as_file(path) as real:
        return read_lines(real)
