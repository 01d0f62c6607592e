"""Training of the context model: every particle again and again in other surroundings, X-rays without end."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import AdamW

from config.errors import ConfigError
from models import checkpoint
from models.islands.dataset import Arrays, Scenes, turned
from models.islands.network import IslandNet
from models.precision import autocast
from models.schedule import one_cycle

CPU = torch.device("cpu")  # a network of this size gains nothing elsewhere
LOST = 0.0182  # of the X-rays: where the seed compares


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What decides a training, beside its events."""

    steps: int = 6000
    batch: int = 1024
    particles: float = 0.33  # share of a batch
    rate: float = 2e-3  # the highest of one cycle
    fade: float = 0.02  # of the weights (AdamW, Loshchilov and Hutter 2019, arXiv:1711.05101)
    seed: int = 0
    save_every: int = 500


@dataclass(slots=True)
class Standing:
    """How far a training has come."""

    step: int = 0
    loss: float = float("nan")  # smoothed
    rejected: float = float("nan")  # share of the calibration set's particles at LOST, at the last look
    seconds: float = 0.0


def train(
    given: Scenes,
    unseen: Scenes,
    out: Path,
    plan: Plan,
    about: str = "",
    tell: Callable[[Standing], object] = lambda standing: None,
) -> IslandNet:
    """Return the network after `plan.steps`; go on from `out` (a checkpoint) if it is there. about: what `given` is.

    Raises ConfigError if the checkpoint is of another network, plan or set of events.
    """
    torch.manual_seed(plan.seed)
    network = IslandNet()
    network.shift.fill_(_shift(given, plan))
    network.scale_to(*map(torch.from_numpy, draw(given, plan, np.random.default_rng(plan.seed))[0]))
    optimiser = AdamW(network.parameters(), lr=plan.rate, weight_decay=plan.fade)
    made_of = {"plan": asdict(plan), "events": about}
    standing = Standing()
    if out.is_file():
        state = checkpoint.load(out, network, optimiser)
        if {name: state.get(name) for name in made_of} != made_of:
            raise ConfigError(f"{out}: checkpoint of another plan or of other events; remove it, or take another --out")
        standing = Standing(**state["standing"])
    while standing.step < plan.steps:
        _step(network, optimiser, given, plan, standing)
        if standing.step % plan.save_every == 0 or standing.step == plan.steps:
            standing.rejected = rejected_at(LOST, predict(network, unseen), unseen.candidates.particle)
            checkpoint.save(out, network, optimiser, made_of | {"standing": asdict(standing)})
        tell(standing)
    return network.eval()


def _shift(given: Scenes, plan: Plan) -> float:
    """Return the difference of the logits of a particle in the set and in a batch."""
    share = float(np.mean(given.candidates.particle))
    return float(np.log(share / (1 - share)) - np.log(plan.particles / (1 - plan.particles)))


def _step(network: IslandNet, optimiser: AdamW, given: Scenes, plan: Plan, standing: Standing) -> None:
    begun = time.monotonic()
    for group in optimiser.param_groups:
        group["lr"] = plan.rate * one_cycle(standing.step / plan.steps)
    arrays, label = draw(given, plan, np.random.default_rng((plan.seed, standing.step)))
    network.train()
    with autocast(CPU):
        logits = network(*map(torch.from_numpy, arrays)).float() - network.shift
    loss = binary_cross_entropy_with_logits(logits, torch.from_numpy(label))
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    value = float(loss.detach())
    standing.loss = value if np.isnan(standing.loss) else 0.99 * standing.loss + 0.01 * value
    standing.step += 1
    standing.seconds += time.monotonic() - begun


def draw(given: Scenes, plan: Plan, rng: np.random.Generator) -> tuple[Arrays, NDArray[np.float32]]:
    """Return a batch: particles and X-rays in read-outs drawn anew, turned at random; and which are particles."""
    particle = given.candidates.particle
    count = round(plan.batch * plan.particles)
    rows = np.concatenate(
        [rng.choice(np.flatnonzero(particle), count), rng.choice(np.flatnonzero(~particle), plan.batch - count)]
    )
    others = rng.integers(len(given.first), size=plan.batch)
    return turned(given.mixed(rows, others), rng), particle[rows].astype(np.float32)


def predict(network: IslandNet, unseen: Scenes, size: int = 2048) -> NDArray[np.float32]:
    """Return the logits of all candidates as the stream would see them, (n,)."""
    network.eval()
    found = [np.empty(0, np.float32)]
    with torch.no_grad(), autocast(CPU):
        for first in range(0, len(unseen), size):
            arrays = unseen.as_seen(np.arange(first, min(first + size, len(unseen))))
            found.append(network(*map(torch.from_numpy, arrays)).float().numpy())
    return np.concatenate(found)


def rejected_at(lost: float, score: NDArray[Any], particle: NDArray[np.bool_]) -> float:
    """Return the share of particles with a score above that of all but `lost` of the X-rays."""
    return float(np.mean(score[particle] > np.quantile(score[~particle], 1 - lost)))
