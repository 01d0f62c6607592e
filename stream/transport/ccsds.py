"""CCSDS space packets of events: their layout, and how they are found in bytes that may be damaged.

    primary header    6 bytes (CCSDS 133.0-B-2): telemetry with a secondary header; APID 0x100 + quadrant for events,
                      0x200 for control; a 14-bit counter for each APID
    secondary header  20 bytes (SECONDARY): preamble and time of the read-out as CUC (CCSDS 301.0-B-4: epoch of the
                      mission, 4 octets of seconds, 4 of fractions), number of the read-out, turns of the counter
    user data         events: FRAME_HEAD, then EVENT_ROW of each; control: rows of SENT (their number before them),
                      then a Start or End as on the wire
    error control     2 bytes: CRC-16 of all before it (0x1021 from 0xFFFF, as for transfer frames in CCSDS 132.0-B-3)

Everything is big-endian. A quadrant of a read-out is one packet, also without events, or a group of segments.
The counter wraps after 16384 packets; with its turns every packet has a number of its own, so that a gap of whole turns
is no wrap, and a packet that comes twice is no new one.
"""

import re
import struct
from binascii import crc_hqx
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import NamedTuple

import numpy as np
from spacepackets.ccsds.spacepacket import (  # type: ignore[import-untyped]
    CCSDS_HEADER_LEN,
    MAX_SEQ_COUNT,
    SequenceFlags,
    SpacePacketHeader,
)

from stream.errors import WireError

QUADRANT_APID, CONTROL_APID = 0x100, 0x200
COUNTS = MAX_SEQ_COUNT + 1
CRC_START, CRC_BYTES = 0xFFFF, 2

# CUC preamble: 1 010 11 11 (another octet follows; epoch of the mission; 4 octets of seconds, 3 of fractions), then
# 0 00 001 00 (no more octets of seconds, one of fractions). A fraction of 2**-32 s is 0.23 ns: whole ns come back.
PREAMBLE = b"\xaf\x04"
SECONDARY = struct.Struct(">2sQHII")  # preamble, time, read-out (48 bits), turns of the counter
FRAME_HEAD = struct.Struct(">HHH")  # quality bits; events of this read-out and quadrant; index of the first one here
EVENT_ROW = np.dtype([("x", ">u2"), ("y", ">u2"), ("island", ">i2", (25,))])  # island: whole ADU, as in EVENT
SENT_ROWS = struct.Struct(">H")
SENT = np.dtype([("quadrant", ">u1"), ("packets", ">u8")])  # packets of each quadrant before this one
NO_DATA = -32768  # a pixel that is masked, or outside the quadrant
MOST_ADU = 32767  # at and above, and down to its negative

OVERHEAD = CCSDS_HEADER_LEN + SECONDARY.size + CRC_BYTES
MOST_DATA = 65536 + CCSDS_HEADER_LEN - OVERHEAD
# What a packet of ours begins with. The preamble stands at the same place in each: it is the marker after lost sync.
_BEGIN = re.compile(rb"(?:\x09.|\x0a\x00).{4}\xaf\x04", re.DOTALL)


class Packet(NamedTuple):
    """One space packet without its error control."""

    apid: int
    number: int  # from 0 for each APID: turns of the counter, and the counter
    time_ns: int
    readout: int
    data: bytes
    flags: SequenceFlags = SequenceFlags.UNSEGMENTED


@dataclass(slots=True)
class Report:
    """What a file of packets held. Everything but `packets`, `frames`, `events` and `wraps` is a fault."""

    packets: int = 0  # whole, no duplicates
    frames: int = 0  # quadrants of read-outs
    events: int = 0
    wraps: int = 0  # of a counter
    lost_packets: int = 0  # by number: exact up to the last packet of control that came
    lost_frames: int = 0  # of those the source sent; -1: no End has come that tells
    incomplete_frames: int = 0  # of the lost ones, those of which a segment came
    duplicates: int = 0
    out_of_order: int = 0  # came after a later one of its APID
    bad_crc: int = 0
    bad_content: int = 0  # right checksum, but not what our packets hold
    other_run: int = 0  # packets after the Start of another run
    truncated: int = 0  # the last packet of the file
    skipped_bytes: int = 0  # in no packet
    lost_sync: int = 0  # places where bytes were skipped


