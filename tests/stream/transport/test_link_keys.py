"""With keys only those who have one get in; the others are counted, told, and cost nothing."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zmq

from stream.errors import LinkError
from stream.messages import End
from stream.transport.keys import Keys, create_keys, daemon_keys, peer_keys
from stream.transport.link import Pull, Push
from stream.transport.wire import Limits, encode

WAIT_S = 10.0  # long enough for any machine; nothing waits so long when all is well
SOON_S = 0.1
ANY = "tcp://127.0.0.1:*"
END = End(stream="s", frames=1)
OpenLink = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made") / "keys"
    create_keys(made, ["camera"])
    return made


@pytest.fixture
def daemon(folder: Path) -> Keys:
    return daemon_keys(folder, inside=False)


@pytest.fixture
def camera(folder: Path) -> Keys:
    return peer_keys(folder, "camera")


@pytest.fixture
def pull(daemon: Keys, opened: OpenLink) -> Pull:
    link: Pull = opened(Pull, ANY, bind=True, keys=daemon)
    return link


def strangers(camera: Keys) -> dict[str, Keys | None]:
    """Return those who must not come in: a key that is not allowed, another daemon's key, no keys."""
    public, secret = zmq.curve_keypair()
    return {
        "key": replace(camera, public=public, secret=secret),
        "daemon": replace(camera, daemon=public),
        "none": None,
    }


def wait_until_refused(pull: Pull, count: int = 1) -> None:
    end = time.monotonic() + WAIT_S
    while pull.counters["refused_peers"] < count:
        assert pull.receive(SOON_S) is None
        assert time.monotonic() < end


@pytest.fixture(params=["key", "daemon", "none"])
def stranger(request: pytest.FixtureRequest, camera: Keys) -> Keys | None:
    return strangers(camera)[request.param]


def test_a_peer_gets_in(pull: Pull, camera: Keys, opened: OpenLink) -> None:
    push = opened(Push, pull.url, bind=False, keys=camera)
    assert push.send(END, WAIT_S)
    assert pull.receive(WAIT_S) == END
    push.close(WAIT_S)
    assert pull.counters == {"messages": 1}


def test_a_peer_may_bind(url: str, daemon: Keys, camera: Keys, opened: OpenLink) -> None:
    push, pull = opened(Push, url, bind=True, keys=camera), opened(Pull, url, bind=False, keys=daemon)
    assert push.send(END, WAIT_S)
    assert pull.receive(WAIT_S) == END


def test_the_daemon_gets_in_between_its_processes_and_no_peer(folder: Path, camera: Keys, opened: OpenLink) -> None:
    keys = daemon_keys(folder, inside=True)
    pull = opened(Pull, ANY, bind=True, keys=keys)
    opened(Push, pull.url, bind=False, keys=camera).send(END, 0)
    wait_until_refused(pull)
    assert opened(Push, pull.url, bind=False, keys=keys).send(replace(END, frames=2), WAIT_S)
    assert pull.receive(WAIT_S) == replace(END, frames=2)


def test_a_stranger_is_refused_and_counted(pull: Pull, camera: Keys, stranger: Keys | None, opened: OpenLink) -> None:
    opened(Push, pull.url, bind=False, keys=stranger).send(END, 0)
    wait_until_refused(pull)
    assert opened(Push, pull.url, bind=False, keys=camera).send(replace(END, frames=2), WAIT_S)
    assert pull.receive(WAIT_S) == replace(END, frames=2)
    assert pull.counters["messages"] == 1
    assert set(pull.counters) == {"messages", "refused_peers"}


def test_a_stranger_is_told(pull: Pull, stranger: Keys | None, opened: OpenLink) -> None:
    push = opened(Push, pull.url, queue=1, bind=False, keys=stranger)
    with pytest.raises(LinkError, match="refused by the reader: wrong keys, or none"):
        all(push.send(END, SOON_S) is not None for _ in range(100))


def test_what_a_stranger_sent_is_not_lost_in_silence(pull: Pull, stranger: Keys | None) -> None:
    push = Push(pull.url, queue=10, bind=False, keys=stranger)
    assert push.send(END, 0)
    with pytest.raises(LinkError, match="refused by the reader"):
        push.close(1.0)


def test_keys_are_refused_by_a_reader_that_has_none(camera: Keys, opened: OpenLink) -> None:
    pull = opened(Pull, ANY, bind=True)
    push = Push(pull.url, queue=10, bind=False, keys=camera)
    assert push.send(END, 0)
    with pytest.raises(LinkError, match="refused by the reader"):
        push.close(1.0)
    assert pull.receive(0) is None


