"""The frame classifier as ONNX, with proof that it equals the network it came from."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from config.errors import ConfigError
from export.card import as_rows
from export.program import write_program
from models.checkpoint import state_of
from models.frames.dataset import Frames
from models.frames.evaluate import load, table
from models.frames.network import CELLS, CLASSES, SIDE, FrameNet

INPUT, OUTPUTS = "energy_ev", ("logits", "maps")
AT_A_TIME = 64  # what fits in the caches of a CPU
COMPARED = 10_000  # frames: what decides are a few ambiguous ones in ten thousand


@dataclass(frozen=True, slots=True)
class Parity:
    """How far network and ONNX are apart on the same frames."""

    frames: int
    logits: float  # largest difference
    maps: float
    changed: int  # frames whose most probable class is another


def export(weights: Path, out: Path) -> FrameNet:
    """Write the network as ONNX: energies (n, 1, 64, 64) float32 eV -> logits (n, 4), maps (n, 4, 16, 16).

    Returns the network. Raises ConfigError for weights that cannot be used.
    """
    network = load(weights)
    write_program(network, [torch.rand(2, 1, SIDE, SIDE) * 1000], ([INPUT], OUTPUTS), out)
    return network


def compare(network: FrameNet, model: Path, frames: Frames) -> tuple[Parity, NDArray[np.int64]]:
    """Run the model on all frames, in fp32 on the CPU, and the network on the first COMPARED of them.

    Returns their parity, and the classes that the model gives, (n,). Raises ConfigError for a model that cannot be run.
    """
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as fault:  # onnxruntime has no class of its own for damaged models
        raise ConfigError(f"{model}: cannot be run ({fault})") from None
    logits = maps = 0.0
    changed = 0
    predicted = [np.empty(0, np.int64)]
    for number, (energy, _) in enumerate(frames.batches(AT_A_TIME)):
        found: list[NDArray[np.float32]] = session.run(list(OUTPUTS), {INPUT: energy.numpy()})
        predicted.append(found[0].argmax(axis=1))
        if number * AT_A_TIME >= COMPARED:
            continue
        with torch.no_grad():
            expected = [value.numpy() for value in network(energy)]
        logits, maps = (
            max(before, float(np.abs(a - b).max()))
            for before, a, b in zip((logits, maps), expected, found, strict=True)
        )
        changed += int(np.sum(expected[0].argmax(axis=1) != predicted[-1]))
    compared = min(len(frames), -(-COMPARED // AT_A_TIME) * AT_A_TIME)
    return Parity(compared, logits, maps, changed), np.concatenate(predicted)


def describe(weights: Path, network: FrameNet, model: Path, frames: Frames) -> dict[str, Any]:
    """Return what the card says of an exported model: itself judged, and compared, on frames that it has never seen."""
    state = state_of(weights)
    parity, predicted = compare(network, model, frames)
    return {
        "input": {INPUT: {"shape": ["n", 1, SIDE, SIDE], "dtype": "float32", "unit": "eV"}},
        "output": {
            "logits": {"shape": ["n", len(CLASSES)], "dtype": "float32", "classes": list(CLASSES)},
            "maps": {"shape": ["n", len(CLASSES), CELLS, CELLS], "dtype": "float32", "classes": list(CLASSES)},
        },
        "training": {"plan": state["plan"], "standing": state["standing"], "frames": state.get("frames", "")},
        "metrics": as_rows(table(frames.labels, predicted)),
        "test": frames.about,
        "parity": asdict(parity),
    }
