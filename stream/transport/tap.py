"""Looking on: who asks is told of the next read-out that passes. Nobody who looks on is ever waited for.

So he sees the newest, however slow he is: nothing is held for him in any queue.
"""

import time

import zmq

from stream.messages import End, EventList, Message, Start
from stream.transport.keys import Keys
from stream.transport.link import Link
from stream.transport.wire import BadMessageError, decode, encode

ONLOOKERS = 64  # that may have asked and not been told; of more, nobody keeps a list
ASK = b"next"
MAX_ASK_BYTES = 1024  # room for the handshake with keys, too: up to 257 bytes and what tells of the socket
AGAIN_S = 1.0  # a question may have died with a daemon


class Tap(Link):
    """The end that is asked. A message costs one poll as long as nobody asks.

    counters: `told` read-outs, `refused_peers` as `Pull`. keys: of tcp; who has none then is told nothing. Raises
    LinkError naming the URL if it cannot be bound.
    """

    def __init__(self, url: str, *, queue: int, keys: Keys | None = None) -> None:
        self._start: Start | None = None
        self._asked: set[bytes] = set()
        self._knows: set[bytes] = set()  # who has been told of the open stream
        options: dict[int, int] = {zmq.SNDHWM: queue, zmq.MAXMSGSIZE: MAX_ASK_BYTES}
        super().__init__(url, options, bind=True, kind=zmq.ROUTER, keys=keys)

    def _prepare(self) -> None:
        self._ask_for_keys()

    def offer(self, message: Message) -> None:
        """Tell a read-out to those who have asked for one, and of their stream first. A gap is seen by the numbers."""
        for _ in range(ONLOOKERS):  # who asks without end must not hold up the stream
            if not self._socket.poll(0):
                break
            who = self._socket.recv_multipart()[0]
            if len(self._asked) < ONLOOKERS:
                self._asked.add(who)
        if isinstance(message, Start):
            self._start = message
            self._knows.clear()
        if not isinstance(message, EventList | End) or not self._asked:
            return
        for who in self._asked:
            if who not in self._knows and self._start is not None:
                self._tell(who, self._start)
                self._knows.add(who)
            self._tell(who, message)
        self.counters["told"] += len(self._asked)
        self._asked.clear()
        if len(self._knows) > ONLOOKERS:  # most have left long ago; those who have not hear it once more
            self._knows.clear()

    def _tell(self, who: bytes, message: Message) -> None:
        self._socket.send_multipart([who, *encode(message)], zmq.NOBLOCK, copy=False)


class Onlooker(Link):
    """The end that asks. counters: `messages` given, `bad_FAULT` as `Pull`. keys: of tcp, where the tap asks for them.

    Raises LinkError naming the URL if it cannot be connected to.
    """

    def __init__(self, url: str, *, queue: int, keys: Keys | None = None) -> None:
        self._asked_at = float("-inf")
        super().__init__(url, {zmq.RCVHWM: queue, zmq.SNDHWM: queue}, bind=False, kind=zmq.DEALER, keys=keys)

    def _prepare(self) -> None:
        self._show_keys()

    def receive(self, timeout_s: float) -> Message | None:
        """Return a stream's Start, its next read-out from now on, or its End; None if nothing came in time.

        Raises LinkError if the link is closed.
        """
        try:
            self._ask()
            self._wait_at_most(zmq.RCVTIMEO, timeout_s)
            parts = self._socket.recv_multipart()
        except zmq.Again:
            return None
        except zmq.ZMQError as fault:
            raise self._lost(fault) from None
        try:
            message = decode(parts)
        except BadMessageError as fault:
            self.counters[f"bad_{fault.fault}"] += 1
            return None
        if not isinstance(message, Start):
            self._asked_at = float("-inf")  # that was the answer
        self.counters["messages"] += 1
        return message

    def _ask(self) -> None:
        now = time.monotonic()
        if now - self._asked_at > AGAIN_S:
            self._asked_at = now
            self._socket.send(ASK, zmq.NOBLOCK)  # a full queue is as good: it holds the question already
