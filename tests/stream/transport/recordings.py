"""Small recordings, their frames known."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.messages import End, Frame, Gap, Quadrant, Start
from stream.transport.recording import Header, Recording, RecordingWriter

ROWS, COLUMNS = 6, 9
FRAME_NS = 5_000_000


def start(quadrants: int = 1, **values: Any) -> Start:
    """Return a Start of so many quadrants."""
    layout = tuple(Quadrant(id=2 * n, rows=ROWS, columns=COLUMNS, source_x=n) for n in range(quadrants))
    known = {"stream": "camera", "run_id": "run 1", "frame_time_ns": FRAME_NS, "live_time_ns": FRAME_NS}
    return Start(quadrants=layout, **(known | values))


def frame(number: int, quadrant: int = 0, pixels: NDArray[Any] | None = None, **values: Any) -> Frame:
    """Return a frame; its pixels tell its number."""
    pixels = np.full((ROWS, COLUMNS), 10 * number + quadrant, np.uint16) if pixels is None else pixels
    known = {"stream": "camera", "sequence": number, "time_ns": number * FRAME_NS, "quadrant": quadrant}
    return Frame(pixels=pixels, **(known | values))


def record(path: Path, frames: Iterable[Frame], header: Start | None = None) -> Path:
    """Write a recording of whole frames."""
    with RecordingWriter(path, header or start()) as writer:
        for one in frames:
            writer.write(one)
    return path


def mixed(path: Path) -> list[Frame]:
    """Write five read-outs of a dense and a sparse quadrant; return their frames."""
    rng = np.random.default_rng(5)
    base = rng.integers(0, 900, (ROWS, COLUMNS)).astype(np.uint16)
    frames = []
    with RecordingWriter(path, start(2), base={2: base}) as writer:
        for number in range(5):
            frames.append(frame(number, 0, rng.integers(0, 900, (ROWS, COLUMNS)).astype(np.uint16)))
            writer.write(frames[-1])
            pixels, place = base.copy(), rng.choice(base.size, number, replace=False)
            pixels.flat[place] = values = rng.integers(0, 900, number).astype(np.uint16)
            frames.append(frame(number, 2, pixels))
            header = Header(number, number * FRAME_NS, 2)
            writer.write_sparse(header, place % COLUMNS, place // COLUMNS, values)
    return frames


def read(path: Path) -> list[Frame | Gap]:
    """Return what is between Start and End of a recording."""
    with Recording(path) as recording:
        first, *frames, last = recording.messages()
    assert isinstance(first, Start)
    assert last == End(stream="camera", frames=len(frames))
    return frames  # type: ignore[return-value]


def same(one: Frame | Gap, other: Frame) -> bool:
    """Return whether two frames are equal in all but their way."""
    names = ("stream", "sequence", "time_ns", "quadrant", "source_frame", "quality")
    return (
        isinstance(one, Frame)
        and all(getattr(one, name) == getattr(other, name) for name in names)
        and one.pixels.dtype == other.pixels.dtype
        and np.array_equal(one.pixels, other.pixels, equal_nan=one.pixels.dtype.kind == "f")
    )
