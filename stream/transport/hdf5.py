"""HDF5 files of ours: opened and checked, written under a temporary name, every failure in one line."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError, LinkError

VERSION = 1  # of the layouts; a file says which it has
TABLE_ROWS = 4096  # rows in one chunk of a table
CACHE_BYTES = 8 << 20  # of each dataset: holds a whole chunk (a frame), or HDF5 allocates it anew every time
MAX_SIDE = 8192  # pixels: no array is taken into memory before its shape is known to be sane

# What h5py raises on damaged files: it has no exception of its own.
FAULTS = (OSError, RuntimeError, ValueError, TypeError, KeyError, LookupError, AttributeError)


def open_file(path: Path, formats: tuple[str, ...]) -> h5py.File:
    """Open a file of one of these formats to read. Raises ConfigError for anything else."""
    try:
        file = h5py.File(path, "r", rdcc_nbytes=CACHE_BYTES)
    except FAULTS as fault:
        raise ConfigError(f"{path}: {reason(fault)}; expected {' or '.join(formats)} (HDF5)") from None
    try:
        kind, version = file.attrs.get("format"), file.attrs.get("version")
        if not isinstance(kind, str) or kind not in formats:
            raise ConfigError(f"{path}: attribute format: expected {' or '.join(formats)}, got {str(kind)[:40]!r}")
        if not isinstance(version, np.integer) or version != VERSION:
            raise ConfigError(f"{path}: attribute version: expected {VERSION}, got {str(version)[:40]}")
    except FAULTS as fault:
        file.close()
        raise ConfigError(f"{path}: attributes: {reason(fault)}") from None
    except ConfigError:
        file.close()
        raise
    return file


def dataset(group: Any, name: str, dtype: Any, shape: tuple[int | None, ...]) -> Any:
    """Return a dataset of exactly this dtype and shape (None: any length), or raise ValueError."""
    found = group.get(name)
    where = f"{group.name.rstrip('/')}/{name}"
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{where}: expected a dataset")
    wrong = len(found.shape) != len(shape) or any(
        want not in (None, have) for want, have in zip(shape, found.shape, strict=False)
    )
    if found.dtype != np.dtype(dtype) or wrong:
        expected = f"{_dtype(np.dtype(dtype))} {' x '.join('n' if side is None else str(side) for side in shape)}"
        raise ValueError(f"{where}: expected {expected}, got {_dtype(found.dtype)} {' x '.join(map(str, found.shape))}")
    if found.chunks is None:
        if found.id.get_storage_size() != found.size * found.dtype.itemsize:
            raise ValueError(f"{where}: is not stored whole")
    elif found.id.get_num_chunks() != np.prod([-(-n // c) for n, c in zip(found.shape, found.chunks, strict=True)]):
        raise ValueError(f"{where}: parts are missing")  # HDF5 would make them up as zeros
    return found


def _dtype(dtype: Any) -> str:
    return f"a table of {', '.join(dtype.names)[:80]}" if dtype.names else str(dtype)


def filters() -> dict[str, Any]:
    """Return how datasets are stored: bitshuffle and LZ4, with a checksum, so that damage is seen."""
    return dict(hdf5plugin.Bitshuffle(cname="lz4")) | {"fletcher32": True}


def append(table: Any, rows: NDArray[Any]) -> None:
    """Write rows at the end of a dataset that can grow."""
    if len(rows):
        before = table.shape[0]
        table.resize(before + len(rows), axis=0)
        table[before:] = rows


def reason(fault: BaseException) -> str:
    """Return what the system said, in one line, without HDF5's own stack of words."""
    if isinstance(fault, FileNotFoundError):
        return "no such file"
    text = str(fault)
    said = re.search(r"error message = '([^']+)'", text) or re.search(r"^[^(]*[Uu]?n.t? .*\(([^:)]+).*\)$", text)
    if said:
        return said[1]
    number = getattr(fault, "errno", None)
    if number:
        return os.strerror(number)
    return (text.strip("'\"").splitlines() or [type(fault).__name__])[0][:160]


class NewFile:
    """An HDF5 file that takes its name only when it is whole.

    Raises LinkError (one line) when the disk refuses; what was written is removed then.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            # This format keeps checksums of its own tables, and appends without a search.
            self.file = h5py.File(self._temporary, "w", libver=("v110", "v110"), rdcc_nbytes=CACHE_BYTES)
        except FAULTS as fault:
            raise LinkError(f"{path}: cannot be written: {reason(fault)}") from None
        self.file.attrs["format"] = kind
        self.file.attrs["version"] = np.int64(VERSION)

    def finish(self) -> None:
        """Write what is buffered, then give the file its name."""
        try:
            self.file.close()
            os.replace(self._temporary, self.path)
        except FAULTS as fault:
            raise self.fail(fault) from None

    def fail(self, fault: BaseException) -> LinkError:
        """Remove the file and return the error to raise."""
        self.discard()
        return LinkError(f"{self.path}: cannot be written: {reason(fault)}")

    def discard(self) -> None:
        """Remove what was written; the name stays free."""
        with suppress(*FAULTS):  # a full disk fails again when the rest is flushed
            self.file.close()
        self._temporary.unlink(missing_ok=True)
