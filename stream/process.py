"""One process of the table, as the supervisor starts it: its source, its stages, where their results go."""

import gc
import itertools
import math
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Event
from pathlib import Path

from config.lat import Lat
from config.load import AnyConfig, digest, revive
from config.schema import Links
from stream.errors import ConfigError, LinkError, ModelError, RaysieveError
from stream.messages import End, Message, Product, Start
from stream.process_sky import sink_of, stages_of
from stream.runner import Runner
from stream.stage import Source, Stage
from stream.stages.record import Record
from stream.transport.eventlist import EventListWriter
from stream.transport.inproc import Sink
from stream.transport.keys import Keys, daemon_keys
from stream.transport.link import Pull, Push
from stream.transport.maps import read_maps
from stream.transport.notes import Notes
from stream.transport.ogip import read_response
from stream.transport.pixels import PixelTap, Shown
from stream.transport.products import Products
from stream.transport.recalled import Recalled
from stream.transport.regions import read_regions
from stream.transport.shed import Shed
from stream.transport.tap import Tap
from stream.wiring import ASIDE, PIXELS, TAP, aside, build, limits_of, link_after, policy_of, processes, rows_of, url_of

REFUSED = 3  # exit code: it cannot work with this configuration, and another try would end as this one
CORRECT = "correct"  # the stage whose frames are shown
DRAIN_S = 20.0  # what has been accepted must be on disk within this time after a stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a process is to do; travels to it."""

    process: str
    config_json: str
    out: str
    once: bool
    overwrite: bool  # the event lists of an earlier daemon

    @property
    def status(self) -> Path:
        """Where it says how it is."""
        return Path(self.out) / ".status" / f"{self.process}.json"


def run_process(order: Order, turn: Event) -> None:
    """Run one process of the table (the entry point of a child): get warm, wait for its turn, serve."""
    stop = [False]
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # the supervisor's: it drains in the order of the data
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: stop.__setitem__(0, True))
    supervisor = os.getppid()  # a process whose supervisor was killed drains and ends, or it would hold its link
    error = order.status.with_suffix(".error")

    def stopping() -> bool:
        return stop[0] or os.getppid() != supervisor

    try:
        config = revive(order.config_json)
        stages = _stages(order, config)
        while not turn.wait(0.1):
            if stopping():
                return
        gc.collect()
        gc.freeze()  # what is loaded now stays: to look through it again and again takes 50 ms each time
        _serve(order, config, stages, stopping)
    except RaysieveError as fault:
        with suppress(OSError):
            error.write_text(str(fault))
        raise SystemExit(REFUSED if isinstance(fault, ConfigError | ModelError) else 1) from None
    except Exception as fault:
        with suppress(OSError):
            error.write_text(f"{type(fault).__name__}: {fault}")
        raise
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # all is done: a late signal must not look like a crash


def _stages(order: Order, config: AnyConfig) -> list[Stage]:
    if isinstance(config, Lat):
        return stages_of(config, Path(order.out), anew=order.overwrite)
    maps = read_maps(Path(config.correct.maps)) if config.correct.maps else {}
    rows = rows_of(order.process)
    if not maps and config.correct.common_mode != "none" and any(row.stage == "correct" for row in rows):
        raise ConfigError("correct.maps: no map file; make one with `raysieve calibrate-dark` and name it with --set")
    response = None
    if config.classify.rmf and any(row.stage == "classify" for row in rows):
        response = read_response(config.classify.rmf, config.classify.arf or None)
    regions = read_regions(Path(config.classify.regions)) if response and config.classify.regions else None
    return [build(row.stage, config, maps, response, regions) for row in rows]


def _serve(order: Order, config: AnyConfig, stages: Sequence[Stage], stopping: Callable[[], bool]) -> None:
    rows, out = rows_of(order.process), Path(order.out)
    links, first = config.links, order.process == processes(config)[0]
    keys = daemon_keys(Path(links.keys), inside=not first) if links.keys else None
    fed, limits, samples = rows[0], limits_of(rows[0].link, config), out / ".quarantine"
    pull = Pull(url_of(fed.link, links), queue=fed.queue, bind=True, limits=limits, quarantine=samples, keys=keys)
    source: Source = Shed(pull, fed.queue) if policy_of(fed, links) == "shed" else pull
    if order.process not in processes(config):  # it may have died, or been too slow: all is on the disk
        known = _notes(order, config).read()
        source = Recalled(pull, out, known[0].run_id if known else "")
    # Only the first process hears the source itself; the others are told of its end.
    silence_s = links.silence_s if first else math.inf
    pixels = _pixel_tap(stages, links, keys)
    if pixels is not None:
        stages = [Shown(stage, pixels) if stage.name == CORRECT else stage for stage in stages]
    try:
        sink = _sink(order, config, stages, keys, stopping)
        runner = Runner(order.process, source, stages, sink, order.status, _notes(order, config), digest(config))
        if isinstance(sink, LinkSink | Beside):
            sink.waiting = runner.beat
        runner.run(stopping, silence_s, order.once)
    finally:
        pull.close()
        if pixels is not None:
            pixels.close()


def _pixel_tap(stages: Sequence[Stage], links: Links, keys: Keys | None) -> PixelTap | None:
    """Open where onlookers come for pixels, in the process that has them."""
    if not any(stage.name == CORRECT for stage in stages):
        return None
    return PixelTap(url_of(PIXELS.link, links), queue=PIXELS.queue, keys=keys)


