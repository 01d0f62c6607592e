"""What a process must know to go on with a stream in the place of one that died: a small file beside its status."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack

from stream.messages import End, Start
from stream.transport.wire import BadMessageError, decode, encode

Places = dict[str, Any]  # of each stage that has one, by its name: numbers, lists and maps of them


class Notes:
    """The open stream and how far its stages have come; whole or not there. before: of the process that feeds it."""

    def __init__(self, path: Path, before: "Notes | None" = None) -> None:
        self._path, self._before = path, before

    def write(self, start: Start, places: Places, last: int = -1) -> None:
        """Replace the notes. A disk that refuses keeps the old ones: it is the sink's to say so.

        last: number of the newest read-out that was given on, -1 if there is none.
        """
        partial = self._path.with_name(self._path.name + ".partial")
        with suppress(OSError):
            partial.write_bytes(msgpack.packb({"start": bytes(encode(start)[0]), "places": places, "last": last}))
            os.replace(partial, self._path)

    def read(self) -> tuple[Start, Places, int] | None:
        """Return what was written; None if there is nothing, or nothing that can be read."""
        try:
            found = msgpack.unpackb(self._path.read_bytes(), strict_map_key=False)
            start, places, last = decode([found["start"]]), found["places"], int(found["last"])
        except (OSError, ValueError, KeyError, TypeError, BadMessageError, msgpack.UnpackException):
            return None
        return (start, places, last) if isinstance(start, Start) and isinstance(places, dict) else None

    def end(self) -> None:
        """The stream is over: keep only which one, and its last read-out, for the case that its End is lost."""
        with suppress(OSError):
            os.replace(self._path, self._path.with_suffix(".ended"))

    def read_end(self) -> tuple[Start, End] | None:
        """Return the stream whose end was seen last, and that; None if one is open, or none was."""
        ended = Notes(self._path.with_suffix(".ended")).read()
        return (ended[0], End(stream=ended[0].stream, last=ended[2])) if ended and not self._path.exists() else None

    def end_before(self, start: Start) -> End | None:
        """Return how the process before has ended this stream; None: it has not."""
        ended = self._before.read_end() if self._before is not None else None
        if ended is None or (ended[0].stream, ended[0].run_id) != (start.stream, start.run_id):
            return None
        return ended[1]
