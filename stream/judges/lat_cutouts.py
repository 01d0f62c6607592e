"""Cut-outs of the sky as the network of classes takes them, and the judge that runs it.

Two ways: "changes" is seed 004's (years ordered by counts, their mean subtracted): what varies. "counts" keeps the mean
as well, as its own channels: what the spectrum is like.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.errors import ModelError
from stream.infer import open_model
from stream.lat.bands import BANDS

Way = Literal["changes", "counts"]
WAYS: Final = ("changes", "counts")
YEARS: Final = 10
SIDE: Final = 6
AT_A_TIME: Final = 256
INPUT, OUTPUT = "cutout", "p"


def cutout_shape(way: Way) -> tuple[int, ...]:
    """Return the shape of the input of one cut-out: channels, years, rows, columns."""
    return (BANDS if way == "changes" else 3 * BANDS, YEARS, SIDE, SIDE)


def inputs_of(counts: NDArray[Any], background: NDArray[Any], way: Way) -> NDArray[np.float32]:
    """Return inputs (n, channels, YEARS, SIDE, SIDE) of counts (n, BANDS, YEARS, SIDE, SIDE).

    Channels of "changes": each band's counts less their mean over the years, over the root of the background of a year
    and pixel, asinh. "counts" has besides, the same in all years: ln of 1 + counts of all years, and the counts less
    the background over its root, asinh. background: counts (n, BANDS) of all years expected in the whole cut-out.
    Years are in rising order of the counts of all bands. No cut-outs: no rows.
    """
    given = np.asarray(counts, np.float32)
    order = np.argsort(given.sum(axis=(1, 3, 4)), axis=1, kind="stable")
    given = np.take_along_axis(given, order[:, None, :, None, None], axis=2)
    total = given.sum(axis=2, keepdims=True)
    level = np.asarray(background, np.float32)[:, :, None, None, None] / SIDE**2
    change = np.arcsinh((given - total / YEARS) / np.sqrt(level / YEARS + 0.25))
    if way == "changes":
        return np.asarray(change, np.float32)
    still = [np.log1p(total), np.arcsinh((total - level) / np.sqrt(level + 0.25))]
    return np.concatenate([change, *(np.broadcast_to(one, change.shape) for one in still)], axis=1, dtype=np.float32)


class CutoutJudge:
    """Runs a network of classes on cut-outs."""

    def __init__(self, name: str = "lat_cutouts", provider: str = "cpu") -> None:
        """Open a shipped model or an ONNX file. Raises ModelError for one that is no such network."""
        self._model = open_model(name, provider)
        card = self._model.card
        self.way: Way = card.get("way")
        if self.way not in WAYS:
            raise ModelError(f"{card.path}: way: expected one of {', '.join(WAYS)}, found {self.way}")
        self.classes: tuple[str, ...] = tuple(card.get(f"output.{OUTPUT}.names"))
        card.require(f"input.{INPUT}.shape", ["n", *cutout_shape(self.way)])
        card.require(f"output.{OUTPUT}.shape", ["n", len(self.classes)])

    @property
    def about(self) -> Mapping[str, str]:
        """What it runs, and where."""
        return {"cut-outs": str(self._model)}

    def judge(self, counts: ArrayLike, background: ArrayLike) -> NDArray[np.float64]:
        """Return the probabilities (n, classes) of cut-outs; arrays as of `inputs_of`."""
        given, level = np.asarray(counts), np.asarray(background)
        said = [np.empty((0, len(self.classes)))]
        for first in range(0, len(given), AT_A_TIME):
            rows = slice(first, first + AT_A_TIME)
            image = inputs_of(given[rows], level[rows], self.way)
            said.append(self._model.run(**{INPUT: image})[OUTPUT].astype(np.float64))
        return np.concatenate(said)
