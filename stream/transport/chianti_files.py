"""CHIANTI's own files, a directory or a tar, through fiasco: emissivities of lines by temperature and density.

fiasco asks, and offers to download, when it is left to find its database: here it is given one, and is never asked.
"""

import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from config.extra import extra
from stream.corona.lines import LineTable
from stream.errors import ConfigError
from stream.spectra.grid import Floats
from stream.transport.chianti import HYDROGEN_PER_ELECTRON, table_of

ABUNDANCE: Final = "sun_coronal_2021_chianti"
COMMON: Final = ("VERSION", f"abundance/{ABUNDANCE}.abund", "ioneq/chianti.ioneq", "ip/chianti.ip")
NEEDED: Final = ("elvlc", "wgfa", "scups")  # of each ion: levels, decays, collision strengths
BESIDE: Final = ("rrlvl", "cilvl", "reclvl", "psplups", "auto")  # taken where there are any
POINTER: Final = b"version https://git-lfs"
LIMITS_A: Final = (1.0, 500.0)
LEAST: Final = 0.01  # of the strongest line within NEAR_A: fainter ones are left out
NEAR_A: Final = 5.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a CHIANTI directory has. `left`: why an ion is left out, by its name."""

    root: Path
    ions: tuple[str, ...]
    left: dict[str, str] = field(default_factory=dict)


@contextmanager
def opened(path: Path) -> Iterator[Found]:
    """Give the files of a directory, or of a tar unpacked for the time. Raises ConfigError, one line, for others."""
    if path.is_dir():
        yield survey(path)
        return
    with TemporaryDirectory() as folder:
        try:
            with tarfile.open(path) as tar:
                tar.extractall(folder, filter="data")
        except (OSError, tarfile.TarError, EOFError) as fault:
            why = str(fault).partition("\n")[0]
            raise ConfigError(f"{path}: expected a CHIANTI directory, a tar of one, or an npz ({why})") from None
        inside = [Path(folder), *sorted(p for p in Path(folder).iterdir() if p.is_dir())]
        yield survey(next((p for p in inside if (p / "VERSION").is_file()), inside[0]), path)


def survey(root: Path, name: Path | None = None) -> Found:
    """Return which ions have what is needed. Raises ConfigError where the common files or all ions are missing."""
    said = name or root
    if missing := [file for file in COMMON if not (root / file).is_file()]:
        raise ConfigError(f"{said}: not a CHIANTI database: expected {', '.join(missing)}")
    if pointers := [file for file in COMMON if _is_pointer(root / file)]:
        raise ConfigError(f"{said}: {pointers[0]}: a git-lfs pointer in place of data; expected the file itself")
    ions, left = [], {}
    for folder in sorted(p for p in root.glob("*/*_*") if p.is_dir() and p.name.partition("_")[2].isdigit()):
        files = {kind: folder / f"{folder.name}.{kind}" for kind in (*NEEDED, *BESIDE)}
        absent = [kind for kind in NEEDED if not files[kind].is_file()]
        pointer = [kind for kind, file in files.items() if file.is_file() and _is_pointer(file)]
        if absent:
            left[folder.name] = f"no {' and '.join(f'.{kind}' for kind in absent)}"
        elif pointer:
            left[folder.name] = f".{pointer[0]} is a git-lfs pointer in place of data"
        else:
            ions.append(folder.name)
    if not ions:
        why = f" ({next(iter(left.values()))})" if left else ""
        raise ConfigError(f"{said}: expected ions with {', '.join(f'.{kind}' for kind in NEEDED)}{why}")
    return Found(root, tuple(ions), left)


def _is_pointer(file: Path) -> bool:
    with file.open("rb") as opened_file:
        return opened_file.read(len(POINTER)) == POINTER


def solve(
    found: Found, log_t: Floats, log_n: Floats, ions: tuple[str, ...] = (), said: Callable[[str], Any] = print
) -> LineTable:
    """Return the lines of ions (none given: of all), solved by fiasco. said: told each ion's name when it is done.

    Minutes for each ion of some hundred levels. Raises ConfigError for an ion that is not there.
    """
    if unknown := set(ions) - set(found.ions):
        each = [f"{name}: {found.left.get(name, 'not there')}" for name in sorted(unknown)]
        raise ConfigError(f"{found.root}: {'; '.join(each)}")
    chosen = ions or found.ions
    rows: dict[str, list[Any]] = {"ion": [], "wavelength_a": [], "lower": [], "upper": [], "g": []}
    with extra("chianti"), TemporaryDirectory() as folder:
        database = _build(found, chosen, Path(folder) / "chianti.h5")
        for name in chosen:
            for key, values in _lines(name, database, log_t, log_n).items():
                rows[key].append(values)
            said(name)
    lines = {key: np.concatenate(values) for key, values in rows.items()}
    kept = strongest(lines["wavelength_a"], lines["g"])
    return table_of({key: values[kept] for key, values in lines.items()}, (log_t, log_n))


def _build(found: Found, ions: tuple[str, ...], path: Path) -> Path:
    """Write fiasco's database of these ions and of those one stage up, which feed them."""
    from fiasco.util import build_hdf5_dbase

    files = [Path(name).name for name in COMMON[1:]]
    above = {f"{name.partition('_')[0]}_{int(name.partition('_')[2]) + 1}" for name in ions}
    for name in sorted(set(ions) | (above & set(found.ions))):
        folder = found.root / name.partition("_")[0] / name
        files += [f"{name}.{kind}" for kind in (*NEEDED, *BESIDE) if (folder / f"{name}.{kind}").is_file()]
    build_hdf5_dbase(found.root, path, files=files)
    return path


def _lines(name: str, database: Path, log_t: Floats, log_n: Floats) -> dict[str, Any]:
    """Return the lines of one ion: G (L, T, N) erg cm3 s-1 sr-1, as the grids hold it."""
    import fiasco
    from astropy import units as u

    ion = fiasco.Ion(name.replace("_", " "), 10.0**log_t * u.K, hdf5_dbase_root=database, abundance=ABUNDANCE)
    g = ion.contribution_function(10.0**log_n * u.cm**-3).to_value("erg cm3 s-1")
    bound = ion.transitions.is_bound_bound
    wavelength = np.abs(ion.transitions.wavelength[bound].to_value("angstrom"))
    return {
        "ion": np.full(len(wavelength), name),
        "wavelength_a": wavelength,
        "lower": np.asarray(ion.transitions.lower_level[bound], np.int32),
        "upper": np.asarray(ion.transitions.upper_level[bound], np.int32),
        "g": np.moveaxis(g, 2, 0) * (HYDROGEN_PER_ELECTRON / (4 * np.pi)),
    }


def strongest(wavelength_a: Floats, g: Floats) -> Any:
    """Return the rows of lines within LIMITS_A that reach LEAST of the strongest within NEAR_A anywhere on the grid."""
    rows = np.flatnonzero((wavelength_a >= LIMITS_A[0]) & (wavelength_a <= LIMITS_A[1]))
    rows = rows[np.argsort(wavelength_a[rows], kind="stable")]
    light = g[rows].reshape(len(rows), -1)
    at = wavelength_a[rows]
    first, last = np.searchsorted(at, at - NEAR_A), np.searchsorted(at, at + NEAR_A, side="right")
    kept = [k for k in range(len(rows)) if np.any(light[k] > LEAST * light[first[k] : last[k]].max(axis=0))]
    return rows[kept]
