"""Frame sets on disk: HDF5, packed frame by frame, with their truth tables."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError
from sim.frame_sets import CLASSES, OWNER, PARTICLE_ROW, XRAY_ROW, Frames

FORMAT = "raysieve frame set 1"
TABLES = {"pixels": OWNER, "xrays": XRAY_ROW, "particles": PARTICLE_ROW}
CHUNK_BYTES = 1 << 19
ROWS = 1 << 14  # of a table in a chunk


class FrameFile:
    """Writes a set; the file appears under its name when it is complete.

    Datasets: frames (n, quadrants, rows, columns) int16 electrons; label (n,) uint8, place in the attribute `classes`;
    truth tables pixels, xrays, particles (`sim.frame_sets`).
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], about: dict[str, Any]) -> None:
        """Raises ConfigError where the file cannot be written."""
        self.path, self._partial = path, path.with_name(path.name + ".partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = h5py.File(self._partial, "w")
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error})") from None
        self._file.attrs.update(format=FORMAT, classes=json.dumps(CLASSES), about=json.dumps(about))
        per_chunk = max(1, CHUNK_BYTES // (2 * shape[0] * shape[1] * shape[2]))
        packed = hdf5plugin.Bitshuffle(cname="lz4")
        self._file.create_dataset(
            "frames", (0, *shape), "<i2", maxshape=(None, *shape), chunks=(per_chunk, *shape), **packed
        )
        self._file.create_dataset("label", (0,), "<u1", maxshape=(None,), chunks=(ROWS,))
        for name, dtype in TABLES.items():
            self._file.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(ROWS,), **packed)

    def write(self, block: Frames) -> None:
        """Append a block."""
        self._append("frames", block.pixels)
        self._append("label", block.label)
        for name in TABLES:
            self._append(name, block.tables[name])

    def _append(self, name: str, rows: NDArray[Any]) -> None:
        table = self._file[name]
        table.resize(len(table) + len(rows), axis=0)
        table[len(table) - len(rows) :] = rows

    def __enter__(self) -> "FrameFile":
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """Close; keep the file only if all went well."""
        self._file.close()
        if kind is None:
            self._partial.replace(self.path)
        else:
            self._partial.unlink(missing_ok=True)


def read_set(path: Path | str) -> h5py.File:
    """Return a set opened for reading. Raises ConfigError for any other file."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ConfigError(f"frame set {path}: cannot be read ({error})") from None
    if file.attrs.get("format") != FORMAT or np.ndim(file.get("frames", 0)) != 4:
        raise ConfigError(f"frame set {path}: expected a file of {FORMAT!r}")
    return file
