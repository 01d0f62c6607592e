"""Training of the frame classifier: Adam; the rate decays by epochs as in seed 003 (100 of them), or in one cycle.

Most of a frame is empty, and the network sees every place of it alike. So it learns what signals look like from small
windows, a fraction of the work, and goes on in whole ones (Howard 2018, DAWNBench: progressive resizing). The class of
a frame is one word on what is in its cells; the simulation knows them all, and so the features must also tell whose
charge is in each cell (a second task, Caruana 1997): far fewer frames are needed. The shipped model has no such layer.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.optim import Adam

from config.errors import ConfigError
from models import checkpoint
from models.frames.dataset import Frames
from models.frames.network import CELL, CLASSES, SIDE, FrameNet
from models.precision import autocast
from models.schedule import one_cycle
from sim.check import require

LOOKED_AT = 1024  # frames, to see what the network makes of empty ones
DECAY = 0.95  # of the rate, an epoch: seed 003, section 4.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What decides a training, beside its frames."""

    epochs: int = 4
    batch: int = 64  # what fits in the caches of a CPU: half as fast again as 256
    rate: float = 0.005  # the highest
    schedule: str = "one-cycle"  # or "decay"
    seed: int = 0
    dropout: float = (
        0.0  # seed 003: 0.2, for 100 epochs of one set; frames that are seen once cannot be learnt by heart
    )
    cells: float = 0.1  # weight of the second task, its loss summed over the cells of a frame
    save_every: int = 400  # batches

    def rate_at(self, epoch: int, part: float) -> float:
        """Return the learning rate after a part of an epoch."""
        if self.schedule == "decay":
            return self.rate * DECAY**epoch
        return self.rate * one_cycle((epoch + part) / self.epochs)


@dataclass(slots=True)
class Standing:
    """How far a training has come."""

    epoch: int = 0
    batch: int = 0  # of the epoch
    loss: float = float("nan")  # smoothed
    accuracy: float = float("nan")  # on the validation set, after the last whole epoch
    seconds: float = 0.0


def train(
    frames: Frames,
    validation: Frames,
    out: Path,
    plan: Plan,
    tell: Callable[[Standing], object] = lambda standing: None,
    begin: Path | None = None,
) -> FrameNet:
    """Return the network after `plan.epochs`; go on from `out` (a checkpoint) if it is there.

    begin: what was trained before, in smaller windows or in others of this size. tell is called after every batch.
    Raises ConfigError if a checkpoint is of another network, plan or frame set.
    """
    torch.manual_seed(plan.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = _first(frames, begin)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = plan.dropout
    network.to(device, memory_format=torch.channels_last)
    optimiser = Adam(network.parameters(), lr=plan.rate)
    made_of = {"plan": asdict(plan), "frames": frames.about, "side": frames.side}
    made_of["begin"] = hashlib.sha256(begin.read_bytes()).hexdigest() if begin else ""
    standing = _resume(out, network, optimiser, made_of) if out.is_file() else Standing()

    def note(now: Standing) -> None:
        _keep(out, network, optimiser, made_of, now)
        tell(now)

    for epoch in range(standing.epoch, plan.epochs):
        _epoch(network, optimiser, frames, plan, standing, note)
        standing.epoch, standing.batch = epoch + 1, 0
        predicted = predict(network, validation)[0].argmax(axis=1)
        standing.accuracy = float(np.mean(predicted == validation.labels))
        _keep(out, network, optimiser, made_of, standing, always=True)
        tell(standing)
    return network


def _first(frames: Frames, begin: Path | None) -> FrameNet:
    """Return the network before its first step."""
    network = FrameNet()
    if begin:
        before = checkpoint.load(begin, network.eval()).get("side", SIDE)
        require(
            f"{begin}", (before <= frames.side, f"a network of windows of {frames.side} x {frames.side} or smaller")
        )
        if before < frames.side:
            empty = frames.energies(0, LOOKED_AT)[frames.labels[:LOOKED_AT] == CLASSES.index("empty")]
            network.enlarge((frames.side / before) ** 2, empty)
    else:
        mean, deviation = frames.moments()
        network.mean.fill_(mean)
        network.deviation.fill_(deviation)
    return network


def _resume(out: Path, network: FrameNet, optimiser: Adam, made_of: dict[str, Any]) -> Standing:
    """Go on from a checkpoint of the same plan; a decay may go on for more epochs than were planned."""
    state = checkpoint.load(out, network, optimiser)
    plan = made_of["plan"]
    known = state["plan"] | ({"epochs": plan["epochs"]} if plan["schedule"] == "decay" else {})
    differ = [f"{key} {known.get(key)} there, {value} now" for key, value in plan.items() if known.get(key) != value]
    differ += [f"other {name}" for name in ("frames", "begin") if state.get(name, made_of[name]) != made_of[name]]
    if differ:
        raise ConfigError(f"{out}: checkpoint of another plan ({'; '.join(differ)}); remove it, or take another --out")
    return Standing(**state["standing"])


def _epoch(
    network: FrameNet,
    optimiser: Adam,
    frames: Frames,
    plan: Plan,
    standing: Standing,
    tell: Callable[[Standing], object],
) -> None:
    device = next(network.parameters()).device
    network.train()
    first, steps = standing.batch, -(-len(frames) // plan.batch)
    batches = frames.batches(plan.batch, plan.seed + standing.epoch, first)
    for number, now in enumerate(batches, first):
        begun = time.monotonic()
        for group in optimiser.param_groups:
            group["lr"] = plan.rate_at(standing.epoch, number / steps)
        with autocast(device):
            seen = network.features(now.energy.to(device, memory_format=torch.channels_last))
            logits, cells = network.classify(seen).mean(dim=(2, 3)), network.find(seen)
        loss = cross_entropy(logits.float(), now.label.to(device))
        found = binary_cross_entropy_with_logits(cells.float(), now.charged.to(device), reduction="sum") / len(
            now.label
        )
        optimiser.zero_grad(set_to_none=True)
        (loss + plan.cells * found).backward()
        optimiser.step()
        value = float(loss.detach())
        standing.loss = value if np.isnan(standing.loss) else 0.98 * standing.loss + 0.02 * value
        standing.batch = number + 1
        standing.seconds += time.monotonic() - begun
        tell(standing)


def predict(network: FrameNet, frames: Frames, size: int = 64) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return logits (n, 4) and activation maps (n, 4, side / 4, side / 4) of all frames."""
    device = next(network.parameters()).device
    network.eval()
    logits, maps = [], []
    with torch.no_grad(), autocast(device):
        for batch in frames.batches(size):
            one, two = network(batch.energy.to(device, memory_format=torch.channels_last))
            logits.append(one.float().cpu().numpy())
            maps.append(two.float().cpu().numpy())
    none = np.empty((0, len(CLASSES), frames.side // CELL, frames.side // CELL), np.float32)
    return np.concatenate([none[:, :, 0, 0], *logits]), np.concatenate([none, *maps])


def _keep(
    out: Path, network: FrameNet, optimiser: Adam, made_of: dict[str, Any], standing: Standing, always: bool = False
) -> None:
    if always or standing.batch % made_of["plan"]["save_every"] == 0:
        checkpoint.save(out, network, optimiser, made_of | {"standing": asdict(standing)})
