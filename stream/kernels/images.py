"""Images, exposure and light curves from lists of events."""

import numpy as np
from numpy.typing import NDArray


def count_events(x, y, energy_ev, bands_ev, shape, bin_px):
    """Return images of counts, (bands, rows, columns) int32.

    `x`, `y`: (n,) focal plane, pixels, centres at integers; `energy_ev`: (n,); `bands_ev`: (bands, 2), from, up to and
    without; `shape`: rows and columns of the camera; `bin_px`: pixels along each side of one of the image. What lies
    outside the camera or is not a number is left out. No events give images of zeros.
    """
    rows, columns = (-(-side // bin_px) for side in shape)
    column = np.floor((x + 0.5) / bin_px)
    row = np.floor((y + 0.5) / bin_px)
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    images = np.empty((len(bands_ev), rows, columns), np.int32)
    for image, (low, high) in zip(images, bands_ev, strict=True):
        chosen = inside & (energy_ev >= low) & (energy_ev < high)
        place = row[chosen].astype(np.int64) * columns + column[chosen].astype(np.int64)
        image[:] = np.bincount(place, minlength=rows * columns).reshape(rows, columns)
    return images


def bin_means(image: NDArray[np.float32], bin_px: int) -> NDArray[np.float32]:
    """Return the means of squares of `bin_px` pixels, float32; what a square has beyond the image counts as 0."""
    if bin_px == 1:
        return image
    rows, columns = (-(-side // bin_px) for side in image.shape)
    whole = np.zeros((rows * bin_px, columns * bin_px), np.float32)
    whole[: image.shape[0], : image.shape[1]] = image
    return whole.reshape(rows, bin_px, columns, bin_px).mean(axis=(1, 3))


def exposed(edges_s: NDArray[np.floating], start_s, stop_s) -> NDArray[np.float64]:
    """Return how much of each bin lies within the intervals [start, stop), s, (bins,).

    `edges_s`: (bins + 1,), rising; `start_s`, `stop_s`: (n,), intervals that do not overlap, in any order. No interval
    gives zeros.
    """
    if not len(start_s):
        return np.zeros(len(edges_s) - 1)
    order = np.argsort(start_s)
    start, stop = start_s[order], stop_s[order]
    times = np.stack([start, stop], axis=1).ravel()
    so_far = np.repeat(np.cumsum(stop - start), 2)
    so_far[::2] -= stop - start
    return np.diff(np.interp(edges_s, times, so_far))
