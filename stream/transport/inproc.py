"""Stages chained in one process: the batch job, and the inside of every process of the daemon."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from stream.errors import RaysieveError, StageError
from stream.messages import Message
from stream.stage import Stage


class Sink(Protocol):
    """Where messages end: a link, a file, a list."""

    def send(self, message: Message) -> None:
        """Take one message."""
        ...

    def close(self) -> None:
        """Finish what was taken."""
        ...


def chain(stages: Sequence[Stage], message: Message) -> Iterator[Message]:
    """Send one message through all stages; yield what comes out of the last.

    Raises StageError, naming stage and frame, for anything but a deliberate failure.
    """
    if not stages:
        yield message
        return
    first, *rest = stages
    try:
        for result in first.process(message):
            yield from chain(rest, result)
    except RaysieveError:
        raise
    except Exception as fault:
        raise StageError(f"stage {first.name}, {describe(message)}: {type(fault).__name__}: {fault}") from fault


def drain(stages: Sequence[Stage]) -> Iterator[Message]:
    """Flush all stages in order, each through the ones after it; yield what comes out of the last."""
    for k, stage in enumerate(stages):
        for result in stage.flush():
            yield from chain(stages[k + 1 :], result)


def run(messages: Iterable[Message], stages: Sequence[Stage], sink: Sink) -> None:
    """Process a finite stream to its end."""
    for message in messages:
        for result in chain(stages, message):
            sink.send(result)
    for result in drain(stages):
        sink.send(result)


def describe(message: Message) -> str:
    """Name a message for a person: its kind, and its frame if it has one."""
    sequence = getattr(message, "sequence", None)
    quadrant = getattr(message, "quadrant", None)
    kind = type(message).__name__
    where = [f"frame {sequence}"] if sequence is not None else []
    where += [f"quadrant {quadrant}"] if quadrant is not None else []
    return " ".join([kind, *where])
