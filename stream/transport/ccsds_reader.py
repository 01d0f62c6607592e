"""Space packets (the layout is in `ccsds`) -> the frames that their events were found in, and what went wrong."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from mmap import ACCESS_READ, mmap
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError, WireError
from stream.messages import End, Start
from stream.transport import ccsds
from stream.transport.ccsds import Packet, Report, find_packets
from stream.transport.recording import Header, RecordingWriter
from stream.transport.wire import decode

OPEN_GROUPS = 256  # frames that wait for a segment; the oldest one is given up
NOT_SENT = 0  # value of a pixel in no island
# A pixel that was sent and is 0 ADU: far below what float32 sums can tell, but not the value that means "not sent".
ZERO = np.float32(2**-20)
DY, DX = (np.indices((5, 5)) - 2).reshape(2, 25)


class SparseFrame(NamedTuple):
    """A frame as the pixels that were sent: x, y (n,) int64; values (n,) float32, ADU above offset, NaN: masked."""

    header: Header
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    values: NDArray[np.float32]
    events: int


class Account:
    """The packet numbers of one APID: which have come, which are missing."""

    def __init__(self) -> None:
        self.expected = 0
        self._missing: list[tuple[int, int]] = []  # first and last, rising

    @property
    def lost(self) -> int:
        """How many numbers have not come."""
        return sum(last - first + 1 for first, last in self._missing)

    def take(self, number: int) -> Literal["new", "late", "duplicate"]:
        """Note a packet that has come."""
        if number >= self.expected:
            self.skip_to(number)
            self.expected = number + 1
            return "new"
        k = bisect_right(self._missing, number, key=lambda r: r[0]) - 1
        if k < 0 or self._missing[k][1] < number:
            return "duplicate"
        first, last = self._missing[k]
        self._missing[k : k + 1] = [r for r in ((first, number - 1), (number + 1, last)) if r[0] <= r[1]]
        return "late"

    def skip_to(self, number: int) -> None:
        """Note that all packets before this one have been sent."""
        if number > self.expected:
            self._missing.append((self.expected, number - 1))
            self.expected = number


class TelemetryReader:
    """Reads a file of packets; never stops at damage. A context manager.

    `start`: the run that it holds, for frames of signal (float32, ADU above the offset) whose pixels are known around
    events only. `report` is complete when all frames have been given.
    """

    def __init__(self, path: Path) -> None:
        """Find the Start. Raises ConfigError (one line) if the file cannot be read or has none."""
        self.path = Path(path)
        self.report = Report(lost_frames=-1)
        try:
            with self.path.open("rb") as file:
                self._data = mmap(file.fileno(), 0, access=ACCESS_READ)
        except (OSError, ValueError) as fault:  # ValueError: an empty file
            raise ConfigError(f"{self.path}: {getattr(fault, 'strerror', None) or fault}; expected packets") from None
        started = (m for p in find_packets(self._data, Report()) if isinstance(m := _message(p), Start))
        found = next(started, None)
        if found is None:
            self.close()
            raise ConfigError(f"{self.path}: expected CCSDS packets of events, found no Start among them")
        self._sent_start = found
        self.start = replace(
            found, pixel_dtype="<f4", blank=NOT_SENT, saturation=float(ccsds.MOST_ADU), sequence_bits=0
        )
        self._shapes = {q.id: (q.rows, q.columns) for q in found.quadrants}
        self._accounts = {
            apid: Account() for apid in (ccsds.CONTROL_APID, *(ccsds.QUADRANT_APID + q for q in self._shapes))
        }
        self._open: dict[tuple[int, int], dict[int, NDArray[Any]]] = {}
        self._mine = True

    def frames(self) -> Iterator[SparseFrame]:
        """Yield every frame that has come whole, in the order of the file."""
        sent = -1
        for packet in find_packets(self._data, self.report):
            if packet.apid == ccsds.CONTROL_APID:
                sent = max(sent, self._control(packet))
            elif self._mine and packet.apid in self._accounts:
                frame = self._take(packet)
                if frame is not None:
                    self.report.frames += 1
                    self.report.events += frame.events
                    yield frame
            else:
                self._refuse()
        self._finish(sent)

    def _refuse(self) -> None:
        if self._mine:
            self.report.bad_content += 1
        else:
            self.report.other_run += 1

    def _is_new(self, packet: Packet) -> bool:
        state = self._accounts[packet.apid].take(packet.number)
        self.report.out_of_order += state == "late"
        self.report.duplicates += state == "duplicate"
        self.report.packets += state != "duplicate"
        return state != "duplicate"

    def _control(self, packet: Packet) -> int:
        """Take a Start or End; return how many frames were sent, -1 where it does not say."""
        message = _message(packet)
        if message is None:
            self._refuse()
            return -1
        if isinstance(message, Start):
            self._mine = message == self._sent_start
        if not self._mine:
            self.report.other_run += 1
            return -1
        if self._is_new(packet):
            for quadrant, packets in _sent(packet.data)[0].tolist():
                if ccsds.QUADRANT_APID + quadrant in self._accounts:
                    self._accounts[ccsds.QUADRANT_APID + quadrant].skip_to(packets)
        return message.frames if isinstance(message, End) else -1

    def _take(self, packet: Packet) -> SparseFrame | None:
        """Take a packet of events; return its frame if it is whole now."""
        if not self._is_new(packet):
            return None
        quadrant = packet.apid - ccsds.QUADRANT_APID
        quality, total, first = ccsds.FRAME_HEAD.unpack_from(packet.data)
        rows = np.frombuffer(packet.data, ccsds.EVENT_ROW, offset=ccsds.FRAME_HEAD.size)
        height, width = shape = self._shapes[quadrant]
        inside = (rows["x"] < width).all() and (rows["y"] < height).all()
        if not inside or first + len(rows) > total or (total > 0 and len(rows) == 0):
            self.report.bad_content += 1
            return None
        whole = rows if len(rows) == total else self._join((quadrant, packet.readout), total, first, rows)
        if whole is None:
            return None
        header = Header(packet.readout, packet.time_ns, quadrant, quality=quality)
        return SparseFrame(header, *to_pixels(whole, shape), total)

    def _join(self, key: tuple[int, int], total: int, first: int, rows: NDArray[Any]) -> NDArray[Any] | None:
        """Add a segment to its group; return the events of the group if all are there."""
        group = self._open.setdefault(key, {})
        group[first] = rows
        if sum(map(len, group.values())) == total:
            return np.concatenate([part for _, part in sorted(self._open.pop(key).items())])
        if len(self._open) > OPEN_GROUPS:
            del self._open[next(iter(self._open))]
            self.report.incomplete_frames += 1
        return None

    def _finish(self, sent: int) -> None:
        self.report.incomplete_frames += len(self._open)
        self.report.lost_packets = sum(account.lost for account in self._accounts.values())
        self.report.wraps = sum(max(0, account.expected - 1) // ccsds.COUNTS for account in self._accounts.values())
        if sent >= 0:
            self.report.lost_frames = sent - self.report.frames

    def close(self) -> None:
        """Close the file."""
        self._data.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def convert(packets: Path, out: Path) -> Report:
    """Write the recording of a file of packets: the signal around the events of every frame that has come whole.

    A frame that was lost, or of which a segment is missing, is not in it: processing counts it as a gap, and its
    livetime is not claimed. Raises ConfigError for a file without a Start, LinkError if the disk refuses.
    """
    with TelemetryReader(packets) as telemetry:
        base = {q.id: np.full((q.rows, q.columns), NOT_SENT, np.float32) for q in telemetry.start.quadrants}
        with RecordingWriter(out, telemetry.start, base=base) as writer:
            for frame in telemetry.frames():
                writer.write_sparse(frame.header, frame.x, frame.y, frame.values)
        return telemetry.report


def to_pixels(
    rows: NDArray[Any], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return x, y and value of all pixels of the islands (EVENT_ROW) in a frame of this shape, each pixel once."""
    height, width = shape
    x = (rows["x"].astype(np.int64)[:, None] + DX).ravel()
    y = (rows["y"].astype(np.int64)[:, None] + DY).ravel()
    inside = np.flatnonzero((x >= 0) & (x < width) & (y >= 0) & (y < height))
    key, place = np.unique((y * width + x)[inside], return_index=True)
    whole = rows["island"].ravel()[inside[place]]
    values = np.where(whole == ccsds.NO_DATA, np.nan, whole).astype(np.float32)
    values[whole == 0] = ZERO
    return key % width, key // width, values


def _sent(data: bytes) -> tuple[NDArray[Any], bytes]:
    """Return the rows of SENT and the message after them; raises ValueError if they are not there."""
    (count,) = ccsds.SENT_ROWS.unpack_from(data)
    rows = np.frombuffer(data, ccsds.SENT, count, ccsds.SENT_ROWS.size)
    return rows, data[ccsds.SENT_ROWS.size + rows.nbytes :]


def _message(packet: Packet) -> Start | End | None:
    """Return what a packet of control says; None for other packets, and for what cannot be read."""
    if packet.apid != ccsds.CONTROL_APID:
        return None
    try:
        message = decode([_sent(packet.data)[1]])
    except (WireError, ValueError):
        return None
    return message if isinstance(message, Start | End) else None
