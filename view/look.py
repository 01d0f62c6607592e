"""Looking on at a daemon: two threads that ask its taps, one for all that passes, one for pixels now and then."""

import time
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final

import zmq

from config.schema import Config
from stream.clock import now_ns
from stream.errors import LinkError
from stream.messages import End, Message, Product, Start
from stream.transport import tap
from stream.transport.keys import daemon_keys
from stream.transport.tap import ASK, ASK_PASSED, PASSED, Onlooker
from stream.wiring import PIXELS, TAP, Row, url_of
from view.sight import Sight

EVERY_S: Final = 0.1  # from one question for all that has passed to the next
PIXELS_EVERY_S: Final = 1.0
AGAIN_S: Final = 2.0  # after a link has failed


class Looker:
    """Fills a sight, and holds the newest pixels. Daemons may come and go: questions are asked again."""

    def __init__(self, config: Config, sight: Sight) -> None:
        """Raises ConfigError for keys that cannot be read."""
        self._links, self._sight = config.links, sight
        self._keys = daemon_keys(Path(self._links.keys), inside=True) if self._links.keys else None
        self._over, self._lock = Event(), Lock()
        self._pixels: tuple[Product, float] | None = None
        self.bad = 0  # messages that could not be read
        tasks = (TAP, ASK_PASSED, EVERY_S), (PIXELS, ASK, PIXELS_EVERY_S)
        self._threads = [Thread(target=self._look, args=task, daemon=True) for task in tasks]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End."""
        self._over.set()
        for thread in self._threads:
            thread.join(5)

    def pixels(self) -> tuple[Product, float] | None:
        """Return the newest pixels, and how old they are in s."""
        with self._lock:
            return None if self._pixels is None else (self._pixels[0], time.monotonic() - self._pixels[1])

    def _look(self, row: Row, ask: bytes, every_s: float) -> None:
        while not self._over.is_set():
            try:
                with Onlooker(url_of(row.link, self._links), queue=row.queue, keys=self._keys, ask=ask) as stream:
                    while not self._over.is_set():
                        message = stream.receive(0.2)
                        self.bad += sum(stream.counters.pop(name) for name in list(stream.counters) if "bad" in name)
                        if message is not None:
                            self._take(message)
                        if isinstance(message, Product):
                            self._over.wait(every_s)
            except (LinkError, zmq.ZMQError):
                self._over.wait(AGAIN_S)

    def _take(self, message: Message) -> None:
        if isinstance(message, Start):
            self._sight.open(message)
        elif isinstance(message, End):
            self._sight.end()
        elif isinstance(message, Product) and message.kind == PASSED:
            self._sight.add(message)
        elif isinstance(message, Product) and message.kind == tap.PIXELS:
            with self._lock:
                self._pixels = message, time.monotonic()


def seen(sight: Sight) -> dict[str, object]:
    """Return what a sight holds, now."""
    return sight.told(now_ns())
