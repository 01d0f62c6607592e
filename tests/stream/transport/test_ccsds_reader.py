"""Events -> packets -> frames: bit for bit, and every loss, wrap and duplicate told apart."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from stream.errors import ConfigError
from stream.messages import EVENT, Gap, Quality, Start
from stream.transport import ccsds
from stream.transport.ccsds import COUNTS
from stream.transport.ccsds_reader import ZERO, Account, TelemetryReader, convert, to_pixels
from stream.transport.ccsds_writer import EVENTS_IN_PACKET, START_EVERY, to_rows
from stream.transport.recording import Recording
from tests.stream.transport.packets import (
    COLUMNS,
    FRAME_NS,
    ROWS,
    START,
    changed,
    faults,
    flipped,
    packets,
    read,
    readout,
    unpacked,
)

FRAMES = 12
SENT = packets(readout(n) for n in range(FRAMES))  # Start, two packets for each read-out, Start, End
SETTINGS = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def without(*places: int) -> list[bytes]:
    return [packet for k, packet in enumerate(SENT) if k not in places]


def numbers(frames, quadrant=0):
    return [frame.header.sequence for frame in frames if frame.header.quadrant == quadrant]


def test_a_whole_file_gives_every_frame_and_no_fault(tmp_path: Path) -> None:
    frames, report = read(tmp_path / "a", SENT)
    assert [f.header[:3] for f in frames] == [(n, n * FRAME_NS, q) for n in range(FRAMES) for q in (0, 3)]
    assert faults(report) == {}
    assert (report.packets, report.frames, report.events, report.wraps) == (2 * FRAMES + 3, 2 * FRAMES, 3 * FRAMES, 0)


@SETTINGS
@given(
    hn.arrays(np.int16, (3, 25), elements=st.integers(-32767, 32767)),
    hn.arrays(np.bool_, (3, 25)),
    st.lists(st.tuples(st.integers(0, COLUMNS - 1), st.integers(0, ROWS - 1)), min_size=3, max_size=3),
)
def test_the_pixels_of_an_event_come_back_bit_for_bit(values, masked, centres) -> None:
    for value, hole, (x, y) in zip(values, masked, centres, strict=True):
        event = np.zeros(1, EVENT)
        event["x"], event["y"] = x, y
        event["island"] = np.where(hole, np.nan, value)
        image = np.full((ROWS + 4, COLUMNS + 4), -1e9, np.float32)
        u, v, sent = to_pixels(np.frombuffer(to_rows(event).tobytes(), ccsds.EVENT_ROW), (ROWS, COLUMNS))
        image[v + 2, u + 2] = sent
        island = image[y : y + 5, x : x + 5].ravel()
        wanted = np.where(hole, np.nan, np.where(value == 0, ZERO, value)).astype(np.float32)
        inside = island != -1e9
        assert np.array_equal(island[inside], wanted[inside], equal_nan=True)
        assert inside.sum() == (min(x + 2, COLUMNS - 1) - max(x - 2, 0) + 1) * (
            min(y + 2, ROWS - 1) - max(y - 2, 0) + 1
        )


def test_signal_is_rounded_to_whole_adu_and_cut_at_the_ends() -> None:
    event = np.zeros(1, EVENT)
    event["island"][0, :7] = [0.4, -1.6, 99.5, 1e6, -1e6, np.nan, np.inf]
    assert to_rows(event)["island"][0, :7].tolist() == [0, -2, 100, 32767, -32767, ccsds.NO_DATA, 32767]


def test_overlapping_islands_give_each_pixel_once() -> None:
    event = np.zeros(2, EVENT)
    event["x"], event["y"] = [10, 12], [10, 11]
    x, y, _ = to_pixels(to_rows(event), (ROWS, COLUMNS))
    assert len(x) == len({*zip(x.tolist(), y.tolist(), strict=True)}) == 50 - 3 * 4


@pytest.mark.parametrize("place", range(len(SENT)))
def test_one_lost_packet_is_one_lost_packet(tmp_path: Path, place: int) -> None:
    frames, report = read(tmp_path / "a", without(place))
    lost = {"lost_packets": 1, "lost_frames": 1}
    if unpacked(SENT[place]).apid == ccsds.CONTROL_APID:
        lost = {"lost_frames": -1} if place == len(SENT) - 1 else {"lost_packets": 1}
    assert faults(report) == lost
    assert len(frames) == 2 * FRAMES - ("lost_frames" in lost and lost["lost_frames"] > 0)


@SETTINGS
@given(st.sets(st.integers(1, len(SENT) - 3)))
def test_any_loss_is_counted_exactly(tmp_path: Path, places: set[int]) -> None:
    frames, report = read(tmp_path / "a", without(*places))
    assert report.lost_packets == report.lost_frames == len(places)
    assert len(frames) == 2 * FRAMES - len(places)


@SETTINGS
@given(st.lists(st.integers(0, len(SENT) - 1), max_size=8))
def test_what_comes_twice_counts_once(tmp_path: Path, places: list[int]) -> None:
    sent = [packet for k, packet in enumerate(SENT) for _ in range(1 + places.count(k))]
    frames, report = read(tmp_path / "a", sent)
    assert len(frames) == 2 * FRAMES
    assert faults(report) == ({"duplicates": len(places)} if places else {})


@SETTINGS
@given(st.permutations(SENT[:-2]))
def test_the_order_does_not_matter(tmp_path: Path, order: list[bytes]) -> None:
    frames, report = read(tmp_path / "a", [*order, *SENT[-2:]])
    assert sorted(numbers(frames)) == sorted(numbers(frames, 3)) == list(range(FRAMES))
    assert set(faults(report)) <= {"out_of_order"}


def far(first: int, count: int = 4) -> list[bytes]:
    """Return the packets of quadrant 0 from number `first` on, in a run that is silent before it."""
    (start, *_, end) = SENT
    frame = SENT[1]
    later = [
        changed(frame, lambda p, n=n: p._replace(number=n, readout=n, time_ns=n * FRAME_NS))
        for n in range(first, first + count)
    ]
    return [start, frame, *later, changed(end, lambda p: p._replace(number=1))]


def test_a_wrap_is_no_loss(tmp_path: Path) -> None:
    sent = packets(readout(n, {0: 0}) for n in range(COUNTS + 20))
    counters = [int.from_bytes(packet[2:4], "big") & 0x3FFF for packet in sent if packet[:2] == b"\x09\x00"]
    assert counters[COUNTS - 1 : COUNTS + 1] == [COUNTS - 1, 0]
    frames, report = read(tmp_path / "a", sent)
    assert numbers(frames) == list(range(COUNTS + 20))
    assert faults(report) == {}
    assert report.wraps == 1


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_a_loss_of_whole_turns_is_told_from_none(tmp_path: Path, turns: int) -> None:
    frames, report = read(tmp_path / "a", far(1 + turns * COUNTS)[:-1])
    assert report.lost_packets == turns * COUNTS
    assert report.duplicates == 0
    assert report.wraps == turns
    assert numbers(frames) == [0, *range(1 + turns * COUNTS, 5 + turns * COUNTS)]


def test_the_same_counter_a_turn_later_is_no_duplicate(tmp_path: Path) -> None:
    first = changed(SENT[1], lambda p: p._replace(number=COUNTS, readout=COUNTS, time_ns=COUNTS * FRAME_NS))
    frames, report = read(tmp_path / "a", [SENT[0], SENT[1], SENT[1], first, first])
    assert first[2:4] == SENT[1][2:4]
    assert (report.duplicates, report.lost_packets, report.wraps) == (2, COUNTS - 1, 1)
    assert numbers(frames) == [0, COUNTS]


def test_what_is_missing_at_the_end_is_known_from_the_end(tmp_path: Path) -> None:
    _, report = read(tmp_path / "a", [*SENT[:5], SENT[-1]])
    assert faults(report) == {"lost_packets": 2 * FRAMES - 4 + 1, "lost_frames": 2 * FRAMES - 4}


def test_without_an_end_nothing_is_made_up(tmp_path: Path) -> None:
    frames, report = read(tmp_path / "a", SENT[:5])
    assert faults(report) == {"lost_frames": -1}
    assert len(frames) == 4


def crowd(count: int) -> list[bytes]:
    return packets([readout(0, {0: count, 3: 1}), readout(1)])


def test_many_events_make_a_group_of_packets(tmp_path: Path) -> None:
    count = 2 * EVENTS_IN_PACKET - 20
    sent = crowd(count)
    flags = [unpacked(packet).flags for packet in sent[1:4]]
    assert [int(flag) for flag in flags] == [1, 2, 3]  # first, last, whole
    frames, report = read(tmp_path / "a", sent)
    assert (frames[0].events, report.events, faults(report)) == (count, count + 4, {})
    shuffled, report = read(tmp_path / "a", [sent[0], sent[2], sent[1], *sent[3:]])
    assert faults(report) == {"out_of_order": 1}
    assert all(np.array_equal(one, two) for one, two in zip(frames[0][1:4], shuffled[0][1:4], strict=True))


def test_a_frame_without_one_of_its_segments_is_lost(tmp_path: Path) -> None:
    sent = crowd(2 * EVENTS_IN_PACKET - 20)
    frames, report = read(tmp_path / "a", [*sent[:2], *sent[3:]])
    assert (0, 0) not in [(f.header.sequence, f.header.quadrant) for f in frames]
    assert faults(report) == {"lost_packets": 1, "lost_frames": 1, "incomplete_frames": 1}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: p._replace(data=p.data[:6] + (9999).to_bytes(2, "big") + p.data[8:]),  # column
        lambda p: p._replace(data=ccsds.FRAME_HEAD.pack(0, 1, 0) + p.data[6:]),  # more events than there are
        lambda p: p._replace(data=ccsds.FRAME_HEAD.pack(0, 3, 0)),  # none of three
        lambda p: p._replace(apid=0x199),  # no such quadrant
    ],
)
def test_a_right_checksum_over_nonsense_is_counted(tmp_path: Path, spoil) -> None:
    frames, report = read(tmp_path / "a", [*SENT[:1], changed(SENT[1], spoil), *SENT[2:]])
    assert report.bad_content == 1
    assert len(frames) == 2 * FRAMES - 1


def test_control_that_says_nothing_is_counted(tmp_path: Path) -> None:
    for data in (b"\0\0", b"\0\5", b"\0\0garbage"):
        silent = changed(SENT[0], lambda p, data=data: p._replace(data=data))
        frames, report = read(tmp_path / "a", [silent, *SENT[1:]])
        assert (len(frames), report.bad_content) == (2 * FRAMES, 1)


def test_the_packets_of_another_run_are_left_out(tmp_path: Path) -> None:
    other = packets([readout(n) for n in range(3)], Start(**fields(START) | {"run_id": "run 2"}))
    frames, report = read(tmp_path / "a", [*SENT, *other])
    assert len(frames) == 2 * FRAMES
    assert faults(report) == {"other_run": len(other)}


def fields(start: Start) -> dict[str, object]:
    return {name: getattr(start, name) for name in Start.__slots__}


def test_the_first_start_may_be_lost(tmp_path: Path) -> None:
    sent = packets([readout(n) for n in range(START_EVERY + 3)], end=False)
    frames, report = read(tmp_path / "a", sent[1:])
    assert len(frames) == 2 * (START_EVERY + 3)
    assert report.lost_packets == 1


@pytest.mark.parametrize("data", [b"", b"no packets at all", b"".join(SENT[1:5])])
def test_a_file_without_a_start_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.ccsds").write_bytes(data)
    with pytest.raises(ConfigError, match=r"a\.ccsds: .*expected"):
        convert(tmp_path / "a.ccsds", tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()
    with pytest.raises(ConfigError, match="expected packets"):
        TelemetryReader(tmp_path / "missing")


def test_the_recording_holds_signal_around_the_events(tmp_path: Path) -> None:
    lists = [readout(n) for n in range(3)]
    lists[1].readouts["quality"][1] = Quality.SATURATED
    sent = packets(lists)
    (tmp_path / "a.ccsds").write_bytes(b"".join([*sent[:3], *sent[4:]]))
    report = convert(tmp_path / "a.ccsds", tmp_path / "a.h5")
    assert report.lost_frames == 1
    with Recording(tmp_path / "a.h5") as recording:
        start, *frames, _ = recording.messages()
    assert isinstance(start, Start)
    assert (start.run_id, start.config_digest, start.gain_ev) == ("run 1", START.config_digest, 3.65)
    assert (start.pixel_dtype, start.blank) == ("<f4", 0)
    assert [(f.sequence, f.quadrant, f.quality) for f in frames if not isinstance(f, Gap)] == [
        (0, 0, 0), (0, 3, 0), (1, 3, Quality.SATURATED), (2, 0, 0), (2, 3, 0)
    ]  # fmt: skip
    for frame in frames:
        events = lists[frame.sequence].events
        events = events[events["quadrant"] == frame.quadrant]
        wanted = np.zeros((ROWS, COLUMNS), np.float32)
        for event in events:
            part = np.where(event["island"] == 0, ZERO, event["island"])
            wanted[event["y"] - 2 : event["y"] + 3, event["x"] - 2 : event["x"] + 3] = part.reshape(5, 5)
        assert np.array_equal(frame.pixels, wanted)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 30)))
def test_an_account_knows_what_has_come(given_numbers: list[int]) -> None:
    account, seen, highest = Account(), set(), -1
    for number in given_numbers:
        state = "duplicate" if number in seen else "new" if number > highest else "late"
        assert account.take(number) == state
        seen.add(number)
        highest = max(highest, number)
        assert account.lost == highest + 1 - len(seen)


def test_damage_of_every_kind_at_once(tmp_path: Path) -> None:
    sent = [*SENT[:3], b"junk", SENT[3], SENT[3], flipped(SENT[4], 400), *SENT[6:10], SENT[5], *SENT[10:-1]]
    frames, report = read(tmp_path / "a", [*sent, SENT[-1][:50]])
    assert faults(report) == {
        "lost_packets": 1, "lost_frames": -1, "duplicates": 1, "out_of_order": 1, "bad_crc": 1, "truncated": 1,
        "skipped_bytes": 4 + 50, "lost_sync": 2,
    }  # fmt: skip
    assert len(frames) == 2 * FRAMES - 1
