"""The one loop: receive, process, send, count, stop."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from stream.clock import Latencies, now_ns
from stream.messages import CorrectedFrame, End, EventList, Frame, Gap, Message, Start
from stream.stage import Source, Stage
from stream.transport.inproc import Sink, chain, drain
from stream.transport.notes import Notes
from stream.vitals import Vitals

SILENT_FRAMES = 20  # no source is silent before it has missed so many read-outs
LOST_END_NS = 2_000_000_000  # all has come, then nothing for so long, and the process before has ended the stream
LOST_TAIL_NS = 10_000_000_000  # the same, but not all has come: a busy machine may have it still on its way
POLL_S = 0.1  # how soon a stop is noticed when nothing arrives
REPORT_NS = 1_000_000_000  # at whole seconds: the processes of a daemon count at the same time
EXITS = {"reconstruct": "frame to events", "screen": "frame to decision", "record": "frame to record"}
"""From capture until a read-out has left this stage, if that is the last of its process."""


def _up_to(end: End) -> Gap:
    """Return a gap from which `record` sees how far the stream went: what is not there until then is lost."""
    return Gap(stream=end.stream, first=end.last, last=end.last, quadrant=-1, reason="in_flight")


class Timed:
    """A stage with a histogram of the time that it takes for a message, itself and not what follows."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self.name = stage, stage.name
        self.latencies = Latencies()

    def process(self, message: Message) -> Iterable[Message]:
        """Process one message to its end; only then the stage behind sees the results."""
        began = now_ns()
        results = list(self._stage.process(message))
        if isinstance(message, Frame | CorrectedFrame | EventList):
            self.latencies.add(now_ns() - began)
        return results

    def flush(self) -> Iterable[Message]:
        """Pass on."""
        return self._stage.flush()


@runtime_checkable
class Placed(Protocol):
    """A stage that another process can go on with where it stands."""

    name: str
    place: dict[str, Any]  # numbers, lists and maps of them; set after its stream has been opened


