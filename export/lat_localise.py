"""The localisation network as ONNX, with proof that it is the same, and how well it does on skies it has never seen."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.card import as_rows
from export.program import write_program
from models.checkpoint import state_of
from models.lat.dataset import Patches
from models.lat.localise_evaluate import judge, shares
from models.lat.network import LocaliseNet
from models.lat.train import load
from stream.judges.lat_mask import OUTPUT
from stream.lat.inputs import NAMES, SHAPES
from stream.lat.masks import THRESHOLD

COMPARED = 64  # patches


class Probability(nn.Module):
    """The network, with probabilities instead of logits."""

    def __init__(self, network: LocaliseNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, coarse: Tensor, middle: Tensor, fine: Tensor) -> Tensor:
        """As `LocaliseNet`; returns p (n, 160, 160)."""
        return torch.sigmoid(self.network(coarse, middle, fine))


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the network and its ONNX are apart on the same patches."""

    patches: int
    difference: float  # of p, largest
    changed: int  # pixels on the other side of THRESHOLD


def write(weights: Path, out: Path) -> nn.Module:
    """Write the network of a checkpoint as ONNX; return it. Raises ConfigError for another file."""
    network = Probability(load(weights)).eval()
    write_program(network, [torch.zeros(2, *shape) for shape in SHAPES], (NAMES, [OUTPUT]), out)
    return network


def compare(model: Path, network: nn.Module, unseen: Patches) -> Parity:
    """Return how model and network compare on the first COMPARED patches."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    number, difference, changed = min(COMPARED, len(unseen)), 0.0, 0
    for row in range(number):
        given, _ = unseen.at(np.array([row]))
        found = session.run([OUTPUT], dict(zip(NAMES, given, strict=True)))[0]
        with torch.no_grad():
            expected = network(*map(torch.from_numpy, given)).numpy()
        difference = max(difference, float(np.abs(found - expected).max()))
        changed += int(np.sum((found > THRESHOLD) != (expected > THRESHOLD)))
    return Parity(number, difference, changed)


def describe(weights: Path, network: nn.Module, model: Path, unseen: Patches) -> dict[str, Any]:
    """Return what the card says of an exported model, on patches of skies that it has never seen."""
    state = state_of(weights)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def masks(given: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.asarray(session.run([OUTPUT], dict(zip(NAMES, given, strict=True)))[0])

    return {
        "kind": "localisation",
        "threshold": THRESHOLD,
        "input": {
            name: {"shape": ["n", *shape], "dtype": "float32"} for name, shape in zip(NAMES, SHAPES, strict=True)
        },
        "output": {OUTPUT: {"shape": ["n", *SHAPES[2][1:]], "dtype": "float32", "unit": "probability"}},
        "training": {"plan": state["plan"], "standing": state["standing"], "patches": state["patches"]},
        "test": {"patches": len(unseen), "about": unseen.about},
        "metrics": {name: as_rows(shares(told)) for name, told in judge(unseen, masks).items()},
        "parity": asdict(compare(model, network, unseen)),
    }
