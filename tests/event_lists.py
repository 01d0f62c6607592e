"""Event lists built by hand, their truth known; and the short way from them to files."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config.load import load
from config.schema import Config
from stream.messages import BAD_PIXEL, EVENT, READOUT, TRACK, End, EventList, Message, Product, Quadrant, Start
from stream.stages.record import Record
from stream.transport.eventlist import EventListWriter, read_event_list

FRAME_NS = 5_000_000
LIVE_NS = 4_000_000
QUADRANTS = (
    Quadrant(id=0, columns=64, rows=48, source_chip=7, source_x=100, source_y=200),
    Quadrant(id=3, columns=64, rows=48, origin_x_px=70, source_chip=20, segment_columns=16),
)
START = Start(
    stream="camera",
    run_id="run 1",
    quadrants=QUADRANTS,
    frame_time_ns=FRAME_NS,
    live_time_ns=LIVE_NS,
    gain_ev=3.65,
    telescope="ATHENA",
    instrument="WFI",
    target="Kes 75",
    map_versions={0: "a1b2", 3: "c3d4"},
    config_digest="0123456789abcdef" * 4,
)
END = End(stream="camera")


def config(**record: object) -> Config:
    """Return the shipped WFI configuration with other values in its section `record`."""
    return load("wfi", [f"record.{key}={value}" for key, value in record.items()])


def event_list(
    sequence: int,
    events: Mapping[int, int] | None = None,
    quality: Mapping[int, int] | None = None,
    *,
    time_ns: int | None = None,
    whole: int = 0,
) -> EventList:
    """Return one read-out: quadrant -> number of events; their PHA tells them apart, every third is rejected."""
    time_ns = sequence * FRAME_NS if time_ns is None else time_ns
    counts = {0: 2, 3: 1} if events is None else events
    rows = np.zeros(sum(counts.values()), EVENT)
    rows["quadrant"] = np.repeat(list(counts), list(counts.values()))
    rows["pha"] = sequence * 100 + np.concatenate([10 * q + np.arange(n) for q, n in counts.items()] or [[]])
    rows["reason"] = np.where(rows["pha"] % 3 == 0, 4, 0)
    rows["x"], rows["y"] = rows["pha"] % 60, rows["pha"] % 40
    rows["pi"], rows["energy_ev"] = rows["pha"] % 1000, rows["pha"] % 1000 * 10 + 5
    rows["island"] = np.arange(25)
    readouts, tracks, bad = (np.zeros(len(counts), dtype) for dtype in (READOUT, TRACK, BAD_PIXEL))
    readouts["quality"] = [(quality or {}).get(q, 0) for q in counts]
    for table in (rows, readouts, tracks, bad):
        table["frame"], table["time_ns"] = sequence, time_ns
    for table in (readouts, tracks, bad):
        table["quadrant"] = list(counts)
    return EventList(
        stream="camera",
        sequence=sequence,
        time_ns=time_ns,
        quality=whole,
        events=rows,
        tracks=tracks,
        readouts=readouts,
        bad_pixels=bad,
    )


def products(messages: Iterable[Message], **record: object) -> list[Product]:
    """Return what the stage gives for a stream between `START` and `END`."""
    stage = Record(config(**record))
    given = [result for message in (START, *messages, END) for result in stage.process(message)]
    return [result for result in given if isinstance(result, Product)]


def write(folder: Path, messages: Iterable[Message], **record: object) -> list[Path]:
    """Record a stream between `START` and `END`; return the files."""
    writer = EventListWriter(folder)
    for product in products(messages, **record):
        writer.send(product)
    writer.close()
    return writer.written


def column(paths: Iterable[Path], table: str, name: str) -> NDArray[np.generic]:
    """Return one column of one table of several files, one after the other."""
    return np.concatenate([read_event_list(path)[0][table][name] for path in paths])


def with_a_wrong_byte(path: Path, share: float, bits: int) -> Path:
    """Write `wrong.fits` beside a file: the same, but for these bits of the byte at this share of its length."""
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= bits
    wrong = path.with_name("wrong.fits")
    wrong.write_bytes(content)
    return wrong
