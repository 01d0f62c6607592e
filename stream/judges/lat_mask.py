"""The judge that runs the localisation network: where sources are on a patch, as probabilities of its finest pixels."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.infer import open_model
from stream.lat.inputs import NAMES, SHAPES

OUTPUT: Final = "p"
SIDE: Final = SHAPES[2][1]


class MaskJudge:
    """Runs a localisation network."""

    def __init__(self, name: str = "lat_localise", provider: str = "cpu") -> None:
        """Open a shipped model or an ONNX file. Raises ModelError for one that is no such network."""
        self._model = open_model(name, provider)
        for key, shape in zip(NAMES, SHAPES, strict=True):
            self._model.card.require(f"input.{key}.shape", ["n", *shape])
        self._model.card.require(f"output.{OUTPUT}.shape", ["n", SIDE, SIDE])

    @property
    def about(self) -> Mapping[str, str]:
        """What it runs, and where."""
        return {"localisation network": str(self._model)}

    def judge(self, given: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """Return p (SIDE, SIDE) of the three inputs of one patch, of `stream.lat.inputs.inputs_of`."""
        rows = {name: np.asarray(image, np.float32)[None] for name, image in zip(NAMES, given, strict=True)}
        return np.asarray(self._model.run(**rows)[OUTPUT][0])
