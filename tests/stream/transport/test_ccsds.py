"""The layout of a packet, and finding packets in damaged bytes."""

from binascii import crc_hqx

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacepackets.ccsds.spacepacket import SequenceFlags, SpacePacketHeader

from stream.errors import WireError
from stream.transport import ccsds
from stream.transport.ccsds import Packet, Report, find_packets, pack
from tests.stream.transport.packets import faults, flipped, packets, readout, unpacked

PACKETS = packets(readout(n) for n in range(12))
WHOLE = b"".join(PACKETS)
EMPTY = ccsds.FRAME_HEAD.pack(0, 0, 0)
SETTINGS = settings(deadline=None, max_examples=100)


def found(data: bytes) -> tuple[list[Packet], Report]:
    report = Report()
    return list(find_packets(data, report)), report


@SETTINGS
@given(
    st.integers(0, 255), st.integers(0, 2**40), st.integers(0, 2**32 * 10**9 - 1), st.integers(0, 2**48 - 1),
    st.sampled_from(SequenceFlags), st.integers(0, 4),
)  # fmt: skip
def test_a_packet_comes_back_with_its_time_to_the_ns(quadrant, number, time_ns, number_of_readout, flags, rows):
    data = EMPTY + bytes(rows * ccsds.EVENT_ROW.itemsize)
    packet = Packet(ccsds.QUADRANT_APID + quadrant, number, time_ns, number_of_readout, data, flags)
    assert unpacked(pack(packet)) == packet


def test_a_packet_is_what_the_standards_say():
    raw = pack(Packet(0x103, 2 * 16384 + 5, 1_500_000_000, (1 << 32) + 7, EMPTY))
    header = SpacePacketHeader.unpack(raw[:6])
    assert (header.ccsds_version, header.packet_type, header.sec_header_flag) == (0, 0, True)
    assert (header.apid, header.seq_count, header.packet_len) == (0x103, 5, len(raw))
    assert raw[:6].hex() == "0903c005001b"
    assert raw[6:16].hex() == "af04" + "00000001" + "80000000"  # 1.5 s
    assert raw[16:26].hex() == "000100000007" + "00000002"
    assert crc_hqx(raw, 0xFFFF) == 0
    assert crc_hqx(b"123456789", 0xFFFF) == 0x29B1  # the check value of this CRC


@pytest.mark.parametrize("field", [{"time_ns": -1}, {"time_ns": 2**32 * 10**9}, {"readout": 2**48}, {"number": 2**46}])
def test_what_does_not_fit_is_refused(field):
    with pytest.raises(WireError, match=r"packet .* of APID 0x100"):
        pack(Packet(0x100, 0, 0, 0, EMPTY)._replace(**field))


def test_data_that_is_too_long_is_refused():
    pack(Packet(0x200, 0, 0, 0, bytes(ccsds.MOST_DATA)))
    with pytest.raises(WireError, match="packet 0 of APID 0x200"):
        pack(Packet(0x200, 0, 0, 0, bytes(ccsds.MOST_DATA + 1)))


def test_all_packets_of_a_whole_file_are_found():
    good, report = found(WHOLE)
    assert [pack(packet) for packet in good] == PACKETS
    assert faults(report) == {}
    assert found(b"") == ([], Report())


@SETTINGS
@given(st.integers(1, len(PACKETS) - 2), st.binary(min_size=1, max_size=300))
def test_garbage_between_packets_costs_none(place, garbage):
    good, report = found(b"".join([*PACKETS[:place], garbage, *PACKETS[place:]]))
    assert [pack(packet) for packet in good] == PACKETS
    assert faults(report) == {"skipped_bytes": len(garbage), "lost_sync": 1}


@SETTINGS
@given(st.data())
def test_a_flipped_bit_costs_its_packet_only(data):
    place = data.draw(st.integers(1, len(PACKETS) - 2))
    bit = data.draw(st.integers(0, 8 * len(PACKETS[place]) - 1))
    good, report = found(b"".join([*PACKETS[:place], flipped(PACKETS[place], bit), *PACKETS[place + 1 :]]))
    assert [pack(packet) for packet in good] == PACKETS[:place] + PACKETS[place + 1 :]
    told = faults(report)  # of a header: a packet of another length, or none, and what is skipped until the next one
    assert told.keys() <= {"bad_crc", "skipped_bytes", "lost_sync"}
    assert max(told.get("bad_crc", 0), told.get("lost_sync", 0)) == 1
    assert told.get("skipped_bytes", 0) <= len(PACKETS[place])
    if bit >= 8 * (ccsds.CCSDS_HEADER_LEN + len(ccsds.PREAMBLE)):
        assert faults(report) == {"bad_crc": 1}


def test_several_damaged_packets_in_a_row_are_each_counted():
    damaged = [flipped(packet, 300) for packet in PACKETS[3:6]]
    good, report = found(b"".join([*PACKETS[:3], *damaged, b"\x09\x00junk", *PACKETS[6:]]))
    assert len(good) == len(PACKETS) - 3
    assert faults(report) == {"bad_crc": 3, "skipped_bytes": 6, "lost_sync": 1}


@SETTINGS
@given(st.integers(0, len(WHOLE)))
def test_a_truncated_file_gives_what_is_whole(size):
    ends = np.cumsum([len(packet) for packet in PACKETS])
    whole = int((ends <= size).sum())
    rest = size - (int(ends[whole - 1]) if whole else 0)
    good, report = found(WHOLE[:size])
    assert len(good) == whole
    assert report.skipped_bytes == rest
    assert report.lost_sync == (rest > 0)
    assert report.truncated == (rest >= ccsds.CCSDS_HEADER_LEN + len(ccsds.PREAMBLE))


@SETTINGS
@given(st.binary(max_size=3000))
def test_garbage_alone_holds_nothing(garbage):
    good, report = found(garbage)
    assert good == []
    assert report.skipped_bytes == len(garbage)


def test_a_length_that_points_far_behind_does_not_swallow_the_packets_after_it():
    long = bytearray(PACKETS[2])
    long[4:6] = (54 * 200 + ccsds.OVERHEAD + ccsds.FRAME_HEAD.size - 7).to_bytes(2, "big")
    good, report = found(b"".join([*PACKETS[:2], bytes(long), *PACKETS[3:]]))
    assert len(good) == len(PACKETS) - 1
    assert faults(report) == {"skipped_bytes": len(long), "lost_sync": 1, "truncated": 1}
