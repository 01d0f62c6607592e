"""The context model as ONNX, with proof that it is the same, and what it does to unseen events."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.card import as_rows
from export.filter import judged, roc_table
from export.program import write_program
from models import checkpoint
from models.islands.dataset import COLUMNS, MOST, WIDTH, Scenes
from models.islands.network import IslandNet
from models.screening.report import LOST, TRADITIONAL
from stream.kernels.context import CANDIDATE, ISLAND

INPUTS, OUTPUT = ("candidate", "around", "known"), "p_particle"
AT_A_TIME = 4096
COMPARED = 40_000  # candidates
SHAPES = {"candidate": ["n", COLUMNS], "around": ["n", MOST, WIDTH], "known": ["n", MOST]}


class Probability(nn.Module):
    """The network, with probabilities instead of logits."""

    def __init__(self, network: IslandNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, candidate: Tensor, around: Tensor, known: Tensor) -> Tensor:
        """As `IslandNet`; returns p_particle (n,)."""
        return torch.sigmoid(self.network(candidate, around, known))


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the network and its ONNX are apart on the same candidates."""

    events: int
    difference: float  # of p_particle, largest
    changed: int  # decisions at the threshold of the seed's lost fraction


def load(weights: Path) -> IslandNet:
    """Return a trained network. Raises ConfigError for a file that is none."""
    network = IslandNet()
    checkpoint.load(weights, network)
    return network.eval()


def write(weights: Path, out: Path) -> nn.Module:
    """Write the network of a checkpoint as ONNX; return it. Any number of candidates goes through at once.

    Raises ConfigError for a file that is no checkpoint of this network.
    """
    network = Probability(load(weights)).eval()
    write_program(network, [torch.ones(2, *SHAPES[name][1:]) for name in INPUTS], (INPUTS, [OUTPUT]), out)
    return network


def run(model: Path, unseen: Scenes, network: nn.Module) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return p_particle of all candidates by the model, and of the first COMPARED by the network."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    found, expected = [np.empty(0)], [np.empty(0)]
    for first in range(0, len(unseen), AT_A_TIME):
        arrays = unseen.as_seen(np.arange(first, min(first + AT_A_TIME, len(unseen))))
        found.append(session.run([OUTPUT], dict(zip(INPUTS, arrays, strict=True)))[0].astype(float))
        if first < COMPARED:
            with torch.no_grad():
                expected.append(network(*map(torch.from_numpy, arrays)).numpy().astype(float))
    return np.concatenate(found), np.concatenate(expected)


def describe(weights: Path, network: nn.Module, model: Path, unseen: Scenes, test: str) -> dict[str, Any]:
    """Return what the card says of an exported model, on unseen events; test: what these were made of."""
    state = checkpoint.state_of(weights)
    score, expected = run(model, unseen, network)
    table = roc_table(unseen.candidates, score)
    told = {name: as_rows(metrics) for name, metrics in judged(unseen.candidates, {OUTPUT: score}).items()}
    at = float(np.quantile(score[~unseen.candidates.particle], 1 - LOST))
    head = score[: expected.size]
    parity = Parity(expected.size, float(abs(head - expected).max()), int(np.sum((head > at) != (expected > at))))
    names = {"candidate": [*CANDIDATE, "5 x 5 pixels, eV"], "around": list(ISLAND), "known": []}
    return {
        "test": test,
        "input": {
            name: {"shape": SHAPES[name], "dtype": "float32"} | ({"names": names[name]} if names[name] else {})
            for name in INPUTS
        },
        "output": {OUTPUT: {"shape": ["n"], "dtype": "float32"}},
        "training": {"plan": state["plan"], "standing": state["standing"], "events": state["events"]},
        "metrics": told[OUTPUT],
        TRADITIONAL: told[TRADITIONAL],
        "parity": asdict(parity),
        "roc": table,
    }
