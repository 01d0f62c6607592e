"""What a process must know to go on with a stream in the place of one that died: a small file beside its status."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack

from stream.messages import Start
from stream.transport.wire import BadMessageError, decode, encode

Places = dict[str, Any]  # of each stage that has one, by its name: numbers, lists and maps of them


class Notes:
    """The open stream and how far its stages have come; whole or not there. before: of the process that feeds it."""

    def __init__(self, path: Path, before: "Notes | None" = None) -> None:
        self._path, self._before = path, before

    def write(self, start: Start, places: Places) -> None:
        """Replace the notes. A disk that refuses keeps the old ones: it is the sink's to say so."""
        partial = self._path.with_name(self._path.name + ".partial")
        with suppress(OSError):
            partial.write_bytes(msgpack.packb({"start": bytes(encode(start)[0]), "places": places}))
            os.replace(partial, self._path)

    def read(self) -> tuple[Start, Places] | None:
        """Return what was written; None if there is nothing, or nothing that can be read."""
        try:
            found = msgpack.unpackb(self._path.read_bytes(), strict_map_key=False)
            start, places = decode([found["start"]]), found["places"]
        except (OSError, ValueError, KeyError, TypeError, BadMessageError, msgpack.UnpackException):
            return None
        return (start, places) if isinstance(start, Start) and isinstance(places, dict) else None

    def end(self) -> None:
        """The stream is over: keep only which one, for the case that its End dies with this process."""
        with suppress(OSError):
            os.replace(self._path, self._path.with_suffix(".ended"))

    def read_ended(self) -> Start | None:
        """Return the stream whose end was seen last; None if one is open, or none was."""
        ended = Notes(self._path.with_suffix(".ended")).read()
        return ended[0] if ended and not self._path.exists() else None

    def is_over(self, start: Start) -> bool:
        """Return whether the process before has ended this stream: then nothing more of it is on its way for long."""
        ended = self._before.read_ended() if self._before is not None else None
        return ended is not None and (ended.stream, ended.run_id) == (start.stream, start.run_id)
