"""Regions of an image: which pixels belong to each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.messages import empty

Mask = NDArray[np.bool_]
SHAPES = {"circle": 3, "ellipse": 5, "box": 5, "annulus": 4}  # numbers of each: x, y, then radii or sides, angle


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape, pixels of the image, centres at integers from 0; angles anticlockwise from x, degrees."""

    kind: str  # of SHAPES
    numbers: tuple[float, ...]
    excluded: bool = False

    def inside(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
        """Return which of the places (n,) lie in it."""
        dx, dy = x - self.numbers[0], y - self.numbers[1]
        away = np.hypot(dx, dy)
        match self.kind:
            case "circle":
                return np.asarray(away <= self.numbers[2])
            case "annulus":
                return np.asarray((away >= self.numbers[2]) & (away < self.numbers[3]))
        angle = np.radians(self.numbers[4])
        along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        if self.kind == "ellipse":
            return np.asarray((along / self.numbers[2]) ** 2 + (across / self.numbers[3]) ** 2 <= 1)
        return np.asarray((np.abs(along) <= self.numbers[2] / 2) & (np.abs(across) <= self.numbers[3] / 2))


@dataclass(frozen=True, slots=True)
class Region:
    """A source region by its name; what lies in `excluded` shapes is not of it."""

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Regions:
    """Source regions, the background regions of all of them, and what is taken out of both."""

    sources: tuple[Region, ...] = ()
    background: tuple[Shape, ...] = ()
    excluded: tuple[Shape, ...] = ()

    def masks(self, exposure: NDArray[np.float64]) -> tuple[list[Mask], Mask]:
        """Return the pixels (rows, columns) of each source region and of the background that have exposure.

        Pixels of source regions are no background.
        """
        rows, columns = exposure.shape
        y, x = (axis.astype(float) for axis in np.mgrid[:rows, :columns])
        open_ = exposure > 0
        for shape in self.excluded:
            open_ &= ~shape.inside(x, y)
        mine = [region.shape.inside(x, y) & open_ for region in self.sources]
        off = np.zeros(exposure.shape, bool)
        for shape in self.background:
            off |= shape.inside(x, y)
        for mask in mine:
            off &= ~mask
        return mine, off & open_


OVERLAPS, UNEXPOSED = 1, 2
"""Bits of FLAG of a region: shares pixels with another; has no pixel with exposure."""


def measure_regions(
    regions: Regions, exposure: NDArray[np.float64], place: tuple[NDArray[np.float64], NDArray[np.float64]],
    channel: NDArray[np.int64], channels: int,
) -> NDArray[np.void]:  # fmt: skip
    """Return a row for each source region: NAME, FLAG, counts by channel, exposure and pixels, of it and of background.

    exposure (rows, columns) s; place: x, y (m,) of events in pixels of the image; channel (m,): place among `channels`,
    < 0 or beyond: none. An event in two regions counts in both. No regions: no rows. BACKSCAL is a region's number of
    exposed pixels, EXPOSURE their mean; no light is added for what of the PSF falls outside.
    """
    if not regions.sources:
        return empty(np.dtype([]))
    mine, off = regions.masks(exposure)
    parts = [("NAME", "U32"), ("FLAG", "<i4"), ("EXPOSURE", "<f8"), ("BACKSCAL", "<f8"), ("COUNTS", "<i4", (channels,))]
    parts += [("BACK_EXPOSURE", "<f8"), ("BACK_BACKSCAL", "<f8"), ("BACK_COUNTS", "<i4", (channels,))]
    table = np.zeros(len(mine), parts)
    rows, columns = exposure.shape
    x, y = (np.rint(axis).astype(np.int64) for axis in place)
    good = (x >= 0) & (x < columns) & (y >= 0) & (y < rows) & (channel >= 0) & (channel < channels)
    x, y, channel = x[good], y[good], channel[good]
    back = np.bincount(channel[off[y, x]], minlength=channels)
    back_s, back_px = (float(exposure[off].mean()), int(off.sum())) if off.any() else (0.0, 0)
    for k, (row, region, mask) in enumerate(zip(table, regions.sources, mine, strict=True)):
        row["NAME"], row["COUNTS"] = region.name, np.bincount(channel[mask[y, x]], minlength=channels)
        row["EXPOSURE"], row["BACKSCAL"] = (float(exposure[mask].mean()), int(mask.sum())) if mask.any() else (0.0, 0)
        row["BACK_COUNTS"], row["BACK_EXPOSURE"], row["BACK_BACKSCAL"] = back, back_s, back_px
        shared = any((mask & other).any() for j, other in enumerate(mine) if j != k)
        row["FLAG"] = (OVERLAPS if shared else 0) | (0 if mask.any() else UNEXPOSED)
    return table
