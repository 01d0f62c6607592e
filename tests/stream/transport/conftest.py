"""Links, and addresses for them."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import zmq

from stream.transport.link import Push

WAIT_S = 10.0  # long enough for any machine; nothing waits so long when all is well


@pytest.fixture
def opened() -> Iterator[Callable[..., Any]]:
    """Open links that are closed at the end of the test, whatever it did to them."""
    with ExitStack() as stack:

        def open_link(kind: Any, *args: Any, **options: Any) -> Any:
            link = kind(*args, **({"queue": 100} | options))
            stack.callback(link.close, *([0.0] if kind is Push else []))
            return link

        yield open_link


@pytest.fixture(params=["ipc", "tcp"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An address where nobody listens yet, good for both ends in any order."""
    if request.param == "ipc":
        return f"ipc://{tmp_path}/links/frames.sock"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def ipc(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/frames.sock"


@pytest.fixture
def raw(ipc: str) -> Iterator[Callable[[list[Any]], None]]:
    """Send any parts to `ipc` from a socket that knows nothing of messages."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as sender:
        sender.setsockopt(zmq.LINGER, 0)
        sender.setsockopt(zmq.SNDTIMEO, int(WAIT_S * 1000))
        sender.connect(ipc)
        yield sender.send_multipart
