"""Event lists that repeat themselves: a short recording sent again and again (`raysieve replay --loop`)."""

import numpy as np
from numpy.typing import NDArray

LEAST_EVENTS = 20
LEAST_SHARE = 0.3  # of the events that come again after the same number of frames; of two turns, a half does
LEAST_FRAMES = 2  # a hot pixel comes again in the next frame


def times_repeated(events: NDArray[np.void]) -> int:
    """Return how often the same frames are in a list (columns FRAME, QUADRANT, RAWX, RAWY); 1 where nothing repeats.

    Photons of the sky hit a pixel again after any number of frames; those of a looped recording after always the same.
    Which frame it was is not changed by the running offsets, which may change a pulse height by some ADU. A list
    without these columns, or of few events: 1.
    """
    if len(events) < LEAST_EVENTS or not {"FRAME", "QUADRANT", "RAWX", "RAWY"} <= set(events.dtype.names or ()):
        return 1
    keys = [np.asarray(events[name], np.int64) for name in ("QUADRANT", "RAWX", "RAWY", "FRAME")]
    order = np.lexsort(keys[::-1])
    steps = np.diff(np.stack(keys)[:, order], axis=1)
    later = steps[3][(steps[:3] == 0).all(axis=0)]
    later, number = np.unique(later[later >= LEAST_FRAMES], return_counts=True)
    share = number.max(initial=0) / len(events)
    if share < LEAST_SHARE or number.max() < number.sum() / 2:
        return 1
    return round(1 / max(1 - share, 1 / len(events)))
