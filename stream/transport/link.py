"""ZeroMQ PUSH and PULL with bounded queues: one sender, one reader, what was accepted arrives in order."""

import array
import fcntl
import math
import os
import socket
import stat
import termios
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

import zmq
from zmq.utils.monitor import recv_monitor_message

from config.schema import is_loopback
from stream.errors import LinkError
from stream.messages import Message
from stream.transport.door import REFUSED, Door
from stream.transport.keys import Keys
from stream.transport.quarantine import Quarantine
from stream.transport.wire import BadMessageError, Limits, Part, decode, encode

CLOSE_S = 10.0
CURVE_BYTES = 33  # added to each part by encryption
_LET_IN = zmq.EVENT_HANDSHAKE_SUCCEEDED
_DEFAULT = Limits()


class Link:
    """A socket in a context of its own, so that closing it waits for its messages and for no others.

    Used by one thread. `url` is where it is bound, with the real port or name where a wildcard was given.
    """

    def __init__(self, url: str, options: dict[int, int], *, bind: bool, kind: int, keys: Keys | None) -> None:
        self.url = url
        self.counters: Counter[str] = Counter()
        self._keys = keys if url.startswith("tcp://") else None  # an ipc socket is guarded by its folder
        self._door: Door | None = None
        self._closed = False
        self._timeout_ms = -1
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            if self._keys is None and not _stays_here(url):
                raise OSError(0, "expected ipc://, tcp:// of this machine, or keys (see `raysieve keys`)")
            self._socket = self._context.socket(kind)
            self._prepare()
            self._socket.setsockopt(zmq.LINGER, 0)  # a link that nobody closes must not hold up the end of its process
            for option, value in options.items():  # a queue size counts only if set before bind or connect
                self._socket.setsockopt(option, value)
            if bind:
                if url.startswith("ipc://"):
                    _clear(Path(url.removeprefix("ipc://")))
                self._socket.bind(url)
                self.url = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
            else:
                self._socket.connect(url)
        except (zmq.ZMQError, OSError) as fault:
            self._end(0.0)
            raise LinkError(f"{url}: cannot {'listen here' if bind else 'connect'}: {fault.strerror}") from None

    def _prepare(self) -> None:
        """Set up what must be there before the socket is bound or connected."""

    def _show_keys(self) -> None:
        """As the end that connects: show our key, if we have one, to the daemon alone."""
        if self._keys is not None:
            self._socket.setsockopt(zmq.CURVE_SERVERKEY, self._keys.daemon)
            self._socket.setsockopt(zmq.CURVE_PUBLICKEY, self._keys.public)
            self._socket.setsockopt(zmq.CURVE_SECRETKEY, self._keys.secret)

    def _ask_for_keys(self) -> None:
        """As the end that is bound: let nobody in without a key that is allowed, if there are keys."""
        if self._keys is not None:
            self._socket.setsockopt(zmq.CURVE_SERVER, 1)
            self._socket.setsockopt(zmq.CURVE_SECRETKEY, self._keys.secret)
            self._socket.setsockopt(zmq.ZAP_DOMAIN, b"raysieve")
            self._socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without a door nobody comes in
            self._door = Door(self._socket, self._keys.allowed, self.counters)

    def __enter__(self) -> Self:
        """Return the link."""
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        """Close the link."""
        self.close()

    def close(self) -> None:
        """Close the link; nothing happens if it is closed."""
        self._end(0.0)

    def _end(self, linger_s: float) -> None:
        self._closed = True
        if self._door is not None:
            self._door.close()
            self._door = None
        self._context.destroy(linger=round(linger_s * 1000))

    def _wait_at_most(self, option: int, timeout_s: float) -> None:
        timeout_ms = max(0, round(timeout_s * 1000))
        if timeout_ms != self._timeout_ms and not self._closed:
            self._socket.setsockopt(option, timeout_ms)
            self._timeout_ms = timeout_ms

    def _lost(self, fault: zmq.ZMQError) -> LinkError:
        return LinkError(f"{self.url}: {'closed' if self._closed else fault.strerror}")