def _tap(process: str, links: Links, keys: Keys | None) -> Tap | None:
    """Open where onlookers come, in the process that gives what the last one takes."""
    if process != processes()[-2]:
        return None
    return Tap(url_of(TAP.link, links), queue=TAP.queue, keys=keys)


def _notes(order: Order, config: AnyConfig) -> Notes:
    """Return the notes of a process, which know those of the one that feeds it."""
    names = [*processes(config), *dict.fromkeys(row.process for row in ASIDE)]
    place = names.index(order.process)
    before = Notes(order.status.with_name(f"{names[place - 1]}.open")) if place else None
    notes = Notes(order.status.with_suffix(".open"), before)
    notes.reserve()
    return notes


def _sink(
    order: Order, config: AnyConfig, stages: Sequence[Stage], keys: Keys | None, stopping: Callable[[], bool]
) -> Sink:
    out = Path(order.out)
    if isinstance(config, Lat):
        return sink_of(config, out)
    if order.process not in processes():
        return Products(out)
    after = link_after(order.process)
    if after is not None:
        push = Push(url_of(after.link, config.links), queue=after.queue, bind=False, keys=keys)
        return LinkSink(push, stopping, _tap(order.process, config.links, keys))
    written = (
        EventListWriter(out, overwrite=order.overwrite, go_on=not order.overwrite) if order.once else StreamFolders(out)
    )
    for stage in stages:
        if isinstance(stage, Record):
            stage.go_on(written.past)
    if not aside(config):
        return written
    push = Push(url_of(ASIDE[0].link, config.links), queue=ASIDE[0].queue, bind=False, keys=keys)
    return Beside(written, push, out)


class Beside:
    """Writes event lists, and tells the process beside the way of the frames what is on the disk.

    It is never waited for but at the end of a stream. counters: `skipped` products.
    """

    TABLES = ("EVENTS", "GTI", "BADPIX")
    END_S = 10.0

    def __init__(self, written: "EventListWriter | StreamFolders", push: Push, out: Path) -> None:
        self._written, self._push, self._out = written, push, out
        self.counters: Counter[str] = Counter()
        self.waiting: Callable[[], object] = lambda: None  # called while the end waits

    def send(self, message: Message) -> None:
        """Write a message, then tell of it. Raises what the writer raises."""
        self._written.send(message)
        if isinstance(message, Product) and message.kind == "events":
            tables = {name: message.tables[name] for name in self.TABLES}
            header = message.header | {"FOLDER": self._written.folder.relative_to(self._out).as_posix()}
            self._tell(replace(message, tables=tables, header=header), 0.0)
        elif isinstance(message, Start | End):
            self._tell(message, self.END_S)

    def _tell(self, message: Message, patience_s: float) -> None:
        until = time.monotonic() + patience_s
        while not self._push.send(message, timeout_s=min(0.5, patience_s)):
            self.waiting()
            if time.monotonic() >= until:
                self.counters["skipped"] += 1
                return

    def close(self) -> None:
        """Finish the event lists; what the other process has not taken then, it has on the disk."""
        self._written.close()
        with suppress(LinkError):
            self._push.close()


class StreamFolders:
    """Writes every stream into a folder of its own, named by its run; one that was not finished goes on in its own."""

    def __init__(self, out: Path) -> None:
        """Find what a killed process has left."""
        self._out = self.folder = out
        self._writer: EventListWriter | None = None
        self._unfinished: dict[str, EventListWriter] = {}
        for parts in sorted(out.glob("*/.events.parts")):
            with suppress(ConfigError):  # another process writes there
                writer = EventListWriter(parts.parent, overwrite=False, go_on=True)
                for run_id in writer.past:
                    self._unfinished[run_id] = writer
        self.past = {run_id: writer.past[run_id] for run_id, writer in self._unfinished.items()}

    def send(self, message: Message) -> None:
        """Open a folder at Start, finish it at End."""
        if isinstance(message, Start):
            self._finish()
            known = self._unfinished.pop(message.run_id, None)
            self._writer = known or EventListWriter(self._new_folder(message.run_id))
            self.folder = self._writer.folder
        if self._writer is not None:
            self._writer.send(message)
        if isinstance(message, End):
            self._finish()

    def close(self) -> None:
        """Finish the open event list, and those that nobody went on with."""
        self._finish()
        for writer in self._unfinished.values():
            writer.close()
        self._unfinished = {}

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _new_folder(self, run_id: str) -> Path:
        name = re.sub(r"[^\w.-]+", "_", run_id).strip(".") or "run"
        taken = (self._out / (name if n == 1 else f"{name}_{n}") for n in itertools.count(1))
        return next(folder for folder in taken if not folder.exists())


class LinkSink:
    """Sends everything on, and waits while the link is full: nothing is lost here. What was sent is told at the tap."""

    def __init__(self, push: Push, stopping: Callable[[], bool], tap: Tap | None = None) -> None:
        self._push, self._stopping, self._tap = push, stopping, tap
        self.waiting: Callable[[], object] = lambda: None  # called while the link is full

    def send(self, message: Message) -> None:
        """Send one message; raises LinkError if the reader is gone while we are asked to stop."""
        asked = None
        while not self._push.send(message, timeout_s=0.5):
            self.waiting()
            if self._stopping():
                asked = asked or time.monotonic()
                if time.monotonic() - asked > DRAIN_S / 2:
                    raise LinkError("the next process takes no messages; what it had not taken is lost")
        if self._tap is not None:
            self._tap.offer(message)

    def close(self) -> None:
        """Wait until the last message is with the reader."""
        self._push.close()
        if self._tap is not None:
            self._tap.close()
