"""Where X-rays fall: everywhere alike, or around a point of the focal plane."""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from config.schema import Detector as Layout
from config.schema import QuadrantLayout
from sim.charge import how_many
from sim.check import require

Places = tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]
KING_SLOPE = (
    1.5  # the outer slope of the surface brightness is r^-3, as of XMM's mirrors (Ghizzardi 2002, EPIC-MCT-TN-011)
)


class Place(Protocol):
    """A distribution of photons over the quadrants."""

    def draw(self, per_frame: float, fixed: bool, layout: Layout, rng: Generator) -> Places:
        """Return quadrant (uint8), x and y (pixels, the centre of a pixel at its whole number) of one read-out."""
        ...


@dataclass(frozen=True, slots=True)
class FlatField:
    """All pixels alike; `per_frame` is the mean number of photons of a quadrant."""

    def draw(self, per_frame: float, fixed: bool, layout: Layout, rng: Generator) -> Places:
        """Return the places, quadrant after quadrant."""
        counts = how_many(rng, per_frame, fixed, len(layout.quadrants))
        quadrant = np.repeat(np.array([q.id for q in layout.quadrants], np.uint8), counts)
        x = rng.uniform(-0.5, layout.columns - 0.5, quadrant.size)
        return quadrant, x, rng.uniform(-0.5, layout.rows - 0.5, quadrant.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class PointSource:
    """A point seen through a mirror; `per_frame` is the mean number of photons in the focal plane.

    Those that fall into the gaps or beside the camera are not in the result. The profile is a Gaussian, or King's:
    surface brightness (1 + (r/core)^2)^-1.5; the half-energy width (HEW) is the diameter around half of them.
    """

    x_px: float  # in the focal plane: column of its quadrant's origin and more, gaps included
    y_px: float
    hew_arcsec: float = 9.0  # NewAthena's requirement
    arcsec_per_px: float = 2.2346  # 130 um at 12 m
    psf: Literal["king", "gaussian"] = "king"

    def __post_init__(self) -> None:
        require(
            "point source",
            (math.isfinite(self.x_px) and math.isfinite(self.y_px), "x_px and y_px"),
            (0 <= self.hew_arcsec < math.inf, "hew_arcsec >= 0"),
            (0 < self.arcsec_per_px < math.inf, "arcsec_per_px > 0"),
            (self.psf in ("king", "gaussian"), "psf king or gaussian"),
        )

    def draw(self, per_frame: float, fixed: bool, layout: Layout, rng: Generator) -> Places:
        """Return the places, quadrant after quadrant."""
        n = int(how_many(rng, per_frame, fixed, 1)[0])
        half_px = self.hew_arcsec / self.arcsec_per_px / 2
        outside = 1 - rng.random(n)  # the share of the photons that fall further out, in (0, 1]
        radius = half_px * np.sqrt(-np.log2(outside)) if self.psf == "gaussian" else king_radius(half_px, outside)
        angle = rng.uniform(0, 2 * math.pi, n)
        return place(self.x_px + radius * np.cos(angle), self.y_px + radius * np.sin(angle), layout)


def king_radius(half: ArrayLike, outside: ArrayLike) -> NDArray[np.float64]:
    """Return the radius beyond which a King profile has a share of its photons, in the unit of `half`; any shape.

    half: the radius that holds half of them; outside: the share, in (0, 1].
    """
    core = np.asarray(half) / math.sqrt(0.5 ** (1 / (1 - KING_SLOPE)) - 1)
    return np.asarray(core * np.sqrt(np.asarray(outside) ** (1 / (1 - KING_SLOPE)) - 1))


def place(x: NDArray[np.float64], y: NDArray[np.float64], layout: Layout) -> Places:
    """Return quadrant, x and y in it of the places of the focal plane (pixels) that lie on a quadrant."""
    found: list[Places] = []
    for quadrant in layout.quadrants:
        on = on_quadrant(x, y, quadrant, layout)
        own_x, own_y = x[on] - quadrant.origin_x_px, y[on] - quadrant.origin_y_px
        found.append((np.full(own_x.size, quadrant.id, np.uint8), own_x, own_y))
    ids, columns, rows = zip(*found, strict=True)
    return np.concatenate(ids), np.concatenate(columns), np.concatenate(rows)


def on_quadrant(
    x: NDArray[np.float64], y: NDArray[np.float64], quadrant: QuadrantLayout, layout: Layout
) -> NDArray[np.bool_]:
    """Return which places (n,) of the focal plane, pixels, lie on a quadrant."""
    across = abs(x - quadrant.origin_x_px + 0.5 - layout.columns / 2) < layout.columns / 2
    return np.asarray(across & (abs(y - quadrant.origin_y_px + 0.5 - layout.rows / 2) < layout.rows / 2))