def test_a_flood_of_strangers_does_not_keep_a_peer_out(pull: Pull, camera: Keys, opened: OpenLink) -> None:
    address = ("127.0.0.1", int(pull.url.rpartition(":")[2]))
    for _ in range(3000):  # more than the queue of ZeroMQ's events holds, and nobody receives
        with socket.create_connection(address) as stranger:
            stranger.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48))
    push = opened(Push, pull.url, bind=False, keys=camera)
    assert push.send(END, WAIT_S)
    assert pull.receive(WAIT_S) == END
    wait_until_refused(pull, 3000)


def test_parts_at_the_limit_pass_and_larger_ones_do_not(daemon: Keys, camera: Keys, opened: OpenLink) -> None:
    limits = Limits(max_rows=64, max_columns=512, max_events=1, max_tracks=1, max_bad_pixels=1, max_table_bytes=1)
    pull = opened(Pull, ANY, bind=True, limits=replace(limits, max_windows=1), keys=daemon)
    size = replace(limits, max_windows=1).max_part_bytes
    with sender(pull.url, camera) as raw:
        raw.send_multipart([b"", bytes(size)])
        end = time.monotonic() + WAIT_S
        while not pull.counters["bad_header"]:
            assert pull.receive(SOON_S) is None
            assert time.monotonic() < end
        raw.send_multipart([b"", bytes(size + 1)])
        raw.send_multipart(encode(END))
        pull.receive(5 * SOON_S)
    assert pull.counters["bad_header"] == 1


def test_no_memory_is_taken_for_a_stranger_beyond_the_limit(daemon: Keys, opened: OpenLink) -> None:
    pull = opened(Pull, ANY, bind=True, limits=Limits.of_frames(1), keys=daemon)
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE" + bytes(47)
    with socket.create_connection(("127.0.0.1", int(pull.url.rpartition(":")[2]))) as stranger:
        stranger.settimeout(WAIT_S)
        stranger.sendall(greeting + b"\x06" + (200 << 20).to_bytes(8, "big"))  # the length of a command to come
        with contextlib.suppress(ConnectionResetError):
            while stranger.recv(4096):  # raises TimeoutError if it stays open
                pass


@contextlib.contextmanager
def sender(url: str, keys: Keys) -> Iterator[Any]:
    """Open a socket with keys that knows nothing of messages."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.CURVE_SERVERKEY, keys.daemon)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
        socket.connect(url)
        yield socket


@pytest.mark.parametrize("bind", [True, False])
@pytest.mark.parametrize(
    "address",
    ["tcp://0.0.0.0:*", "tcp://*:5570", "tcp://10.0.0.1:5570", "tcp://camera:5570", "tcp://127.0.0.1:0;10.0.0.1:5570"],
)
def test_beyond_this_machine_only_with_keys(address: str, bind: bool) -> None:
    for kind in (Push, Pull):
        with pytest.raises(LinkError, match=r"or keys \(see `raysieve keys`\)") as caught:
            kind(address, queue=1, bind=bind)
        assert "\n" not in str(caught.value)


def test_with_keys_it_may_listen_to_all(daemon: Keys, camera: Keys, opened: OpenLink) -> None:
    pull = opened(Pull, "tcp://0.0.0.0:*", bind=True, keys=daemon)
    assert opened(Push, pull.url, bind=False, keys=camera).send(END, WAIT_S)
    assert pull.receive(WAIT_S) == END


def test_a_second_reader_of_an_address_leaves_no_door_open(pull: Pull, daemon: Keys, camera: Keys) -> None:
    with pytest.raises(LinkError, match="cannot listen here"):
        Pull(pull.url, queue=1, bind=True, keys=daemon)
    with Push(pull.url, queue=1, bind=False, keys=camera) as push:
        assert push.send(END, WAIT_S)
        assert pull.receive(WAIT_S) == END


def test_closing_waits_for_nobody(daemon: Keys, camera: Keys, stranger: Keys | None) -> None:
    for keys in (camera, stranger):
        pull = Pull(ANY, queue=10, bind=True, keys=daemon)
        push = Push(pull.url, queue=10, bind=False, keys=keys)
        push.send(END, 0)
        began = time.monotonic()
        pull.close()
        push.close(0)
        assert time.monotonic() - began < WAIT_S / 2


def test_a_reader_that_nobody_closes_does_not_hold_up_its_process(folder: Path) -> None:
    code = f"""
from pathlib import Path
from stream.transport.keys import daemon_keys
from stream.transport.link import Pull
pull = Pull("{ANY}", queue=1, bind=True, keys=daemon_keys(Path("{folder}"), inside=False))
print(pull.receive(0))
"""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("None\n", "")
