"""Telemetry of a camera of two small quadrants, its events made by hand."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.messages import EVENT, READOUT, End, EventList, Quadrant, Start
from stream.transport.ccsds import Packet, Report, find_packets, pack
from stream.transport.ccsds_reader import SparseFrame, TelemetryReader
from stream.transport.ccsds_writer import TelemetryWriter

ROWS, COLUMNS = 48, 64
FRAME_NS = 5_000_001  # no number of ns that a binary fraction holds
START = Start(
    stream="camera",
    run_id="run 1",
    quadrants=(Quadrant(id=0, rows=ROWS, columns=COLUMNS), Quadrant(id=3, rows=ROWS, columns=COLUMNS)),
    frame_time_ns=FRAME_NS,
    live_time_ns=FRAME_NS,
    gain_ev=3.65,
    config_digest="0123456789abcdef" * 4,
)


def islands(count: int, seed: int = 0) -> NDArray[np.void]:
    """Return EVENT rows far from each other, of whole ADU."""
    rng = np.random.default_rng(seed)
    events = np.zeros(count, EVENT)
    place = rng.permutation((ROWS // 5) * (COLUMNS // 5))[:count]
    events["x"], events["y"] = 5 * (place % (COLUMNS // 5)) + 2, 5 * (place // (COLUMNS // 5)) + 2
    events["island"] = rng.integers(-20, 3000, (count, 25))
    return events


def readout(number: int, counts: dict[int, int] | None = None) -> EventList:
    """Return one read-out: quadrant -> number of events, of whole ADU."""
    counts = {0: 2, 3: 1} if counts is None else counts
    parts = [islands(n, 7 * number + q) for q, n in counts.items()]
    rows = np.zeros(len(counts), READOUT)
    for q, part in zip(counts, parts, strict=True):
        part["quadrant"] = q
    rows["quadrant"], rows["frame"], rows["time_ns"] = list(counts), number, number * FRAME_NS
    events = np.concatenate(parts)
    events["frame"] = number
    return EventList(stream="camera", sequence=number, time_ns=number * FRAME_NS, events=events, readouts=rows)


def packets(lists: Iterable[EventList], start: Start = START, end: bool = True) -> list[bytes]:
    """Return the packets of a stream."""
    sent: list[bytes] = []

    def note(packet: bytes) -> tuple[bytes, ...]:
        sent.append(packet)
        return ()

    writer = TelemetryWriter(io.BytesIO(), note)
    for message in (start, *lists, *([End(stream="camera")] if end else [])):
        writer.send(message)
    return sent


def read(path: Path, data: Iterable[bytes]) -> tuple[list[SparseFrame], Report]:
    """Write a file of these bytes; return its frames and the report."""
    path.write_bytes(b"".join(data))
    with TelemetryReader(path) as reader:
        return list(reader.frames()), reader.report


def faults(report: Report) -> dict[str, int]:
    """Return what a report says beside the good."""
    good = ("packets", "frames", "events", "wraps")
    return {name: n for name in Report.__slots__ if name not in good and (n := getattr(report, name))}


def unpacked(packet: bytes) -> Packet:
    """Return the fields of one good packet."""
    (found,) = find_packets(packet, Report())
    return found


def changed(packet: bytes, change: Callable[[Packet], Packet]) -> bytes:
    """Return a packet with other fields and the checksum that belongs to them."""
    return pack(change(unpacked(packet)))


def flipped(packet: bytes, bit: int) -> bytes:
    """Return a packet with one bit changed."""
    data = bytearray(packet)
    data[bit // 8] ^= 1 << bit % 8
    return bytes(data)
