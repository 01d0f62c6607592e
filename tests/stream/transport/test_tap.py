"""Who looks on gets the newest, and nobody waits for him."""

import time
from dataclasses import replace

import numpy as np
import pytest

from stream.errors import LinkError
from stream.messages import EVENT, End, EventList, Gap, Start
from stream.transport.keys import create_keys, daemon_keys
from stream.transport.tap import ASK_PASSED, GLANCE, HELD, ONLOOKERS, PASSED, Onlooker, Tap
from tests.stream.stages.streams import START


@pytest.fixture
def url(tmp_path):
    return f"ipc://{tmp_path}/tap.sock"


def read_out(n, events=()):
    rows = np.zeros(len(events), EVENT)
    rows["frame"] = events
    return EventList(stream="test", sequence=n, time_ns=n, events=rows)


def asking(tap, url):
    """Return an onlooker whose question the tap has."""
    onlooker = Onlooker(url, queue=4)
    asked(tap, onlooker)
    return onlooker


def asked(tap, onlooker):
    deadline = time.monotonic() + 30
    assert onlooker.receive(0) is None
    while not tap._socket.poll(10):
        assert time.monotonic() < deadline


def test_who_comes_late_is_told_of_the_open_stream_once(url):
    with Tap(url, queue=4) as tap:
        tap.offer(START)
        tap.offer(read_out(0))
        assert tap.counters["told"] == 0
        with asking(tap, url) as onlooker:
            tap.offer(read_out(1))
            tap.offer(read_out(2))  # nobody has asked for it
            assert isinstance(onlooker.receive(30), Start)
            assert onlooker.receive(30).sequence == 1
            asked(tap, onlooker)
            tap.offer(Gap(stream="test", first=3, last=4, quadrant=0, reason="lost"))
            tap.offer(read_out(5))
            assert onlooker.receive(30).sequence == 5
            asked(tap, onlooker)
            tap.offer(End(stream="test", frames=8))
            assert isinstance(onlooker.receive(30), End)


def test_however_slow_he_is_he_sees_what_passes_when_he_asks(url):
    with Tap(url, queue=4) as tap, asking(tap, url) as onlooker:
        for n in range(1000):
            tap.offer(read_out(n))
        assert onlooker.receive(30).sequence == 0
        asked(tap, onlooker)
        tap.offer(read_out(1000))
        assert onlooker.receive(30).sequence == 1000
        assert tap.counters["told"] == 2


def test_one_that_has_asked_and_gone_keeps_nobody_waiting(url):
    with Tap(url, queue=4) as tap:
        for _ in range(3):
            asking(tap, url).close()
        for n in range(100):
            tap.offer(read_out(n))
        with asking(tap, url) as onlooker:
            tap.offer(read_out(100))
            assert onlooker.receive(30).sequence == 100


def test_a_question_that_died_with_its_daemon_is_asked_again(url, monkeypatch):
    monkeypatch.setattr("stream.transport.tap.AGAIN_S", 0.05)
    with Tap(url, queue=4) as tap:
        onlooker = asking(tap, url)
    with Tap(url, queue=4) as tap, onlooker:
        deadline, message = time.monotonic() + 30, None
        while message is None:
            tap.offer(read_out(7))
            message = onlooker.receive(0.05)
            assert time.monotonic() < deadline
        assert message.sequence == 7


def test_who_asks_without_end_does_not_hold_up_the_stream(url):
    with Tap(url, queue=4) as tap, asking(tap, url) as onlooker:
        endless = iter(range(100_000))

        class Flooded:
            """A socket that always has one more question."""

            def poll(self, timeout):
                next(endless)
                return 1

            def recv_multipart(self):
                return [b"nobody", b"next"]

            def send_multipart(self, *_, **__):
                pass

        own, tap._socket = tap._socket, Flooded()
        tap.offer(read_out(0))
        tap._socket = own
        assert next(endless) == ONLOOKERS
        tap.offer(read_out(1))
        assert onlooker.receive(30).sequence == 1


