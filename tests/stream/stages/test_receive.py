from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.schema import Receive as Section
from stream.errors import ConfigError
from stream.messages import End, Frame, Gap, Quality, Start
from stream.stages.receive import MISSING_RANGES, Receive
from tests.stream.stages.streams import CONFIG, ONE, START, frame, push

SMALL = np.zeros((CONFIG.detector.rows, CONFIG.detector.columns), np.uint16)


def receive(numbers, start=ONE, window=4, frames=-1):
    stage = Receive(CONFIG.model_copy(update={"receive": Section(reorder_window_frames=window)}))
    sent = [frame(n, pixels=SMALL) for n in numbers]
    given_out = push(stage, start, *sent, End(stream="test", frames=frames))
    return stage, [m for m in given_out if isinstance(m, Frame | Gap)]


def numbers(messages):
    return [m.sequence if isinstance(m, Frame) else (m.first, m.last, m.reason) for m in messages]


def test_frames_in_order_pass_untouched():
    stage, out = receive(range(5))
    assert numbers(out) == [0, 1, 2, 3, 4]
    assert not stage.counters


def test_a_gap_is_declared_after_the_window():
    stage, out = receive([0, 1, 4, 5, 6, 7, 8, 9])
    assert numbers(out) == [0, 1, (2, 3, "lost"), 4, 5, 6, 7, 8, 9]
    assert stage.counters["lost"] == 2


def test_disorder_within_the_window_is_mended():
    stage, out = receive([0, 2, 3, 1, 5, 4])
    assert numbers(out) == [0, 1, 2, 3, 4, 5]
    assert not stage.counters


def test_a_frame_after_its_gap_still_passes():
    stage, out = receive([0, 2, 3, 4, 5, 6, 7, 1])
    assert numbers(out) == [0, (1, 1, "lost"), 2, 3, 4, 5, 6, 7, 1]
    assert out[-1].quality & Quality.LATE
    assert (stage.counters["late"], stage.counters["lost"]) == (1, 0)


def test_duplicates_are_counted_and_dropped():
    stage, out = receive([0, 1, 1, 3, 3, 2, 0])
    assert numbers(out) == [0, 1, 2, 3]
    assert stage.counters["duplicate"] == 3


def test_a_lost_tail_is_declared_from_the_sources_count():
    _, out = receive([0, 1, 2], frames=5)
    assert numbers(out) == [0, 1, 2, (3, 4, "lost")]


def test_a_quadrant_that_never_came_is_declared():
    stage = Receive(CONFIG)
    out = push(stage, START, *[frame(n, q, SMALL) for n in range(3) for q in (0, 1, 3)], End(stream="test"))
    assert [(m.quadrant, m.first, m.last) for m in out if isinstance(m, Gap)] == [(2, 0, 2)]


@pytest.mark.parametrize("bits", [4, 14])
def test_a_wrapped_counter_is_told_from_a_gap(bits):
    period = 1 << bits
    stage = Receive(CONFIG)
    wrapping = replace(ONE, sequence_bits=bits)
    true = [*range(period - 2, period + 3), *range(3 * period + 5, 3 * period + 8)]  # a gap of more than one period
    sent = [replace(frame(n, pixels=SMALL), sequence=n % period) for n in true]
    out = push(stage, wrapping, *sent, End(stream="test"))
    assert [m.sequence for m in out if isinstance(m, Frame)] == true
    assert sum(m.last - m.first + 1 for m in out if isinstance(m, Gap)) == true[-1] - true[0] + 1 - len(true)


def test_a_frame_of_the_wrong_shape_or_dtype_is_a_gap():
    stage = Receive(CONFIG)
    wrong = [frame(1, pixels=SMALL[:3]), frame(2, pixels=SMALL.astype(np.float32)), frame(4, quadrant=99)]
    out = push(stage, ONE, frame(0, pixels=SMALL), *wrong, frame(3, pixels=SMALL), End(stream="test"))
    assert numbers(m for m in out if isinstance(m, Frame | Gap) and m.quadrant == 0) == [
        0,
        (1, 1, "shape"),
        (2, 2, "shape"),
        3,
    ]
    assert (stage.counters["shape"], stage.counters["unknown_quadrant"]) == (2, 1)


@pytest.mark.parametrize("bits", [0, 14])
def test_a_wild_number_does_not_cost_the_frames_after_it(bits):
    stage = Receive(CONFIG)
    wild = [replace(frame(2, pixels=SMALL), sequence=2**60), replace(frame(2, pixels=SMALL), time_ns=-(2**60))]
    sent = [frame(0, pixels=SMALL), frame(1, pixels=SMALL), wild[0 if bits == 0 else 1], frame(2, pixels=SMALL)]
    out = push(stage, replace(ONE, sequence_bits=bits), *sent, frame(3, pixels=SMALL), End(stream="test"))
    assert numbers(m for m in out if isinstance(m, Frame | Gap)) == [0, 1, 2, 3]
    assert stage.counters["wild_time" if bits else "wild_number"] == 1


