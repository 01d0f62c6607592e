"""Which pixels of a dark run are bad, and why."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HOT, FLICKERING, DEAD = 1, 2, 3  # as in stream.messages


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRules:
    """What makes a pixel of a dark run bad. "Typical" is the median over the quadrant, sigma 1.4826 MAD."""

    offset_sigma: float = 10.0  # HOT (DEAD): offset above (below) typical by more than so many sigma of the offsets
    offset_noise: float = 5.0  # and by more than so many times the typical noise
    noise_sigma: float = 10.0  # HOT: noise above typical by more than so many sigma of the noises
    noise_factor: float = 2.0  # and more than so many times typical
    dead_noise: float = 0.1  # DEAD: noise below so many times typical
    dead_swing: float = 0.5  # DEAD: highest - lowest value below so many times the typical noise (stuck: it does not
    # even follow the common mode of its row, so what is left without common mode is not still)
    hot_share: float = 0.5  # HOT: outside the clip in more than this share of the frames
    flicker_share: float = 0.01  # FLICKERING: outside in more than this share
    flicker_sigma: float = 8.0  # and more often than particles explain, by so many sigma of their Poisson count


def find_bad(
    maps: tuple[NDArray[np.float32], NDArray[np.float32]],
    seen: tuple[NDArray[np.int64], NDArray[np.uint16]],
    frames: int,
    rules: BadRules,
) -> NDArray[np.uint8]:
    """Return the bad-pixel map, (rows, columns) uint8: 0 good, HOT, FLICKERING or DEAD.

    maps: offset and noise, (rows, columns) float32 ADU; seen: in how many frames each pixel was outside the clip, and
    its highest - lowest value in ADU, (rows, columns); frames: of the run. Where several rules hold the first of these
    counts: offset far above, no noise, stuck, offset far below, noise far above, mostly outside, flickering.
    """
    offset, noise = maps
    outside, swing = seen
    level, offset_spread = _median_sigma(offset)
    typical, noise_spread = _median_sigma(noise)
    far = max(rules.offset_sigma * offset_spread, rules.offset_noise * typical)
    loud = max(typical + rules.noise_sigma * noise_spread, rules.noise_factor * typical)
    usual = float(np.sort(outside, axis=None)[: max(1, int(0.99 * outside.size))].mean())  # particles hit every pixel
    often = usual + rules.flicker_sigma * usual**0.5 + 4
    kinds = [
        (offset > level + far, HOT),
        (noise < rules.dead_noise * typical, DEAD),
        (swing < rules.dead_swing * typical, DEAD),
        (offset < level - far, DEAD),
        (noise > loud, HOT),
        (outside > rules.hot_share * frames, HOT),
        (outside > max(rules.flicker_share * frames, often), FLICKERING),
    ]
    return np.select([where for where, _ in kinds], [np.uint8(kind) for _, kind in kinds], np.uint8(0))


def _median_sigma(values: NDArray[np.float32]) -> tuple[float, float]:
    median = float(np.median(values))
    return median, 1.4826 * float(np.median(np.abs(values - median)))
