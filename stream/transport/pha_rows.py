"""One spectrum of a PHA file of type II (OGIP/92-007a: a spectrum in each row), seen as one of type I."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from stream.errors import ConfigError

CHOICE: Final = re.compile(r"(?P<file>.+)\{(?P<number>\d+)\}")
COLUMNS: Final = ("CHANNEL", "COUNTS", "RATE", "STAT_ERR", "SYS_ERR", "QUALITY", "GROUPING")


def choice_of(path: Path) -> tuple[Path, int | None]:
    """Return the file and the number of "file.pha{3}", as XSPEC writes it; None without one."""
    found = CHOICE.fullmatch(str(path))
    return (Path(found["file"]), int(found["number"])) if found else (path, None)


def one_spectrum(table: Any, path: Path, number: int | None) -> Any:
    """Return the table of a file of type I, or one row of type II by its SPEC_NUM (or its place, from 1) as such.

    What a row says in scalar columns (EXPOSURE, BACKSCAL, RESPFILE ...) stands in the header then. Raises ConfigError
    if a choice is missing, or not there.
    """
    names = [name.upper() for name in table.columns.names]
    counts = next((name for name in ("COUNTS", "RATE") if name in names), "")
    if "SPEC_NUM" not in names and np.ndim(table.data[counts] if counts else ()) < 2:
        if number is not None:
            raise ConfigError(f"{path}: holds one spectrum: expected its name without {{{number}}}")
        return table
    rows = len(table.data)
    numbers = np.asarray(table.data["SPEC_NUM"], int) if "SPEC_NUM" in names else np.arange(1, rows + 1)
    if number is None:
        raise ConfigError(
            f"{path}: holds {rows} spectra (type II): expected one of them, as {path.name}{{{numbers[0]}}}"
        )
    if number not in numbers:
        told = ", ".join(map(str, numbers[:12])) + (", ..." if rows > 12 else "")
        raise ConfigError(f"{path}: no spectrum {{{number}}}; expected one of {told}")
    row = table.data[int(np.flatnonzero(numbers == number)[0])]
    header, data = dict(table.header), {}
    for name in names:
        value = row[name]
        if np.ndim(value) and name in COLUMNS:
            data[name] = np.asarray(value)
        elif not np.ndim(value):
            header[name] = value.strip() if isinstance(value, str) else np.asarray(value).item()
    return SimpleNamespace(name=table.name, header=header, data=data, columns=SimpleNamespace(names=list(data)))
