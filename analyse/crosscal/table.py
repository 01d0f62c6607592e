"""Tables of clusters that two telescopes saw: temperatures of the trusted one (0) and of the biased one (1)."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.transport.fitsfile import why_no_fits

Floats = NDArray[np.float64]
KT: Final = ("KT_0", "KT_0_ERR", "KT_1", "KT_1_ERR")  # keV
NORM: Final = ("NORM_0", "NORM_0_ERR", "NORM_1", "NORM_1_ERR")  # of apec, in any unit that both share
NH: Final = ("NH_0", "NH_0_ERR", "NH_1", "NH_1_ERR")  # 1e22 cm-2, fitted
OTHERS: Final = ("ln norm", "nH")  # of telescope 1 over 0, and less 0
FORMATS: Final = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".txt": "ascii", ".dat": "ascii"}


@dataclass(frozen=True)
class Clusters:
    """N clusters; errors are 1 sigma."""

    name: tuple[str, ...]
    kt_0: Floats  # (N,) keV
    kt_0_err: Floats
    kt_1: Floats
    kt_1_err: Floats
    others: tuple[str, ...] = ()  # of OTHERS, those that the table has
    given: Floats = field(default_factory=lambda: np.empty((0, 0)))  # (e, N)
    given_err: Floats = field(default_factory=lambda: np.empty((0, 0)))
    beyond: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))  # (N,) outside what was simulated
    truth: dict[str, Any] = field(default_factory=dict)  # theta by name, of simulated ones

    def __len__(self) -> int:
        return len(self.name)

    @property
    def ln_0(self) -> tuple[Floats, Floats]:
        """Natural logarithms of the temperatures of telescope 0 and their errors."""
        return np.log(self.kt_0), self.kt_0_err / self.kt_0

    @property
    def ln_1(self) -> tuple[Floats, Floats]:
        """The same of telescope 1."""
        return np.log(self.kt_1), self.kt_1_err / self.kt_1

    def take(self, rows: NDArray[Any]) -> "Clusters":
        """Return those of an index or of a mask."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        cut = {key: getattr(self, key)[rows] for key in ("kt_0", "kt_0_err", "kt_1", "kt_1_err")}
        cut |= {key: getattr(self, key)[:, rows] for key in ("given", "given_err") if self.others}
        beyond = self.beyond[rows] if self.beyond.size else self.beyond
        return replace(self, name=tuple(self.name[i] for i in rows), beyond=beyond, **cut)


def read_clusters(path: Path | str) -> Clusters:
    """Return the clusters of an ECSV, CSV or FITS table: NAME, KT_0, KT_0_ERR, KT_1, KT_1_ERR (keV).

    Also NORM_... and NH_... (1e22 cm-2), all four of each or none.

    Raises ConfigError, naming row and column, for what is missing, not a number, or not above 0. No rows: no clusters.
    """
    path = Path(path)
    table = _opened(path)
    missing = [key for key in KT if key not in table.colnames]
    if missing:
        raise ConfigError(f"{path}: column {', '.join(missing)} missing: expected NAME, {', '.join(KT)} (keV)")
    names = tuple(str(n) for n in table["NAME"]) if "NAME" in table.colnames else tuple(map(str, range(len(table))))
    kt_0, e_0, kt_1, e_1 = (_column(path, table, key, names) for key in KT)
    others: list[str] = []
    given: list[Floats] = []
    errors: list[Floats] = []
    for what, keys in zip(OTHERS, (NORM, NH), strict=True):
        absent = [key for key in keys if key not in table.colnames]
        if 0 < len(absent) < len(keys):
            raise ConfigError(f"{path}: column {', '.join(absent)} missing: expected all of {', '.join(keys)}, or none")
        if not absent:
            v0, e0, v1, e1 = (_column(path, table, key, names) for key in keys)
            others.append(what)
            given.append(np.log(v1 / v0) if what == "ln norm" else v1 - v0)
            errors.append(np.hypot(e0 / v0, e1 / v1) if what == "ln norm" else np.hypot(e0, e1))
    values, sds = (np.reshape(rows, (len(others), len(table))) for rows in (given, errors))
    truth = {str(k): v for k, v in table.meta.items() if isinstance(v, int | float | str | list | tuple | dict)}
    return Clusters(names, kt_0, e_0, kt_1, e_1, tuple(others), values, sds, np.zeros(len(names), bool), truth)


def check_range(
    clusters: Clusters, kt_kev: tuple[float, float], fit_kev: tuple[float, float], extrapolate: bool
) -> Clusters:
    """Return the clusters, those beyond the simulated true and fitted temperatures flagged.

    Raises ConfigError for them unless `extrapolate`.
    """
    beyond = np.zeros(len(clusters), bool)
    for kt, (low, high) in ((clusters.kt_0, kt_kev), (clusters.kt_1, fit_kev)):
        beyond |= (kt < low) | (kt > high)
    if beyond.any() and not extrapolate:
        first = int(np.flatnonzero(beyond)[0])
        raise ConfigError(
            f"{clusters.name[first]}: KT_0 {clusters.kt_0[first]:.4g}, KT_1 {clusters.kt_1[first]:.4g} keV: expected "
            f"{kt_kev[0]:.3g} to {kt_kev[1]:.3g} and {fit_kev[0]:.3g} to {fit_kev[1]:.3g} keV as simulated "
            f"({int(beyond.sum())} of {len(clusters)} rows beyond; --extrapolate flags them)"
        )
    return replace(clusters, beyond=beyond)


def _opened(path: Path) -> Table:
    form = FORMATS.get(path.suffix.lower(), "fits")
    try:
        return Table.read(path, format=form, **({"hdu": 1} if form == "fits" else {}))
    except (OSError, ValueError, IndexError, KeyError) as fault:
        by_system = form == "fits" or isinstance(fault, OSError)
        why = why_no_fits(path, fault) if by_system else " ".join(str(fault).split())
        raise ConfigError(f"{path}: no table of clusters (ECSV, CSV, FITS): {why}") from None


def _column(path: Path, table: Table, key: str, names: tuple[str, ...]) -> Floats:
    """Return a column as finite numbers above 0."""
    column = table[key]
    try:
        values: Floats = np.ma.filled(np.ma.asarray(column, dtype=float), np.nan)
    except (TypeError, ValueError):
        raise ConfigError(f"{path}: column {key}: expected numbers") from None
    may_be_0 = key in ("NH_0", "NH_1")  # a column density may be none
    bad = np.flatnonzero(~(np.isfinite(values) & ((values > 0) | (may_be_0 & (values == 0)))))
    if bad.size:
        row = int(bad[0])
        what = "an error above 0" if key.endswith("_ERR") else "a number above 0"
        raise ConfigError(f"{path}: row {row + 1} ({names[row]}): {key} {values[row]:g}: expected {what}")
    return np.asarray(values, float)
