"""Frame -> nothing: offset, noise and bad pixels of a dark run, given as `maps` at its end."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.kernels.bad_pixels import BadRules, find_bad
from stream.kernels.common_mode import NO_LIMIT, row_common_mode
from stream.kernels.dark import add_dark, offset_and_noise, robust_start
from stream.messages import Frame, Maps, Message, Start, version_of

START_FRAMES = 32  # kept for the robust start: 16 MiB of a 512 x 512 quadrant
LEAST_FRAMES = 16  # a median of fewer is no start


class DarkMaps:
    """The dark run of one quadrant. Memory does not grow with the number of frames."""

    def __init__(self, shape: tuple[int, int], saturation: float = 65535.0, rules: BadRules | None = None) -> None:
        """Begin; shape: (rows, columns); saturation: ADU from which a pixel does not count."""
        self.frames = 0
        self.shape = shape
        self._top = np.float32(saturation)
        self._rules = rules or BadRules()
        self._held: list[NDArray[np.uint16]] = []  # until the start is known
        self._start = self._limit = np.empty((0, 0), np.int32)
        self._window = np.int32(0)
        self._sums = np.zeros((3, *shape), np.int64)
        self._row_sums = np.zeros((2, shape[0]), np.int64)
        self._lowest = np.full(shape, 65535, np.uint16)
        self._highest = np.zeros(shape, np.uint16)

    def add(self, pixels: NDArray[np.uint16]) -> None:
        """Add one frame, (rows, columns) uint16 ADU. Raises ConfigError for another shape or type."""
        if pixels.shape != self.shape or pixels.dtype != np.uint16:
            raise ConfigError(f"dark frame of {pixels.shape} {pixels.dtype}: expected {self.shape} uint16")
        self.frames += 1
        if self._start.size:
            self._accumulate(pixels)
            return
        self._held.append(pixels.copy())
        if len(self._held) == START_FRAMES:
            self._begin()

    def result(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
        """Return offset and noise (float32, ADU) and the bad-pixel map (uint8), each (rows, columns), so far.

        Raises ConfigError for a run too short for a robust start.
        """
        if self.frames < LEAST_FRAMES:
            raise ConfigError(f"dark run: expected at least {LEAST_FRAMES} frames, got {self.frames}")
        if not self._start.size:
            self._begin()
        offset, noise = offset_and_noise(self._start, self._sums, self._row_sums)
        seen = (self.frames - self._sums[0], self._highest - self._lowest)
        bad = find_bad((offset, noise), seen, self.frames, self._rules)
        return offset, shrink_noise(noise, self._sums[0], bad == 0), bad

    def _begin(self) -> None:
        self._start, self._limit, self._window = robust_start(np.stack(self._held))
        for pixels in self._held:
            self._accumulate(pixels)
        self._held = []

    def _accumulate(self, pixels: NDArray[np.uint16]) -> None:
        common = np.empty(self.shape[0], np.float32)
        row_common_mode(pixels, self._start, (self._window, NO_LIMIT), common)
        np.minimum(self._lowest, pixels, out=self._lowest)
        np.maximum(self._highest, pixels, out=self._highest)
        add_dark(pixels, self._start, self._limit, common, self._top, self._sums, self._row_sums)


def shrink_noise(noise: NDArray[np.float32], counts: NDArray[np.int64], good: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the noise map without the part of its scatter that is sampling error; all arrays (rows, columns).

    A noise measured in n frames is wrong by 1 / sqrt(2 n) of itself. Pixels that are thought too quiet give false
    events: with 1000 frames a 5 sigma threshold lets 19 % more through than it should. Each log noise is drawn towards
    the median of the good pixels by the share of their variance that sampling explains (empirical Bayes; Efron and
    Morris 1973, JASA 68, 117). A pixel more than 4 sigma off is different in truth and keeps its own value.
    """
    if not good.any():
        return noise
    log, sampling = np.log(np.maximum(noise, np.float32(1e-6))), 0.5 / np.maximum(counts, 1)
    median = np.median(log[good])
    spread = (1.4826 * np.median(np.abs(log[good] - median))) ** 2
    true = max(float(spread - np.median(sampling[good])), 0.0)
    usual = good & (np.abs(log - median) < 4 * np.sqrt(true + sampling))
    drawn = median + (log - median) * true / (true + sampling)
    return np.where(usual, np.exp(drawn), noise).astype(np.float32)


class Calibrate:
    """Takes the frames of a dark run; after `flush`, `maps` holds the calibration of each quadrant."""

    name = "calibrate"

    def __init__(self, rules: BadRules | None = None) -> None:
        """Build; compiles the kernels."""
        self.maps: dict[int, Maps] = {}
        self.skipped = 0  # frames with quality bits, before Start, or that do not fit their quadrant
        self._rules = rules
        self._dark: dict[int, DarkMaps] = {}
        _warm_up()

    def process(self, message: Message) -> Iterable[Message]:
        """Take a frame; anything else passes."""
        if isinstance(message, Frame):
            self.skipped += not self._take(message)
            return ()
        if isinstance(message, Start):
            for q in message.quadrants:
                self._dark.setdefault(q.id, DarkMaps((q.rows, q.columns), message.saturation, self._rules))
        return (message,)

    def flush(self) -> Iterable[Message]:
        """Make the maps. Raises ConfigError if a quadrant has too few frames; without Start: no maps."""
        for quadrant, dark in sorted(self._dark.items()):
            try:
                offset, noise, bad = dark.result()
            except ConfigError as fault:
                raise ConfigError(f"quadrant {quadrant}: {fault}") from None
            version = version_of(offset, noise, bad)
            self.maps[quadrant] = Maps(quadrant=quadrant, offset=offset, noise=noise, bad=bad, version=version)
        return ()

    def _take(self, frame: Frame) -> bool:
        dark = self._dark.get(frame.quadrant)
        if dark is None or frame.quality or frame.pixels.shape != dark.shape or frame.pixels.dtype != np.uint16:
            return False
        dark.add(frame.pixels)
        return True


def _warm_up() -> None:
    dark = DarkMaps((5, 8))
    for _ in range(LEAST_FRAMES):
        dark.add(np.zeros((5, 8), np.uint16))
    dark.result()
