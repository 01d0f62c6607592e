"""Looking on: what passes is told to whoever asks, the newest of it; who looks on is never waited for."""

from collections import deque

import zmq

from stream.messages import EventList, Message, Start
from stream.transport.link import Link
from stream.transport.wire import BadMessageError, decode, encode

MANY = (
    4096  # messages that an onlooker reads at once, more than the queues hold: a fast source must not keep it reading
)


class Tap(Link):
    """The telling end. Without an onlooker a message costs one poll; who is slow misses messages.

    counters: `told` messages. Raises LinkError naming the URL if it cannot be bound.
    """

    def __init__(self, url: str, *, queue: int) -> None:
        self._start: Start | None = None
        self._onlookers = 0
        super().__init__(url, {zmq.SNDHWM: queue, zmq.XPUB_VERBOSER: 1}, bind=True, kind=zmq.XPUB, keys=None)

    def offer(self, message: Message) -> None:
        """Tell a message to those who look on; who has just come is told of the open stream first."""
        if isinstance(message, Start):
            self._start = message
        while self._socket.poll(0):
            came = self._socket.recv(copy=True) == b"\x01"
            self._onlookers += 1 if came else -1
            if came and self._start is not None and message is not self._start:
                self._tell(self._start)
        if self._onlookers:
            self._tell(message)

    def _tell(self, message: Message) -> None:
        self._socket.send_multipart(encode(message), zmq.NOBLOCK, copy=False)
        self.counters["told"] += 1


class Onlooker(Link):
    """The end that looks on: of the event lists that have come, only the newest is given.

    counters: `messages` given, `skipped` event lists that were not the newest, `bad_FAULT` as `Pull`. Raises LinkError.
    """

    def __init__(self, url: str, *, queue: int) -> None:
        self._came: deque[Message] = deque()
        super().__init__(url, {zmq.RCVHWM: queue}, bind=False, kind=zmq.SUB, keys=None)

    def _prepare(self) -> None:
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message, None if none came in time. Raises LinkError if the link is closed."""
        try:
            self._wait_at_most(zmq.RCVTIMEO, 0.0 if self._came else timeout_s)
            for _ in range(MANY):
                self._take(self._socket.recv_multipart())
                self._wait_at_most(zmq.RCVTIMEO, 0.0)
        except zmq.Again:
            pass
        except zmq.ZMQError as fault:
            raise self._lost(fault) from None
        if not self._came:
            return None
        self.counters["messages"] += 1
        return self._came.popleft()

    def _take(self, parts: list[bytes]) -> None:
        try:
            message = decode(parts)
        except BadMessageError as fault:
            self.counters[f"bad_{fault.fault}"] += 1
            return
        if isinstance(message, EventList) and self._came and isinstance(self._came[-1], EventList):
            self._came.pop()
            self.counters["skipped"] += 1
        self._came.append(message)