class Push(Link):
    """The sending end. `queue` messages wait here, and as many at the reader, before `send` has to.

    counters: `messages` accepted, `full` (sends that gave up). keys: of tcp, needed beyond this machine.
    Raises LinkError naming the URL if it cannot be bound or connected to.
    """

    def __init__(self, url: str, *, queue: int, bind: bool, keys: Keys | None = None) -> None:
        self._ipc = url.startswith("ipc://")
        self._asks = not bind and not self._ipc  # a reader, whether it lets us in
        self._answer = 0
        super().__init__(url, {zmq.SNDHWM: _checked(queue)}, bind=bind, kind=zmq.PUSH, keys=keys)

    def _prepare(self) -> None:
        connected = zmq.EVENT_CONNECTED | zmq.EVENT_ACCEPTED
        self._monitor = self._socket.get_monitor_socket(_LET_IN | REFUSED if self._asks else connected)
        self._show_keys()

    def send(self, message: Message, timeout_s: float) -> bool:
        """Send one message; return False if the queue stayed full (or no reader came) for so long: it was not taken.

        Large arrays are sent from where they lie and must not be changed afterwards.
        Raises what `encode` raises, and LinkError if the link is closed or the reader has refused our keys.
        """
        parts = encode(message)
        try:
            self._wait_at_most(zmq.SNDTIMEO, timeout_s)
            self._socket.send_multipart(parts, copy=False)  # pyzmq itself copies what is smaller than its threshold
        except zmq.Again:
            self.counters["full"] += 1
            self._check_answer(time.monotonic())
            return False
        except zmq.ZMQError as fault:
            raise self._lost(fault) from None
        self.counters["messages"] += 1
        return True

    def wait_for_reader(self, timeout_s: float) -> bool:
        """Return whether a reader comes within so long, or has come; what it answers to our keys is not looked at."""
        return bool(self._monitor.poll(round(1000 * timeout_s)))

    def close(self, timeout_s: float = CLOSE_S, come_s: float = math.inf) -> None:
        """Hand over what was accepted, then close. come_s: how long one waits for a reader that has not come yet.

        Raises LinkError if the reader refused our keys, did not come, or did not take it all within `timeout_s`: the
        rest is lost. With a time of 0 the caller gives up what has not left yet.
        """
        if self._closed:
            return
        began = time.monotonic()
        end, wire = began + timeout_s, None
        come = min(end, began + come_s)
        if timeout_s > 0 and self.counters["messages"]:
            try:
                self._check_answer(come)
            except LinkError:
                self._end(0.0)
                raise
            wire = self._hold_wire(come) if self._ipc else None
            if come < end and (self._ipc or self._asks) and not self._answer:
                self._end(0.0)
                raise LinkError(f"{self.url}: no reader came within {come_s:g} s; what was sent is lost")
        self._end(max(0.0, end - time.monotonic()))
        if wire is not None:
            _wait_until_read(wire, end)
        if 0 < timeout_s <= time.monotonic() - began:
            raise LinkError(f"{self.url}: the reader did not take all that was sent within {timeout_s:g} s of the end")

    def _check_answer(self, end: float) -> None:
        """Wait for the reader's answer to our keys. Who is refused could send on, into nothing."""
        unclear = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL  # it may be about to end, or have other keys: it is asked again
        while self._asks and self._monitor.poll(0 if self._answer & ~unclear else _ms_until(end)):
            self._answer = recv_monitor_message(self._monitor)["event"]
        if self._answer & REFUSED:
            raise LinkError(f"{self.url}: refused by the reader: wrong keys, or none where it asks for them")

    def _hold_wire(self, end: float) -> int | None:
        """Return a copy of the connection's descriptor, None if nobody came in time.

        A reader whose queue is full does not read; if the other end of a Unix socket closes then, libzmq 4.3 drops what
        the kernel still holds. So the connection stays open, by this copy, until the reader has read it all.
        """
        wire = None
        while self._monitor.poll(0 if wire is not None else _ms_until(end)):
            told = recv_monitor_message(self._monitor)
            wire, self._answer = int(told["value"]), told["event"]
        try:
            return None if wire is None else os.dup(wire)
        except OSError:  # the reader has gone
            return None


