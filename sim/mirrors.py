"""Mirror images of what hit the focal plane: with a symmetric camera, as good as new primaries."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.schema import Detector as Layout


@dataclass(frozen=True, slots=True)
class Mirror:
    """One of: nothing, x, y, both. Quadrants change places with their images."""

    columns: int  # of a quadrant, 0: x stays
    rows: int  # of a quadrant, 0: y stays
    images: tuple[int, ...]  # quadrant id -> that of its image, 256 numbers

    def apply(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return rows with quadrant, x and y changed, in place."""
        if self.columns:
            pixels["x"] = self.columns - 1 - pixels["x"]
        if self.rows:
            pixels["y"] = self.rows - 1 - pixels["y"]
        if self.columns or self.rows:
            pixels["quadrant"] = np.array(self.images, np.uint8)[pixels["quadrant"]]
        return pixels


def mirrors_of(layout: Layout) -> tuple[Mirror, ...]:
    """Return the mirrors under which the quadrants of a layout fall on one another; the first changes nothing."""
    places = {(q.origin_x_px, q.origin_y_px): q.id for q in layout.quadrants}
    middle_x, middle_y = (2 * np.mean([place[axis] for place in places]) for axis in (0, 1))
    found = []
    for in_x, in_y in ((False, False), (True, False), (False, True), (True, True)):
        images = list(range(256))
        fits = True
        for (x, y), quadrant in places.items():
            image = places.get((round(middle_x - x) if in_x else x, round(middle_y - y) if in_y else y))
            fits = fits and image is not None
            images[quadrant] = image if image is not None else quadrant
        if fits:
            found.append(Mirror(layout.columns * in_x, layout.rows * in_y, tuple(images)))
    return tuple(found)
