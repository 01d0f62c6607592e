"""Sources of known class with what was measured of them: from a plain table of features, or the MUWCLASS catalogue."""

import csv
import gzip
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError
from sim.check import require
from stream.judges.sources import FEATURES

CLASS, FIELD, NAME = "class", "field", "name"
FEW = 8  # columns of another file that are named
ABOUT = (CLASS, FIELD, NAME, "id", "source", "ra", "dec", "l", "b", "x", "y")  # columns that are no features
Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sources:
    """n sources with F features, of C classes. A feature that was not measured is NaN."""

    path: Path
    features: tuple[str, ...]
    units: tuple[str, ...]
    classes: tuple[str, ...]
    x: NDArray[np.float64]  # (n, F)
    error: NDArray[np.float64]  # (n, F) standard deviations; 0: exact, or not known
    label: NDArray[np.int64]  # (n,) place in `classes`
    field: NDArray[np.int64]  # (n,) which sources were seen together
    name: tuple[str, ...] = ()
    sky: NDArray[np.float64] | None = None  # (n, 2) Galactic longitude and latitude, deg

    def __len__(self) -> int:
        """Return the number of sources."""
        return len(self.label)

    def pick(self, rows: NDArray[np.int64]) -> "Sources":
        """Return some of them, in this order."""
        names = tuple(self.name[row] for row in rows) if self.name else ()
        sky = None if self.sky is None else self.sky[rows]
        table = {key: getattr(self, key)[rows] for key in ("x", "error", "label", "field")}
        return replace(self, **table, name=names, sky=sky)

    def only(self, features: Iterable[str]) -> "Sources":
        """Return them with these features, in this order. Raises ConfigError for one that is not there."""
        wanted = tuple(features)
        for name in wanted:
            require(f"{self.path}: feature {name}", (name in self.features, f"one of {', '.join(self.features)}"))
        columns = [self.features.index(name) for name in wanted]
        units = tuple(self.units[k] for k in columns)
        return replace(self, features=wanted, units=units, x=self.x[:, columns], error=self.error[:, columns])

    def as_classes(self, classes: tuple[str, ...]) -> "Sources":
        """Return them with these classes, in this order. Raises ConfigError for one that is not among them."""
        for name in self.classes:
            require(f"{self.path}: class {name}", (name in classes, f"one of {', '.join(classes)}"))
        place = np.array([classes.index(name) for name in self.classes], np.int64)
        return replace(self, classes=classes, label=place[self.label])

    def frequencies(self) -> NDArray[np.float64]:
        """Return the share of each class, (C,), with half a source more in each: none is impossible."""
        count = np.bincount(self.label, minlength=len(self.classes)) + 0.5
        return count / count.sum()

    def digest(self) -> str:
        """Return a digest of features and classes."""
        parts = (self.x.tobytes(), self.error.tobytes(), self.label.tobytes(), "".join(self.features).encode())
        return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def read_sources(path: Path) -> Sources:
    """Return the sources of a table: CSV (.csv, .csv.gz) or HDF5. A MUWCLASS table is known by its columns.

    A plain table has a column `class`, may have `field`, and NAME and NAME_error of each feature; the unit of a column
    of HDF5 is its attribute `unit`. Raises ConfigError, naming file and column, for one that cannot be used.
    """
    texts, units = _columns(path)
    if "Class" in texts and ({"Fcsc_s", "flux_aper90_ave_s"} & texts.keys()):
        from models.sources.muwclass import sources_of

        return sources_of(path, texts)
    require(f"{path}", (CLASS in texts, f"a column {CLASS}; found {', '.join(texts) or 'none'}"))
    names = [name for name in texts if name not in ABOUT and not name.endswith("_error")]
    require(f"{path}", (bool(names), "a column or more with a feature"), (len(texts[CLASS]) > 0, "a source or more"))

    def get(name: str) -> Column | None:
        return numbers(path, name, texts[name]) if name in texts else None

    table: dict[str, tuple[str, Column, Column | None]] = {}
    for name in names:
        value = numbers(path, name, texts[name])
        table[name] = (units.get(name) or FEATURES.get(name, ""), value, get(f"{name}_error"))
    field = texts.get(FIELD, np.arange(len(texts[CLASS])))
    built = build(path, table, [_text(one) for one in texts[CLASS]], field)
    return replace(built, sky=_sky(get("l"), get("b"), get("ra"), get("dec")))