def test_with_keys_nobody_else_is_told(tmp_path):
    create_keys(tmp_path / "keys", ["camera"])
    keys = daemon_keys(tmp_path / "keys", inside=True)
    with Tap("tcp://127.0.0.1:*", queue=4, keys=keys) as tap:
        with Onlooker(tap.url, queue=4) as stranger, Onlooker(tap.url, queue=4, keys=keys) as own:
            assert stranger.receive(0) is None
            asked(tap, own)
            deadline = time.monotonic() + 30
            while not tap.counters["refused_peers"]:
                time.sleep(0.01)
                assert time.monotonic() < deadline
            tap.offer(read_out(0))
            assert own.receive(30).sequence == 0
            assert stranger.receive(0.3) is None
        assert tap.counters["told"] == 1


def test_garbage_is_counted(url):
    with Tap(url, queue=4) as tap, asking(tap, url) as onlooker:
        who = tap._socket.recv_multipart()[0]
        tap._socket.send_multipart([who, b"nonsense"])
        assert onlooker.receive(30) is None
        assert sum(n for name, n in onlooker.counters.items() if name.startswith("bad_")) == 1


def test_a_name_that_is_taken_is_one_line(tmp_path):
    (tmp_path / "tap.sock").write_text("a file of the user")
    with pytest.raises(LinkError, match="cannot listen here: there is a file of this name"):
        Tap(f"ipc://{tmp_path}/tap.sock", queue=4)


def passing(tap, onlooker, numbers):
    """Let read-outs pass, and return the product that the onlooker is told of them."""
    asked(tap, onlooker)
    for n in numbers:
        tap.offer(read_out(n, events=[n, n]))
    found = onlooker.receive(30)
    return onlooker.receive(30) if isinstance(found, Start) else found


def test_who_asks_for_all_that_has_passed_is_told_of_it_in_one_product(url):
    with Tap(url, queue=4) as tap, Onlooker(url, queue=4, ask=ASK_PASSED) as onlooker:
        tap.offer(START)
        tap.offer(read_out(0))  # before he asked
        first = passing(tap, onlooker, [1])
        assert (first.kind, first.header["FIRST"], first.header["LAST"]) == (PASSED, 1, 1)
        for n in (2, 3, 4):
            tap.offer(read_out(n, events=[n, n]))
        second = passing(tap, onlooker, [5])
        assert second.tables["EVENTS"]["frame"].tolist() == [2, 2, 3, 3, 4, 4, 5, 5]
        assert second.tables["EVENTS"].dtype == GLANCE
        assert (second.header["FIRST"], second.header["LISTS"], second.header["MISSED"]) == (2, 4, 0)


def test_of_more_than_are_held_the_newest_are_told_and_the_others_counted(url):
    with Tap(url, queue=4) as tap, Onlooker(url, queue=4, ask=ASK_PASSED) as onlooker:
        tap.offer(START)
        passing(tap, onlooker, [0])
        for n in range(1, 2 * HELD):
            tap.offer(read_out(n))
        found = passing(tap, onlooker, [2 * HELD])
        assert (found.header["LISTS"], found.header["MISSED"]) == (HELD, HELD)
        assert found.header["LAST"] == 2 * HELD


def test_the_end_tells_what_was_left_and_a_new_stream_begins_anew(url):
    with Tap(url, queue=4) as tap, Onlooker(url, queue=4, ask=ASK_PASSED) as onlooker:
        tap.offer(START)
        passing(tap, onlooker, [0])
        tap.offer(read_out(1))
        asked(tap, onlooker)
        tap.offer(End(stream="test"))
        assert onlooker.receive(30).header["LISTS"] == 1
        assert isinstance(onlooker.receive(30), End)
        asked(tap, onlooker)
        tap.offer(End(stream="test"))  # nothing has passed
        assert isinstance(onlooker.receive(30), End)
        tap.offer(replace(START, run_id="another"))
        found = passing(tap, onlooker, [7])
        assert (found.header["FIRST"], found.header["LISTS"], found.header["MISSED"]) == (7, 1, 0)


def test_a_tap_that_nobody_asks_holds_nothing(url):
    with Tap(url, queue=4) as tap:
        for n in range(10):
            tap.offer(read_out(n))
        assert not tap._passed
