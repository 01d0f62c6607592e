"""Training of the emulator: mean squared error on whole grids in memory."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam

from config.errors import ConfigError
from models import checkpoint
from models.crosscal.dataset import Grid, Points, box_around, together
from models.crosscal.network import Box, Emulator, begin
from models.schedule import one_cycle
from models.steps import take_step

EVERY: Final = 1000  # steps between two checkpoints
SHARE: Final = 0.03  # of the statistical errors in the loss: they need to be known to a few per cent only


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What decides a training, beside its grid."""

    steps: int = 30_000
    batch: int = 1024
    rate: float = 3e-3
    wide: int = 64
    deep: int = 3
    seed: int = 0


@dataclass(slots=True)
class Standing:
    """How far a training has come."""

    step: int = 0
    loss: float = float("nan")  # smoothed
    median: float = float("nan")  # error of kt_fit on the theta that are kept back, after the last checkpoint
    worst: float = float("nan")
    seconds: float = 0.0  # CPU


class Learned:
    """Points as tensors, scaled once."""

    def __init__(self, network: Emulator, points: Points) -> None:
        theta, kt = (torch.from_numpy(a.astype(np.float32)) for a in (points.theta, points.kt_kev))
        self.x, self.by = network.scaled(theta, kt), network.weights(theta)
        self.ratio = torch.from_numpy(points.ratio)
        self.value = (self.ratio / network.unit).float()
        self.log_sd = ((torch.from_numpy(np.log(points.ln_sd)) - network.level[0]) / network.level[1]).float()

    def loss(self, network: Emulator, rows: Tensor) -> Tensor:
        """Return the mean squared error of some, in their units."""
        value, log_sd = network.learn(self.x[rows], self.by[rows])
        off = (value / network.unit).float() - self.value[rows]
        spread = ((log_sd - network.level[0]) / network.level[1]).float() - self.log_sd[rows]
        return (off**2).mean() + SHARE * (spread**2).mean()

    def error(self, network: Emulator) -> Tensor:
        """Return by how much kt_fit is off, (m,), as a share."""
        with torch.no_grad():
            return torch.expm1(network.learn(self.x, self.by)[0][:, 0].double() - self.ratio[:, 0]).abs()


def train(
    given: Sequence[Grid],
    out: Path,
    plan: Plan,
    tell: Callable[[Standing], object] = lambda now: None,
    first: Path | None = None,
) -> tuple[Emulator, Standing]:
    """Return the emulator after all steps; it goes on from `out` if it is there. first: weights to begin with.

    Raises ConfigError for a checkpoint of another training, for grids of fewer theta than are kept back or that do not
    belong together, and for weights of another network or box.
    """
    learned, kept_back = (together([getattr(grid, part) for grid in given]) for part in ("learned", "kept_back"))
    if not len(kept_back):
        raise ConfigError(f"{given[0].path}: too few theta to keep some back; expected 10 or more")
    torch.manual_seed(plan.seed)
    network = Emulator(box_around(given), plan.wide, plan.deep)
    optimiser = Adam(network.parameters(), lr=plan.rate)
    facts = facts_of(given) | {"plan": asdict(plan), "begun": file_digest(first) if first else ""}
    standing = Standing()
    if out.exists():
        if any(checkpoint.state_of(out).get(key) != value for key, value in facts.items()):
            raise ConfigError(f"{out}: of another training; expected its own plan and grids, or no file")
        standing = Standing(**checkpoint.load(out, network, optimiser)["standing"])
    elif first:
        if load(first)[0].box != network.box:
            raise ConfigError(f"{first}: of another box than the grids")
        checkpoint.load(first, network)
    else:
        begin(network, learned.ratio, learned.ln_sd)
    seen, unseen = Learned(network, learned), Learned(network, kept_back)
    while standing.step < plan.steps:
        _step(network, optimiser, seen, plan, standing)
        if standing.step % EVERY == 0 or standing.step == plan.steps:
            error = unseen.error(network)
            standing.median, standing.worst = float(error.median()), float(error.max())
            checkpoint.save(out, network, optimiser, {**facts, "standing": asdict(standing)})
        tell(standing)
    return network.eval(), standing


def _step(network: Emulator, optimiser: Adam, learned: Learned, plan: Plan, standing: Standing) -> None:
    begun = time.process_time()
    rng = np.random.default_rng((plan.seed, standing.step))
    rows = torch.from_numpy(rng.integers(len(learned.x), size=plan.batch))
    loss = learned.loss(network, rows)
    standing.loss = take_step(optimiser, loss, plan.rate * one_cycle(standing.step / plan.steps), standing.loss)
    standing.step += 1
    standing.seconds += time.process_time() - begun


def facts_of(given: Sequence[Grid]) -> dict[str, Any]:
    """Return what a checkpoint says of its grids, as JSON has it."""
    box, family = box_around(given), given[0].family
    ends = zip(family.parameters, box.low, box.high, strict=True)
    fits = np.concatenate([grid.points.ratio[:, 0] + np.log(grid.points.kt_kev) for grid in given])
    return {
        "family": family.name,
        "parameters": [[p.name, p.unit, low, high, j in box.logs] for j, (p, low, high) in enumerate(ends)],
        "kt_kev": list(box.kt_kev),
        "kt_fit_kev": [float(f"{np.exp(end):.6g}") for end in (fits.min(), fits.max())],
        "amplitudes": list(box.amplitudes),
        "grids": [
            {"digest": grid.digest, "points": len(grid.points), "failed": grid.failed, "about": grid.about}
            for grid in given
        ],
    }


def file_digest(path: Path) -> str:
    """Return 12 hexadecimal digits of a file's SHA-256. Raises ConfigError for none."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def box_of(state: dict[str, Any]) -> Box:
    """Return where the emulator of a checkpoint is known."""
    low, high = (tuple(float(row[k]) for row in state["parameters"]) for k in (2, 3))
    kt = (float(state["kt_kev"][0]), float(state["kt_kev"][1]))
    logs = tuple(j for j, row in enumerate(state["parameters"]) if row[4])
    return Box(low, high, kt, tuple(state["amplitudes"]), logs)


def load(path: Path) -> tuple[Emulator, dict[str, Any]]:
    """Return a trained emulator and what its checkpoint says. Raises ConfigError for a file that is none."""
    state = checkpoint.state_of(path)
    if "amplitudes" not in state or "plan" not in state:
        raise ConfigError(f"{path}: not an emulator; expected what `raysieve train crosscal` writes")
    network = Emulator(box_of(state), state["plan"]["wide"], state["plan"]["deep"])
    checkpoint.load(path, network)
    return network.eval(), state
