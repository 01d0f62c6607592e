"""Event sets on disk: HDF5 tables, read whole or in part."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sim.check import folder_for
from sim.event_sets import DTYPES, Block
from stream.errors import ConfigError
from stream.messages import WINDOW_SIDE
from stream.transport import hdf5

FORMAT = "raysieve event set"
ROWS = 1 << 12  # of a table in a chunk
WINDOWS = 32  # in a chunk
SHAPE = (WINDOW_SIDE, WINDOW_SIDE)


class EventFile(hdf5.NewFile):
    """Writes a set block by block; the file appears under its name when it is complete.

    Tables events (EVENT), truth (TRUTH, one row for each event), tracks (TRACK), track_owner, windows (n, 64, 64) int16
    eV, attribute `readouts`; see `sim.event_sets`.
    """

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        """Raises ConfigError or LinkError where the file cannot be written."""
        folder_for(path)
        super().__init__(path, FORMAT)
        self._readouts = self._windows = 0
        with self.writing():
            hdf5.write_text(self.file, "about", json.dumps(about))
            for name, dtype in (*DTYPES.items(), ("track_owner", "<i8")):
                self.file.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(ROWS,), **hdf5.filters())
            whole = {"maxshape": (None, *SHAPE), "chunks": (WINDOWS, *SHAPE)}
            self.file.create_dataset("windows", (0, *SHAPE), "<i2", **whole, **hdf5.filters())

    def write(self, block: Block) -> None:
        """Append a block. Raises LinkError if the disk refuses."""
        truth = block.truth.copy()
        truth["window"][truth["window"] >= 0] += self._windows
        with self.writing():
            for name, rows in (("events", block.events), ("truth", truth), ("tracks", block.tracks)):
                hdf5.append(self.file[name], rows)
            hdf5.append(self.file["track_owner"], block.track_owner)
            hdf5.append(self.file["windows"], block.windows)
            self._readouts += block.readouts
            self.file.attrs["readouts"] = np.int64(self._readouts)
        self._windows += len(block.windows)


def read_events(path: Path | str) -> h5py.File:
    """Return a set opened for reading. Raises ConfigError for any other file."""
    file = hdf5.open_file(Path(path), (FORMAT,))
    try:
        for name, dtype in (*DTYPES.items(), ("track_owner", np.dtype("<i8"))):
            hdf5.dataset(file, name, dtype, (None,))
        hdf5.dataset(file, "windows", "<i2", (None, *SHAPE))
        if len(file["truth"]) != len(file["events"]) or len(file["track_owner"]) != len(file["tracks"]):
            raise ValueError("tables of different length")
    except hdf5.FAULTS as fault:
        file.close()
        raise ConfigError(f"event set {path}: {hdf5.reason(fault)}") from None
    return file
