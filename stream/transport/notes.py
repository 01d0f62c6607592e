"""What a process must know to go on with a stream in the place of one that died: a small file beside its status."""

import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack

from stream.messages import End, Start
from stream.transport.wire import BadMessageError, decode, encode

Places = dict[str, Any]  # of each stage that has one, by its name: numbers, lists and maps of them

SLOT_BYTES = 1 << 17  # a Start of 256 quadrants with its maps takes a tenth of it
_HEAD_BYTES = 8  # length and CRC-32 of what follows


class Notes:
    """The open stream and how far its stages have come, or the last one that has ended.

    Two slots of fixed size are written in turn, each with its checksum, so that one of them is whole at any time; the
    room for both is taken at the beginning: a disk that is full later does not stop the notes.
    before: those of the process that feeds this one.
    """

    def __init__(self, path: Path, before: "Notes | None" = None) -> None:
        self._path, self._before = path, before
        self._number = -1  # of what was written last

    def reserve(self) -> None:
        """Take the room on the disk; what is there stays. A disk that refuses is the sink's to report."""
        with suppress(OSError):
            if not self._path.is_file() or self._path.stat().st_size < 2 * SLOT_BYTES:
                partial = self._path.with_name(self._path.name + ".partial")
                partial.write_bytes(bytes(2 * SLOT_BYTES))
                os.replace(partial, self._path)

    def write(self, start: Start, places: Places, last: int = -1) -> None:
        """Replace the notes. A disk that refuses keeps the old ones: it is the sink's to say so.

        last: number of the newest read-out that was given on, -1 if there is none.
        """
        self._put({"start": bytes(encode(start)[0]), "places": places, "last": last, "over": False})

    def read(self) -> tuple[Start, Places, int] | None:
        """Return what was written; None if no stream is open, or nothing can be read."""
        return self._known(over=False)

    def end(self) -> None:
        """The stream is over: keep which one, and its last read-out, for the case that its End is lost."""
        if (found := self._newest()) is not None:
            self._put(found | {"over": True})

    def read_end(self) -> tuple[Start, End] | None:
        """Return the stream whose end was seen last, and that; None if one is open, or none was."""
        known = self._known(over=True)
        return None if known is None else (known[0], End(stream=known[0].stream, last=known[2]))

    def end_before(self, start: Start) -> End | None:
        """Return how the process before has ended this stream; None: it has not."""
        ended = self._before.read_end() if self._before is not None else None
        if ended is None or (ended[0].stream, ended[0].run_id) != (start.stream, start.run_id):
            return None
        return ended[1]

    def _known(self, *, over: bool) -> tuple[Start, Places, int] | None:
        found = self._newest()
        try:
            if found is None or found["over"] is not over:
                return None
            start, places, last = decode([found["start"]]), found["places"], int(found["last"])
        except (ValueError, KeyError, TypeError, BadMessageError):
            return None
        return (start, places, last) if isinstance(start, Start) and isinstance(places, dict) else None

    def _put(self, state: dict[str, Any]) -> None:
        if self._number < 0:
            self._number = (self._newest() or {"number": 0})["number"]
        self._number += 1
        data = msgpack.packb(state | {"number": self._number})
        if len(data) > SLOT_BYTES - _HEAD_BYTES:
            raise ValueError(f"notes of {len(data)} bytes; expected at most {SLOT_BYTES - _HEAD_BYTES}")
        self.reserve()
        with suppress(OSError), self._path.open("r+b") as file:
            file.seek(self._number % 2 * SLOT_BYTES)
            file.write(len(data).to_bytes(4, "big") + zlib.crc32(data).to_bytes(4, "big") + data)

    def _newest(self) -> dict[str, Any] | None:
        """Return the newest state of those that are whole."""
        found = []
        with suppress(OSError):
            content = self._path.read_bytes()
            for begin in range(0, len(content), SLOT_BYTES):
                size, check = (int.from_bytes(content[begin + k : begin + k + 4], "big") for k in (0, 4))
                data = content[begin + _HEAD_BYTES : begin + _HEAD_BYTES + size]
                if size and zlib.crc32(data) == check:
                    with suppress(ValueError, msgpack.UnpackException):
                        found.append(msgpack.unpackb(data, strict_map_key=False))
        return max((one for one in found if isinstance(one, dict) and "number" in one), key=_number, default=None)


def _number(state: dict[str, Any]) -> int:
    return int(state["number"])
