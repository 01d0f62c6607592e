"""The full number of every frame, from its counter and its time stamp, one of which may be wrong."""

from collections import Counter
from dataclasses import replace

from stream.messages import Frame, Start

NEAR = 16  # frames: so little off, a number follows on the last one
DRIFT = 1000  # clock and frame time agree to one part in so many


class Numbering:
    """Unwraps the counter of one quadrant, and believes neither a number nor a time that stands alone.

    A frame whose number fits its time is believed: both tell of the same gap. One whose number goes on but whose time
    does not fit gets the time that its number says (after NEAR of them in a row the clock is believed). One that fits
    neither waits for the next: if that goes on from it, the source has jumped and both are believed; else its number
    was wrong. So does one whose counter goes on while its time tells of whole wraps lost.
    """

    def __init__(self, start: Start, counters: Counter[str]) -> None:
        self._period = 1 << start.sequence_bits if start.sequence_bits else 0
        self._frame_ns = start.frame_time_ns
        self._counters = counters
        self._last: tuple[int, int] | None = None  # number and time of the newest frame
        self._doubt: Frame | None = None  # waits, with the number that it would have
        self._odd_times = 0

    @property
    def last(self) -> tuple[int, int] | None:
        """Number and time (ns) of the newest frame that was believed; None before the first."""
        return self._last

    @last.setter
    def last(self, last: tuple[int, int]) -> None:
        """Go on from a frame that another process has believed."""
        self._last = last

    def take(self, frame: Frame, beside: tuple[int, int] | None = None) -> list[Frame]:
        """Return the frames that are believed now, with full numbers: none, this one, or the one in doubt before it.

        beside: `last` of another quadrant. A counter that wraps means nothing for the first frame of a quadrant that
        comes later than the others: it is counted from theirs.
        """
        if self._last is None and self._period:
            self._last = beside
        if self._last is None:
            return [self._believe(frame, frame.sequence)]
        given: list[Frame] = []
        if self._doubt is not None:
            doubt, self._doubt = self._doubt, None
            number, fits_time, fits_order = self._place(frame, (doubt.sequence, doubt.time_ns))
            if fits_time and fits_order and number > doubt.sequence:
                return [self._believe(doubt, doubt.sequence), self._believe(frame, number)]
            given += self._settle(doubt)
        number, fits_time, fits_order = self._place(frame, self._last)
        ordered = self._near(frame.sequence, self._last[0] + 1)
        if fits_time and (number == ordered or abs(ordered - self._last[0]) > NEAR):
            self._odd_times = 0
            return [*given, self._believe(frame, number)]
        if abs(ordered - self._last[0]) <= NEAR and not fits_time:
            return [*given, self._correct_time(frame, ordered)]
        self._doubt = replace(frame, sequence=max(number, 0))
        return given

    def flush(self) -> list[Frame]:
        """Return the frame in doubt, if its number goes on; else it is counted as wrong."""
        doubt, self._doubt = self._doubt, None
        return self._settle(doubt) if doubt is not None else []

    def _settle(self, doubt: Frame) -> list[Frame]:
        """Nothing went on from this frame: keep it where its counter goes on, drop it where nothing fits."""
        assert self._last is not None
        ordered = self._near(doubt.sequence, self._last[0] + 1)
        if abs(ordered - self._last[0]) <= NEAR:
            return [self._correct_time(doubt, ordered)]
        self._counters["wild_number"] += 1
        return []

    def _place(self, frame: Frame, origin: tuple[int, int]) -> tuple[int, bool, bool]:
        """Return the number that fits the time best, seen from a frame that is believed, and whether it fits."""
        number, time_ns = origin
        passed = (2 * (frame.time_ns - time_ns) + self._frame_ns) // (2 * self._frame_ns)
        best = self._near(frame.sequence, number + passed)
        slack = 2 + abs(passed) // DRIFT
        return best, best >= 0 and abs(best - number - passed) <= slack, abs(best - number) <= NEAR

    def _near(self, counter: int, number: int) -> int:
        """Return the full number with this counter that is nearest to `number`."""
        if not self._period:
            return counter
        return counter + self._period * ((2 * (number - counter) + self._period) // (2 * self._period))

    def _correct_time(self, frame: Frame, number: int) -> Frame:
        assert self._last is not None
        self._odd_times += 1
        if self._odd_times > NEAR:  # the clock was set: it is the old times that do not fit
            self._last = number, frame.time_ns
            self._odd_times = 0
            return replace(frame, sequence=number)
        self._counters["wild_time"] += 1
        time_ns = self._last[1] + (number - self._last[0]) * self._frame_ns
        return self._believe(replace(frame, time_ns=time_ns), number)

    def _believe(self, frame: Frame, number: int) -> Frame:
        if self._last is None or number > self._last[0]:
            self._last = number, frame.time_ns
        return frame if number == frame.sequence else replace(frame, sequence=number)