def test_a_source_that_goes_on_elsewhere_is_followed():
    far = [replace(frame(n, pixels=SMALL), time_ns=frame(n - 10**6).time_ns) for n in range(10**6, 10**6 + 4)]
    stage = Receive(CONFIG)
    out = push(stage, ONE, frame(0, pixels=SMALL), frame(1, pixels=SMALL), *far, End(stream="test"))
    assert numbers(m for m in out if isinstance(m, Frame)) == [0, 1, *range(10**6, 10**6 + 4)]
    assert not stage.counters["wild_number"]


@pytest.mark.parametrize("bits", [0, 14])
def test_a_wild_time_stamp_is_replaced_by_what_the_number_says(bits):
    stage = Receive(CONFIG)
    wild = replace(frame(0, pixels=SMALL), time_ns=10**12)  # 200,000 frames ahead
    sent = [wild, *[frame(n, pixels=SMALL) for n in range(1, 40)]]
    sent[30] = replace(sent[30], time_ns=10**18)
    out = push(stage, replace(ONE, sequence_bits=bits), *sent, End(stream="test"))
    frames = [m for m in out if isinstance(m, Frame)]
    assert [m.sequence for m in frames] == list(range(40))  # a wild first stamp does not cost the frames after it
    assert frames[30].time_ns == frames[29].time_ns + 5_000_000
    assert not [m for m in out if isinstance(m, Gap)]


def test_a_quadrant_that_begins_after_a_wrap_is_counted_with_the_others():
    stage = Receive(CONFIG)
    sent = [replace(frame(n, q, SMALL), sequence=n % 16) for n in range(14, 60) for q in range(4) if q < 3 or n >= 40]
    out = push(stage, replace(START, sequence_bits=4), *sent, End(stream="test"))
    frames = [m for m in out if isinstance(m, Frame)]
    assert all(m.time_ns == m.sequence * 5_000_000 for m in frames)
    assert [m.sequence for m in frames if m.quadrant == 3] == list(range(40, 60))
    assert [(m.quadrant, m.first, m.last) for m in out if isinstance(m, Gap)] == [(3, 14, 39)]


def test_a_slow_clock_makes_no_gaps():
    stage = Receive(CONFIG)
    slow = [replace(frame(n, pixels=SMALL), sequence=n % 256, time_ns=int(n * 5_000_500)) for n in range(8000)]
    out = push(stage, replace(ONE, sequence_bits=8), *slow, End(stream="test"))
    assert [m.sequence for m in out if isinstance(m, Frame)] == list(range(8000))
    assert not [m for m in out if isinstance(m, Gap)]


def test_corrupt_numbers_now_and_then_cost_only_their_own_frames():
    sent = [frame(n, pixels=SMALL) for n in range(300)]
    for n in range(20, 300, 30):
        sent[n] = replace(sent[n], sequence=n + 1000 + n % 7)
    stage = Receive(CONFIG)
    out = push(stage, ONE, *sent, End(stream="test", frames=300))
    frames = [m for m in out if isinstance(m, Frame)]
    assert len(frames) == 300 - 10
    assert not [m for m in frames if m.quality]
    assert stage.counters["lost"] == stage.counters["wild_number"] == 10


def test_frames_of_another_stream_are_counted():
    stage = Receive(CONFIG)
    out = push(stage, ONE, frame(0, pixels=SMALL), replace(frame(1, pixels=SMALL), stream="other"))
    assert numbers(m for m in out if isinstance(m, Frame)) == [0]
    assert stage.counters["other_stream"] == 1


def test_a_gap_of_all_quadrants_accounts_for_each():
    stage = Receive(CONFIG)
    gap = Gap(stream="test", first=1, last=2, quadrant=-1, reason="damaged")
    sent = [frame(n, q, SMALL) for n in (0, 3) for q in range(4)]
    out = push(stage, START, *sent[:4], gap, *sent[4:], End(stream="test", frames=16))
    assert [(m.quadrant, m.first, m.last) for m in out if isinstance(m, Gap)] == [(q, 1, 2) for q in range(4)]
    assert not stage.counters


def test_a_frame_that_comes_although_the_source_told_of_its_loss_ends_the_gap():
    stage = Receive(CONFIG)
    gap = Gap(stream="test", first=1, last=5, quadrant=0, reason="damaged")
    sent = [frame(0, pixels=SMALL), frame(3, pixels=SMALL), gap, frame(6, pixels=SMALL)]
    out = push(stage, ONE, *sent, End(stream="test"))
    assert numbers(m for m in out if isinstance(m, Frame | Gap)) == [0, (1, 2, "damaged"), 3, (4, 5, "lost"), 6]


def test_a_gap_before_the_first_frame_is_declared_whole():
    gap = Gap(stream="test", first=2, last=3, quadrant=0, reason="damaged")
    out = push(Receive(CONFIG), ONE, frame(5, pixels=SMALL), gap, End(stream="test"))
    assert numbers(m for m in out if isinstance(m, Frame | Gap)) == [5, (2, 4, "lost")]


