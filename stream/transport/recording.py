"""Recordings: a stream of frames in one HDF5 file that any HDF5 reader with the bitshuffle filter opens.

    attributes      format = "raysieve recording", version = 1, start = the Start message as on the wire (opaque bytes)
    index           one row per frame in stream order (INDEX): sequence, time_ns, source_frame, quadrant, quality, and
                    `position`, the place of the frame in the dataset of its quadrant
    frames/qID      whole frames (n, rows, columns), one chunk each
    sparse/qID/     or, for frames rebuilt from lists: base (rows, columns), pixels (x, y, value) of all frames, and
                    ends (n,): frame i is the base with pixels[ends[i - 1]:ends[i]] set
    maps/qID/       calibration (`maps`), if any
    truth/NAME      tables of what was simulated, if any

All datasets are bitshuffle + LZ4 with a Fletcher-32 checksum.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError, WireError
from stream.messages import End, Frame, Gap, Maps, Message, Start
from stream.transport import hdf5
from stream.transport.maps import RECORDING, load
from stream.transport.recording_writer import INDEX, PIXEL_ROWS, Header, RecordingWriter, pixel_table
from stream.transport.wire import decode

__all__ = ["INDEX", "Header", "Recording", "RecordingWriter"]


class _Dense:
    """Reads whole frames; each into an array of its own."""

    def __init__(self, dataset: Any) -> None:
        self._id, self._length, self._shape, self._dtype = dataset.id, len(dataset), dataset.shape[1:], dataset.dtype
        self._one = h5py.h5s.create_simple((1, *self._shape))
        self._place = self._id.get_space()

    def __getitem__(self, position: int) -> NDArray[Any]:
        if not 0 <= position < self._length:
            raise ValueError(f"frame {position} of {self._length}")
        pixels = np.empty(self._shape, self._dtype)
        self._place.select_hyperslab((position, 0, 0), (1, *self._shape))
        self._id.read(self._one, self._place, pixels)
        return pixels


class _Column:
    """Slices of a long dataset, read in blocks; a block that is damaged is left out where it can be."""

    def __init__(self, dataset: Any) -> None:
        self._dataset, self._length = dataset, len(dataset)
        self._first, self._block = 0, dataset[:0]

    def __getitem__(self, part: slice) -> NDArray[Any]:
        if not 0 <= part.start <= part.stop <= self._length:
            raise ValueError(f"rows {part.start}..{part.stop} of {self._length}")
        if part.start < self._first or part.stop > self._first + len(self._block):
            try:
                block = self._dataset[part.start : max(part.stop, part.start + PIXEL_ROWS)]
            except hdf5.FAULTS:
                return np.asarray(self._dataset[part])
            self._first, self._block = part.start, block
        return self._block[part.start - self._first : part.stop - self._first]


class _Sparse:
    """Rebuilds frames from their base and lists of pixels."""

    def __init__(self, group: Any, shape: tuple[int, int], dtype: str) -> None:
        self._base = hdf5.dataset(group, "base", dtype, shape)[()]
        self._ends = _Column(hdf5.dataset(group, "ends", "<i8", (None,)))
        self._pixels = _Column(hdf5.dataset(group, "pixels", pixel_table(dtype), (None,)))

    def __getitem__(self, position: int) -> NDArray[Any]:
        first = int(self._ends[position - 1 : position][0]) if position else 0
        last = int(self._ends[position : position + 1][0])
        if last - first > self._base.size:
            raise ValueError(f"frame {position}: {last - first} pixels")
        changed = self._pixels[first:last]
        pixels = self._base.copy()
        pixels[changed["y"], changed["x"]] = changed["value"]
        return pixels


class Recording:
    """Reads a recording in bounded memory, whatever its length; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open and check it. Raises ConfigError (one line) if it is not a recording that can be read."""
        self.path = Path(path)
        self._file = hdf5.open_file(self.path, (RECORDING,))
        try:
            self.start = _start(self._file)
            self._index = hdf5.dataset(self._file, "index", INDEX, (None,))
            self._quadrants = {q.id: self._quadrant(q.id, (q.rows, q.columns)) for q in self.start.quadrants}
            self._check_index()
        except (*hdf5.FAULTS, WireError) as fault:
            self.close()
            raise ConfigError(f"{self.path}: {hdf5.reason(fault)}") from None

    def _quadrant(self, number: int, shape: tuple[int, int]) -> _Dense | _Sparse:
        name, dtype = f"q{number}", self.start.pixel_dtype
        if name in self._file.get("sparse", ()):
            return _Sparse(self._file["sparse"][name], shape, dtype)
        frames = self._file.get("frames", {})
        dataset = hdf5.dataset(frames, name, dtype, (None, *shape)) if name in frames else None
        if dataset is None or dataset.chunks != (1, *shape):
            raise ValueError(f"quadrant {number}: expected frames/{name} with one frame in a chunk, or sparse/{name}")
        return _Dense(dataset)

    def _check_index(self) -> None:
        known = np.array(sorted(self._quadrants))
        for rows in self._blocks():
            wrong = ~np.isin(rows["quadrant"], known) | (rows["sequence"] < 0) | (rows["source_frame"] < -1)
            if wrong.any():
                row = rows[int(wrong.argmax())]
                raise ValueError(f"index: no such frame: read-out {row['sequence']} of quadrant {row['quadrant']}")

    def _blocks(self) -> Iterator[NDArray[Any]]:
        for first in range(0, len(self), hdf5.TABLE_ROWS):
            yield self._index[first : first + hdf5.TABLE_ROWS]

    @property
    def frames(self) -> NDArray[Any]:
        """The index, INDEX rows in stream order."""
        return np.asarray(self._index[()])

    def __len__(self) -> int:
        """Return how many frames there are."""
        return len(self._index)

    def messages(self) -> Iterator[Message]:
        """Yield Start, the frames in stored order, End.

        Pixels (rows, columns) uint16 or float32, each frame its own. In place of a damaged frame comes a Gap.
        """
        yield self.start
        for rows in self._blocks():
            yield from self.at(rows)
        yield End(stream=self.start.stream, frames=len(self))

    def at(self, rows: NDArray[Any]) -> Iterator[Frame | Gap]:
        """Yield the frames of some rows of the index; in place of a damaged one, a Gap."""
        for row in rows.tolist():
            yield self._frame(row)

    def _frame(self, row: tuple[int, ...]) -> Frame | Gap:
        sequence, time_ns, source_frame, position, quadrant, quality = row  # as in INDEX
        stream = self.start.stream
        try:
            pixels = self._quadrants[quadrant][position]
        except hdf5.FAULTS:
            return Gap(stream=stream, first=sequence, last=sequence, quadrant=quadrant, reason="damaged")
        return Frame(
            stream=stream,
            sequence=sequence,
            time_ns=time_ns,
            quadrant=quadrant,
            pixels=pixels,
            source_frame=source_frame,
            quality=quality,
        )

    def maps(self) -> dict[int, Maps]:
        """Return the calibration of each quadrant; {} if there is none. Raises ConfigError if it is damaged."""
        return load(self._file, self.path)

    @property
    def about(self) -> str:
        """What the recording was made of, as its maker put it; "" where nothing is said."""
        return hdf5.read_text(self._file, "about")

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the truth tables."""
        return tuple(self._file.get("truth", ()))

    def truth(self, name: str) -> NDArray[Any]:
        """Return the table /truth/NAME. Raises ConfigError if there is none or it is damaged."""
        try:
            if name not in self.tables:
                raise ValueError(f"no such table (there are: {', '.join(self.tables) or 'none'})")
            return np.asarray(hdf5.dataset(self._file["truth"], name, self._file["truth"][name].dtype, (None,))[()])
        except hdf5.FAULTS as fault:
            raise ConfigError(f"{self.path}: truth/{name}: {hdf5.reason(fault)}") from None

    def close(self) -> None:
        """Close the file; frames that were yielded stay."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _start(file: Any) -> Start:
    header = file.attrs.get("start")
    if not isinstance(header, np.void):
        raise ValueError("attribute start: expected a Start message")
    message = decode([header.tobytes()])
    if not isinstance(message, Start):
        raise ValueError(f"attribute start: expected a Start message, got {type(message).__name__}")
    return message
