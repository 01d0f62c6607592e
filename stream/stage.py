"""What a stage is, and where its messages come from."""

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from stream.messages import Message


class Stage(Protocol):
    """One step of the stream. Owns its state; knows no socket, file or wall clock.

    Built from its own configuration section; the constructor warms up, so built means ready.
    A message that a stage has no use for passes through unchanged.
    """

    name: str

    def process(self, message: Message) -> Iterable[Message]:
        """Take one message, give none, one or many."""
        ...

    def flush(self) -> Iterable[Message]:
        """Give what is held back, at the end of the stream."""
        ...


class Source(Protocol):
    """Where messages come from."""

    counters: Counter[str]
    queue: int  # messages that may have been accepted and not yet given

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message, or None if none came in time."""
        ...