@pytest.mark.parametrize("change", [{"sequence": 2**63 - 1}, {"time_ns": 2**63 - 1}, {"time_ns": -(2**63)}])
def test_what_leads_out_of_64_bit_costs_its_own_frame(change):
    stage = Receive(CONFIG)
    wild = replace(frame(0, pixels=SMALL), **change)
    out = push(stage, ONE, wild, *[frame(n, pixels=SMALL) for n in range(1, 4)], End(stream="test", frames=2**63 - 1))
    assert numbers(m for m in out if isinstance(m, Frame | Gap)) == [1, 2, 3, (4, 2**62, "lost")]
    assert stage.counters["wild_number"] == 1


def test_a_counter_unwrapped_beyond_64_bit_costs_its_own_frame():
    start = replace(ONE, sequence_bits=62, frame_time_ns=1, live_time_ns=1)
    stage = Receive(CONFIG.model_copy(update={"detector": CONFIG.detector.model_copy(update={"quadrants": []})}))
    sent = [replace(frame(0, pixels=SMALL), sequence=s, time_ns=t) for s, t in ((2**62 - 1, -(2**62)), (100, 2**62))]
    out = push(stage, start, *sent, End(stream="test"))
    assert numbers(m for m in out if isinstance(m, Frame | Gap)) == [2**62 - 1]
    assert stage.counters["wild_number"] == 1


def test_what_is_remembered_of_gaps_stays_small():
    stage = Receive(CONFIG)
    push(stage, ONE, *[frame(n, pixels=SMALL) for n in range(10**6, 0, -300)])  # a source that goes backwards
    assert stage.counters["late"] + stage.counters["lost"] > 10**5
    assert len(stage._lines[0].missing) <= MISSING_RANGES


def test_frames_without_a_stream_are_counted():
    stage = Receive(CONFIG)
    assert push(stage, frame(0)) == []
    assert stage.counters["no_start"] == 1


def test_another_detector_is_refused():
    other = replace(ONE, quadrants=(replace(ONE.quadrants[0], rows=7),))
    with pytest.raises(ConfigError, match="quadrant 0 is 7x64"):
        push(Receive(CONFIG), other)


def test_start_gets_the_digest_of_the_configuration():
    (start,) = push(Receive(CONFIG), ONE)
    assert isinstance(start, Start)
    assert len(start.config_digest) == 64


@given(st.lists(st.integers(0, 60), max_size=80), st.integers(0, 8))
@settings(deadline=None, max_examples=200)
def test_every_number_leaves_once(order, window):
    _, out = receive(order, window=window)
    frames = [m.sequence for m in out if isinstance(m, Frame)]
    assert sorted(frames) == sorted(set(order))  # no good frame is lost, none is doubled
    late = {m.sequence for m in out if isinstance(m, Frame) and m.quality & Quality.LATE}
    missing = [n for m in out if isinstance(m, Gap) for n in range(m.first, m.last + 1)]
    assert len(missing) == len(set(missing))
    assert set(missing) - late == set(range(min(order, default=0), max(order, default=-1) + 1)) - set(frames)


def test_a_quadrant_that_falls_silent_is_declared_while_the_others_go_on():
    stage = Receive(CONFIG)
    sent = [frame(n, q, pixels=SMALL) for n in range(200) for q in range(4) if q != 2 or n < 10]
    out = [m for m in push(stage, START, *sent) if isinstance(m, Gap)]
    assert [(m.first, m.last, m.quadrant) for m in out] == [(10, 64, 2), (65, 128, 2)]
    back = push(stage, *[frame(n, 2, pixels=SMALL) for n in range(200, 240)], End(stream="test"))
    assert [(m.first, m.last) for m in back if isinstance(m, Gap) and m.quadrant == 2] == [(129, 199)]


def test_a_quadrant_that_never_came_is_declared_while_the_others_go_on():
    stage = Receive(CONFIG)
    sent = [frame(n, q, pixels=SMALL) for n in range(5, 150) for q in range(3)]
    out = [m for m in push(stage, START, *sent) if isinstance(m, Gap)]
    assert [(m.first, m.last, m.quadrant) for m in out] == [(5, 64, 3)]


@pytest.mark.parametrize("noted", [0, 10])
def test_a_count_of_the_source_makes_no_tail_for_one_that_went_on(noted):
    first = Receive(CONFIG)
    sent = [frame(n, q, pixels=SMALL) for n in range(20) for q in range(4)]
    push(first, START, *sent[: 4 * noted])
    place = first.place
    stage = Receive(CONFIG)
    push(stage, START)
    stage.place = place
    out = push(stage, *sent[48:], End(stream="test", frames=80))
    assert [m.sequence for m in out if isinstance(m, Frame)] == [n for n in range(12, 20) for _ in range(4)]
    assert not [m for m in out if isinstance(m, Gap)]  # what came between is for the ledger
