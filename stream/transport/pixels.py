"""Looking on at pixels: who asks is told of the signal of one whole read-out, the next one that begins."""

import time
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.kernels.windows import fill_energies
from stream.messages import CorrectedFrame, Message, Product, Quadrant, Start
from stream.stage import Stage
from stream.transport.keys import Keys
from stream.transport.tap import PIXELS, Asked

HEAR_S: Final = 0.05  # from one look for questions to the next: 800 polls in a second would cost more than the answers
PATIENCE: Final = 16  # later read-outs that may begin before one is told without its missing quadrants
QUADRANT = np.dtype([("ID", "<i4"), ("ROWS", "<i4"), ("COLUMNS", "<i4"), ("X", "<i4"), ("Y", "<i4"), ("FIRST", "<i8")])
PIXEL = np.dtype([("EV", "<i2")])


class PixelTap(Asked):
    """The tap of pixels. A frame costs a look at the clock as long as nobody asks; an answer 0.3 ms a quadrant."""

    def __init__(self, url: str, *, queue: int, keys: Keys | None = None) -> None:
        self._start: Start | None = None
        self._heard = float("-inf")
        self._wanted = -1  # the read-out that is being collected
        self._found: dict[int, NDArray[np.int16]] = {}
        self._time_ns = 0
        _warm_up()
        super().__init__(url, queue=queue, keys=keys)

    def offer(self, message: Message) -> None:
        """Take what is wanted of a corrected frame; tell the read-out when it is whole."""
        if isinstance(message, Start):
            self._start, self._wanted, self._found = message, -1, {}
        if not isinstance(message, CorrectedFrame) or self._start is None:
            return
        number = message.frame.sequence
        if self._wanted < 0:
            now = time.monotonic()
            if now - self._heard < HEAR_S:
                return
            self._heard = now
            self._hear()
            if self._asked:
                self._wanted = number + 1  # this one may have begun
        elif number == self._wanted:
            self._found[message.frame.quadrant] = _energies(message, self._start.gain_ev)
            self._time_ns = message.frame.time_ns
            if len(self._found) == len(self._start.quadrants):
                self._answer(self._start)
        elif number > self._wanted + PATIENCE:
            self._answer(self._start)

    def _answer(self, start: Start) -> None:
        """Tell what was found to all who have asked; what was lost on its way is looked for in a later read-out."""
        if self._found:
            product = pixels_of(start, self._wanted, self._time_ns, self._found)
            for who in self._asked:
                self._tell(who, product)
            self.counters["told"] += len(self._asked)
            self._asked.clear()
        self._wanted, self._found = -1, {}


class Shown:
    """A stage whose results are offered to a tap on their way."""

    def __init__(self, stage: Stage, tap: PixelTap) -> None:
        self._stage, self._tap, self.name = stage, tap, stage.name

    def process(self, message: Message) -> Iterable[Message]:
        """Process and offer."""
        for result in self._stage.process(message):
            self._tap.offer(result)
            yield result

    def flush(self) -> Iterable[Message]:
        """Flush and offer."""
        for result in self._stage.flush():
            self._tap.offer(result)
            yield result

    def __getattr__(self, name: str) -> Any:
        """Return what else the stage tells of itself: counters, about."""
        return getattr(self._stage, name)


def _energies(corrected: CorrectedFrame, gain_ev: float) -> NDArray[np.int16]:
    """Return the signal of a frame (rows, columns), eV."""
    found = np.empty(corrected.frame.pixels.shape, np.int16)
    signal = (corrected.frame.pixels, corrected.offset, corrected.common_mode, corrected.bad)
    fill_energies(*signal, float(gain_ev), found)
    return found


def _warm_up() -> None:
    """Compile for frames of both kinds as they come from a socket."""
    common, bad, found = np.zeros(1, np.float32), np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.int16)
    for kind, offset in ((np.uint16, np.zeros((1, 1), np.int32)), (np.float32, np.empty((0, 0), np.int32))):
        pixels = np.zeros((1, 1), kind)
        pixels.flags.writeable = False
        fill_energies(pixels, offset, common, bad, 1.0, found)


def pixels_of(start: Start, sequence: int, time_ns: int, found: dict[int, NDArray[np.int16]]) -> Product:
    """Return the signal of a read-out as a product "pixels": PIXELS, one behind the other, and QUADRANTS."""
    quadrants = [quadrant for quadrant in start.quadrants if quadrant.id in found]
    sizes = [found[quadrant.id].size for quadrant in quadrants]
    first = np.cumsum([0, *sizes])[:-1]
    rows = [_row(quadrant, int(at)) for quadrant, at in zip(quadrants, first, strict=True)]
    pixels = np.concatenate([found[quadrant.id].reshape(-1) for quadrant in quadrants]).view(PIXEL)
    tables: dict[str, NDArray[Any]] = {"PIXELS": pixels, "QUADRANTS": np.array(rows, QUADRANT)}
    return Product(stream=start.stream, kind=PIXELS, sequence=sequence, time_ns=time_ns, header={}, tables=tables)


def _row(quadrant: Quadrant, first: int) -> tuple[int, ...]:
    return (quadrant.id, quadrant.rows, quadrant.columns, quadrant.origin_x_px, quadrant.origin_y_px, first)
