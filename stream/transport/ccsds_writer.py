"""EventList -> space packets (the layout is in `ccsds`), as flight electronics send them."""

from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from spacepackets.ccsds.spacepacket import SequenceFlags  # type: ignore[import-untyped]

from stream.errors import ConfigError
from stream.messages import End, EventList, Message, Start
from stream.transport import ccsds
from stream.transport.ccsds import Packet
from stream.transport.wire import encode

EVENTS_IN_PACKET = 64  # no packet of events is longer than 4 kB
START_EVERY = 200  # read-outs: whoever misses the first Start has another one within a second

Link = Callable[[bytes], Iterable[bytes]]  # what becomes of a packet on its way


class TelemetryWriter:
    """A sink that writes what `reconstruct` gives.

    All event candidates are sent, valid and rejected, each with its 5x5 island in whole ADU: what is an event is for
    the ground to say. Tracks and bad pixels are not sent. A read-out without events is a packet as well: it has been
    live. Raises ConfigError for frames that are not in ADU, WireError for a time before the epoch.
    """

    def __init__(self, file: BinaryIO, link: Link = lambda packet: (packet,)) -> None:
        self._file = file
        self._link = link
        self._numbers: dict[int, int] = {}  # next one of each APID
        self._start: Start | None = None
        self._last = (0, 0)  # time and number of the newest read-out
        self._readouts = 0
        self.frames = 0
        self.events = 0

    def send(self, message: Message) -> None:
        """Write a Start, the read-out of an EventList, or an End; anything else is not sent."""
        if isinstance(message, Start):
            if message.pixel_dtype != "<u2":
                raise ConfigError(f"stream {message.stream}: frames are {message.pixel_dtype}, expected ADU (<u2)")
            self._start = message
            self._control(message)
        elif isinstance(message, EventList):
            self._readout(message)
        elif isinstance(message, End) and self._start is not None:
            self._control(self._start)
            self._control(End(stream=message.stream, frames=self.frames))

    def close(self) -> None:
        """Nothing is held back."""

    def _readout(self, message: EventList) -> None:
        for row in message.readouts:
            self._frame(row, message.events[message.events["quadrant"] == row["quadrant"]])
        self._last = max(self._last, (message.time_ns, message.sequence))
        self._readouts += 1
        if self._readouts % START_EVERY == 0 and self._start is not None:
            self._control(self._start)

    def _frame(self, row: Any, events: NDArray[Any]) -> None:
        """Write the events (EVENT rows) of one quadrant; row: of READOUT."""
        rows = to_rows(events)
        firsts = range(0, max(1, len(rows)), EVENTS_IN_PACKET)
        for first in firsts:
            part = rows[first : first + EVENTS_IN_PACKET]
            head = ccsds.FRAME_HEAD.pack(int(row["quality"]), len(rows), first)
            flags = _flags(first == 0, first == firsts[-1])
            apid = ccsds.QUADRANT_APID + int(row["quadrant"])
            self._write(apid, (int(row["time_ns"]), int(row["frame"])), head + part.tobytes(), flags)
        self.frames += 1
        self.events += len(rows)

    def _control(self, message: Start | End) -> None:
        quadrants = [(a - ccsds.QUADRANT_APID, n) for a, n in self._numbers.items() if a != ccsds.CONTROL_APID]
        sent = ccsds.SENT_ROWS.pack(len(quadrants)) + np.array(quadrants, ccsds.SENT).tobytes()
        self._write(ccsds.CONTROL_APID, self._last, sent + bytes(encode(message)[0]))

    def _write(
        self, apid: int, when: tuple[int, int], data: bytes, flags: SequenceFlags = SequenceFlags.UNSEGMENTED
    ) -> None:
        number = self._numbers.get(apid, 0)
        self._numbers[apid] = number + 1
        for packet in self._link(ccsds.pack(Packet(apid, number, *when, data, flags))):
            self._file.write(packet)


def to_rows(events: NDArray[Any]) -> NDArray[Any]:
    """Return EVENT_ROW of EVENT rows: pixels rounded to whole ADU, cut at +-MOST_ADU, NO_DATA where they are NaN."""
    rows = np.empty(len(events), ccsds.EVENT_ROW)
    rows["x"], rows["y"] = events["x"], events["y"]
    whole = np.clip(np.rint(events["island"]), -ccsds.MOST_ADU, ccsds.MOST_ADU)
    rows["island"] = np.where(np.isnan(whole), ccsds.NO_DATA, whole)
    return rows


def _flags(first: bool, last: bool) -> SequenceFlags:
    if first:
        return SequenceFlags.UNSEGMENTED if last else SequenceFlags.FIRST_SEGMENT
    return SequenceFlags.LAST_SEGMENT if last else SequenceFlags.CONTINUATION_SEGMENT
