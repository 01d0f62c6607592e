"""Cut-outs of the sky as the network of classes takes them, and the judge that runs it.

Two ways: "changes" is seed 004's (years ordered by counts, their mean subtracted): what varies. "counts" keeps the mean
as well, as its own channels: what the spectrum is like.
"""

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from stream.errors import ModelError
from stream.infer import open_model
from stream.lat.bands import BANDS
from stream.lat.cutouts import SIDE, YEARS, Cutouts

Way = Literal["changes", "counts"]
WAYS: Final = ("changes", "counts")
AT_A_TIME: Final = 256
INPUT, OUTPUT = "cutout", "p"


def cutout_shape(way: Way) -> tuple[int, ...]:
    """Return the shape of the input of one cut-out: channels, years, rows, columns."""
    return (BANDS if way == "changes" else 3 * BANDS, YEARS, SIDE, SIDE)


def inputs_of(given: Cutouts, way: Way) -> NDArray[np.float32]:
    """Return inputs (n, channels, YEARS, SIDE, SIDE) of n cut-outs; none: no rows.

    Channels of "changes": each band's counts less what the year's good time has of those of all years, over the root of
    that (or of the background, where that is more), asinh. "counts" has besides, the same in all years: ln of 1 +
    counts of all years, and the counts less the background over its root, asinh. Years are in rising order of what they
    have in all bands against what they should have; those that are not there lie in the middle, as if nothing changed.
    """
    share = given.good_s / np.maximum(given.good_s.sum(axis=1, keepdims=True), 1.0)
    total = given.counts.sum(axis=2, keepdims=True)
    mean = total * share[:, None, :, None, None]
    change = given.counts - mean
    rise = change.sum(axis=(1, 3, 4)) / np.sqrt(mean.sum(axis=(1, 3, 4)) + 1)
    order = np.argsort(rise, axis=1, kind="stable")[:, None, :, None, None]
    level = given.background[:, :, None, None, None] / SIDE**2
    change = np.arcsinh(change / np.sqrt(np.maximum(mean, level * share[:, None, :, None, None]) + 0.25))
    change = np.take_along_axis(change, order, axis=2).astype(np.float32)
    if way == "changes":
        return change
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

    def judge(self, given: Cutouts) -> NDArray[np.float64]:
        """Return the probabilities (n, classes) of n cut-outs."""
        said = [np.empty((0, len(self.classes)))]
        for first in range(0, len(given), AT_A_TIME):
            image = inputs_of(given[first : first + AT_A_TIME], self.way)
            said.append(self._model.run(**{INPUT: image})[OUTPUT].astype(np.float64))
        return np.concatenate(said)
