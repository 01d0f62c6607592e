"""What of a stream is recorded and what is known to be lost, by quadrant: nothing twice, nothing forgotten."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.messages import Gap

Range = tuple[int, int]  # first and last


class Ranges:
    """A set of whole numbers as ranges in order: that of a stream is one range, or a few."""

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._first: list[int] = []
        self._last: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def __iter__(self) -> Iterator[Range]:
        """Yield the ranges, rising."""
        return iter(list(zip(self._first, self._last, strict=True)))

    def __len__(self) -> int:
        """Return how many numbers there are."""
        return sum(self._last) - sum(self._first) + len(self._first)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._first, number) - 1
        return place >= 0 and number <= self._last[place]

    def add(self, first: int, last: int) -> None:
        """Put first .. last into the set."""
        if self._last and first == self._last[-1] + 1:  # as nearly always
            self._last[-1] = last
            return
        low = bisect_right(self._last, first - 2)  # ranges that it touches: low .. high - 1
        high = bisect_right(self._first, last + 1)
        if low < high:
            first, last = min(first, self._first[low]), max(last, self._last[high - 1])
        self._first[low:high], self._last[low:high] = [first], [last]

    def remove(self, number: int) -> None:
        """Take one number out of the set."""
        place = bisect_right(self._first, number) - 1
        if place >= 0 and number <= self._last[place]:
            first, last = self._first[place], self._last[place]
            parts = [part for part in ((first, number - 1), (number + 1, last)) if part[0] <= part[1]]
            self._first[place : place + 1] = [part[0] for part in parts]
            self._last[place : place + 1] = [part[1] for part in parts]

    def holes(self, first: int, last: int) -> list[Range]:
        """Return what of first .. last is not in the set."""
        found, place = [], bisect_right(self._last, first - 1)
        for low, high in zip(self._first[place:], self._last[place:], strict=True):
            if low > last:
                break
            if first < low:
                found.append((first, low - 1))
            first = high + 1
        return [*found, (first, last)] if first <= last else found


class Ledger:
    """The read-outs of each quadrant: recorded, lost, or (between the first and the newest of all) still missing."""

    def __init__(self, quadrants: Iterable[int]) -> None:
        self.recorded = {quadrant: Ranges() for quadrant in quadrants}
        self.lost = {quadrant: Ranges() for quadrant in self.recorded}
        self._bounds: Range | None = None

    def record(self, quadrant: NDArray[Any], frame: NDArray[Any]) -> NDArray[np.bool_]:
        """Note read-outs (n,) of quadrants (n,) as recorded; return (n,) bool: which were not there yet."""
        new = np.ones(len(frame), bool)
        for row, (own, number) in enumerate(zip(quadrant.tolist(), frame.tolist(), strict=True)):
            if own not in self.recorded or number in self.recorded[own]:
                new[row] = False
                continue
            self.recorded[own].add(number, number)
            self.lost[own].remove(number)  # it came late
            self._widen(number, number)
        return new

    def record_range(self, quadrant: int, first: int, last: int) -> None:
        """Note read-outs first .. last of a quadrant, none of them lost, as recorded."""
        self.recorded[quadrant].add(first, last)
        self._widen(first, last)

    def lose(self, gap: Gap) -> list[Gap]:
        """Note a gap; return the parts of it that are news: neither recorded nor known to be lost."""
        found: dict[Range, list[int]] = {}
        for quadrant in self.recorded if gap.quadrant < 0 else [gap.quadrant]:
            if quadrant in self.recorded:
                for hole in self._holes(quadrant, gap.first, gap.last):
                    found.setdefault(hole, []).append(quadrant)
                    self.lost[quadrant].add(*hole)
                    self._widen(*hole)
        every = len(self.recorded)
        return [
            replace(gap, first=first, last=last, quadrant=quadrant)
            for (first, last), own in found.items()
            for quadrant in ([-1] if gap.quadrant < 0 and len(own) == every else own)
        ]

    @property
    def first(self) -> int | None:
        """Return the number of the first read-out, None if there is none."""
        return None if self._bounds is None else self._bounds[0]

    def begin(self, first: int) -> None:
        """Note the first read-out of the stream: what is missing from there on is lost."""
        self._widen(first, first)

    @property
    def newest(self) -> int:
        """Return the number of the newest read-out, -1 if there is none."""
        return -1 if self._bounds is None else self._bounds[1]

    def missing(self, stream: str, reason: str, until: int | None = None) -> list[Gap]:
        """Note as lost, and return, what is missing until a number; None: until the newest."""
        if self._bounds is None:
            return []
        first, last = self._bounds
        gap = Gap(stream=stream, first=first, last=last if until is None else until, quadrant=-1, reason=reason)
        return self.lose(gap) if gap.last >= first else []

    def balance(self) -> dict[str, int]:
        """Return the numbers of read-outs of all quadrants: due (first to newest of each), recorded, lost."""
        span = 0 if self._bounds is None else self._bounds[1] - self._bounds[0] + 1
        found = Counter({"due": span * len(self.recorded)})
        for quadrant, ranges in self.recorded.items():
            found["recorded"] += len(ranges)
            found["lost"] += len(self.lost[quadrant])
        return dict(found)

    def _holes(self, quadrant: int, first: int, last: int) -> Sequence[Range]:
        holes = self.recorded[quadrant].holes(first, last)
        return [part for hole in holes for part in self.lost[quadrant].holes(*hole)]

    def _widen(self, first: int, last: int) -> None:
        low, high = self._bounds or (first, last)
        self._bounds = min(low, first), max(high, last)


@dataclass(frozen=True, slots=True)
class Past:
    """What an earlier process has recorded of a run that is still open."""

    ledger: Ledger
    roll: int  # number of its newest file
    given: int  # intervals in it
    bad_pixels: NDArray[Any]  # BAD_PIXEL rows of the run
    known: NDArray[np.int64]  # (1, 2), or (0, 2): frame and time (ns) of its newest read-out
