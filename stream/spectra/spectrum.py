"""A counts spectrum with its background, and how channels are joined to bins."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.spectra.grid import Floats


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Counts per channel (PHA); the background is another one, with the same channels."""

    counts: Floats  # (m,)
    channel: NDArray[np.int32]  # (m,)
    exposure_s: float
    backscal: Floats  # (m,) or (1,)
    areascal: Floats  # (m,) or (1,)
    quality: NDArray[np.int16]  # (m,) 0 is good
    grouping: NDArray[np.int16]  # (m,) OGIP: 1 begins a bin, -1 goes on with it, 0 is a bin of its own
    background: "Spectrum | None" = None
    about: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, counts: ArrayLike, exposure_s: float, background: "Spectrum | None" = None, **more: Any) -> "Spectrum":
        """Return a spectrum of counts (m,); `more`: first_channel, backscal, areascal, quality, grouping, about."""
        values = np.asarray(counts, float)
        m, first = len(values), more.get("first_channel", 1)
        return cls(
            counts=values,
            channel=np.arange(first, first + m, dtype=np.int32),
            exposure_s=float(exposure_s),
            backscal=np.atleast_1d(np.asarray(more.get("backscal", 1.0), float)),
            areascal=np.atleast_1d(np.asarray(more.get("areascal", 1.0), float)),
            quality=np.asarray(more.get("quality", np.zeros(m)), np.int16),
            grouping=np.asarray(more.get("grouping", np.zeros(m)), np.int16),
            background=background,
            about=dict(more.get("about", {})),
        )

    def grouped(self, least: int) -> "Spectrum":
        """Return it with good channels joined until each bin has at least so many counts; a rest joins the last bin."""
        return replace(self, grouping=group(self.counts, self.quality == 0, least))


def group(counts: Floats, good: NDArray[np.bool_], least: float, widest: int | None = None) -> NDArray[np.int16]:
    """Return OGIP grouping (m,): bins of at least so many counts, or `widest` channels if that comes first.

    Bad channels are bins of their own; the rest at the end, if short of counts, joins the bin before it.
    """
    grouping = np.where(good, -1, 0).astype(np.int16)
    held, wide, begin, last = 0.0, 0, True, -1
    for i in np.flatnonzero(good).tolist():
        if begin:
            grouping[i], last, held, wide = 1, i, 0.0, 0
        held, wide = held + counts[i], wide + 1
        begin = held >= least or wide == widest
    if not begin and last > np.flatnonzero(good)[0]:
        grouping[last] = -1
    return grouping


@dataclass(frozen=True, slots=True)
class Bins:
    """How channels are joined: good channels `take` (n,), and where among them each bin begins (b,)."""

    take: NDArray[np.intp] | None  # None: all
    begins: NDArray[np.intp] | None  # None: each channel is a bin

    @classmethod
    def of(cls, grouping: NDArray[np.int16], quality: NDArray[np.int16]) -> "Bins":
        """Return the bins of channels with OGIP grouping and quality, (m,) each."""
        good = np.flatnonzero(quality == 0)
        begins = np.flatnonzero(grouping[good] >= 0)
        if not begins.size or begins[0] != 0:
            begins = np.insert(begins, 0, 0) if good.size else begins
        every = good.size == grouping.size
        return cls(None if every else good, None if begins.size == good.size else begins)

    def __call__(self, values: Floats) -> Floats:
        """Return the sums over each bin, (..., b), of values (..., m)."""
        kept = values if self.take is None else values[..., self.take]
        return kept if self.begins is None else np.add.reduceat(kept, self.begins, axis=-1)

    def edges(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """Return the lowest and the highest edge of each bin, (b,) each, of the channels' (m,)."""
        low, high = (values if self.take is None else values[self.take] for values in (low, high))
        if self.begins is None:
            return low, high
        return np.minimum.reduceat(low, self.begins), np.maximum.reduceat(high, self.begins)
