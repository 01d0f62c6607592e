"""The network of classes of cut-outs as ONNX, with proof that it is the same, and how well it does on unseen skies."""

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
from models.lat.classify_evaluate import DEFINITIONS, confusion, intervals
from models.lat.classify_fakes import only_sources, rejection, roc
from models.lat.classify_network import CutoutNet
from models.lat.classify_train import CutoutSet, judged, load, state_of
from sim.lat.cutouts import KINDS
from stream.judges.lat_cutouts import AT_A_TIME, INPUT, OUTPUT, Way, cutout_shape

COMPARED = 4000  # cut-outs


class Probability(nn.Module):
    """The network, with probabilities instead of logits."""

    def __init__(self, network: CutoutNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, cutout: Tensor) -> Tensor:
        """As `CutoutNet`; returns p (n, classes)."""
        return torch.softmax(self.network(cutout), dim=1)


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the network and its ONNX are apart on the same cut-outs."""

    cutouts: int
    difference: float  # of p, largest
    changed: int  # most probable classes


def write(weights: Path, out: Path) -> tuple[nn.Module, Way]:
    """Write the network of a checkpoint as ONNX; return it, and its way. Raises ConfigError for another file."""
    way: Way = state_of(weights)["plan"]["way"]
    network = Probability(load(weights)).eval()
    write_program(network, [torch.zeros(2, *cutout_shape(way))], ([INPUT], [OUTPUT]), out)
    return network, way


def run(model: Path, network: nn.Module, unseen: CutoutSet, way: Way) -> tuple[NDArray[np.float64], Parity]:
    """Return p of all cut-outs by the model, and how it compares with the network on the first COMPARED."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found, expected = [np.empty((0, len(KINDS)))], [np.empty((0, len(KINDS)))]
    for first in range(0, len(unseen), AT_A_TIME):
        image = unseen.inputs(np.arange(first, min(first + AT_A_TIME, len(unseen))), way)
        found.append(session.run([OUTPUT], {INPUT: image})[0].astype(float))
        if first < COMPARED:
            with torch.no_grad():
                expected.append(network(torch.from_numpy(image)).numpy().astype(float))
    p, same = np.concatenate(found), np.concatenate(expected)
    head = p[: len(same)]
    changed = int(np.sum(head.argmax(axis=1) != same.argmax(axis=1)))
    return p, Parity(len(same), float(np.abs(head - same).max(initial=0)), changed)


def describe(weights: Path, network: nn.Module, model: Path, unseen: CutoutSet, way: Way) -> dict[str, Any]:
    """Return what the card says of an exported model, on cut-outs of skies that it has never seen."""
    state = state_of(weights)
    p, parity = run(model, network, unseen, way)
    told = judged(p, unseen)
    sources = only_sources(told)
    return {
        "kind": "cut-outs",
        "way": way,
        "test": {"cutouts": len(unseen), "skies": int(unseen.sky.max()) + 1, "about": unseen.about},
        "input": {INPUT: {"shape": ["n", *cutout_shape(way)], "dtype": "float32"}},
        "output": {OUTPUT: {"shape": ["n", len(KINDS)], "dtype": "float32", "names": list(KINDS)}},
        "training": {"plan": state["plan"], "standing": state["standing"], "cutouts": state["cutouts"]},
        "metrics": {
            "all": as_rows(intervals(told)),
            "sources": as_rows(intervals(sources)),
            "fakes": as_rows(rejection(told)),
        },
        "definitions": dict(DEFINITIONS),
        "confusion": {"rows": "true", "columns": "decided", "counts": confusion(told)},
        "parity": asdict(parity),
        "roc": roc(told),
    }
