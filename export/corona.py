"""The network of coronae as ONNX, with proof that it is the same, and how well it does on stars it has never seen."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from config.errors import ConfigError
from export.card import as_rows
from export.program import write_program
from models.corona.calibrate import LEVELS
from models.corona.dataset import Spectra
from models.corona.evaluate import DEFINITIONS, evaluate
from models.corona.network import CoronaNet, residuals
from models.corona.train import load
from sim.corona.truth import KINDS
from stream.corona.posterior import COMPONENTS, NUMBERS, PARTS
from stream.judges.corona import AT_A_TIME, HEADS, INPUT, OUTPUTS, SCORES

COMPARED: Final = 2000  # spectra


class Program(nn.Module):
    """The network with probabilities, distances and residuals: OUTPUTS of `stream.judges.corona`."""

    def __init__(self, network: CoronaNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, counts: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """(n, B) counts -> posterior, kind, lines, expected, outlier."""
        mixtures, kind, lines, expected, h = self.network(counts)
        off = (h - self.network.centre) @ self.network.whiten
        far = torch.sqrt((off * off).mean(dim=1, keepdim=True))
        score = torch.cat([far, residuals(counts, expected)], dim=1)
        return mixtures, torch.softmax(kind, dim=1), torch.sigmoid(lines), expected, score


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the network and its ONNX are apart on the same spectra."""

    spectra: int
    difference: float  # of the parts of the posterior, largest
    changed: int  # decisions on lines, at 1/2


def write(weights: Path, out: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Write the network of a checkpoint as ONNX; return it, and what the checkpoint says.

    Raises ConfigError for another file, and for a training that has not come to its end.
    """
    network, state = load(weights)
    if "calibration" not in state:
        raise ConfigError(f"{weights}: not calibrated: let `raysieve train corona` come to its end")
    program = Program(network).eval()
    write_program(program, [torch.ones(2, len(network.mean))], ([INPUT], list(OUTPUTS)), out)
    return program, state


def compare(model: Path, program: nn.Module, counts: NDArray[np.float32]) -> Parity:
    """Return how the ONNX compares with the network on counts (n, B)."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    difference, changed = 0.0, 0
    for first in range(0, len(counts), AT_A_TIME):
        given = counts[first : first + AT_A_TIME]
        found = dict(zip(OUTPUTS, session.run(list(OUTPUTS), {INPUT: given}), strict=True))
        with torch.no_grad():
            expected = dict(zip(OUTPUTS, (x.numpy() for x in program(torch.from_numpy(given))), strict=True))
        difference = max(difference, float(np.abs(found["posterior"] - expected["posterior"]).max(initial=0)))
        changed += int(((found["lines"] > 0.5) != (expected["lines"] > 0.5)).sum())
    return Parity(len(counts), difference, changed)


def describe(program: nn.Module, state: dict[str, Any], model: Path, unseen: Spectra) -> dict[str, Any]:
    """Return what the card says of an exported model, on stars that it has never seen."""
    network = program.network
    assert isinstance(network, CoronaNet)
    edges = unseen.instrument.edges_a
    bins, lines = len(edges) - 1, len(state["lines"])
    if bins != len(network.mean) or not np.allclose(edges[[0, -1]], state["edges_a"]):
        raise ConfigError(f"{unseen.path}: of another instrument than the network's, {state['instrument']}")
    known, parity = state["calibration"], compare(model, program, unseen.counts[:COMPARED].astype(np.float32))
    shapes = {
        "posterior": ["n", len(HEADS), COMPONENTS, NUMBERS], "kind": ["n", len(KINDS)], "lines": ["n", lines],
        "expected": ["n", bins], "outlier": ["n", len(SCORES)],
    }  # fmt: skip
    names = {"posterior": list(PARTS), "kind": list(KINDS), "outlier": list(SCORES)}
    return {
        "kind": "coronae",
        "instrument": state["instrument"],
        "edges_a": state["edges_a"],
        "ion": state["ion"],
        "wavelength_a": state["wavelength_a"],
        "test": {"spectra": len(unseen), "about": str(unseen.about)},
        "input": {INPUT: {"shape": ["n", bins], "dtype": "float32", "unit": "counts, even bins of edges_a (Angstrom)"}},
        "output": {
            name: {"shape": shapes[name], "dtype": "float32"} | ({"names": names[name]} if name in names else {})
            for name in OUTPUTS
        },
        "conformal": known["conformal"],
        "outlier": known["outlier"],
        "seen": known["seen"],
        "training": {"plan": state["plan"], "standing": state["standing"], "spectra": str(state["spectra"])},
        "calibration": {"spectra": str(known["spectra"]), "levels": list(LEVELS)},
        "metrics": as_rows(evaluate(network, known, unseen)),
        "definitions": dict(DEFINITIONS),
        "parity": asdict(parity),
    }
