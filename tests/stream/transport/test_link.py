"""What a link accepts arrives, in order and once, whoever comes first and whatever else comes along."""

import gc
import itertools
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from stream.errors import LinkError, WireError
from stream.messages import End, Frame, Message
from stream.transport import quarantine
from stream.transport.link import Pull, Push
from stream.transport.wire import Limits, encode
from tests.stream.transport.hostile_wire import CORPUS, GOOD

WAIT_S = 10.0  # long enough for any machine; nothing waits so long when all is well
SOON_S = 0.1
SIDE = 256  # pixels of a frame that is sent without a copy

OpenLink = Callable[..., Any]


def frame(sequence: int, side: int = SIDE) -> Frame:
    """Return a frame whose pixels all depend on its number."""
    pixels = (np.arange(side * side) + 7 * sequence).astype("<u2").reshape(side, side)
    return Frame(stream="s", sequence=sequence, time_ns=sequence, quadrant=0, pixels=pixels)


def check(message: Message | None, sequence: int, side: int = SIDE) -> None:
    assert isinstance(message, Frame)
    assert message.sequence == sequence
    assert np.array_equal(message.pixels, frame(sequence, side).pixels)


def numbers(pull: Pull, count: int) -> list[int]:
    """Return the numbers of the next frames, whose pixels must be right."""
    found = []
    for _ in range(count):
        message = pull.receive(WAIT_S)
        assert isinstance(message, Frame)
        check(message, message.sequence, len(message.pixels))
        found.append(message.sequence)
    return found


def wait_for_bad(pull: Pull, count: int) -> None:
    """Receive until so many bad messages, and nothing else, have come."""
    end = time.monotonic() + WAIT_S
    while sum(n for key, n in pull.counters.items() if key.startswith("bad_")) < count:
        assert pull.receive(SOON_S) is None
        assert time.monotonic() < end


@pytest.mark.parametrize("push_binds", [True, False])
def test_every_kind_of_message_arrives_in_order(url: str, push_binds: bool, opened: OpenLink) -> None:
    first, second = (Push, Pull) if push_binds else (Pull, Push)
    ends = {kind: opened(kind, url, bind=kind is first) for kind in (first, second)}
    for message in GOOD.values():
        assert ends[Push].send(message, WAIT_S)
    for message in GOOD.values():
        received = ends[Pull].receive(WAIT_S)
        assert type(received) is type(message)
        assert [bytes(part) for part in encode(received)] == [bytes(part) for part in encode(message)]
    assert ends[Push].counters == ends[Pull].counters == {"messages": len(GOOD)}


def test_the_sender_may_come_first_and_connect(url: str, opened: OpenLink) -> None:
    push = opened(Push, url, bind=False)
    assert all(push.send(frame(k), 0) for k in range(5))
    assert numbers(opened(Pull, url, bind=True), 5) == list(range(5))


def test_the_sender_may_come_first_and_bind(url: str, opened: OpenLink) -> None:
    push = opened(Push, url, bind=True)
    assert not push.send(frame(0), SOON_S)  # there is nobody to take it
    pull = opened(Pull, url, bind=False)
    assert push.send(frame(1), WAIT_S)
    assert numbers(pull, 1) == [1]


@pytest.mark.parametrize("push_binds", [True, False])
def test_the_reader_may_come_first(url: str, push_binds: bool, opened: OpenLink) -> None:
    pull = opened(Pull, url, bind=not push_binds)
    assert pull.receive(SOON_S) is None
    push = opened(Push, url, bind=push_binds)
    assert push.send(frame(3), WAIT_S)
    assert numbers(pull, 1) == [3]


def test_a_sender_that_comes_again_is_heard(url: str, opened: OpenLink) -> None:
    pull = opened(Pull, url, bind=True)
    for k in range(3):
        with Push(url, queue=10, bind=False) as push:
            assert push.send(frame(k), WAIT_S)
        assert numbers(pull, 1) == [k]


def test_a_reader_that_comes_again_gets_what_waits(url: str, opened: OpenLink) -> None:
    push = opened(Push, url, bind=False)
    with Pull(url, queue=10, bind=True) as pull:
        assert push.send(frame(0), WAIT_S)
        assert numbers(pull, 1) == [0]
    time.sleep(SOON_S)  # the sender notices; what it had handed to a dead reader would be lost
    assert push.send(frame(1), WAIT_S)
    assert numbers(opened(Pull, url, bind=True), 1) == [1]


def test_a_full_queue_refuses_and_loses_nothing(url: str, opened: OpenLink) -> None:
    push = opened(Push, url, queue=3, bind=False)
    assert [push.send(frame(k), 0) for k in range(5)] == [True, True, True, False, False]
    began = time.monotonic()
    assert not push.send(frame(5), SOON_S)
    assert time.monotonic() - began >= SOON_S * 0.9
    assert push.counters == {"messages": 3, "full": 3}
    pull = opened(Pull, url, bind=True)
    assert numbers(pull, 3) == [0, 1, 2]
    assert push.send(frame(6), WAIT_S)
    assert numbers(pull, 1) == [6]
    assert pull.receive(SOON_S) is None