def pack(packet: Packet) -> bytes:
    """Return the bytes of a packet. Raises WireError for what its fields cannot hold (a negative time, long data)."""
    turns, count = divmod(packet.number, COUNTS)
    fixed = ((packet.time_ns << 32) + 500_000_000) // 1_000_000_000
    try:
        secondary = SECONDARY.pack(PREAMBLE, fixed, packet.readout >> 32, packet.readout & 0xFFFFFFFF, turns)
        data_len = len(secondary) + len(packet.data) + CRC_BYTES - 1
        header = SpacePacketHeader.tm(packet.apid, count, data_len, True, packet.flags)
    except (struct.error, ValueError) as fault:
        raise WireError(f"packet {packet.number} of APID {packet.apid:#x}: {fault}") from None
    whole = bytes(header.pack()) + secondary + packet.data
    return whole + crc_hqx(whole, CRC_START).to_bytes(CRC_BYTES, "big")


def find_packets(data: bytes | mmap, report: Report) -> Iterator[Packet]:
    """Yield the packets whose checksum is right, in the order of the file; count in `report` what lies between them.

    After damage the next packet is looked for byte by byte; one that is accepted has a known APID and a right CRC.
    (The library's own search checks no CRC, and stops for good at a length that points behind the end.)
    """
    place = 0
    while place < len(data):
        length = _length_at(data, place)
        if not _is_whole(data, place, length):
            good = _next_whole(data, place + 1)
            _count_damage(data, place, good, report)
            place = good
            continue
        yield _unpack(data[place : place + length])
        place += length


def _length_at(data: bytes | mmap, place: int) -> int:
    """Return how long the packet is that begins here; 0 if none of ours does, whatever its checksum says."""
    if not _BEGIN.match(data, place):
        return 0
    header = SpacePacketHeader.unpack(data[place : place + CCSDS_HEADER_LEN])
    rest = header.packet_len - OVERHEAD
    if header.apid != CONTROL_APID:
        rest -= FRAME_HEAD.size
        return 0 if rest < 0 or rest % EVENT_ROW.itemsize else int(header.packet_len)
    return 0 if rest < SENT_ROWS.size else int(header.packet_len)


def _is_whole(data: bytes | mmap, place: int, length: int) -> bool:
    if not length or place + length > len(data):
        return False
    return crc_hqx(data[place : place + length], CRC_START) == 0


def _next_whole(data: bytes | mmap, place: int) -> int:
    """Return where the next packet with a right checksum begins; the end of the data if there is none."""
    while found := _BEGIN.search(data, place):
        place = found.start()
        if _is_whole(data, place, _length_at(data, place)):
            return place
        place += 1
    return len(data)


def _count_damage(data: bytes | mmap, place: int, good: int, report: Report) -> None:
    """Count what lies between two good packets: packets of their right length, then bytes that are none."""
    while place < good:
        length = _length_at(data, place)
        if not length or place + length > good:
            report.truncated += length > 0 and place + length > len(data)
            report.lost_sync += 1
            report.skipped_bytes += good - place
            return
        report.bad_crc += 1
        place += length


def _unpack(whole: bytes) -> Packet:
    header = SpacePacketHeader.unpack(whole)
    _, fixed, high, low, turns = SECONDARY.unpack_from(whole, CCSDS_HEADER_LEN)
    return Packet(
        apid=header.apid,
        number=turns * COUNTS + header.seq_count,
        time_ns=(fixed * 1_000_000_000 + (1 << 31)) >> 32,
        readout=high << 32 | low,
        data=whole[CCSDS_HEADER_LEN + SECONDARY.size : -CRC_BYTES],
        flags=header.seq_flags,
    )