def _sky(l_deg: Column | None, b_deg: Column | None, ra: Column | None, dec: Column | None) -> Column | None:
    """Return Galactic longitude and latitude (n, 2), deg, or None where a table has no positions."""
    from models.sources.muwclass import galactic

    if l_deg is not None and b_deg is not None:
        return np.stack([l_deg, b_deg], axis=1)
    return galactic(ra, dec) if ra is not None and dec is not None else None


def build(
    path: Path, table: Mapping[str, tuple[str, Column, Column | None]], label: Iterable[str], field: NDArray[np.generic]
) -> Sources:
    """Return sources from feature -> (unit, value (n,), error (n,) or None). Raises ConfigError if there are none."""
    names, features = np.asarray(list(label)), tuple(table)
    require(f"{path}", (names.size > 0, "a source or more"))
    classes, place = np.unique(names, return_inverse=True)
    require(f"{path}: column {CLASS}", (classes.size > 1, f"two classes or more, found {', '.join(classes)}"))
    x = np.stack([value for _, value, _ in table.values()], axis=1)
    x[~np.isfinite(x)] = np.nan
    errors = [np.zeros(len(x)) if error is None else np.where(error > 0, error, 0) for _, _, error in table.values()]
    _, fields = np.unique(field, return_inverse=True)
    return Sources(
        path,
        features,
        tuple(unit for unit, _, _ in table.values()),
        tuple(map(str, classes)),
        x,
        np.where(np.isfinite(errors), errors, 0).T,
        place.astype(np.int64),
        fields.astype(np.int64),
    )


def numbers(path: Path, name: str, column: NDArray[np.generic]) -> Column:
    """Return a column as numbers, empty texts as NaN. Raises ConfigError for one that holds others."""
    if column.dtype.kind in "fiub":
        return column.astype(np.float64)
    try:
        return np.array([float(text) if text not in ("", b"") else np.nan for text in column])
    except ValueError as fault:
        raise ConfigError(f"{path}: column {name}: {fault}; expected numbers") from None


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _columns(path: Path) -> tuple[dict[str, NDArray[np.generic]], dict[str, str]]:
    """Return the columns of a table, and the units that it tells."""
    try:
        if h5py.is_hdf5(path):
            return _of_hdf5(path)
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise ConfigError(f"{path}: cannot be read ({fault}); expected a table of features, CSV or HDF5") from None
    require(f"{path}", (bool(rows), "a line with the names of columns"))
    head, lines = rows[0], [row for row in rows[1:] if row]
    wrong = next((n for n, row in enumerate(lines) if len(row) != len(head)), None)
    require(f"{path}: row {(wrong or 0) + 1}", (wrong is None, f"{len(head)} columns"))
    table = np.array(lines, dtype=object).reshape(len(lines), len(head))
    return {name: table[:, k] for k, name in enumerate(head)}, {}


def _of_hdf5(path: Path) -> tuple[dict[str, NDArray[np.generic]], dict[str, str]]:
    """Read 1-D datasets at the root, or the columns of one compound dataset (`sources`, or the only one)."""
    columns: dict[str, NDArray[np.generic]] = {}
    units: dict[str, str] = {}
    with h5py.File(path) as file:
        flat = {name: part.dtype.names or (name,) for name, part in file.items() if getattr(part, "ndim", 0) == 1}
        names = [key for keys in flat.values() for key in keys]
        if not {CLASS, "Class"} & set(names):  # said before anything is read: others are packed in ways of their own
            found = ", ".join(names[:FEW]) + (" ..." if len(names) > FEW else "")
            raise ConfigError(f"{path}: no table of features: expected a column {CLASS}, found {found or 'no columns'}")
        for name, part in file.items():
            if not isinstance(part, h5py.Dataset) or part.ndim != 1:
                continue
            values = part[()]
            for key in values.dtype.names or (name,):
                columns[key] = values[key] if values.dtype.names else values
                units[key] = _text(part.attrs.get(f"unit_{key}", part.attrs.get("unit", "")))
    sizes = {len(column) for column in columns.values()}
    require(f"{path}", (len(sizes) == 1, f"columns of the same length, found {sorted(sizes)}"))
    return columns, units
