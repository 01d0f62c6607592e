"""The seam between physics and detector: charge in pixels.

Whatever makes signal (the simple models here, or a particle transport code) is a `Source`; the detector model only
sees the charge that arrives in each pixel.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from config.schema import Detector as Layout

PAIR_ENERGY_EV = 3.65  # per electron-hole pair in silicon, as the whole chain assumes

CHARGE = np.dtype(
    [
        ("quadrant", "<u1"),
        ("x", "<i2"),
        ("y", "<i2"),
        ("owner", "<i4"),  # number of the photon or primary in its read-out
        ("electrons", "<f4"),
    ]
)
XRAY, PARTICLE = 1, 2  # kinds of owners


@dataclass(frozen=True, slots=True)
class Deposit:
    """What one source left in one read-out."""

    charges: NDArray[Any]  # CHARGE rows; rows of the same pixel add up
    kind: int  # of their owners
    truth: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # table name -> rows, each with `frame`


class Source(Protocol):
    """Something that makes signal. Holds parameters only: all chance comes from `rng`."""

    def expose(self, readout: int, layout: Layout, rng: Generator) -> Deposit:
        """Return the charge of read-out number `readout` in all quadrants of `layout`."""
        ...


def empty_charges() -> NDArray[Any]:
    """Return no charge."""
    return np.empty(0, CHARGE)


def how_many(rng: Generator, per_frame: float, fixed: bool, quadrants: int) -> NDArray[np.int64]:
    """Return a number for each quadrant, (quadrants,) int64: Poisson around `per_frame`, or exactly that."""
    if fixed:
        return np.full(quadrants, round(per_frame), np.int64)
    return rng.poisson(per_frame, quadrants)


def join(tables: Iterable[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the rows of all tables in order; an empty table of `dtype` for none."""
    return np.concatenate([np.empty(0, dtype), *tables])
