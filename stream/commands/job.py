"""One recording in, its event lists out: what `raysieve process` does, here or on the workers of a cluster."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.schema import Config
from stream.commands.options import told
from stream.errors import ConfigError, RaysieveError
from stream.messages import Frame, Gap, Maps, Message
from stream.transport.eventlist import EventListWriter
from stream.transport.inproc import run
from stream.transport.maps import read_maps
from stream.transport.recording import Recording
from stream.wiring import build_all

Tell = Callable[[str], None]
Advance = Callable[[int, int], None]
"""Takes how many frames are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Job:
    """A recording, and the folder for its event lists. maps: a map file; None: the recording's own."""

    path: Path
    config: Config
    folder: Path
    maps: Path | None


def carry_out(job: Job, tell: Tell, advance: Advance, *, overwrite: bool = False) -> list[Path]:
    """Process a recording with the stages of the live daemon, chained; return the event lists written.

    What the stages say of themselves is told at the beginning, what they counted at the end. Raises RaysieveError that
    names the recording.
    """
    with naming(job), Recording(job.path) as recording:
        stages = build_all(job.config, _maps(job.maps) if job.maps else recording.maps())
        for stage in stages:
            if about := getattr(stage, "about", None):
                tell(f"{job.path.name}: {told(stage.name, about)}")
        sink = EventListWriter(job.folder, overwrite=overwrite)
        try:
            run(_watched(recording.messages(), lambda n: advance(n, len(recording))), stages, sink)
        except BaseException:
            sink.leave()
            raise
        sink.close()
    for stage in stages:
        for reason, count in sorted(getattr(stage, "counters", {}).items()):
            tell(f"{job.path.name}: {stage.name}: {reason}: {count}")
    return list(sink.written)


@contextmanager
def naming(job: Job) -> Iterator[None]:
    """Put the recording's name before a fault that does not have it: of many, one must be told from the others."""
    try:
        yield
    except RaysieveError as fault:
        if str(job.path) in str(fault):
            raise
        raise type(fault)(f"{job.path}: {fault}") from fault


def _maps(path: Path) -> dict[int, Maps]:
    maps = read_maps(path)
    if not maps:
        raise ConfigError(f"{path}: no maps in this file; expected what `raysieve calibrate-dark` writes")
    return maps


def _watched(messages: Iterator[Message], progress: Callable[[int], None]) -> Iterator[Message]:
    """Pass messages on and tell the bar every 100 frames."""
    frames = 0
    for message in messages:
        if isinstance(message, Frame | Gap):
            frames += 1
            if frames % 100 == 0:
                progress(frames)
        yield message