def test_the_queues_of_both_ends_are_bounded(url: str, opened: OpenLink) -> None:
    pull = opened(Pull, url, queue=4, bind=True)
    push = opened(Push, url, queue=4, bind=False)
    frames = (frame(k, 1024) for k in itertools.count())  # 2 MB: more than the system buffers for a connection
    results = (push.send(message, SOON_S) for message in itertools.islice(frames, 100))
    accepted = list(itertools.takewhile(bool, results))
    assert 8 <= len(accepted) <= 16
    assert numbers(pull, len(accepted)) == list(range(len(accepted)))
    assert pull.receive(SOON_S) is None


def test_closing_hands_over_what_was_accepted(url: str, opened: OpenLink) -> None:
    pull = opened(Pull, url, queue=2, bind=True)
    push = opened(Push, url, queue=30, bind=False)
    assert all(push.send(frame(k, 512), WAIT_S) for k in range(30))
    closing = threading.Thread(target=push.close, args=(WAIT_S,))
    closing.start()
    assert numbers(pull, 30) == list(range(30))
    closing.join()
    assert pull.receive(SOON_S) is None


def test_closing_waits_for_what_a_busy_reader_has_not_read(url: str, opened: OpenLink) -> None:
    pull = opened(Pull, url, queue=2, bind=True)
    push = opened(Push, url, queue=2000, bind=False)
    assert all(push.send(End(stream="s", frames=k), WAIT_S) for k in range(2000))
    closing = threading.Thread(target=push.close, args=(WAIT_S,))
    closing.start()
    closing.join(SOON_S)  # all of it is small enough to be in the hands of the system now
    received = []
    while (message := pull.receive(SOON_S)) is not None:
        time.sleep(0.0002)
        received.append(message.frames)
    closing.join()
    assert received == list(range(2000))


@pytest.mark.parametrize("bind", [True, False])
def test_closing_without_a_reader_does_not_wait(url: str, bind: bool) -> None:
    push = Push(url, queue=3, bind=bind)
    began = time.monotonic()
    push.close(WAIT_S)
    assert time.monotonic() - began < WAIT_S


def test_closing_gives_up_and_says_so(url: str) -> None:
    push = Push(url, queue=3, bind=False)
    assert push.send(frame(0), 0)
    with pytest.raises(LinkError, match=r"did not take all that was sent within 0\.1 s"):
        push.close(SOON_S)
    push.close()


def test_a_closed_link_is_a_link_error(ipc: str, opened: OpenLink) -> None:
    pull, push = opened(Pull, ipc, bind=True), opened(Push, ipc, bind=False)
    for link in (pull, push):
        link.close()
        link.close()
    with pytest.raises(LinkError, match=r"frames\.sock: closed"):
        push.send(GOOD["end"], 0)
    with pytest.raises(LinkError, match=r"frames\.sock: closed"):
        pull.receive(0)


def test_held_arrays_keep_their_memory(url: str, opened: OpenLink) -> None:
    pull, push = opened(Pull, url, bind=True), opened(Push, url, bind=False)
    held = []
    for k in range(60):
        push.send(frame(k), WAIT_S)
        message = pull.receive(WAIT_S)
        assert isinstance(message, Frame)
        held.append(message.pixels)
        del message
    pull.close()
    gc.collect()
    assert all(np.array_equal(pixels, frame(k).pixels) for k, pixels in enumerate(held))
    assert not any(pixels.flags.writeable or pixels.flags.owndata for pixels in held)
    assert isinstance(held[0].base, zmq.Frame)


def test_large_arrays_are_sent_without_a_copy(ipc: str, opened: OpenLink) -> None:
    push = opened(Push, ipc, bind=False)
    message = frame(0)
    assert push.send(message, 0)
    message.pixels[0, 0] = 9999  # forbidden, and therefore seen by the reader
    received = opened(Pull, ipc, bind=True).receive(WAIT_S)
    assert received.pixels[0, 0] == 9999


def test_garbage_between_good_frames_is_counted_and_skipped(ipc: str, raw: Any, opened: OpenLink) -> None:
    pull = opened(Pull, ipc, bind=True)
    for k, hostile in enumerate(CORPUS):
        raw(hostile.parts or [b""])
        raw(encode(frame(k, 8)))
        assert numbers(pull, 1) == [k]
    expected = Counter(f"bad_{hostile.fault}" for hostile in CORPUS if hostile.parts)
    expected["bad_header"] += 1  # ZeroMQ cannot send no parts: the empty one stands for them
    assert pull.counters == expected | {"messages": len(CORPUS)}


