"""Who asks for pixels is told of one whole read-out, and the stream goes by unchanged."""

import time

import numpy as np
import pytest

from stream.messages import CorrectedFrame, Start
from stream.stages.correct import Correct
from stream.transport import pixels
from stream.transport.pixels import PATIENCE, PixelTap, Shown
from stream.transport.tap import PIXELS, Onlooker
from tests.stream.stages.streams import CONFIG, START, maps, with_pixels

GAIN = START.gain_ev


@pytest.fixture
def tap(tmp_path, monkeypatch):
    monkeypatch.setattr(pixels, "HEAR_S", 0.0)
    with PixelTap(f"ipc://{tmp_path}/pixels.sock", queue=2) as made:
        yield made


@pytest.fixture
def onlooker(tap):
    with Onlooker(tap.url, queue=2) as made:
        yield made


def asked(tap, onlooker):
    deadline = time.monotonic() + 30
    assert onlooker.receive(0) is None
    while not tap._socket.poll(10):
        assert time.monotonic() < deadline


def corrected(stage, n, quadrants=range(4)):
    for q in quadrants:
        yield from stage.process(with_pixels(n, {(10 + q, 20 + n % 8): 1000}, q))


@pytest.fixture
def stage(tap):
    shown = Shown(Correct(CONFIG, maps()), tap)
    assert [type(message) for message in shown.process(START)] == [Start]
    return shown


def test_a_whole_read_out_is_told_in_ev_and_frames_pass_as_they_are(tap, onlooker, stage):
    asked(tap, onlooker)
    passed = [*corrected(stage, 1), *corrected(stage, 2)]
    assert all(isinstance(message, CorrectedFrame) for message in passed)
    found = onlooker.receive(30)
    assert (found.kind, found.sequence) == (PIXELS, 2)  # 1 had begun when he was heard
    rows = found.tables["QUADRANTS"]
    assert rows["ID"].tolist() == [0, 1, 2, 3]
    assert rows["X"].tolist() == [q.origin_x_px for q in START.quadrants]
    for row in rows:
        size = int(row["ROWS"] * row["COLUMNS"])
        frame = found.tables["PIXELS"]["EV"][row["FIRST"] :][:size].reshape(row["ROWS"], row["COLUMNS"])
        y, x = np.unravel_index(frame.argmax(), frame.shape)
        assert (int(x), int(y)) == (22, 10 + int(row["ID"]))
        assert abs(frame.max() - 1000 * GAIN) < 40 * GAIN  # noise: 7 ADU


def test_nobody_asks_and_nothing_is_told(tap, onlooker, stage):
    list(corrected(stage, 1))
    list(corrected(stage, 2))
    assert tap.counters["told"] == 0


def test_a_read_out_with_a_lost_quadrant_is_told_without_it(tap, onlooker, stage):
    asked(tap, onlooker)
    list(corrected(stage, 1))
    list(corrected(stage, 2, [0, 1, 3]))
    for n in range(3, 4 + PATIENCE):
        list(corrected(stage, n, [0]))
    found = onlooker.receive(30)
    assert found.tables["QUADRANTS"]["ID"].tolist() == [0, 1, 3]


def test_what_the_stage_tells_of_itself_is_told(tap):
    stage = Correct(CONFIG, maps())
    stage.about = {"maps": "test"}
    shown = Shown(stage, tap)
    assert (shown.name, shown.about) == ("correct", {"maps": "test"})
    assert not hasattr(shown, "place")
