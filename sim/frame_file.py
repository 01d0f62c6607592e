"""Frame sets on disk: HDF5, packed frame by frame, with their truth tables."""

import json
import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from config.errors import ConfigError
from sim.check import folder_for
from sim.frame_sets import CLASSES, OWNER, PARTICLE_ROW, XRAY_ROW, Frames
from stream.transport import hdf5

FORMAT = "raysieve frame set"
TABLES = {"pixels": OWNER, "xrays": XRAY_ROW, "particles": PARTICLE_ROW}
CHUNK_BYTES = 1 << 19
ROWS = 1 << 14  # of a table in a chunk


class FrameFile(hdf5.NewFile):
    """Writes a set; the file appears under its name when it is complete.

    Datasets: frames (n, quadrants, rows, columns) int16 electrons; label (n,) uint8, place in the attribute `classes`;
    truth tables pixels, xrays, particles (`sim.frame_sets`).
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], about: dict[str, Any]) -> None:
        """Raises ConfigError or LinkError where the file cannot be written."""
        folder_for(path)
        super().__init__(path, FORMAT)
        per_chunk = max(1, CHUNK_BYTES // (2 * math.prod(shape)))
        with self.writing():
            file = self.file
            hdf5.write_text(file, "classes", json.dumps(CLASSES))
            hdf5.write_text(file, "about", json.dumps(about))
            whole = {"maxshape": (None, *shape), "chunks": (per_chunk, *shape)} | hdf5.filters()
            file.create_dataset("frames", (0, *shape), "<i2", **whole)
            for name, dtype in (("label", "<u1"), *TABLES.items()):
                file.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(ROWS,), **hdf5.filters())

    def write(self, block: Frames) -> None:
        """Append a block. Raises LinkError if the disk refuses."""
        with self.writing():
            hdf5.append(self.file["frames"], block.pixels)
            hdf5.append(self.file["label"], block.label)
            for name in TABLES:
                hdf5.append(self.file[name], block.tables[name])


def read_set(path: Path | str) -> h5py.File:
    """Return a set opened for reading. Raises ConfigError for any other file."""
    file = hdf5.open_file(Path(path), (FORMAT,))
    try:
        frames = file.get("frames")
        shape = (len(frames), *np.shape(frames)[1:]) if np.ndim(frames) == 4 else (None,) * 4
        hdf5.dataset(file, "frames", "<i2", shape)
        hdf5.dataset(file, "label", "<u1", shape[:1])
        for name, dtype in TABLES.items():
            hdf5.dataset(file, name, dtype, (None,))
    except hdf5.FAULTS as fault:
        file.close()
        raise ConfigError(f"frame set {path}: {hdf5.reason(fault)}") from None
    return file
