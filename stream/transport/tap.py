"""Looking on: who asks is told of the next read-out that passes. Nobody who looks on is ever waited for.

So he sees the newest, however slow he is: nothing is held for him in any queue. Who asks for all that has passed is
told of the read-outs since his last question in one product, of the newest HELD at most; these are held once, for all.
"""

import time
from collections import deque
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from stream.messages import EVENT, READOUT, TRACK, End, EventList, Message, Product, Start
from stream.transport.keys import Keys
from stream.transport.link import Link
from stream.transport.wire import BadMessageError, decode, encode

ONLOOKERS = 64  # that may have asked and not been told; of more, nobody keeps a list
ASK, ASK_PASSED = b"next", b"passed"
MAX_ASK_BYTES = 1024  # room for the handshake with keys, too: up to 257 bytes and what tells of the socket
AGAIN_S = 1.0  # a question may have died with a daemon
HELD = 100  # read-outs, half a second of them at 5 ms
PASSED, PIXELS = "passed", "pixels"  # kinds of the products
_LOOKED_AT = ("frame", "quadrant", "pattern", "x", "y", "flag", "reason", "energy_ev", "p_particle")
GLANCE = np.dtype([(name, EVENT[name]) for name in _LOOKED_AT])  # what onlookers are told of an event


class Asked(Link):
    """The end that is asked, by anybody who has the address and, over tcp with keys, the key.

    counters: `told` messages, `refused_peers` as `Pull`. Raises LinkError naming the URL if it cannot be bound.
    """

    def __init__(self, url: str, *, queue: int, keys: Keys | None = None) -> None:
        self._asked: dict[bytes, bytes] = {}  # who, and what for
        options: dict[int, int] = {zmq.SNDHWM: queue, zmq.MAXMSGSIZE: MAX_ASK_BYTES}
        super().__init__(url, options, bind=True, kind=zmq.ROUTER, keys=keys)

    def _prepare(self) -> None:
        self._ask_for_keys()

    def _hear(self) -> None:
        """Take note of the questions that have come."""
        for _ in range(ONLOOKERS):  # who asks without end must not hold up the stream
            if not self._socket.poll(0):
                break
            who, *what = self._socket.recv_multipart()
            if len(self._asked) < ONLOOKERS:
                self._asked[who] = what[-1] if what else ASK

    def _tell(self, who: bytes, message: Message) -> None:
        self._socket.send_multipart([who, *encode(message)], zmq.NOBLOCK, copy=False)


class Tap(Asked):
    """The tap of read-outs. A message costs one poll as long as nobody asks."""

    def __init__(self, url: str, *, queue: int, keys: Keys | None = None) -> None:
        self._start: Start | None = None
        self._knows: set[bytes] = set()  # who has been told of the open stream
        self._passed: deque[EventList] = deque(maxlen=HELD)
        self._count = 0  # read-outs that have passed
        self._told_to: dict[bytes, int] = {}  # who has asked for all that passed: how many had when he was told
        super().__init__(url, queue=queue, keys=keys)

    def offer(self, message: Message) -> None:
        """Tell a read-out to those who have asked for one, and of their stream first. A gap is seen by the numbers."""
        self._hear()
        if isinstance(message, Start):
            self._start = message
            self._knows.clear()
            self._passed.clear()
            self._told_to.clear()
        elif isinstance(message, EventList):
            self._count += 1
            if self._told_to:
                self._passed.append(message)
        if not isinstance(message, EventList | End) or not self._asked:
            return
        for who, what in self._asked.items():
            if who not in self._knows and self._start is not None:
                self._tell(who, self._start)
                self._knows.add(who)
            if what == ASK_PASSED:
                self._tell_passed(who, message)
            if what != ASK_PASSED or isinstance(message, End):
                self._tell(who, message)
        self.counters["told"] += len(self._asked)
        self._asked.clear()
        if len(self._knows) > ONLOOKERS:  # most have left long ago; those who have not hear it once more
            self._knows.clear()

    def _tell_passed(self, who: bytes, message: EventList | End) -> None:
        """Tell all that has passed since he was told last; nothing at an end after which nothing was to be told."""
        passed = self._count - self._told_to.get(who, self._count - isinstance(message, EventList))
        lists = list(self._passed)[-passed:] if passed else []
        if not lists and isinstance(message, EventList):
            lists = [message]
        if lists:
            self._tell(who, passed_of(lists, passed - len(lists)))
        if len(self._told_to) > ONLOOKERS:
            self._told_to.clear()
        self._told_to[who] = self._count


def passed_of(lists: list[EventList], missed: int) -> Product:
    """Return event lists, at least one, as a product "passed" of tables EVENTS (GLANCE), TRACKS and READOUTS.

    missed: how many more have passed. Cards: FIRST and LAST read-out, LISTS, MISSED, CAPTURED (monotonic ns of the
    newest, 0 if it is not known).
    """
    from stream.tables import joined  # loads Numba, which who only asks does without: a third of the way to the page

    newest = lists[-1]
    full = joined([one.events for one in lists], EVENT)
    events = np.empty(len(full), GLANCE)
    for name in _LOOKED_AT:
        events[name] = full[name]
    tables: dict[str, NDArray[Any]] = {
        "EVENTS": events,
        "TRACKS": joined([one.tracks for one in lists], TRACK),
        "READOUTS": joined([one.readouts for one in lists], READOUT),
    }
    captured = newest.trace[0] if newest.trace else 0
    header: dict[str, str | int | float | bool] = {"FIRST": lists[0].sequence, "LAST": newest.sequence}
    header |= {"LISTS": len(lists), "MISSED": missed, "CAPTURED": captured}
    return Product(
        stream=newest.stream,
        kind=PASSED,
        sequence=newest.sequence,
        time_ns=newest.time_ns,
        header=header,
        tables=tables,
    )


class Onlooker(Link):
    """The end that asks. counters: `messages` given, `bad_FAULT` as `Pull`. keys: of tcp, where the tap asks for them.

    ask: for the next read-out (ASK), or for all that has passed (ASK_PASSED). Raises LinkError naming the URL if it
    cannot be connected to.
    """

    def __init__(self, url: str, *, queue: int, keys: Keys | None = None, ask: bytes = ASK) -> None:
        self._asked_at = float("-inf")
        self._question = ask
        super().__init__(url, {zmq.RCVHWM: queue, zmq.SNDHWM: queue}, bind=False, kind=zmq.DEALER, keys=keys)

    def _prepare(self) -> None:
        self._show_keys()

    def receive(self, timeout_s: float) -> Message | None:
        """Return a stream's Start, what was asked for, or its End; None if nothing came in time.

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
            self._socket.send(self._question, zmq.NOBLOCK)  # a full queue is as good: it holds the question already
