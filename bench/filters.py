"""What a frame costs in HDF5: bitshuffle and LZ4 beside HDF5's own filters. `python -m bench.filters`."""

import tempfile
import time
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np

from bench import figures
from stream.transport.hdf5 import CACHE_BYTES, filters

FRAMES, SIDE = 100, 512
OFFSET_ADU, NOISE_ADU = 500, 7
TURNS: Final = 3  # the fastest counts
STORED: Final[dict[str, dict[str, Any]]] = {
    "bitshuffle + LZ4": filters(),
    "shuffle + LZF": {"compression": "lzf", "shuffle": True, "fletcher32": True},
    "shuffle + gzip 1": {"compression": "gzip", "compression_opts": 1, "shuffle": True, "fletcher32": True},
}


def main() -> None:
    """Write frames of noise, read them one by one, write docs/figures/filters.json."""
    rng, found = np.random.default_rng(1), {}
    frames = np.rint(rng.normal(OFFSET_ADU, NOISE_ADU, (FRAMES, SIDE, SIDE))).astype(np.uint16)
    frame = np.empty((SIDE, SIDE), np.uint16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.h5"
        for name, kind in STORED.items():
            with h5py.File(path, "w") as file:
                made = file.create_dataset("frames", data=frames, chunks=(1, SIDE, SIDE), **kind)
                found[f"{name}: size"] = (made.id.get_storage_size() / FRAMES * 1e-3, "kB per frame")
            spent = []
            with h5py.File(path, "r", rdcc_nbytes=CACHE_BYTES) as file:
                for _ in range(TURNS):
                    begun = time.process_time()
                    for k in range(FRAMES):
                        file["frames"].read_direct(frame, np.s_[k])
                    spent.append((time.process_time() - begun) / FRAMES * 1e3)
            found[f"{name}: reading"] = (min(spent), "ms CPU per frame")
    figures.write("filters", "python -m bench.filters", found)


if __name__ == "__main__":
    main()
