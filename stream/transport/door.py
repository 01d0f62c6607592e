"""The door of a reader that asks for keys."""

import threading
from collections import Counter

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL


class Door(threading.Thread):
    """Lets the senders in whose keys are allowed, and counts the others as `refused_peers`.

    A thread of its own: who floods a busy reader with attempts would otherwise fill the queue of events, and ZeroMQ
    stands still while that is full.
    """

    def __init__(self, link: "zmq.Socket[bytes]", allowed: frozenset[bytes], counters: Counter[str]) -> None:
        super().__init__(daemon=True)
        self._link, self._allowed, self._counters = link, allowed, counters
        self._asked = link.context.socket(zmq.REP)
        self._asked.setsockopt(zmq.LINGER, 0)
        self._asked.bind("inproc://zeromq.zap.01")  # where ZeroMQ asks for each sender whether it may come in
        self._events = link.get_monitor_socket(REFUSED | zmq.EVENT_MONITOR_STOPPED)
        self.start()

    def run(self) -> None:
        """Answer and count until `close`."""
        poller = zmq.Poller()
        poller.register(self._asked, zmq.POLLIN)
        poller.register(self._events, zmq.POLLIN)
        with self._asked, self._events:
            while True:
                ready = dict(poller.poll())
                if self._asked in ready:
                    self._answer()
                if self._events in ready:
                    if recv_monitor_message(self._events)["event"] == zmq.EVENT_MONITOR_STOPPED:
                        return
                    self._counters["refused_peers"] += 1

    def close(self) -> None:
        """End the thread; the link is closed after this."""
        self._link.disable_monitor()
        self.join()

    def _answer(self) -> None:
        """Answer one request (ZeroMQ RFC 27)."""
        version, request, _, _, _, _, key = self._asked.recv_multipart()
        verdict = (b"200", b"OK") if z85.encode(key) in self._allowed else (b"400", b"unknown key")
        self._asked.send_multipart([version, request, *verdict, b"", b""])
