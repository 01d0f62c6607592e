"""How a learning rate goes."""

import math

WARM = 0.1  # of a cycle with a rising rate
FIRST = 0.04  # of the highest


def one_cycle(done: float) -> float:
    """Return the rate after a part (0..1) of a training, as a share of the highest: a rise, then half a cosine to 0.

    One cycle (Smith and Topin 2017, arXiv:1708.07120) comes in a few epochs to where a slow decay comes in many.
    """
    if done < WARM:
        return FIRST + (1 - FIRST) * done / WARM
    return 0.5 * (1 + math.cos(math.pi * (done - WARM) / (1 - WARM)))