class Runner:
    """Runs the stages of one process on what arrives, until told to stop or the stream is over.

    `stopping()` asks for an orderly end: what was accepted until then is processed, also while more arrives, then the
    stages are flushed. Silence of an open stream for `silence_s` counts as the loss of its source: the stream is
    closed, and opened again should its frames go on. `notes` are what another runner needs to go on in the place of one
    that died: it opens the stream again, where its stages stood. A `Start` of the stream that is open is no news. The
    `End` may have died with the one that it takes over from: the notes know of that, too.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        stages: Sequence[Stage],
        sink: Sink,
        status: Path | None,
        notes: Notes | None = None,
        digest: str = "",
    ) -> None:
        self._name, self._source, self._sink, self._status, self._notes = name, source, sink, status, notes
        self._vitals = Vitals(digest)
        self._stages = stages
        self._timed = [Timed(stage) for stage in stages]
        self._exit = EXITS.get(stages[-1].name, "frame to exit") if stages else ""
        self._latencies: dict[str, Latencies] = {}
        self._counters: Counter[str] = Counter()
        self._open: Start | None = None
        self._lost: Start | None = None  # the stream whose source fell silent
        self._reported = 0
        self._newest = 0  # when what came last was captured
        self._came = self._given = -1  # numbers of the newest read-outs of the open stream

    def run(self, stopping: Callable[[], bool], silence_s: float, once: bool) -> None:
        """Loop until `stopping()`, or with `once` until the first stream has ended."""
        heard = now_ns()
        left = self._source.queue  # messages that may wait when the stop comes: they were accepted
        over = self._go_on() and once
        self._report(final=False)
        while left > 0 and not over:
            message = self._source.receive(POLL_S)
            left -= 1 if stopping() else 0
            if message is not None:
                heard = now_ns()
                self._take(message, heard)
                if once and isinstance(message, End):
                    break
            elif stopping():
                break
            elif self._open is not None and now_ns() - heard > self._patience_ns(silence_s):
                self._counters["source_lost"] += 1
                self._lost = self._open
                self._handle(End(stream=self._open.stream), now_ns())
                if once:
                    break
            elif (end := self._lost_end(now_ns() - heard)) is not None:
                self._counters["end_lost"] += 1
                self._handle(end, now_ns())
                if once:
                    break
            self.beat()
        if self._open is not None:
            self._handle(End(stream=self._open.stream), now_ns())
        for result in drain(self._timed):
            self._sink.send(result)
        self._sink.close()
        self._report(final=True)

    def beat(self) -> None:
        """Say that this process lives, once a second; also while it waits for the next one to take a message."""
        if now_ns() // REPORT_NS > self._reported // REPORT_NS:
            self._report(final=False)

    def _go_on(self) -> bool:
        """Open the stream that a runner before this one had open; return whether it had seen its end instead.

        The end may have died with it, so it is told again: who knows of it already has no such stream open.
        """
        if self._notes is None:
            return False
        if (known := self._notes.read()) is None:
            ended = self._notes.read_end()
            if ended is not None:
                self._counters["gone_on"] += 1
                self._handle(ended[1], now_ns())
            return ended is not None
        start, places, _ = known
        self._counters["gone_on"] += 1
        self._handle(start, now_ns())
        for stage in self._stages:
            if stage.name in places and isinstance(stage, Placed):
                stage.place = places[stage.name]
        return False

    def _lost_end(self, silent_ns: int) -> End | None:
        """Return the end of the open stream if it is lost; None: there is none yet, or it may still come."""
        if self._open is None or self._notes is None or not self._counters["gone_on"] or silent_ns < LOST_END_NS:
            return None
        end = self._notes.end_before(self._open)
        return end if end is not None and (end.last <= self._came or silent_ns >= LOST_TAIL_NS) else None

    def _note(self) -> None:
        if self._notes is not None and self._open is not None:
            places = {stage.name: stage.place for stage in self._stages if isinstance(stage, Placed)}
            self._notes.write(self._open, places, self._given)

    def _patience_ns(self, silence_s: float) -> float:
        assert self._open is not None
        return max(silence_s * 1e9, SILENT_FRAMES * self._open.frame_time_ns)

    def _take(self, message: Message, arrived: int) -> None:
        """Handle a message; a source that was given up and goes on opens its stream again."""
        if isinstance(message, Start):
            self._lost = None
        elif isinstance(message, Frame) and self._lost is not None and self._open is None:
            self._counters["source_back"] += 1
            self._handle(self._lost, arrived)
            self._lost = None
        self._handle(message, arrived)

    def _handle(self, message: Message, arrived: int) -> None:
        self._counters[f"in_{type(message).__name__}"] += 1
        ended, first = None, self._came < 0
        if isinstance(message, Start):
            if self._open is not None and (message.stream, message.run_id) == (self._open.stream, self._open.run_id):
                self._counters["start_again"] += 1
                return
            self._open, self._newest, self._came, self._given = message, 0, -1, -1
        elif isinstance(message, End):
            if self._open is not None and message.last > self._came:  # what came behind it died with another process
                self._handle(_up_to(message), arrived)
            ended, self._open = self._open, None
        elif isinstance(message, Gap):
            self._came = max(self._came, message.last)
        elif isinstance(message, Frame | EventList):
            message = replace(message, trace=(*message.trace, arrived))
            self._measure("arrive", message.trace)
            self._newest, self._came = message.trace[0], max(self._came, message.sequence)
            if isinstance(message, EventList):
                self._counters["rows_in"] += len(message.readouts)
        for result in chain(self._timed, message):
            self._give(result)
        if isinstance(message, Start) or (first and self._came >= 0):  # also where the stream begins
            self._note()
        elif isinstance(message, End) and self._notes is not None:
            if ended is not None:
                self._notes.write(ended, {}, max(self._given, message.last))
            self._notes.end()
        if isinstance(message, EventList) and self._exit == EXITS["record"]:  # which keeps its lists
            self._measure(self._exit, (message.trace[0], now_ns()))

    def _give(self, result: Message) -> None:
        """Count and send one result."""
        if isinstance(result, EventList):
            result = replace(result, trace=(*result.trace, now_ns()))
            self._measure(self._exit, (result.trace[0], result.trace[-1]))
            self._count(result)
            self._given = max(self._given, result.sequence)
        elif isinstance(result, Gap):
            self._counters[f"gap_{result.reason}"] += result.last - result.first + 1
            self._given = max(self._given, result.last)
        elif isinstance(result, End):
            result = replace(result, last=max(self._given, result.last))
        self._counters[f"out_{type(result).__name__}"] += 1
        self._sink.send(result)

    def _count(self, events: EventList) -> None:
        counters = self._counters
        counters["rows_out"] += len(events.readouts)
        valid = events.events["reason"] == 0
        counters["events"] += int(valid.sum())
        counters["rejected"] += int((~valid).sum())
        counters["tracks"] += len(events.tracks)
        counters["bad_pixels"] += len(events.bad_pixels)
        of_pattern = np.bincount(events.events["pattern"][valid], minlength=13)
        for name, low, high in (("single", 0, 0), ("double", 1, 4), ("triple", 5, 8), ("quad", 9, 12)):
            counters[name] += int(of_pattern[low : high + 1].sum())

    def _measure(self, label: str, trace: tuple[int, ...]) -> None:
        if len(trace) > 1:
            self._latencies.setdefault(label, Latencies()).add(trace[-1] - trace[-2])

    def _report(self, final: bool) -> None:
        """Write what is known to the status file, whole or not at all."""
        self._reported = now_ns()
        self._note()
        if self._status is None:
            return
        text = json.dumps(self.summary() | {"final": final})
        temporary = self._status.with_suffix(".tmp")
        with suppress(OSError):  # a full disk is the sink's to report: it knows what was lost
            temporary.write_text(text)
            os.replace(temporary, self._status)

    def summary(self) -> dict[str, Any]:
        """Return counters of the process, its source and its stages, what these run, latencies, lag, and its vitals."""
        stages = {s.name: dict(c) for s in self._stages if (c := getattr(s, "counters", None))}
        spans = self._latencies | {f"stage {timed.name}": timed.latencies for timed in self._timed}
        return {
            "process": self._name,
            "pid": os.getpid(),
            "counters": dict(self._counters),
            "source": {**self._source.counters, **getattr(self._sink, "counters", {})},
            "stages": stages,
            "about": {s.name: dict(a) for s in self._stages if (a := getattr(s, "about", None))},
            "latencies": {label: span.summary() for label, span in spans.items()},
            "balance": {s.name: dict(b) for s in self._stages if (b := getattr(s, "balance", None))},
            "beat_ns": now_ns(),
            "lag_s": round((now_ns() - self._newest) * 1e-9, 4) if self._open and self._newest else None,
        } | self._vitals.told(self._counters)
