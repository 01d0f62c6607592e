from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from config.schema import Receive as Section
from stream.messages import End, Frame, Gap
from stream.stages.receive import Receive
from stream.transport.shed import Shed
from tests.stream.stages.streams import CONFIG, START, frame, push

SMALL = np.zeros((CONFIG.detector.rows, CONFIG.detector.columns), np.uint16)


class Bursts:
    """A source that gives so many messages at a time, then nothing for once."""

    def __init__(self, messages, sizes):
        self.counters, self.queue = Counter(), 8
        self._messages, self._sizes = list(messages), list(sizes)
        self._left = 0

    def receive(self, timeout_s):
        if self._left == 0:
            self._left = self._sizes.pop(0) if self._sizes else len(self._messages) + 1
            if timeout_s == 0:
                return None
        self._left -= 1
        return self._messages.pop(0) if self._messages else None


def all_of(source):
    return list(iter(lambda: source.receive(1.0), None))


def test_what_can_be_taken_passes_as_it_is():
    sent = [START, *(frame(n, q, pixels=SMALL) for n in range(5) for q in range(4)), End(stream="test")]
    source = Shed(Bursts(sent, [1] * 30), most=8)
    assert all_of(source) == sent
    assert not source.counters["shed"]


def test_the_oldest_read_outs_are_shed_whole():
    sent = [frame(n, q, pixels=SMALL) for n in range(10) for q in range(4)]
    source = Shed(Bursts(sent, [1000]), most=10)
    found = all_of(source)
    assert [(m.sequence, m.quadrant) for m in found] == [(m.sequence, m.quadrant) for m in sent]
    kept = [m.sequence for m in found if m.pixels.size]
    assert kept == [8] * 4 + [9] * 4
    assert source.counters["shed"] == 32


@given(st.lists(st.integers(1, 60), max_size=20), st.integers(4, 40))
def test_every_frame_that_was_sent_is_given_or_a_gap(sizes, most):
    sent = [frame(n, q, pixels=SMALL) for n in range(30) for q in range(4)]
    source = Shed(Bursts(sent, sizes), most)
    stage = Receive(CONFIG.model_copy(update={"receive": Section(reorder_window_frames=4)}))
    out = push(stage, START, *all_of(source), End(stream="test", frames=120))
    given_ = [(m.sequence, m.quadrant) for m in out if isinstance(m, Frame)]
    gaps = [(n, m.quadrant, m.reason) for m in out if isinstance(m, Gap) for n in range(m.first, m.last + 1)]
    assert sorted(given_ + [g[:2] for g in gaps]) == [(n, q) for n in range(30) for q in range(4)]
    assert {g[2] for g in gaps} <= {"shed"}
    assert len(gaps) == stage.counters["shed"] == source.counters["shed"]
    by_number = Counter(n for n, _ in given_)
    assert set(by_number.values()) <= {4}  # whole read-outs only
