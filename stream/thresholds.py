"""Thresholds of the configuration in the unit of the frames."""

import numpy as np
from numpy.typing import NDArray

from config.schema import Reconstruct
from stream.errors import ConfigError
from stream.messages import Start


class Thresholds:
    """Event and split threshold of each quadrant, constant (eV or ADU) or per pixel (sigma of the noise map)."""

    def __init__(self, config: Reconstruct) -> None:
        self._config = config

    def event(self, start: Start, quadrant: int, noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the event threshold of each pixel, (rows, columns) whole ADU, float32; noise likewise.

        A threshold in sigma is rounded up, so that rounding never lets more noise through than was asked for; one in
        eV is rounded down: a whole number is above 71.2 when it is above 71.
        """
        sigma = self._config.event_threshold_sigma
        if sigma is not None:
            return np.ceil(np.float32(sigma) * noise)
        return np.full(noise.shape, np.floor(self.constant_event(start, quadrant)), np.float32)

    def split(self, start: Start, noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the split threshold of each pixel, (rows, columns) float32, frame unit."""
        config = self._config
        if config.split_threshold_sigma is not None:
            return np.asarray(np.float32(config.split_threshold_sigma) * noise, np.float32)
        if config.split_threshold_adu is not None:
            return np.full(noise.shape, config.split_threshold_adu, np.float32)
        return np.full(noise.shape, (config.split_threshold_ev or 0) / start.gain_ev, np.float32)

    def constant_event(self, start: Start, quadrant: int) -> float:
        """Return the event threshold that holds for a whole quadrant, frame unit.

        Raises ConfigError if it is per pixel but the frames (float images) come without a noise map.
        """
        config = self._config
        own = config.quadrant_event_threshold_adu.get(str(quadrant))
        if own is not None:
            return own
        if config.event_threshold_adu is not None:
            return config.event_threshold_adu
        if config.event_threshold_ev is not None:
            return config.event_threshold_ev / start.gain_ev
        raise ConfigError("reconstruct.event_threshold_sigma needs a noise map; float frames have none: use _ev")
