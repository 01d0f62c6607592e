"""Training of the network of coronae on spectra drawn anew, then calibration on those of other stars."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.optim import AdamW

from config.errors import ConfigError
from models import checkpoint
from models.corona.calibrate import calibrate
from models.corona.dataset import Batch, Spectra, check_kinds, same_grid
from models.corona.network import CoronaNet, begin, log_density, unconstrained
from models.precision import autocast
from models.schedule import one_cycle
from models.steps import take_step

CPU: Final = torch.device("cpu")
FADE: Final = 1e-2  # of the weights (AdamW)
EVERY: Final = 100  # steps between two checkpoints
SHAPES: Final = 1000  # spectra that the components are taken from
TOLD_OF: Final = 1000  # spectra of other stars that a loss is told of
PARTS: Final = ("any", "one", "kind", "lines", "denoised")
SHARE: Final = (1.0, 1.0, 0.3, 10.0, 0.03)  # of each part in the loss: so each is worth about 1 in the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What decides a training, beside its spectra."""

    steps: int = 1500
    batch: int = 256
    rate: float = 3e-3
    seed: int = 0


@dataclass(slots=True)
class Standing:
    """How far a training has come."""

    step: int = 0
    loss: float = float("nan")  # smoothed
    unseen: tuple[float, ...] = ()  # PARTS on spectra of other stars, after the last step
    seconds: float = 0.0  # CPU


def losses(network: CoronaNet, batch: Batch) -> Tensor:
    """Return the parts of the loss (PARTS,), before their shares."""
    counts = torch.from_numpy(batch.counts)
    with autocast(CPU):
        mixtures, kind, lines, expected, _ = network(counts)
    ln = log_density(mixtures.float(), unconstrained(torch.from_numpy(batch.target)))
    of_kind = torch.from_numpy(batch.kind)
    one = (of_kind == 0).float()
    truth = torch.from_numpy(batch.expected)
    found = expected.float().clamp_min(1e-9)
    deviance = 2 * (found - truth - truth * torch.log(found / truth.clamp_min(1e-9))).sum(dim=1)
    parts = [
        -ln[:, 1].mean(),
        -(one * ln[:, 0]).sum() / one.sum().clamp_min(1.0),
        cross_entropy(kind.float(), of_kind),
        binary_cross_entropy_with_logits(lines.float(), torch.from_numpy(batch.seen)),
        deviance.mean(),
    ]
    return torch.stack(parts)


def train(
    given: Spectra, other: Spectra, out: Path, plan: Plan, tell: Callable[[Standing], object] = lambda now: None
) -> CoronaNet:
    """Return the network after all steps, calibrated; it goes on from `out` if it is there. other: of other stars.

    The number of steps may be another when it goes on: the rate follows the new one.

    Raises ConfigError for a checkpoint of another training, and for sets that do not fit each other.
    """
    if given.about == other.about or not same_grid(given.instrument, other.instrument):
        raise ConfigError(f"{other.path}: expected spectra of other stars (--seed) with the instrument of {given.path}")
    check_kinds(given)
    torch.manual_seed(plan.seed)
    network = CoronaNet(given.counts.shape[1], places_of(given))
    optimiser = AdamW(network.parameters(), lr=plan.rate, weight_decay=FADE)
    standing, facts = Standing(), facts_of(given) | {"plan": asdict(plan)}
    if out.exists():
        state = checkpoint.load(out, network, optimiser)
        plan_of: dict[str, Any] = {**state.get("plan", {}), "steps": plan.steps}
        if any({**state, "plan": plan_of}.get(key) != value for key, value in facts.items()):
            raise ConfigError(f"{out}: of another training; expected its own plan and spectra, or no file")
        standing = Standing(**state["standing"])
    else:
        start(network, given, plan)
    some = np.arange(min(TOLD_OF, len(other)))
    while standing.step < plan.steps:
        _step(network, optimiser, given, plan, standing)
        if standing.step % EVERY == 0 or standing.step == plan.steps:
            network.eval()
            with torch.no_grad():
                standing.unseen = tuple(float(f"{x:.4g}") for x in losses(network, other.as_they_are(some)))
            checkpoint.save(out, network, optimiser, {**facts, "standing": asdict(standing)})
        tell(standing)
    known = calibrate(network.eval(), other, plan.seed)
    checkpoint.save(out, network, optimiser, {**facts, "standing": asdict(standing), "calibration": known})
    return network


def places_of(given: Spectra) -> NDArray[np.int64]:
    """Return the bin of each line, (L,)."""
    edges = given.instrument.edges_a
    return np.clip(np.searchsorted(edges, given.wavelength_a, side="right") - 1, 0, len(edges) - 2)


def facts_of(given: Spectra) -> dict[str, Any]:
    """Return what a checkpoint says of the spectra that it was trained on: grid, lines, how they were made."""
    edges = given.instrument.edges_a
    return {
        "spectra": given.about,
        "instrument": given.instrument.name,
        "edges_a": [float(edges[0]), float(edges[-1])],
        "lines": [int(row) for row in given.lines],
        "ion": [str(name) for name in given.ion],
        "wavelength_a": [round(float(at), 4) for at in given.wavelength_a],
    }


def start(network: CoronaNet, given: Spectra, plan: Plan) -> None:
    """Give a network what the spectra's physics tells."""
    rng = np.random.default_rng((plan.seed, 1 << 20))
    shown = given.drawn(rng.integers(len(given), size=2 * SHAPES), rng)
    offset = shown.target[:, 2] - np.log10(shown.counts.sum(axis=1) + 1)
    begin(network, given.shapes(SHAPES), offset.astype(np.float64))


def _step(network: CoronaNet, optimiser: AdamW, given: Spectra, plan: Plan, standing: Standing) -> None:
    begun = time.process_time()
    rng = np.random.default_rng((plan.seed, standing.step))
    batch = given.drawn(rng.integers(len(given), size=plan.batch), rng)
    network.train()
    loss = (losses(network, batch) * torch.tensor(SHARE)).sum()
    standing.loss = take_step(optimiser, loss, plan.rate * one_cycle(standing.step / plan.steps), standing.loss)
    standing.step += 1
    standing.seconds += time.process_time() - begun


def load(path: Path) -> tuple[CoronaNet, dict[str, Any]]:
    """Return a trained network and what its checkpoint says. Raises ConfigError for a file that is none."""
    state = checkpoint.state_of(path)
    if "wavelength_a" not in state:
        raise ConfigError(f"{path}: not a network of coronae; expected what `raysieve train corona` writes")
    with np.load(path) as held:
        bins, places = len(held["network/mean"]), held["network/places"]
    network = CoronaNet(bins, places)
    checkpoint.load(path, network)
    return network.eval(), state


def lines_of(state: dict[str, Any]) -> NDArray[np.int64]:
    """Return the rows of the lines that a checkpoint's network was asked for."""
    return np.asarray(state["lines"], np.int64)