def _ms_until(end: float) -> int:
    return max(0, round((end - time.monotonic()) * 1000))


def _wait_until_read(wire: int, deadline: float) -> None:
    """Wait until the peer has read all that was written to a Unix socket; closes the descriptor."""
    unread = array.array("i", [1])
    try:
        while time.monotonic() < deadline:
            fcntl.ioctl(wire, termios.TIOCOUTQ, unread)
            if unread[0] == 0:
                return
            time.sleep(0.001)
    except OSError:  # the reader has gone: what it did not read is lost, and its own process says so
        return
    finally:
        os.close(wire)


class Pull(Link):
    """The receiving end. Messages that cannot be read are counted, the first of them kept in `quarantine`, and skipped.

    counters: `messages` given, `bad_FAULT` for each fault of the wire, `bad_not_kept` for samples that did not fit on
    the disk, `refused_peers` without a key that is allowed, each attempt. A part larger than the limits allow is not
    read at all: ZeroMQ drops the connection that brought it. keys: of tcp, needed beyond this machine.
    Raises LinkError naming the URL if it cannot be bound or connected to.
    """

    def __init__(
        self,
        url: str,
        *,
        queue: int,
        bind: bool,
        limits: Limits = _DEFAULT,
        quarantine: Path | None = None,
        keys: Keys | None = None,
    ) -> None:
        part_bytes = limits.max_part_bytes + (CURVE_BYTES if keys else 0)
        options: dict[int, int] = {zmq.RCVHWM: _checked(queue), zmq.MAXMSGSIZE: part_bytes}
        super().__init__(url, options, bind=bind, kind=zmq.PULL, keys=keys)
        self.queue = 4 * queue  # ours, the sender's, and what lies between
        self._limits = limits
        self._quarantine = Quarantine(quarantine) if quarantine else None

    def _prepare(self) -> None:
        self._ask_for_keys()

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message, None if none came in time. Its arrays lie in the received memory, read-only.

        Raises LinkError if the link is closed.
        """
        end = time.monotonic() + timeout_s
        while True:
            try:
                self._wait_at_most(zmq.RCVTIMEO, timeout_s)
                parts = self._parts()
            except zmq.Again:
                return None
            except zmq.ZMQError as fault:
                raise self._lost(fault) from None
            try:
                message = decode(parts, self._limits)
            except BadMessageError as fault:
                self._refuse(fault, parts)
                timeout_s = end - time.monotonic()
                if timeout_s <= 0:
                    return None
            else:
                self.counters["messages"] += 1
                return message

    def _parts(self) -> list[Part]:
        frame = self._socket.recv(copy=False)
        parts: list[Part] = [frame.bytes if len(frame) <= self._limits.max_header_bytes else frame.buffer]
        while frame.more:
            frame = self._socket.recv(copy=False)
            if len(parts) <= self._limits.max_parts:  # one too many is enough to refuse the message
                parts.append(frame.buffer)
        return parts

    def _refuse(self, fault: BadMessageError, parts: list[Part]) -> None:
        self.counters[f"bad_{fault.fault}"] += 1
        if self._quarantine and not self._quarantine.keep(fault, parts):
            self.counters["bad_not_kept"] += 1


def _stays_here(url: str) -> bool:
    """Return whether an address is one of this machine alone; of tcp, the last one counts (`tcp://from;to:port`)."""
    transport, _, address = url.partition("://")
    host = address.rpartition(";")[2].rpartition(":")[0]
    return transport == "ipc" or (transport == "tcp" and is_loopback(host))


def _checked(queue: int) -> int:
    if queue < 1:
        raise ValueError(f"queue: expected at least 1 message, got {queue}")  # ZeroMQ takes 0 for "without limit"
    return queue


def _clear(path: Path) -> None:
    """Make the folder of a socket file, for the user alone, and remove what a killed process has left there.

    ZeroMQ would silently remove whatever has the name: a file of the user, or the socket of a running reader.
    """
    if str(path).startswith("@") or str(path) == "*":
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(0, "there is a file of this name that is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass
    raise OSError(0, "another process listens here")
