"""Frame -> Frame, Gap: order, completeness and shape of the frames of each quadrant."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from config.load import digest
from config.schema import Config
from stream.errors import ConfigError
from stream.messages import End, Frame, Gap, Message, Quality, Start
from stream.numbering import Numbering

SILENT_FRAMES = 64  # a quadrant so far behind the others is silent
MISSING_RANGES = 1000  # how many declared gaps are remembered for frames that come late
FAR = 2**62  # numbers and times (ns) beyond are wrong: what is reckoned with them would leave 64 bit


@dataclass(slots=True)
class _Line:
    """The frames of one quadrant: what comes next, what waits, what was given up."""

    begun: int = 0  # the lowest number seen
    expected: int | None = None
    held: dict[int, Frame | Gap] = field(default_factory=dict)
    missing: list[tuple[int, int]] = field(default_factory=list)

    def miss(self, place: int, *ranges: tuple[int, int]) -> None:
        """Put ranges in the place of one that is missing; only the newest are remembered."""
        self.missing[place : place + 1] = [r for r in ranges if r[0] <= r[1]]
        del self.missing[:-MISSING_RANGES]


class Receive:
    """Frame -> Frame, Gap. Every frame number leaves exactly once per quadrant, as a frame or within a gap.

    Frames are put in order within `reorder_window_frames`; one that comes after its gap was declared still passes,
    marked LATE. Duplicates and frames without an open stream are counted and dropped.
    """

    name = "receive"

    def __init__(self, config: Config) -> None:
        self._config = config
        self._digest = digest(config)
        self._start: Start | None = None
        self._first: int | None = None  # number of the first frame of all
        self._frames = 0
        self._gone_on = False  # with what another process has begun
        self.counters: Counter[str] = Counter()

    @property
    def place(self) -> dict[str, Any]:
        """The first number, how many frames came, and number and time (ns) of the newest one of each quadrant."""
        if self._start is None:
            return {}
        last = {quadrant: list(known.last) for quadrant, known in self._numbering.items() if known.last is not None}
        return {"first": self._first, "frames": self._frames, "last": last}

    @place.setter
    def place(self, place: dict[str, Any]) -> None:
        """Go on counting where another process has stopped; what came between is not known here, and no gap."""
        self._first = place.get("first")
        # Killed before it noted its first frame: then the count of the source does not tell how many are missing.
        self._frames = FAR if self._first is None else place.get("frames", 0)
        for quadrant, (number, time_ns) in place.get("last", {}).items():
            self._numbering[quadrant].last = number, time_ns
        self._gone_on = True

    def process(self, message: Message) -> Iterable[Message]:
        """Start opens, End closes the account of every quadrant; frames leave in order."""
        if isinstance(message, Start):
            yield from self.flush()
            self._open(message)
            yield replace(message, config_digest=self._digest)
        elif isinstance(message, End):
            yield from self._close(message)
        elif self._start is None:
            self.counters["no_start"] += 1
        elif isinstance(message, Frame):
            yield from self._number(message)
        elif isinstance(message, Gap):
            yield from self._note(message)
        else:
            yield message

    def flush(self) -> Iterable[Message]:
        """Give what waits for missing frames, and the gaps before it."""
        if self._start is not None:
            for quadrant in self._lines:
                for known in self._numbering[quadrant].flush():
                    yield from self._admit(known)
                yield from self._drain(quadrant, keep=0)

    def _open(self, start: Start) -> None:
        check_geometry(start, self._config)
        self._start = start
        self._shapes = {q.id: (q.rows, q.columns) for q in start.quadrants}
        self._lines = {q.id: _Line() for q in start.quadrants}
        self._numbering = {q.id: Numbering(start, self.counters) for q in start.quadrants}
        self._first, self._frames, self._gone_on = None, 0, False

    def _number(self, frame: Frame) -> Iterable[Message]:
        """Take a frame of this stream under its full number, or put it off until the next one tells its place."""
        assert self._start is not None
        if frame.stream != self._start.stream:
            self.counters["other_stream"] += 1
            return
        if _is_far(frame):
            self.counters["wild_number"] += 1
            return
        self._frames += 1
        self._first = frame.sequence if self._first is None else self._first
        numbering = self._numbering.get(frame.quadrant)
        beside = max((n.last for n in self._numbering.values() if n.last is not None), default=None)
        for known in numbering.take(frame, beside) if numbering else [frame]:
            yield from self._admit(known)

    def _note(self, gap: Gap) -> Iterable[Message]:
        """Take a gap that the source itself tells of."""
        for quadrant in self._lines if gap.quadrant < 0 else [gap.quadrant]:
            self._frames += gap.last - gap.first + 1
            yield from self._take(replace(gap, quadrant=quadrant))

    def _admit(self, frame: Frame) -> Iterable[Message]:
        if _is_far(frame):  # its counter was unwrapped so
            self.counters["wild_number"] += 1
        else:
            yield from self._take(self._checked(frame))

    def _checked(self, frame: Frame) -> Frame | Gap:
        """Return the frame, or a gap if it does not fit the stream."""
        assert self._start is not None
        reason = "shape"
        if frame.quadrant not in self._lines:
            self.counters["unknown_quadrant"] += 1
        elif frame.pixels.size == 0:
            reason = "shed"  # by the source: more came than could be taken
            self.counters[reason] += 1
        elif frame.pixels.shape != self._shapes[frame.quadrant] or frame.pixels.dtype != self._start.pixel_dtype:
            self.counters["shape"] += 1
        else:
            return frame
        number = frame.sequence
        return Gap(stream=frame.stream, first=number, last=number, quadrant=frame.quadrant, reason=reason)

    def _take(self, item: Frame | Gap) -> Iterable[Message]:
        line = self._lines.get(item.quadrant)
        if line is None:
            yield item
            return
        first = item.sequence if isinstance(item, Frame) else item.first
        if line.expected is None:
            known = None if self._gone_on else self._first
            line.expected = line.begun = min(first, first if known is None else known)
        if first < line.expected:
            yield from self._late(line, item, first)
        elif first in line.held:
            self.counters["duplicate"] += 1
        else:
            line.held[first] = item
            yield from self._drain(item.quadrant, keep=self._config.receive.reorder_window_frames)
            if line.expected % SILENT_FRAMES == 0:
                yield from self._give_up(line.expected - SILENT_FRAMES)

    def _drain(self, quadrant: int, keep: int) -> Iterable[Message]:
        """Give what is in order; declare a gap when more than `keep` frames wait behind it."""
        assert self._start is not None
        line = self._lines[quadrant]
        while line.held and line.expected is not None:
            if line.expected not in line.held:
                if len(line.held) <= keep:
                    return
                yield self._gap(line, quadrant, min(line.held) - 1)
            item = line.held.pop(line.expected)
            if isinstance(item, Gap) and line.held:  # frames that it tells of may have come all the same
                item = replace(item, last=min(item.last, min(line.held) - 1))
            line.expected = (item.sequence if isinstance(item, Frame) else item.last) + 1
            yield item

    def _give_up(self, last: int) -> Iterable[Message]:
        """Declare what quadrants that have fallen silent have not sent up to `last`, while the others go on."""
        for quadrant, line in self._lines.items():
            if line.expected is None:
                line.expected = line.begun = last + 1 if self._first is None or self._gone_on else self._first
            if line.expected <= last and not line.held:
                yield self._gap(line, quadrant, last)

    def _gap(self, line: _Line, quadrant: int, last: int) -> Gap:
        assert self._start is not None
        assert line.expected is not None
        gap = Gap(stream=self._start.stream, first=line.expected, last=last, quadrant=quadrant, reason="lost")
        line.miss(len(line.missing), (gap.first, last))
        line.expected = last + 1
        self.counters["lost"] += last - gap.first + 1
        return gap

    def _late(self, line: _Line, item: Frame | Gap, first: int) -> Iterable[Message]:
        """Give a frame whose gap was declared, or that is older than the first one seen; count the rest as doubles."""
        if first < line.begun:
            line.miss(len(line.missing), (first, line.begun - 1))
            after = first + 1 if isinstance(item, Frame) else first
            if after < line.begun:
                yield Gap(stream=item.stream, first=after, last=line.begun - 1, quadrant=item.quadrant, reason="lost")
            self.counters["lost"] += line.begun - first
            line.begun = first
        for k, (low, high) in enumerate(line.missing):
            if low <= first <= high and isinstance(item, Frame):
                line.miss(k, (low, first - 1), (first + 1, high))
                self.counters["late"] += 1
                self.counters["lost"] -= 1
                yield replace(item, quality=item.quality | Quality.LATE)
                return
        self.counters["duplicate"] += 1

    def _close(self, end: End) -> Iterable[Message]:
        """Declare what is missing at the end: quadrants that stopped early, and a tail that the source counted."""
        yield from self.flush()
        if self._start is not None and self._first is not None:
            last = max((line.expected or 0) for line in self._lines.values()) - 1
            if end.frames > self._frames:
                last = max(last, min(self._first + -(-end.frames // len(self._lines)) - 1, FAR))
            for quadrant, line in self._lines.items():
                line.expected = self._first if line.expected is None and not self._gone_on else line.expected
                if line.expected is not None and line.expected <= last:
                    yield self._gap(line, quadrant, last)
        self._start = None
        yield end


def _is_far(frame: Frame) -> bool:
    return frame.sequence > FAR or abs(frame.time_ns) > FAR


def check_geometry(start: Start, config: Config) -> None:
    """Raise ConfigError unless quadrants and frame time are those of the configuration (if it names quadrants)."""
    detector = config.detector
    if not detector.quadrants:
        return
    if start.frame_time_ns != round(detector.frame_time_s * 1e9):
        raise ConfigError(
            f"stream {start.stream}: frames of {start.frame_time_ns * 1e-6:g} ms, the configuration expects "
            f"{detector.frame_time_s * 1e3:g} ms (detector.frame_time_s)"
        )
    known = {q.id for q in detector.quadrants}
    for quadrant in start.quadrants:
        if quadrant.id not in known or (quadrant.rows, quadrant.columns) != (detector.rows, detector.columns):
            raise ConfigError(
                f"stream {start.stream}: quadrant {quadrant.id} is {quadrant.rows}x{quadrant.columns}, the "
                f"configuration expects {detector.rows}x{detector.columns} and the quadrants {sorted(known)}"
            )
