"""The patches that the localisation network learns from, on disk."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError
from sim.lat.patch_sets import KIND
from stream.lat.inputs import NAMES


class Patches:
    """A set on disk."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError for any other file."""
        try:
            self._file = h5py.File(path, "r")
        except OSError as fault:
            raise ConfigError(f"{path}: {fault}") from None
        if self._file.attrs.get("kind") != KIND:
            raise ConfigError(f"{path}: expected a set of `raysieve simulate lat-patches`")
        self.path, self.about = path, str(self._file.attrs["about"])
        table = self._file["sources"][()]
        self._sources = np.split(table, np.searchsorted(table["patch"], np.arange(1, len(self))))

    def __len__(self) -> int:
        """Return how many patches there are."""
        return len(self._file["mask"])

    def at(self, rows: NDArray[np.int64]) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
        """Return the inputs and masks of patches, in rising order."""
        rows = np.sort(rows)
        return [self._file[n][rows].astype(np.float32) for n in NAMES], self._file["mask"][rows].astype(np.float32)

    def sources(self, row: int) -> NDArray[Any]:
        """Return the SOURCE rows of a patch."""
        return self._sources[row]

    def place(self, row: int) -> NDArray[np.float64]:
        """Return longitude and latitude of a patch, degrees."""
        return np.asarray(self._file["place"][row])
