"""HDF5 files of ours: opened and checked, written under a temporary name, every failure in one line."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

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
        kind, version = read_text(file, "format"), file.attrs.get("version")
        if kind not in formats:
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


def write_text(place: Any, name: str, text: str) -> None:
    """Write a text attribute, of fixed length: in a damaged heap of variable-length ones HDF5 can read for ever."""
    place.attrs[name] = np.bytes_(text.encode())


def read_text(place: Any, name: str) -> str:
    """Return a text attribute written by `write_text`; "" if there is none."""
    type_of = h5py.h5a.open(place.id, name.encode()).get_type() if name in place.attrs else None
    if type_of is None or type_of.get_class() != h5py.h5t.STRING or type_of.is_variable_str():
        return ""
    return bytes(place.attrs[name]).decode("utf-8", "replace")


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
    text = str(fault)
    said = re.search(r"error message = '([^']+)'", text)
    if said:
        return said[1]
    number = getattr(fault, "errno", None)
    if number:
        return os.strerror(number)
    said = re.search(r"\(([^:()]+)[^()]*\)$", text) if text.startswith(("Unable to", "Can't")) else None
    return said[1] if said else (text.strip("'\"").splitlines() or [type(fault).__name__])[0][:160]


class _Disk(io.RawIOBase):
    """A file that HDF5 writes to and that never fails: `fault` keeps the first error, after it nothing is written.

    HDF5 cannot close a file whose last writes failed, and crashes when the process ends.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self.fault: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data)
        try:
            while self.fault is None and len(view):
                view = view[self._file.write(view) :]
        except OSError as fault:
            self.fault = fault
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._file.truncate(size) if self.fault is None else size or 0
        except OSError as fault:
            self.fault = fault
            return size or 0

    def seek(self, place: int, whence: int = 0) -> int:
        return self._file.seek(place, whence)

    def readinto(self, view: Any) -> int:
        return self._file.readinto(view) or 0

    def close(self) -> None:
        self._file.close()
        super().close()


class NewFile:
    """An HDF5 file that takes its name only when it is whole.

    Raises LinkError (one line) when the disk refuses; what was written is removed then.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._failure: LinkError | None = None
        try:
            self._disk = _Disk(self._temporary)
        except OSError as fault:
            raise LinkError(f"{path}: cannot be written: {reason(fault)}") from None
        with self.writing():
            # This format keeps checksums of its own tables, and appends without a search.
            self.file = h5py.File(self._disk, "w", libver=("v110", "v110"), rdcc_nbytes=CACHE_BYTES)
            write_text(self.file, "format", kind)
            self.file.attrs["version"] = np.int64(VERSION)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Do something with the file; if the disk refused, or refused before, discard it and raise LinkError."""
        if self._failure is None:
            try:
                yield
            except FAULTS as fault:
                self._fail(self._disk.fault or fault)
            if self._disk.fault:
                self._fail(self._disk.fault)
        if self._failure:
            raise self._failure from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep the file only if all went well."""
        if kind is None:
            self.finish()
        else:
            self.discard()

    def _fail(self, fault: BaseException) -> None:
        self._failure = self._failure or LinkError(f"{self.path}: cannot be written: {reason(fault)}")
        self.discard()

    def finish(self) -> None:
        """Write what is buffered, then give the file its name."""
        with self.writing():
            self.file.close()
            self._disk.close()
        with self.writing():
            os.replace(self._temporary, self.path)

    def discard(self) -> None:
        """Remove what was written; the name stays free."""
        with suppress(*FAULTS):
            self.file.close()
        with suppress(OSError):
            self._disk.close()
            self._temporary.unlink(missing_ok=True)
