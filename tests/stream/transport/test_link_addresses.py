"""What is in the way of a link is replaced if it is dead, left alone if it is not, and named in one line."""

import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stream.errors import LinkError
from stream.messages import End
from stream.transport.link import Pull, Push

WAIT_S = 10.0
END = End(stream="s", frames=1)
OpenLink = Callable[..., Any]


def test_the_folder_of_a_socket_is_for_the_user_alone(tmp_path: Path, opened: OpenLink) -> None:
    folder = tmp_path / "a" / "links"
    opened(Pull, f"ipc://{folder}/x.sock", bind=True)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_socket_left_behind_is_replaced(ipc: str, opened: OpenLink) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(ipc.removeprefix("ipc://"))
    assert Path(ipc.removeprefix("ipc://")).exists()
    pull, push = opened(Pull, ipc, bind=True), opened(Push, ipc, bind=False)
    assert push.send(END, WAIT_S)
    assert pull.receive(WAIT_S) == END


def test_a_file_in_the_way_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(LinkError, match=r"notes.txt: cannot listen here: .* not a socket"):
        Pull(f"ipc://{path}", queue=1, bind=True)
    assert path.read_text() == "mine"


def test_two_readers_of_one_address_are_a_link_error(url: str, opened: OpenLink) -> None:
    pull = opened(Pull, url, bind=True)
    with pytest.raises(LinkError) as caught:
        Pull(url, queue=1, bind=True)
    assert str(caught.value).startswith(f"{url}: cannot listen here: ")
    push = opened(Push, url, bind=False)
    assert push.send(END, WAIT_S)
    assert pull.receive(WAIT_S) == END


@pytest.mark.parametrize("bind", [True, False])
@pytest.mark.parametrize(
    "address", ["nowhere", "udp://127.0.0.1:1", "tcp://127.0.0.1:x", "ipc:///" + "x" * 200, "tcp://"]
)
def test_addresses_that_cannot_be_used_are_link_errors(address: str, bind: bool) -> None:
    with pytest.raises(LinkError) as caught:
        Push(address, queue=1, bind=bind)
    assert str(caught.value).startswith(f"{address}: cannot ")
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_a_link_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LinkError, match=r"x\.sock: cannot listen here"):
        Pull(f"ipc://{tmp_path}/file/x.sock", queue=1, bind=True)


def test_a_queue_without_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 message, got 0"):
        Push("tcp://127.0.0.1:*", queue=0, bind=True)
