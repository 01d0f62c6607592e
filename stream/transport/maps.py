"""Calibration maps on disk: HDF5, /maps/qID/{offset, noise, bad} with their version; in map files and in recordings."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.messages import DEAD, Maps, version_of
from stream.transport import hdf5

MAPS, RECORDING = "raysieve maps", "raysieve recording"  # attribute `format` of the files that hold maps
_LAYOUT = (("offset", "<f4"), ("noise", "<f4"), ("bad", "|u1"))


def build(quadrant: int, offset: NDArray[Any], noise: NDArray[Any], bad: NDArray[Any]) -> Maps:
    """Return maps with their version. Arrays (rows, columns): float32, float32, uint8, in the frame's unit."""
    arrays = [np.ascontiguousarray(a, t) for a, (_, t) in zip((offset, noise, bad), _LAYOUT, strict=True)]
    return Maps(quadrant=quadrant, offset=arrays[0], noise=arrays[1], bad=arrays[2], version=version_of(*arrays))


def write_maps(path: Path, maps: Iterable[Maps], run_id: str) -> None:
    """Write a map file. The version of each is made from its arrays, whatever it says of itself.

    Raises LinkError if the disk refuses; then there is no file. No maps: a file without any.
    """
    new = hdf5.NewFile(Path(path), MAPS)
    with new.writing():
        hdf5.write_text(new.file, "run_id", run_id)
        save(new.file, maps)
    new.finish()


def read_maps(path: Path) -> dict[int, Maps]:
    """Return the maps of a map file or of a recording by quadrant; {} if it has none.

    Raises ConfigError if the file cannot be read, or if arrays are damaged or do not have the version they claim.
    """
    with hdf5.open_file(Path(path), (MAPS, RECORDING)) as file:
        return load(file, Path(path))


def save(file: Any, maps: Iterable[Maps]) -> dict[int, str]:
    """Write maps into an open file; return their versions by quadrant."""
    group = file.create_group("maps")
    versions = {}
    for given in maps:
        made = build(given.quadrant, given.offset, given.noise, given.bad)
        place = group.create_group(f"q{made.quadrant}")
        versions[made.quadrant] = made.version
        hdf5.write_text(place, "version", made.version)
        for name, _ in _LAYOUT:
            array = getattr(made, name)
            place.create_dataset(name, data=array, chunks=array.shape, **hdf5.filters())
    return versions


def load(file: Any, path: Path) -> dict[int, Maps]:
    """Return the maps in an open file. Raises ConfigError as `read_maps`."""
    maps = {}
    try:
        for name in file.get("maps", ()):
            found = _load(file["maps"], name)
            maps[found.quadrant] = found
    except hdf5.FAULTS as fault:
        raise ConfigError(f"{path}: maps: {hdf5.reason(fault)}") from None
    return maps


def _load(group: Any, name: str) -> Maps:
    if name not in {f"q{number}" for number in range(256)}:
        raise ValueError(f"{name[:20]}: expected q0 to q255")
    shape = group[name]["offset"].shape
    if len(shape) != 2 or not all(1 <= side <= hdf5.MAX_SIDE for side in shape):
        raise ValueError(f"{name}: expected rows x columns of 1..{hdf5.MAX_SIDE}, got {shape}")
    arrays = [hdf5.dataset(group[name], part, dtype, shape)[()] for part, dtype in _LAYOUT]
    made = build(int(name[1:]), *arrays)
    if (claimed := hdf5.read_text(group[name], "version")[:20]) != made.version:
        raise ValueError(f"{name}: version {claimed} is not that of its arrays ({made.version})")
    offset, noise = made.offset[made.bad == 0], made.noise[made.bad == 0]
    if not (np.isfinite(offset).all() and np.isfinite(noise).all() and (noise >= 0).all()):
        raise ValueError(f"{name}: expected finite offsets, and noise of at least 0")
    if made.bad.max() > DEAD:
        raise ValueError(f"{name}: expected kinds of bad pixels of 0..{DEAD}, got {made.bad.max()}")
    return made
