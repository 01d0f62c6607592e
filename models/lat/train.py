"""Training of the localisation network: cross-entropy of the mask, one cycle of the rate, flips and turns."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import Adam

from config.errors import ConfigError
from models import checkpoint
from models.lat.dataset import Patches
from models.lat.network import FIRST, LocaliseNet
from models.precision import autocast
from models.schedule import one_cycle
from models.steps import take_step, turned
from stream.lat.patch import INNER_DEG, SIDE_DEG

MARGIN = 1.0  # degrees beyond the inner square that count in the loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What decides a training, beside its patches."""

    epochs: int = 8
    batch: int = 8
    rate: float = 0.004
    weight: float = 1.0  # of source pixels; 1: what it says are probabilities (seed 004's code: 1.5)
    first: int = FIRST
    seed: int = 0


@dataclass(slots=True)
class Standing:
    """How far a training has come."""

    epoch: int = 0
    batch: int = 0
    loss: float = float("nan")  # smoothed
    unseen: float = float("nan")  # loss on the validation set, after the last whole epoch
    seconds: float = 0.0


def train(
    patches: Patches,
    validation: Patches,
    out: Path,
    plan: Plan,
    tell: Callable[[Standing], object] = lambda standing: None,
) -> LocaliseNet:
    """Return the network after `plan.epochs`; go on from the last whole epoch of `out` if it is there.

    Raises ConfigError if a checkpoint is of another plan or set, or if both sets are the same.
    """
    if patches.about == validation.about:
        raise ConfigError(f"{validation.path}: the same skies as {patches.path}; expected others")
    torch.manual_seed(plan.seed)
    network = LocaliseNet(plan.first).to(memory_format=torch.channels_last)  # twice as fast on a CPU
    optimiser = Adam(network.parameters(), lr=plan.rate)
    standing = Standing()
    facts = {"plan": asdict(plan), "patches": patches.about}
    if out.exists():
        state = checkpoint.load(out, network, optimiser)
        if any(state.get(key) != value for key, value in facts.items()):
            raise ConfigError(f"{out}: of another training; expected its own plan and patches, or no file")
        standing = Standing(**state["standing"])
    while standing.epoch < plan.epochs:
        began = time.monotonic()
        _epoch(network, optimiser, patches, plan, standing, tell)
        standing.epoch, standing.batch = standing.epoch + 1, 0
        standing.unseen = loss_on(network, validation, plan)
        standing.seconds += time.monotonic() - began
        checkpoint.save(out, network, optimiser, {**facts, "standing": asdict(standing)})
        tell(standing)
    return network


def _epoch(
    network: LocaliseNet,
    optimiser: Adam,
    patches: Patches,
    plan: Plan,
    standing: Standing,
    tell: Callable[[Standing], object],
) -> None:
    network.train()
    rng = np.random.default_rng((plan.seed, standing.epoch))
    order = rng.permutation(len(patches))
    steps = len(order) // plan.batch
    for step in range(steps):
        done = (standing.epoch + step / steps) / plan.epochs
        loss = _loss(network, patches, order[step * plan.batch : (step + 1) * plan.batch], plan, int(rng.integers(8)))
        standing.loss = take_step(optimiser, loss, plan.rate * one_cycle(done), standing.loss)
        standing.batch = step + 1
        tell(standing)


def _loss(network: LocaliseNet, patches: Patches, rows: np.ndarray, plan: Plan, turn: int) -> torch.Tensor:
    """Return the loss of some patches, all turned and mirrored alike."""
    given, mask = patches.at(rows)
    tensors = [torch.from_numpy(turned(image, turn)) for image in (*given, mask)]
    tensors[:3] = [tensor.contiguous(memory_format=torch.channels_last) for tensor in tensors[:3]]
    with autocast(torch.device("cpu")):
        logits = network(*tensors[:3]).float()
    side = logits.shape[-1]
    rim = round((SIDE_DEG - INNER_DEG - 2 * MARGIN) / 2 / SIDE_DEG * side)
    inner = slice(rim, side - rim)
    weight = torch.tensor(plan.weight)
    return binary_cross_entropy_with_logits(logits[:, inner, inner], tensors[3][:, inner, inner], pos_weight=weight)


def load(path: Path) -> LocaliseNet:
    """Return the network of a checkpoint, ready to judge. Raises ConfigError for another file."""
    network = LocaliseNet(int(checkpoint.state_of(path)["plan"]["first"]))
    checkpoint.load(path, network)
    return network.eval()


def masks_of(network: LocaliseNet, given: list[np.ndarray]) -> np.ndarray:
    """Return p (n, 160, 160) of the inputs of some patches."""
    with torch.no_grad(), autocast(torch.device("cpu")):
        return torch.sigmoid(network(*map(torch.from_numpy, given)).float()).numpy()


def loss_on(network: LocaliseNet, patches: Patches, plan: Plan) -> float:
    """Return the mean loss on a set, without turns."""
    network.eval()
    losses = []
    with torch.no_grad():
        for rows in np.array_split(np.arange(len(patches)), max(1, len(patches) // plan.batch)):
            losses.append(float(_loss(network, patches, rows, plan, 0)))
    return float(np.mean(losses))
