"""A source that lets no sender wait: of more than its stages can take, whole read-outs are shed, the oldest first."""

from collections import Counter, deque
from dataclasses import replace

import numpy as np

from stream.messages import Frame, Message
from stream.stage import Source

NOTHING = np.empty((0, 0), np.uint16)
REMEMBERED = 64  # read-outs shed of which more quadrants may come


class Shed:
    """Holds up to `most` frames of a source. What is shed stays as a frame without pixels: it is numbered, and a gap.

    counters: those of the source, and `shed` frames.
    """

    def __init__(self, source: Source, most: int) -> None:
        self._source, self._most = source, most
        self.counters: Counter[str] = source.counters
        self.queue = source.queue + most
        self._held: deque[Message] = deque()
        self._whole = 0  # frames held with their pixels
        self._given = -1  # number of the read-out that was given last
        self._shed: deque[int] = deque(maxlen=REMEMBERED)  # numbers of read-outs

    def receive(self, timeout_s: float) -> Message | None:
        """Take what has come, shed what is too much of it, return the oldest message; None if none came in time."""
        for _ in range(2 * self._most):  # a sender without end must not keep us from working
            message = self._source.receive(0.0 if self._held else timeout_s)
            if message is None:
                break
            self._take(message)
        if not self._held:
            return None
        message = self._held.popleft()
        self._given = message.sequence if isinstance(message, Frame) else self._given
        self._whole -= isinstance(message, Frame) and message.pixels.size > 0
        return message

    def _take(self, message: Message) -> None:
        if isinstance(message, Frame):
            if message.sequence in self._shed:
                message = self._without_pixels(message)
            else:
                self._whole += 1
        self._held.append(message)
        while self._whole > self._most:
            waiting = (m.sequence for m in self._held if isinstance(m, Frame) and m.pixels.size)
            number = next((n for n in waiting if n != self._given), None)
            if number is None:  # what has begun to be given is given whole
                return
            self._shed_all(number)

    def _shed_all(self, number: int) -> None:
        self._shed.append(number)
        for place, message in enumerate(self._held):
            if isinstance(message, Frame) and message.sequence == number and message.pixels.size:
                self._held[place] = self._without_pixels(message)
                self._whole -= 1

    def _without_pixels(self, frame: Frame) -> Frame:
        self.counters["shed"] += 1
        return replace(frame, pixels=NOTHING)
