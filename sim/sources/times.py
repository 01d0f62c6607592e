"""When photons arrive: constant, red noise, or a flare."""

from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sim.sources.emission import Emission

Floats = NDArray[np.float64]
STEPS: Final = 256  # of an observation; the rate is constant in each
FLARE: Final = (1.0, 8.0)  # height over the quiet rate; Guedel 2004, A&ARv 12, 71
DECAY: Final = (0.03, 0.2)  # of the observation


def draw_times(
    emission: Emission, source: NDArray[np.int64], n: int, exposure_s: float, rng: Generator
) -> tuple[Floats, Floats]:
    """Return the times (m,) s of photons of sources (m,) < n, and the rms over the mean of each source's rate (n,)."""
    curve = light_curves(emission, n, rng)
    sums = np.cumsum(curve, axis=1) / curve.sum(axis=1, keepdims=True) + np.arange(n)[:, None]
    step = np.searchsorted(sums.ravel(), source + rng.random(len(source)), side="right")
    step = np.clip(step - source * STEPS, 0, STEPS - 1)
    return (step + rng.random(len(source))) * (exposure_s / STEPS), curve.std(axis=1)


def light_curves(emission: Emission, n: int, rng: Generator) -> Floats:
    """Return n light curves, (n, STEPS), of mean 1: log-normal red noise (power ~ 1/f^2), some with a flare."""
    walk = np.cumsum(rng.standard_normal((n, STEPS)), axis=1)
    walk -= walk.mean(axis=1, keepdims=True)
    walk /= walk.std(axis=1, keepdims=True)
    curve = np.exp(emission.flicker * walk)
    at = np.arange(STEPS) / STEPS
    begin, decay, height = rng.random((n, 1)), rng.uniform(*DECAY, (n, 1)), rng.uniform(*FLARE, (n, 1))
    flares = rng.random((n, 1)) < emission.flares
    after = at - begin
    curve += flares * height * np.where(after >= 0, np.exp(-np.maximum(after, 0) / decay), 0.0)
    return curve / curve.mean(axis=1, keepdims=True)
