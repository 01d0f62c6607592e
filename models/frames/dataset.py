"""Frames to learn from: sets of `raysieve simulate frames`, read batch by batch."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from config.errors import ConfigError
from models.frames.network import CELL, KINDS, SIDE, scaled
from sim.charge import PAIR_ENERGY_EV, XRAY
from sim.frame_file import read_set
from stream.transport.hdf5 import read_text

SEEN_ELECTRONS = 28  # four times the noise of a pixel: charge that can be seen in it
SHUFFLED_TOGETHER = 8192  # frames read at a time: sets are in random order already


class Batch(NamedTuple):
    """Some frames with their truth."""

    energy: torch.Tensor  # (n, 1, side, side) float32, eV
    label: torch.Tensor  # (n,) int64: place in CLASSES
    charged: torch.Tensor  # (n, 2, side / CELL, side / CELL) float32: 1 where charge of a kind (KINDS) is in a cell


class Frames:
    """A frame set of square windows."""

    def __init__(self, path: Path | str, *, side: int | None = SIDE) -> None:
        """Raises ConfigError for a file that is no set of windows of this side; None: of any that a network can see."""
        self.path = Path(path)
        self._file = read_set(path)
        _, quadrants, rows, columns = self._file["frames"].shape
        if (quadrants, rows) != (1, columns) or rows % CELL or rows != (side or rows):
            expected = f"{side} x {side}" if side else f"n x n, n a multiple of {CELL},"
            raise ConfigError(f"frame set {path}: expected windows of {expected} pixels, got {rows} x {columns}")
        self.side: int = rows
        self.labels: NDArray[np.uint8] = self._file["label"][()]
        self.about = read_text(self._file, "about")  # what the set was made of
        self._owned_by: NDArray[np.int32] = self._file["pixels"]["frame"]  # in order

    def __len__(self) -> int:
        """Return the number of frames."""
        return int(self.labels.size)

    def energies(self, first: int, stop: int) -> torch.Tensor:
        """Return the frames first .. stop - 1, (n, 1, side, side) float32 eV."""
        pixels = self._file["frames"][first:stop].astype(np.float32)
        return torch.from_numpy(pixels * np.float32(PAIR_ENERGY_EV))

    def charged(self, first: int, stop: int) -> torch.Tensor:
        """Return which cells of the frames first .. stop - 1 hold charge of each kind (`Batch.charged`)."""
        begin, end = np.searchsorted(self._owned_by, (first, stop))
        owned = self._file["pixels"][begin:end]
        owned = owned[owned["electrons"] > SEEN_ELECTRONS]
        cells = self.side // CELL
        found = np.zeros((stop - first, len(KINDS), cells, cells), np.float32)
        found[owned["frame"] - first, owned["kind"] - XRAY, owned["y"] // CELL, owned["x"] // CELL] = 1
        return torch.from_numpy(found)

    def batches(self, size: int, seed: int | None = None, first: int = 0) -> Iterator[Batch]:
        """Yield all frames; with a seed in random order, turned.

        A turn or a mirror image of a frame is as likely as the frame. first: so many batches are left out.
        """
        rng = None if seed is None else np.random.default_rng(seed)
        starts = np.arange(0, len(self), SHUFFLED_TOGETHER)
        for start in (starts if rng is None else rng.permutation(starts)).tolist():
            stop = min(start + SHUFFLED_TOGETHER, len(self))
            order = np.arange(stop - start) if rng is None else rng.permutation(stop - start)
            parts = [
                (order[k : k + size], 0 if rng is None else int(rng.integers(8))) for k in range(0, order.size, size)
            ]
            left_out, first = min(first, len(parts)), max(first - len(parts), 0)
            if left_out == len(parts):
                continue  # not even read
            energy, label = self.energies(start, stop), torch.from_numpy(self.labels[start:stop].astype(np.int64))
            charged = self.charged(start, stop)
            for rows, which in parts[left_out:]:
                yield Batch(turned(energy[rows], which), label[rows], turned(charged[rows], which))

    def moments(self, frames: int = 4096) -> tuple[float, float]:
        """Return mean and standard deviation of the scaled pixels of the first frames."""
        pixels = scaled(self.energies(0, min(frames, len(self))))
        return float(pixels.mean()), float(pixels.std())


def turned(frames: torch.Tensor, which: int) -> torch.Tensor:
    """Return one of the eight images of a square: quarter turns 0..3, and their mirror images."""
    image = frames.flip(3) if which >= 4 else frames
    return torch.rot90(image, which % 4, (2, 3))
