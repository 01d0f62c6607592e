import numpy as np
import pytest

from stream.messages import End, EventList, Flag, Gap, Quality, Reason
from stream.stages.correct import Correct
from stream.stages.reconstruct import Reconstruct
from tests.stream.stages.streams import CONFIG, ONE, START, frame, maps, push, with_pixels

QUAD = {(10, 20): 200, (10, 21): 100, (11, 20): 100, (11, 21): 60}


def lists(*messages, start=START, config=CONFIG):
    correct, reconstruct = Correct(config, maps()), Reconstruct(config)
    given = [out for m in push(correct, start, *messages) for out in reconstruct.process(m)]
    return [m for m in given if isinstance(m, EventList)], given


def test_a_read_out_is_given_when_all_quadrants_are_there():
    found, _ = lists(*[with_pixels(7, QUAD, quadrant=q) for q in range(4)])
    (read_out,) = found
    assert (read_out.sequence, read_out.quality) == (7, 0)
    assert read_out.events["quadrant"].tolist() == [0, 1, 2, 3]
    assert read_out.readouts["events"].tolist() == [1, 1, 1, 1]


def test_an_event_is_described():
    ((read_out,), _) = lists(with_pixels(7, QUAD), start=ONE)
    (event,) = read_out.events
    assert (event["x"], event["y"], event["neighbours"], event["pattern"]) == (20, 10, 16 + 64 + 128, 10)
    assert event["energy_ev"] == pytest.approx(460 * 3.65, rel=0.15)
    assert event["pha"] == pytest.approx(460, rel=0.15)
    assert event["focal_x"] == pytest.approx(79 + 20 + event["sub_x"])
    assert 0 < event["sub_x"] < 0.5
    assert event["reason"] == 0
    assert event["track_distance"] == -1


def test_a_track_is_one_track_and_no_valid_event():
    track = {(20 + k, 15 + k): 4000 for k in range(30)}
    ((read_out,), _) = lists(with_pixels(0, track), start=ONE)
    assert len(read_out.tracks) == 1
    assert read_out.tracks["pixels"][0] >= 30
    assert (read_out.events["reason"] != 0).all()
    assert (read_out.events["flag"] & Flag.IN_TRACK).all()


def test_distances_cross_the_gap_between_quadrants():
    track = {(y, 0): 5000 for y in range(30, 40)}
    sent = [with_pixels(0, track, quadrant=0), with_pixels(0, {(35, 60): 300}, quadrant=3)]
    ((read_out,), _) = lists(*sent, frame(0, 1), frame(0, 2))
    (event,) = read_out.events[read_out.events["quadrant"] == 3]
    assert event["track_distance"] == 79 - (7 + 60)  # quadrant 0 begins at column 79, the event is at 7 + 60


def test_a_missing_quadrant_is_flagged_and_not_waited_for_forever():
    sent = [frame(n, q) for n in range(12) for q in range(4) if (n, q) != (3, 2)]
    found, _ = lists(*sent)
    assert [m.sequence for m in found] == list(range(12))[: len(found)]
    (short,) = [m for m in found if m.quality & Quality.MISSING_QUADRANT]
    assert (short.sequence, short.readouts["quadrant"].tolist()) == (3, [0, 1, 3])


def test_the_end_gives_what_waits():
    _, given = lists(frame(0, 0), frame(0, 1), End(stream="test"))
    assert [type(m).__name__ for m in given] == ["Start", "EventList", "End"]


def test_a_late_quadrant_makes_a_list_of_its_own():
    sent = [frame(n, q) for n in range(2) for q in range(4)]
    found, _ = lists(*sent, with_pixels(0, QUAD, quadrant=1))
    late = found[-1]
    assert (late.sequence, late.quality & Quality.LATE) == (0, Quality.LATE)
    assert len(late.events) == 1


def test_an_overflowing_frame_is_a_gap():
    sent = frame(0)
    sent.pixels[:, ::2] = 60_000
    config = CONFIG.model_copy(update={"reconstruct": CONFIG.reconstruct.model_copy(update={"max_hits": 100})})
    found, given = lists(sent, start=ONE, config=config)
    assert [m.reason for m in given if isinstance(m, Gap)] == ["overflow"]
    assert found[0].readouts["quality"][0] & Quality.OVERFLOW
    assert len(found[0].events) == 0


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({(5, 5): 300, (6, 6): 200}, Reason.PATTERN),
        ({(5, 5): 300, (5, 6): 200, (5, 7): 100}, Reason.OUTER_RING),
        ({(5, 5): 3000}, Reason.MIP),
    ],
)
def test_rejections_name_their_reason(values, reason):
    ((read_out,), _) = lists(with_pixels(0, values), start=ONE)
    assert any(e["reason"] & reason for e in read_out.events)


def test_a_saturated_pixel_is_flagged():
    sent = frame(0)
    sent.pixels[5, 5] = 65535
    ((read_out,), _) = lists(sent, start=ONE)
    assert read_out.events["flag"][0] & Flag.SATURATED
    assert read_out.quality & Quality.SATURATED


def test_an_empty_read_out_is_an_empty_list():
    ((read_out,), _) = lists(frame(0, pixels=np.full((64, 64), 500, np.uint16)), start=ONE)
    assert len(read_out.events) == len(read_out.tracks) == 0
    assert len(read_out.readouts) == 1
