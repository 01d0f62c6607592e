"""The emulator of cross-calibration as ONNX, its gradient in the graph, with proof that both are the same."""

from collections.abc import Sequence
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
from models.crosscal.dataset import Grid
from models.crosscal.evaluate import DEFINITIONS, evaluate
from models.crosscal.network import HEADS, Box, Emulator, count
from models.crosscal.train import box_of, load
from stream.judges.crosscal import FITS, INPUTS, OUTPUTS

COMPARED: Final = 20_000  # points of the box, drawn at random
STEP: Final = 1e-4  # of half the box: of the finite differences, in double precision


class Program(nn.Module):
    """The network: INPUTS -> OUTPUTS of `stream.judges.crosscal`."""

    def __init__(self, network: Emulator) -> None:
        super().__init__()
        self.network = network

    def forward(self, theta: Tensor, kt_kev: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Theta (n, p), kT (n,) -> ln_ratio and ln_sd (n, 2), gradient (n, 2, p + 1)."""
        return self.network.with_gradient(theta, kt_kev)


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the network and its ONNX are apart on the same points of the box."""

    points: int
    difference: float  # of ln_ratio, largest
    sd: float  # of ln_sd, largest share
    gradient: float  # largest difference, of the largest of that derivative
    changed: int  # signs of ln kt_fit / kT that differ, beyond 1e-6


def write(weights: Path, out: Path) -> tuple[Program, dict[str, Any]]:
    """Write the network of a checkpoint as ONNX; return it, and what the checkpoint says.

    Raises ConfigError for another file, and for a training that has not come to its end.
    """
    network, state = load(weights)
    if state["standing"]["step"] < state["plan"]["steps"]:
        raise ConfigError(f"{weights}: {state['standing']['step']} of {state['plan']['steps']} steps: train it further")
    program = Program(network).eval()
    box = box_of(state)
    theta, kt = drawn(box, 2, 0)
    write_program(program, [torch.from_numpy(theta), torch.from_numpy(kt)], (list(INPUTS), list(OUTPUTS)), out)
    return program, state


def drawn(box: Box, n: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return theta (n, p) and kT (n,) at random in a box, even in ln kT."""
    rng = np.random.default_rng(seed)
    theta = rng.uniform(box.low, box.high, (n, len(box.low)))
    kt = np.exp(rng.uniform(np.log(box.kt_kev[0]), np.log(box.kt_kev[1]), n))
    return theta.astype(np.float32), kt.astype(np.float32)


def compare(model: Path, program: nn.Module, box: Box) -> Parity:
    """Return how the ONNX compares with the network on points of the box."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    theta, kt = drawn(box, COMPARED, 1)
    ratio, sd, slope = session.run(list(OUTPUTS), dict(zip(INPUTS, (theta, kt), strict=True)))
    with torch.no_grad():
        told = [x.numpy() for x in program(torch.from_numpy(theta), torch.from_numpy(kt))]
    off = np.abs(slope - told[2]).max(axis=0) / np.maximum(np.abs(told[2]).max(axis=0), 1e-6)
    changed = (np.sign(ratio) != np.sign(told[0])) & (np.abs(told[0]) > 1e-6)
    return Parity(
        COMPARED,
        float(np.abs(ratio - told[0]).max()),
        float(np.abs(sd / told[1] - 1).max()),
        float(off.max()),
        int(changed[:, 0].sum()),
    )


def against_differences(network: Emulator, box: Box, n: int = 2000) -> float:
    """Return the largest difference of the gradient from central differences, of the largest of that derivative."""
    double = Emulator(box, network.layers[0].out_features, len(network.layers))
    double.load_state_dict(network.state_dict())
    double = double.double()
    theta, kt = (a.astype(np.float64) for a in drawn(box, n, 2))
    at = np.concatenate([theta, np.log(kt)[:, None]], axis=1)
    half = box.scale[1]
    with torch.no_grad():
        slope = double.with_gradient(torch.from_numpy(theta), torch.from_numpy(kt))[2].numpy()
        largest = np.maximum(np.abs(slope).max(axis=0), 1e-9)
        worst = 0.0
        for j in range(at.shape[1]):
            sides = []
            for sign in (-1, 1):
                moved = at.copy()
                moved[:, j] += sign * STEP * half[j]
                value, _ = double(torch.from_numpy(moved[:, :-1]), torch.from_numpy(np.exp(moved[:, -1])))
                sides.append(value.numpy())
            numeric = (sides[1] - sides[0]) / (2 * STEP * half[j])
            worst = max(worst, float((np.abs(numeric - slope[:, :, j]) / largest[:, j]).max()))
    return worst


def describe(program: Program, state: dict[str, Any], model: Path, unseen: Sequence[Grid]) -> dict[str, Any]:
    """Return what the card says of an exported emulator; unseen: the grids of the training, and others."""
    box, parameters = box_of(state), state["parameters"]
    p, grids = len(parameters), state["grids"]
    ports = {"theta": (["n", p], "as theta.unit"), "kt_kev": (["n"], "keV, true")}
    shapes = {"ln_ratio": ["n", HEADS], "ln_sd": ["n", HEADS], "gradient": ["n", HEADS, p + 1]}
    units = {
        "ln_ratio": "ln of kT of the fit over true kT",
        "ln_sd": "statistical error of ln kT of the fit, at the exposure of the grid",
        "gradient": "of ln_ratio by theta and by ln of true kT",
    }
    columns = [[row[k] for row in parameters] for k in range(4)]
    return {
        "kind": "crosscal",
        "family": state["family"],
        "kt_kev": list(box.kt_kev),
        "kt_fit_kev": state["kt_fit_kev"],
        "theta": dict(zip(("names", "unit", "low", "high"), columns, strict=True)),
        "amplitudes": state["amplitudes"],
        "input": {name: {"shape": shape, "dtype": "float32", "unit": unit} for name, (shape, unit) in ports.items()},
        "output": {
            name: {"shape": shapes[name], "dtype": "float32", "unit": units[name], "names": list(FITS)}
            for name in OUTPUTS
        },
        "training": {
            "plan": state["plan"], "begun": state["begun"], "standing": state["standing"],
            "weights": count(program.network),
            "digests": [one["digest"] for one in grids], "points": sum(one["points"] for one in grids),
            "failed": sum(one["failed"] for one in grids), "grids": [str(one["about"]) for one in grids],
        },
        "test": {grid.path.name: {"digest": grid.digest, "points": len(grid.points)} for grid in unseen},
        "metrics": as_rows(evaluate(program.network, state, unseen)),
        "definitions": dict(DEFINITIONS),
        "parity": asdict(compare(model, program, box))
        | {"finite_differences": float(f"{against_differences(program.network, box):.3g}")},
    }  # fmt: skip
