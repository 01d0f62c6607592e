"""Small ONNX models with the ends of the shipped ones."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.islands.dataset import COLUMNS, MOST, WIDTH
from stream.kernels.cam import FEATURES

FLOAT = TensorProto.FLOAT


def write(path: Path, inputs: dict[str, list], weights: dict[str, float]) -> Path:
    """A model whose p_particle is the sigmoid of weighted columns of its first input."""
    first, shape = next(iter(inputs.items()))
    column = np.zeros((shape[-1], 1), np.float32)
    for place, weight in weights.items():
        column[int(place)] = weight
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", [first, "weights"], ["sum"]),
            helper.make_node("Sigmoid", ["sum"], ["p"]),
            helper.make_node("Reshape", ["p", "flat"], ["p_particle"]),
        ],
        "small",
        [helper.make_tensor_value_info(name, FLOAT, ["n", *rest]) for name, rest in inputs.items()],
        [helper.make_tensor_value_info("p_particle", FLOAT, ["n"])],
        [numpy_helper.from_array(column, "weights"), numpy_helper.from_array(np.array([-1], np.int64), "flat")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def forest(path: Path) -> Path:
    """Judges by energy alone."""
    return write(path, {"features": [len(FEATURES)]}, {"0": 1e-4})


def islands(path: Path) -> Path:
    """Judges by energy and size alone."""
    return write(path, {"candidate": [COLUMNS], "around": [MOST, WIDTH], "known": [MOST]}, {"0": 1e-4, "1": 0.1})
