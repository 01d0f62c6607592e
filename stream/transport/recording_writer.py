"""Frames -> a recording (the layout is in `recording`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from stream.errors import WireError
from stream.messages import Frame, Maps, Quadrant, Start
from stream.transport import hdf5
from stream.transport.maps import RECORDING, save
from stream.transport.wire import encode

INDEX = np.dtype(
    [
        ("sequence", "<i8"),
        ("time_ns", "<i8"),
        ("source_frame", "<i8"),
        ("position", "<i8"),  # of the frame in its quadrant's dataset
        ("quadrant", "<u1"),
        ("quality", "<u2"),
    ]
)
GROW_FRAMES = 256  # a dataset grows by so many at a time
PIXEL_ROWS = 1 << 16  # changed pixels held back, and in one chunk


class Header(NamedTuple):
    """What a frame is besides its pixels; see `Frame`."""

    sequence: int
    time_ns: int
    quadrant: int
    source_frame: int = -1
    quality: int = 0


def pixel_table(pixel_dtype: str) -> np.dtype[Any]:
    """Return the row of a changed pixel: column, row, value."""
    return np.dtype([("x", "<u2"), ("y", "<u2"), ("value", pixel_dtype)])


@dataclass(slots=True)
class _Dense:
    """Whole frames of a quadrant, one chunk each."""

    dataset: Any
    one: Any  # shape of one frame, for HDF5
    count: int = 0

    def add(self, pixels: NDArray[Any]) -> None:
        if self.count == self.dataset.shape[0]:
            self.dataset.resize(self.count + GROW_FRAMES, axis=0)
        place = self.dataset.id.get_space()
        place.select_hyperslab((self.count, 0, 0), (1, *pixels.shape))
        self.dataset.id.write(self.one, place, np.ascontiguousarray(pixels))
        self.count += 1

    def close(self) -> None:
        self.dataset.resize(self.count, axis=0)


@dataclass(slots=True)
class _Sparse:
    """Frames of a quadrant as the pixels in which they differ from its base."""

    group: Any
    pixels: list[NDArray[Any]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    held: int = 0
    total: int = 0
    count: int = 0

    def add(self, changed: NDArray[Any]) -> None:
        self.pixels.append(changed)
        self.held += len(changed)
        self.total += len(changed)
        self.ends.append(self.total)
        self.count += 1
        if self.held >= PIXEL_ROWS or len(self.ends) >= hdf5.TABLE_ROWS:
            self.flush()

    def flush(self) -> None:
        if self.ends:
            hdf5.append(self.group["ends"], np.array(self.ends, np.int64))
            hdf5.append(self.group["pixels"], np.concatenate(self.pixels))
            self.pixels, self.ends, self.held = [], [], 0


class RecordingWriter(hdf5.NewFile):
    """Writes a recording, frame by frame; a context manager. The file has its name only when all is written.

    `maps` are stored with it, and their versions in its Start. A quadrant in `base` (rows, columns) is sparse: its
    frames are given as changed pixels. On an exception, and when the disk refuses (LinkError), nothing is left behind.
    """

    def __init__(
        self,
        path: Path,
        start: Start,
        *,
        maps: Sequence[Maps] = (),
        base: Mapping[int, NDArray[Any]] | None = None,
        about: str = "",
    ) -> None:
        """Create the file; `about` says what it was made of.

        Raises LinkError if it cannot be, WireError for a Start or base that does not fit.
        """
        base = base or {}
        _check_base(start, base)
        encode(start)
        self._start = start
        self._index = np.zeros(hdf5.TABLE_ROWS, INDEX)
        self._held = 0
        super().__init__(Path(path), RECORDING)
        with self.writing():
            self._open(maps, base)
            hdf5.write_text(self.file, "about", about)

    def _open(self, maps: Sequence[Maps], base: Mapping[int, NDArray[Any]]) -> None:
        file = self.file
        versions = save(file, maps)
        start = replace(self._start, map_versions=self._start.map_versions | versions)
        file.attrs["start"] = np.void(bytes(encode(start)[0]))
        self._table = file.create_dataset(
            "index", (0,), INDEX, maxshape=(None,), chunks=(hdf5.TABLE_ROWS,), **hdf5.filters()
        )
        self._truth = file.create_group("truth")
        self._shapes = {q.id: (q.rows, q.columns) for q in start.quadrants}
        self._sparse = {number: _Sparse(self._create_sparse(number, image)) for number, image in base.items()}
        self._dense = {q.id: self._create_dense(q) for q in start.quadrants if q.id not in base}

    def _create_dense(self, quadrant: Quadrant) -> _Dense:
        frame = (1, quadrant.rows, quadrant.columns)
        growing: Any = dict(maxshape=(None, *frame[1:]), chunks=frame, **hdf5.filters())
        dataset = self.file.create_dataset(
            f"frames/q{quadrant.id}", (0, *frame[1:]), self._start.pixel_dtype, **growing
        )
        return _Dense(dataset, h5py.h5s.create_simple(frame))

    def _create_sparse(self, number: int, image: NDArray[Any]) -> Any:
        group = self.file.create_group(f"sparse/q{number}")
        group.create_dataset("base", data=image, chunks=image.shape, **hdf5.filters())
        for name, dtype, rows in (
            ("ends", "<i8", hdf5.TABLE_ROWS),
            ("pixels", pixel_table(self._start.pixel_dtype), PIXEL_ROWS),
        ):
            group.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(rows,), **hdf5.filters())
        return group

    def write(self, frame: Frame) -> None:
        """Append a whole frame. Raises WireError for one that does not fit the Start, LinkError if the disk refuses."""
        quadrant = self._dense.get(frame.quadrant)
        pixels = frame.pixels
        if quadrant is None:
            raise WireError(f"frame {frame.sequence}: no quadrant {frame.quadrant} of whole frames in this recording")
        if pixels.shape != self._shapes[frame.quadrant] or pixels.dtype != self._start.pixel_dtype:
            expected = f"{self._start.pixel_dtype} {self._shapes[frame.quadrant]}"
            raise WireError(f"frame {frame.sequence}: expected {expected}, got {pixels.dtype} {pixels.shape}")
        header = Header(frame.sequence, frame.time_ns, frame.quadrant, frame.source_frame, frame.quality)
        with self.writing():
            quadrant.add(pixels)
            self._note(header, quadrant.count - 1)

    def write_sparse(self, header: Header, x: NDArray[Any], y: NDArray[Any], values: NDArray[Any]) -> None:
        """Append the base of a quadrant with these pixels set; three equally long arrays, empty for the base itself.

        x, y: column and row, any integer type; values: of the frame's dtype.
        Raises WireError for pixels outside the quadrant, LinkError if the disk refuses.
        """
        quadrant = self._sparse.get(header.quadrant)
        if quadrant is None:
            raise WireError(f"frame {header.sequence}: quadrant {header.quadrant} has no base in this recording")
        rows, columns = self._shapes[header.quadrant]
        changed = np.empty(len(values), pixel_table(self._start.pixel_dtype))
        if len(values):
            if min(x.min(), y.min()) < 0 or x.max() >= columns or y.max() >= rows or len(values) > rows * columns:
                raise WireError(f"frame {header.sequence}: pixels outside the {columns} x {rows} of the quadrant")
            changed["x"], changed["y"], changed["value"] = x, y, values
        with self.writing():
            quadrant.add(changed)
            self._note(header, quadrant.count - 1)

    def write_truth(self, name: str, table: NDArray[Any]) -> None:
        """Append rows to the table /truth/NAME; the first call makes it. Raises LinkError if the disk refuses."""
        with self.writing():
            if name not in self._truth:
                growing: Any = dict(maxshape=(None,), chunks=(hdf5.TABLE_ROWS,), **hdf5.filters())
                self._truth.create_dataset(name, (0,), table.dtype, **growing)
            hdf5.append(self._truth[name], table)

    def _note(self, header: Header, position: int) -> None:
        self._index[self._held] = (*header[:2], header.source_frame, position, header.quadrant, header.quality)
        self._held += 1
        if self._held == len(self._index):
            self._flush_index()

    def _flush_index(self) -> None:
        hdf5.append(self._table, self._index[: self._held])
        self._held = 0

    def finish(self) -> None:
        """Write what is held back and give the file its name. Raises LinkError if the disk refuses."""
        with self.writing():
            for whole in self._dense.values():
                whole.close()
            for changes in self._sparse.values():
                changes.flush()
            self._flush_index()
        super().finish()

    def close(self) -> None:
        """Finish, as a link does."""
        self.finish()


def _check_base(start: Start, base: Mapping[int, NDArray[Any]]) -> None:
    shapes = {q.id: (q.rows, q.columns) for q in start.quadrants}
    for number, image in base.items():
        if number not in shapes or image.shape != shapes[number] or image.dtype != start.pixel_dtype:
            raise WireError(
                f"base of quadrant {number}: expected {start.pixel_dtype} {shapes.get(number, 'of a quadrant')}, "
                f"got {image.dtype} {image.shape}"
            )