def test_garbage_of_another_sender_does_not_touch_good_frames(ipc: str, raw: Any, opened: OpenLink) -> None:
    pull, push = opened(Pull, ipc, bind=True), opened(Push, ipc, bind=False)
    for k, hostile in enumerate(CORPUS):
        raw(hostile.parts or [b""])
        assert push.send(frame(k), WAIT_S)
        assert numbers(pull, 1) == [k]
    wait_for_bad(pull, len(CORPUS))


def test_garbage_alone_does_not_hold_receive_longer_than_asked(ipc: str, raw: Any, opened: OpenLink) -> None:
    pull = opened(Pull, ipc, bind=True)
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            raw([b"garbage"])

    flooding = threading.Thread(target=flood)
    flooding.start()
    wait_for_bad(pull, 1)
    stop.set()
    while flooding.is_alive():
        pull.receive(SOON_S)


def test_bytes_that_are_not_zeromq_do_no_harm(opened: OpenLink) -> None:
    pull = opened(Pull, "tcp://127.0.0.1:*", bind=True)
    address = ("127.0.0.1", int(pull.url.rpartition(":")[2]))
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"\xff" * 100, b""):
        with socket.create_connection(address) as peer:
            peer.sendall(garbage)
    push = opened(Push, pull.url, bind=False)
    assert push.send(frame(1), WAIT_S)
    assert numbers(pull, 1) == [1]
    assert set(pull.counters) <= {"messages", "bad_header"}  # some of it reads as a message of an early ZeroMQ


def test_parts_above_the_limit_are_not_read(ipc: str, raw: Any, opened: OpenLink) -> None:
    limits = Limits(max_rows=SIDE, max_columns=SIDE, max_events=1, max_tracks=1, max_bad_pixels=1, max_table_bytes=1)
    pull, push = opened(Pull, ipc, bind=True, limits=limits), opened(Push, ipc, bind=False)
    raw([b"x", bytes(limits.max_part_bytes + 1)])
    assert push.send(frame(1), WAIT_S)
    assert numbers(pull, 1) == [1]
    raw([b"", bytes(limits.max_part_bytes)])
    wait_for_bad(pull, 1)
    assert pull.counters == {"messages": 1, "bad_header": 1}


def test_messages_of_very_many_parts_are_one_fault(ipc: str, raw: Any, opened: OpenLink) -> None:
    pull = opened(Pull, ipc, bind=True)
    raw([*encode(frame(0)), *[b"x"] * 20_000])
    raw(encode(frame(1)))
    assert numbers(pull, 1) == [1]
    assert pull.counters == {"messages": 1, "bad_parts": 1}


def test_a_message_that_cannot_be_encoded_leaves_the_link_whole(ipc: str, opened: OpenLink) -> None:
    pull, push = opened(Pull, ipc, bind=True), opened(Push, ipc, bind=False)
    with pytest.raises(WireError, match="frames: expected an integer"):
        push.send(End(stream="s", frames=-2), WAIT_S)
    with pytest.raises(TypeError):
        push.send(replace(frame(0), pixels=np.zeros((2, 2))), WAIT_S)
    assert push.send(frame(1), WAIT_S)
    assert numbers(pull, 1) == [1]


def test_the_first_bad_messages_are_kept(ipc: str, raw: Any, opened: OpenLink, tmp_path: Path) -> None:
    folder = tmp_path / "quarantine"
    pull = opened(Pull, ipc, bind=True, quarantine=folder)
    for k in range(20):
        raw([b"garbage %d" % k, bytes(100_000)])
    raw(encode(frame(1)))
    assert numbers(pull, 1) == [1]
    assert pull.counters == {"messages": 1, "bad_header": 20}
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"header-{n}.txt" for n in range(quarantine.MAX_SAMPLES)]
    text = (folder / "header-0.txt").read_text()
    assert text.startswith("header: expected one MessagePack map")
    assert b"garbage 0".hex() in text
    assert len(text) < 3 * quarantine.MAX_SAMPLE_BYTES


def test_a_new_run_keeps_the_samples_of_the_last(ipc: str, raw: Any, opened: OpenLink, tmp_path: Path) -> None:
    for run in (0, 1, 2):
        with Pull(ipc, queue=5, bind=True, quarantine=tmp_path / "q") as pull:
            raw([b"run %d" % run])
            wait_for_bad(pull, 1)
        time.sleep(SOON_S)  # until the sender has noticed
    samples = sorted((tmp_path / "q").iterdir())
    assert [bytes.fromhex(path.read_text().split("\n")[2]) for path in samples] == [b"run 0", b"run 1", b"run 2"]


def test_samples_that_cannot_be_kept_do_not_stop_the_stream(
    ipc: str, raw: Any, opened: OpenLink, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    pull = opened(Pull, ipc, bind=True, quarantine=tmp_path / "file")
    raw([b"garbage"])
    raw(encode(frame(1)))
    assert numbers(pull, 1) == [1]
    assert pull.counters == {"messages": 1, "bad_header": 1, "bad_not_kept": 1}
