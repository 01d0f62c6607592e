"""When the exposures of an event list began, also those in which nothing was found."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.transport.foreign.fits_input import Table

MOST_EXPOSURES = 5_000_000  # of one observation; more means that the numbers are not exposure numbers
SAME_S = 1e-3  # times of one exposure agree within this


def to_ns(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return times (s, float64) as integer ns."""
    return np.rint(seconds * 1e9).astype(np.int64)


def begin_s(events: Table, frame_time_s: float) -> NDArray[np.float64]:
    """Return the begin (s) of the frame of each event, such that its middle is the middle of the exposure.

    TIME is at the share TIMEPIXR of an exposure of TIMEDEL (header); TIMEZERO is added.
    """
    middle = (0.5 - events.number("TIMEPIXR", 0.5)) * events.number("TIMEDEL", 0.0)
    return np.asarray(events["TIME"] + (events.number("TIMEZERO", 0.0) + middle - frame_time_s / 2))


def fill(
    exposure: NDArray[np.int64], begin: NDArray[np.float64], count: int, frame_time_s: float
) -> NDArray[np.float64]:
    """Return the begin (s) of the exposures 0 .. count - 1 from those of the events (any order, at least one).

    Between two exposures with events the clock is taken as even, beyond the last ones as nominal.
    Raises ValueError (one line) if two events of an exposure disagree, or if time does not rise.
    """
    known, first = np.unique(exposure, return_index=True)
    if (np.abs(begin - begin[first][np.searchsorted(known, exposure)]) > SAME_S).any():
        raise ValueError("events of one exposure have different times; convert every observation by itself")
    times = begin[first]
    if (np.diff(times) <= 0).any():
        raise ValueError("times do not rise with the exposure number; convert every observation by itself")
    number = np.arange(count)
    filled = np.interp(number, known, times)
    before, after = number < known[0], number > known[-1]
    filled[before] = times[0] - (known[0] - number[before]) * frame_time_s
    filled[after] = times[-1] + (number[after] - known[-1]) * frame_time_s
    return np.asarray(filled)


def reach(
    exposure: NDArray[np.int64], middle_s: NDArray[np.float64], intervals: Sequence[Table], frame_time_s: float
) -> tuple[int, int]:
    """Return the first and last exposure number whose middle is within the good time intervals, or has an event."""
    low, high = int(exposure.argmin()), int(exposure.argmax())
    first, last = int(exposure[low]), int(exposure[high])
    for table in intervals:
        first = min(first, int(exposure[low] - (middle_s[low] - table["START"].min()) // frame_time_s))
        last = max(last, int(exposure[high] + (table["STOP"].max() - middle_s[high]) // frame_time_s))
    return first, last


def inside(middle_s: NDArray[np.float64], intervals: Sequence[Table]) -> NDArray[np.bool_]:
    """Return which times (s) are in the good time intervals (START, STOP); all if there are none."""
    good = np.zeros(len(middle_s), bool)
    rows = 0
    for table in intervals:
        for start, stop in zip(table["START"], table["STOP"], strict=True):
            good |= (middle_s >= start) & (middle_s <= stop)
            rows += 1
    return good if rows else ~good


def check_count(events: Table, column: str, count: int) -> None:
    """Raise ConfigError if there are more exposures than any observation has."""
    if count > MOST_EXPOSURES:
        raise ConfigError(f"{events.path}: column {column}: expected at most {MOST_EXPOSURES} exposures, got {count}")
