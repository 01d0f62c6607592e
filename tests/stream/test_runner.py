"""The one loop, with a source and a sink that hold lists."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from stream.clock import now_ns
from stream.errors import ConfigError, StageError
from stream.messages import End, EventList, Gap, Product, Start
from stream.runner import Runner
from stream.stages.correct import Correct
from stream.stages.receive import Receive
from stream.stages.reconstruct import Reconstruct
from stream.stages.record import Record
from stream.stages.screen import Screen
from stream.transport.inproc import chain, drain
from stream.transport.notes import Notes
from stream.wiring import build
from tests import event_lists
from tests.stream.stages.streams import CONFIG, START, frame, maps


class Listed:
    """A source that gives these messages, then nothing."""

    def __init__(self, *messages):
        self.counters = Counter()
        self.queue = 64
        self._messages = list(messages)

    def receive(self, timeout_s):
        return self._messages.pop(0) if self._messages else None


class Kept:
    def __init__(self):
        self.messages, self.closed = [], False

    def send(self, message):
        self.messages.append(message)

    def close(self):
        self.closed = True


def run(*messages, once=True, silence_s=1e9, stages=None, status=None, stopping=lambda: True):
    sink = Kept()
    stages = [Receive(CONFIG), Correct(CONFIG, maps()), Reconstruct(CONFIG)] if stages is None else stages
    runner = Runner("detect", Listed(*messages), stages, sink, status)
    runner.run(stopping, silence_s, once)
    return runner, sink


FRAMES = [frame(n, q, trace=(1,)) for n in range(3) for q in range(4)]


def test_a_stream_runs_to_its_end():
    runner, sink = run(START, *FRAMES, End(stream="test"))
    assert [type(m) for m in sink.messages] == [Start, EventList, EventList, EventList, End]
    assert sink.closed
    summary = runner.summary()
    assert summary["counters"]["in_Frame"] == 12
    assert summary["latencies"]["frame to events"]["count"] == 3


@pytest.mark.parametrize(("stage", "label"), [("screen", "frame to decision"), ("record", "frame to record")])
def test_each_process_measures_the_way_to_its_own_exit(stage, label):
    lists = [EventList(stream="test", sequence=n, time_ns=n * 5_000_000, trace=(1, 2)) for n in range(3)]
    runner, _ = run(START, *lists, End(stream="test"), stages=[build(stage, CONFIG)])
    latencies = runner.summary()["latencies"]
    assert latencies[label]["count"] == 3
    assert {name for name in latencies if name.startswith("frame to")} == {label}


def test_what_a_stage_runs_is_in_the_status(monkeypatch):
    stage = Screen(CONFIG)
    monkeypatch.setattr(Screen, "about", {"network": "made by hand"})
    runner, _ = run(START, End(stream="test"), stages=[stage])
    assert runner.summary()["about"] == {"screen": {"network": "made by hand"}}


def test_the_lag_is_that_of_the_newest_frame_while_a_stream_is_open():
    captured = now_ns() - 2_000_000_000
    runner, _ = run(START, End(stream="test"))
    assert runner.summary()["lag_s"] is None
    runner._handle(START, now_ns())
    assert runner.summary()["lag_s"] is None
    runner._handle(frame(0, trace=(captured,)), now_ns())
    assert runner.summary()["lag_s"] >= 2
    runner._handle(End(stream="test"), now_ns())
    assert runner.summary()["lag_s"] is None


def test_frames_in_gaps_are_counted_by_reason():
    runner, _ = run(START, *FRAMES[:4], frame(4), End(stream="test"))
    assert runner.summary()["counters"]["gap_lost"] == 3 + 3 * 4


def test_a_stop_closes_an_open_stream_and_loses_nothing_that_came():
    _, sink = run(START, *FRAMES[:-1], once=False)
    lists = [m for m in sink.messages if isinstance(m, EventList)]
    assert len(lists[-1].readouts) == 3
    assert [m.first for m in sink.messages if isinstance(m, Gap)] == [2]
    assert isinstance(sink.messages[-1], End)


def test_a_silent_source_counts_as_lost():
    runner, sink = run(START, *FRAMES, silence_s=0.0, stopping=lambda: False)
    assert runner.summary()["counters"]["source_lost"] == 1
    assert isinstance(sink.messages[-1], End)


def test_the_status_is_written_whole(tmp_path):
    run(START, *FRAMES, End(stream="test"), status=tmp_path / "detect.json")
    status = json.loads((tmp_path / "detect.json").read_text())
    assert status["final"]
    assert status["counters"]["out_EventList"] == 3


class Broken:
    name = "broken"

    def process(self, message):
        raise ZeroDivisionError("oh")

    def flush(self):
        return ()


def test_a_bug_names_its_stage_and_the_frame():
    with pytest.raises(StageError, match="stage broken, Frame frame 2 quadrant 1: ZeroDivisionError: oh"):
        list(chain([Broken()], frame(2, 1)))


def test_a_deliberate_failure_passes_as_it_is():
    stages = [Receive(CONFIG), Correct(CONFIG, {})]
    with pytest.raises(ConfigError, match="no offset map"):
        list(chain(stages, START))


def test_draining_sends_what_is_held_through_the_stages_behind():
    stages = [Receive(CONFIG), Correct(CONFIG, maps()), Reconstruct(CONFIG)]
    for message in (START, frame(0), frame(2)):  # 2 waits in `receive` for 1, 0 in `reconstruct` for its quadrants
        assert not [m for m in chain(stages, message) if isinstance(m, EventList)]
    assert [m.sequence for m in drain(stages) if isinstance(m, EventList)] == [0, 2]


def test_an_end_that_died_with_its_process_is_told_again(tmp_path):
    notes = Notes(tmp_path / "screen.open")
    lists = [EventList(stream="test", sequence=n, time_ns=n * 5_000_000, trace=(1, 2)) for n in range(3)]
    Runner("screen", Listed(START, *lists, End(stream="test")), [Screen(CONFIG)], Kept(), None, notes).run(
        bool, 1e9, True
    )
    sink = Kept()
    Runner("screen", Listed(), [Screen(CONFIG)], sink, None, notes).run(bool, 1e9, True)
    assert [type(m) for m in sink.messages] == [End]
    assert sink.closed


def test_an_end_that_died_on_its_way_from_a_process_that_is_done_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("stream.runner.LOST_END_NS", 0)
    before = Notes(tmp_path / "detect.open")
    notes = Notes(tmp_path / "screen.open", before)
    notes.write(START, {})  # it is killed; what came last dies with it
    polls = iter([False] * 3)

    def go_on():
        sink = Kept()
        runner = Runner("screen", Listed(), [Screen(CONFIG)], sink, None, notes)
        runner.run(lambda: next(polls, True), 1e9, True)
        return [type(m) for m in sink.messages], runner.summary()["counters"].get("end_lost", 0)

    before.write(START, {})
    assert go_on() == ([Start, End], 0)  # the process before has it still open: it ends when it is stopped
    notes.write(START, {})
    before.end()
    polls = iter([False] * 3)
    assert go_on() == ([Start, End], 1)
    assert next(polls) is False  # and not by being stopped


def lists_of(numbers):
    return [EventList(stream="test", sequence=n, time_ns=n * 5_000_000, trace=(1, 2)) for n in numbers]


def test_an_end_says_how_far_the_stream_went():
    _, sink = run(START, *FRAMES, End(stream="test", frames=12))
    assert sink.messages[-1] == End(stream="test", frames=12, last=2)
    _, sink = run(START, End(stream="test", last=7), stages=[Screen(CONFIG)])  # all before it came to another process
    assert sink.messages[-1] == End(stream="test", last=7)


def test_what_died_just_before_an_end_is_a_gap():
    stage = Record(event_lists.config())
    lists = [replace(event_lists.event_list(n), trace=(1,)) for n in (0, 1)]
    _, sink = run(event_lists.START, *lists, End(stream="camera", last=5), stages=[stage])
    (product,) = [m for m in sink.messages if isinstance(m, Product)]
    assert product.tables["GAPS"][["FIRST", "LAST", "QUADRANT"]].tolist() == [(2, 4, -1), (5, 5, -1)]
    assert stage.balance == {"due": 12, "recorded": 4, "lost": 8}


def test_a_tail_that_died_with_the_end_is_waited_for_longer_and_a_gap(tmp_path, monkeypatch):
    monkeypatch.setattr("stream.runner.LOST_END_NS", 0)
    before = Notes(tmp_path / "detect.open")
    notes = Notes(tmp_path / "screen.open", before)
    before.write(START, {}, 3)
    before.end()

    def go_on():
        notes.write(START, {})  # it is killed
        polls, sink = iter([False] * 3), Kept()
        runner = Runner("screen", Listed(*lists_of([0])), [Screen(CONFIG)], sink, None, notes)
        runner.run(lambda: next(polls, True), 1e9, True)
        return [type(m) for m in sink.messages], runner.summary()["counters"].get("end_lost", 0)

    assert go_on() == ([Start, EventList, End], 0)  # it was stopped
    monkeypatch.setattr("stream.runner.LOST_TAIL_NS", 0)
    assert go_on() == ([Start, EventList, Gap, End], 1)


def test_another_runner_goes_on_with_the_stream(tmp_path):
    notes = Notes(tmp_path / "detect.open")
    stages = [Receive(CONFIG), Correct(CONFIG, maps()), Reconstruct(CONFIG)]

    runner = Runner("detect", Listed(), stages, Kept(), None, notes)
    for message in (START, *FRAMES[:4]):
        runner._take(message, 1)
    runner._note()  # and then it is killed
    stages = [Receive(CONFIG), Correct(CONFIG, maps()), Reconstruct(CONFIG)]
    again = [*FRAMES[4:], End(stream="test", frames=12)]
    _, sink = run(*again, stages=stages)  # without notes: nobody knows the stream
    assert not [m for m in sink.messages if isinstance(m, EventList)]
    sink, stages = Kept(), [Receive(CONFIG), Correct(CONFIG, maps()), Reconstruct(CONFIG)]
    Runner("detect", Listed(*again), stages, sink, None, notes).run(bool, 1e9, True)
    assert [m.sequence for m in sink.messages if isinstance(m, EventList)] == [1, 2]
    assert not [m for m in sink.messages if isinstance(m, Gap)]
    assert isinstance(sink.messages[0], Start)
