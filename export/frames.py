"""The frame classifier as ONNX, with proof that it equals the network it came from."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from config.errors import ConfigError
from export.bf16 import in_bf16
from export.card import as_rows
from export.int8 import quantise
from export.program import write_program
from models.checkpoint import state_of
from models.frames.dataset import Frames
from models.frames.evaluate import load, table
from models.frames.network import CELLS, CLASSES, SIDE, FrameNet
from sim.check import require

INPUT, OUTPUTS = "energy_ev", ("logits", "maps")
AT_A_TIME = 64  # what fits in the caches of a CPU
COMPARED = 10_000  # frames: what decides are a few ambiguous ones in ten thousand
MOST_CHANGED = 1e-3  # share of the classes, if bf16 is to be used: a tenth of those that the seed's network gets wrong
CALIBRATED = 768  # frames that int8 is scaled by


@dataclass(slots=True)
class Parity:
    """How far two ways to run the network are apart on the same frames."""

    frames: int = 0
    logits: float = 0.0  # largest difference
    maps: float = 0.0
    changed: int = 0  # frames whose most probable class is another

    def add(self, one: Sequence[NDArray[np.float32]], other: Sequence[NDArray[np.float32]]) -> None:
        """Take in logits and maps of some frames."""
        self.frames += len(one[0])
        self.logits, self.maps = (
            max(before, float(np.abs(a - b).max()))
            for before, a, b in zip((self.logits, self.maps), one, other, strict=True)
        )
        self.changed += int(np.sum(one[0].argmax(axis=1) != other[0].argmax(axis=1)))


def export(weights: Path, out: Path) -> FrameNet:
    """Write the network as ONNX: energies (n, 1, 64, 64) float32 eV -> logits (n, 4), maps (n, 4, 16, 16).

    Returns the network. Raises ConfigError for weights that cannot be used.
    """
    network = load(weights)
    write_program(network, [torch.rand(2, 1, SIDE, SIDE) * 1000], ([INPUT], OUTPUTS), out)
    return network


def in_int8(model: Path, frames: Frames, unseen: Frames) -> dict[str, Any]:
    """Turn an exported model into int8, scaled by the first CALIBRATED frames; return what its card says of that.

    Raises ConfigError if these are the unseen ones.
    """
    require(f"frame set {frames.path}", (frames.about != unseen.about, "other frames than those of the test"))
    number = min(CALIBRATED, len(frames))
    steps = range(0, number, AT_A_TIME)
    quantise(model, [{INPUT: frames.energies(k, min(k + AT_A_TIME, number)).numpy()} for k in steps], model)
    return {"int8": {"frames": number, "of": frames.about}}


def compare(
    network: FrameNet, model: Path, frames: Frames, *, rough: bool = True
) -> tuple[Parity, Parity | None, NDArray[np.int64]]:
    """Run the model on all frames, in fp32 on the CPU; on the first COMPARED of them also the network, and in bf16.

    Returns the parity of network and model, that of fp32 and bf16 (None where there is none, or not rough), and the
    classes that the model gives, (n,). Raises ConfigError for a model that cannot be run.
    """
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as fault:  # onnxruntime has no class of its own for damaged models
        raise ConfigError(f"{model}: cannot be run ({fault})") from None
    run = in_bf16(model) if rough else None
    exact, in_8_bits = Parity(), Parity()
    predicted = [np.empty(0, np.int64)]
    for number, (energy, _, _) in enumerate(frames.batches(AT_A_TIME)):
        found: list[NDArray[np.float32]] = session.run(list(OUTPUTS), {INPUT: energy.numpy()})
        predicted.append(found[0].argmax(axis=1))
        if number * AT_A_TIME >= COMPARED:
            continue
        with torch.no_grad():
            exact.add([value.numpy() for value in network(energy)], found)
        if run:
            told = run({INPUT: energy.numpy()})
            in_8_bits.add([told[name] for name in OUTPUTS], found)
    return exact, in_8_bits if run else None, np.concatenate(predicted)


def as_facts(exact: Parity, rough: Parity | None) -> dict[str, Any]:
    """Return the table `[parity]` of a card; without bf16 where that was not measured."""
    if not rough:
        return asdict(exact)
    in_8_bits = {f"bf16_{name}": value for name, value in asdict(rough).items()}
    return asdict(exact) | in_8_bits | {"bf16_ok": rough.changed < MOST_CHANGED * rough.frames}


def describe(weights: Path, network: FrameNet, model: Path, frames: Frames, *, rough: bool = True) -> dict[str, Any]:
    """Return what the card says of an exported model: itself judged, and compared, on frames that it has never seen.

    rough: in bf16, too.
    """
    state = state_of(weights)
    exact, in_8_bits, predicted = compare(network, model, frames, rough=rough)
    return {
        "input": {INPUT: {"shape": ["n", 1, SIDE, SIDE], "dtype": "float32", "unit": "eV"}},
        "output": {
            "logits": {"shape": ["n", len(CLASSES)], "dtype": "float32", "classes": list(CLASSES)},
            "maps": {"shape": ["n", len(CLASSES), CELLS, CELLS], "dtype": "float32", "classes": list(CLASSES)},
        },
        "training": {"plan": state["plan"], "standing": state["standing"], "frames": state.get("frames", "")},
        "metrics": as_rows(table(frames.labels, predicted)),
        "test": frames.about,
        "parity": as_facts(exact, in_8_bits),
    }
