"""A network in 8-bit integers: less exact, faster where a processor has units for it. A model of its own."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

Batch = dict[str, NDArray[np.float32]]


class Given(CalibrationDataReader):
    """Batches of inputs, as onnxruntime asks for them."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self._left: Iterator[Batch] = iter(batches)

    def get_next(self) -> Batch | None:
        """Return the next inputs; None after the last."""
        return next(self._left, None)


def quantise(model: Path, batches: Sequence[Batch], out: Path) -> None:
    """Write an ONNX model with its convolutions in int8, one scale for each channel; out may be the model itself.

    batches: inputs by name, like those that it will see; activations beyond the lowest and highest that they lead to
    are cut. Everything but convolutions stays in fp32: the logarithm of energies needs it. Sums may overflow on a
    processor without VNNI or AMX units, so what is measured holds for the like of the one that it was measured on.
    Raises ValueError for no batches.
    """
    quant_pre_process(model, out, skip_symbolic_shape=True)
    quantize_static(
        onnx.load(out),
        out,
        Given(batches),
        op_types_to_quantize=["Conv"],
        per_channel=True,
        activation_type=QuantType.QUInt8,  # what the units of x86 multiply by signed weights
        weight_type=QuantType.QInt8,
    )
