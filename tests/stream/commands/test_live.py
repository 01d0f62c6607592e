import time
from threading import Thread

import numpy as np
import pytest

from stream.clock import now_ns
from stream.commands.feed import _paced, feed, push_to, say, speed_of
from stream.commands.live import _looped
from stream.errors import ConfigError, LinkError
from stream.messages import End, Frame, Start
from stream.transport.link import Pull
from stream.transport.recording import Recording, RecordingWriter
from tests.stream.stages.streams import START, frame


@pytest.fixture
def recording(tmp_path):
    with RecordingWriter(tmp_path / "r.h5", START) as writer:
        for n in range(3):
            for q in range(4):
                writer.write(frame(n, q))
    with Recording(tmp_path / "r.h5") as made:
        yield made


def test_a_loop_is_one_stream_whose_numbers_and_times_go_on(recording):
    messages = list(_looped(recording, 3))
    frames = [m for m in messages if isinstance(m, Frame)]
    assert [type(m) for m in messages].count(Start) == 1
    assert messages[-1] == End(stream="test", frames=36)
    assert [m.sequence for m in frames] == list(np.repeat(np.arange(9), 4))
    assert [m.time_ns for m in frames] == [m.sequence * 5_000_000 for m in frames]


@pytest.mark.parametrize(("text", "speed"), [("live", 1.0), ("max", 0.0), ("2", 2.0), ("0.5", 0.5)])
def test_rates(text, speed):
    assert speed_of(text) == speed


@pytest.mark.parametrize("text", ["", "fast", "0", "-1", "inf", "nan"])
def test_wrong_rates_are_refused(text):
    with pytest.raises(ConfigError, match="expected live, max or a positive number"):
        speed_of(text)


def test_frames_are_stamped_when_they_are_due(recording):
    stamps = [m.trace[0] for m in _paced(_looped(recording, 1), 1.0) if isinstance(m, Frame)]
    assert stamps == sorted(stamps)
    assert stamps[-1] - stamps[0] >= 2 * 5_000_000  # never early; how late is the machine's business


def slowly(messages):
    """Give each message later than the camera would."""
    for message in messages:
        time.sleep(0.03)
        yield message


def test_late_frames_are_counted(recording, tmp_path, capsys):
    with Pull(f"ipc://{tmp_path}/s", queue=64, bind=True) as reader:
        account = feed(slowly(_looped(recording, 1)), push_to(reader.url), 1.0, 12, 10.0)
        hasty = feed(slowly(_looped(recording, 1)), push_to(reader.url), 0.0, 12, 10.0)
    assert account["frames"] == hasty["frames"] == 12
    assert account["late"] >= 11  # all but the first, by which the others are timed
    assert (hasty["late"], hasty["latest_s"]) == (0, 0)  # nothing is late where no time was set
    assert account["latest_s"] > 0.02
    say(account | {"latest_s": 0.9}, as_json=False)
    told = capsys.readouterr().out
    assert f"; {account['late']} more than 20 ms late" in told
    assert "behind" not in told
    say(account | {"latest_s": 14.42}, as_json=False)
    assert "fell behind by 14.4 s" in capsys.readouterr().out


def test_the_clock_of_a_camera_starts_when_its_reader_has_come(recording, tmp_path):
    url, given = f"ipc://{tmp_path}/s", {}
    sender = Thread(target=lambda: given.update(feed(_looped(recording, 1), push_to(url), 1.0, 12, 30.0)))
    sender.start()
    time.sleep(1)
    came = now_ns()
    with Pull(url, queue=64, bind=True) as reader:
        sender.join()
        messages = [reader.receive(1.0) for _ in range(14)]
    stamps = [message.trace[0] for message in messages if isinstance(message, Frame)]
    assert given["frames"] == len(stamps) == 12
    assert min(stamps) >= came


def test_without_a_reader_nothing_is_sent(recording, tmp_path):
    with pytest.raises(LinkError, match="nothing was sent"):
        feed(_looped(recording, 1), push_to(f"ipc://{tmp_path}/s"), 1.0, 12, 0.1)
