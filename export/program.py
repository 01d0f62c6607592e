"""A torch network as ONNX."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

OPSET = 18
MOST = 65_536  # rows at once


def write_program(
    network: nn.Module, examples: Sequence[Tensor], ends: tuple[Sequence[str], Sequence[str]], out: Path
) -> None:
    """Write a network. ends: names of its inputs and outputs, whose first side is free; examples: two rows of each."""
    number = torch.export.Dim("n", min=1, max=MOST)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch about its own future
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # and about packages that this needs not
        program = torch.onnx.export(
            network,
            tuple(examples),
            input_names=list(ends[0]),
            output_names=list(ends[1]),
            opset_version=OPSET,
            dynamic_shapes={name: {0: number} for name in ends[0]},
            dynamo=True,
            verbose=False,
        )
    program.save(out, external_data=False)
