"""ONNX graphs of elementwise operations, node by node, in double precision."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from stream.judges.sources import INPUTS, OUTPUTS

OPSETS = {"": 18, "ai.onnx.ml": 3}
IR_VERSION = 9  # what onnxruntime 1.20 reads


class Graph:
    """Nodes under construction, in double precision. Every method returns the name of a value."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._number = 0

    def name(self) -> str:
        """Return a new name."""
        self._number += 1
        return f"v{self._number}"

    def const(self, value: Any, dtype: Any = np.float64) -> str:
        """Return a constant."""
        name = self.name()
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, kind: str, *inputs: str, named: str = "", domain: str = "", **attributes: Any) -> str:
        """Return the output of one node."""
        out = named or self.name()
        self.nodes.append(helper.make_node(kind, list(inputs), [out], domain=domain, **attributes))
        return out

    def sum(self, value: str, axis: int, keep: int = 0) -> str:
        """Return a sum over an axis."""
        return self.op("ReduceSum", value, self.const([axis], np.int64), keepdims=keep)

    def double(self, value: str) -> str:
        """Return a value in double precision."""
        return self.op("Cast", value, to=TensorProto.DOUBLE)

    def float(self, value: str, name: str) -> None:
        """Name an output, in single precision."""
        self.op("Cast", value, named=name, to=TensorProto.FLOAT)

    def save(self, out: Path, features: int, classes: int) -> None:
        """Write the model, checked."""
        wide = {"x": features, "error": features, "log_prior": classes, "p": classes}
        ends = {
            name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", wide[name]] if name in wide else ["n"])
            for name in (*INPUTS, *OUTPUTS)
        }
        inputs, outputs = [ends[name] for name in INPUTS], [ends[name] for name in OUTPUTS]
        graph = helper.make_graph(self.nodes, "sources", inputs, outputs, self.constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="raysieve")
        onnx.checker.check_model(model)
        out.write_bytes(model.SerializeToString())
