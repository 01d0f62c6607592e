"""Event lists with pixel islands -> the frames they were cut from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.messages import Quality
from stream.transport.recording import Header, RecordingWriter


class Pixels(NamedTuple):
    """Pixels of one quadrant, in order of read-out, layer, y, x; columns of equal length."""

    readout: NDArray[np.int64]  # from 0
    layer: NDArray[np.int64]  # 0, or 1.. for what contradicts the layers before
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    value: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Exposures:
    """The read-outs of a recording; arrays of one entry for each, by quadrant where they may differ."""

    source_frame: NDArray[np.int64]
    time_ns: Mapping[int, NDArray[np.int64]]  # begin
    exposed: Mapping[int, NDArray[np.bool_]]  # False: no frame, so that a gap is counted


class Converted(NamedTuple):
    """What a conversion wrote."""

    readouts: int  # with the repeated ones
    rows: int  # of the source
    repeated: int  # read-outs that were added for contradicting islands


def spread(readout: NDArray[np.int64], x: NDArray[np.int64], y: NDArray[np.int64], values: NDArray[Any]) -> Pixels:
    """Cut square islands into pixels; x, y (n,) are their centres, values (n, 9 or 25) row by row from low y."""
    side = int(np.sqrt(values.shape[1]))
    dy, dx = (np.indices((side, side)) - side // 2).reshape(2, -1)
    whole = np.broadcast_to(readout[:, None], values.shape)
    return Pixels(
        whole.ravel(),
        np.zeros(values.size, np.int64),
        (x[:, None] + dx).ravel(),
        (y[:, None] + dy).ravel(),
        values.ravel(),
    )


def place(
    readout: NDArray[np.int64],
    x: NDArray[np.int64],
    y: NDArray[np.int64],
    values: NDArray[Any],
    shape: tuple[int, int],
) -> Pixels:
    """Put islands together to frames of (rows, columns).

    Islands of one read-out that agree where they overlap are merged. One that contradicts an earlier one goes to the
    next layer: a further frame of the same read-out. Pixels outside the frame are left out.
    """
    rows, columns = shape
    pixels = spread(readout, x, y, values)
    island = np.repeat(np.arange(len(values)), values.shape[1])
    inside = (pixels.x >= 0) & (pixels.x < columns) & (pixels.y >= 0) & (pixels.y < rows)
    key = ((pixels.readout * rows + pixels.y) * columns + pixels.x)[inside]
    value, island = pixels.value[inside], island[inside]
    layers = []
    number = 0
    while len(key):
        order = np.argsort(key, kind="stable")  # earlier islands first
        key, value, island = key[order], value[order], island[order]
        new = np.concatenate(([True], key[1:] != key[:-1]))
        first = np.flatnonzero(new)[np.cumsum(new) - 1]
        rejected = np.zeros(len(values), bool)
        rejected[island[value != value[first]]] = True
        later = rejected[island]
        kept, unique = np.unique(key[~later], return_index=True)
        layers.append((kept, np.full(len(kept), number), value[~later][unique]))
        key, value, island = key[later], value[later], island[later]
        number += 1
    if not layers:
        layers.append((key, key, value))
    keys, numbers, values = (np.concatenate(column) for column in zip(*layers, strict=True))
    return _unpack(keys, numbers, values, shape)


def _unpack(key: NDArray[np.int64], layer: NDArray[np.int64], value: NDArray[Any], shape: tuple[int, int]) -> Pixels:
    line, x = np.divmod(key, shape[1])
    readout, y = np.divmod(line, shape[0])
    order = np.lexsort((key, layer, readout))
    return Pixels(readout[order], layer[order], x[order], y[order], value[order])


def write(writer: RecordingWriter, exposures: Exposures, pixels: Mapping[int, Pixels]) -> tuple[int, int]:
    """Write every read-out of every quadrant, also those without pixels; sequence 0, 1, 2, ...

    A further layer is a read-out of its own, REPEATED_EXPOSURE in all quadrants.
    Returns how many read-outs were written, and how many of them are repeated.
    """
    count = len(exposures.source_frame)
    layers = np.ones(count, np.int64)
    for found in pixels.values():
        np.maximum.at(layers, found.readout, found.layer + 1)
    sequence = np.concatenate(([0], np.cumsum(layers)))  # of the first layer of each read-out
    total = int(sequence[-1])
    bounds = {
        q: np.searchsorted(sequence[p.readout] + p.layer, np.arange(total + 1)).tolist() for q, p in pixels.items()
    }
    readouts = np.repeat(np.arange(count), layers).tolist()
    times = {q: t.tolist() for q, t in exposures.time_ns.items()}
    source, exposed = exposures.source_frame.tolist(), {q: e.tolist() for q, e in exposures.exposed.items()}
    for number, readout in enumerate(readouts):
        repeated = number > 0 and readouts[number - 1] == readout
        quality = int(Quality.REPEATED_EXPOSURE) if repeated else 0
        for quadrant, p in pixels.items():
            part = slice(bounds[quadrant][number], bounds[quadrant][number + 1])
            if exposed[quadrant][readout] or part.start < part.stop:
                header = Header(number, times[quadrant][readout], quadrant, source[readout], quality)
                writer.write_sparse(header, p.x[part], p.y[part], p.value[part])
    return total, total - count
