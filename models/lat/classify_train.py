"""Training of the network of classes on simulated skies: class weights, flips and turns, then calibration."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy
from torch.optim import AdamW

from config.errors import ConfigError
from models import checkpoint
from models.lat.classify_network import CutoutNet
from models.precision import autocast
from models.schedule import one_cycle
from models.sources.evaluate import Judged
from models.steps import take_step, turned
from sim.lat.cutout_sets import read_set
from sim.lat.cutouts import KINDS
from stream.judges.lat_cutouts import Way, cutout_shape, inputs_of
from stream.lat.cutouts import Cutouts

Array = NDArray[np.float64]
FADE = 1e-2  # of the weights (AdamW)
TOLD_OF = 2000  # cut-outs of other skies, of which the loss is told after each epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What decides a training, beside its cut-outs."""

    way: Way = "counts"
    epochs: int = 6
    batch: int = 128
    rate: float = 4e-3
    seed: int = 0


@dataclass(slots=True)
class Standing:
    """How far a training has come."""

    epoch: int = 0
    step: int = 0
    steps: int = 0
    loss: float = float("nan")  # smoothed
    unseen: float = float("nan")  # loss on the calibration set, after the last epoch
    seconds: float = 0.0


class CutoutSet:
    """A set of cut-outs in memory."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError for any other file."""
        self.path = path
        self.rows, self.sky, self.about = read_set(path)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.rows)

    @property
    def label(self) -> NDArray[np.int64]:
        """Place in KINDS of each, (n,)."""
        return self.rows["label"].astype(np.int64)

    def inputs(self, which: NDArray[np.int64], way: Way) -> NDArray[np.float32]:
        """Return the inputs of some."""
        return inputs_of(self.cutouts(which), way)

    def cutouts(self, which: NDArray[np.int64]) -> Cutouts:
        """Return some of them, as the stream has them."""
        rows = self.rows[which]
        return Cutouts(rows["counts"].astype(np.float32), rows["background"], rows["good_s"])


def train(
    given: CutoutSet,
    calibration: CutoutSet,
    out: Path,
    plan: Plan,
    tell: Callable[[Standing], object] = lambda now: None,
) -> CutoutNet:
    """Return the network after all epochs, calibrated on other skies; it goes on from `out` if it is there.

    Raises ConfigError for a checkpoint of another training, or if both sets are the same skies.
    """
    if given.about == calibration.about:
        raise ConfigError(f"{calibration.path}: the same skies as {given.path}; expected others")
    torch.manual_seed(plan.seed)
    network = CutoutNet(cutout_shape(plan.way)[0]).to(memory_format=torch.channels_last_3d)
    optimiser = AdamW(network.parameters(), lr=plan.rate, weight_decay=FADE)
    standing, facts = Standing(steps=len(given) // plan.batch), {"plan": asdict(plan), "cutouts": given.about}
    if out.exists():
        state = checkpoint.load(out, network, optimiser)
        if any(state.get(key) != value for key, value in facts.items()):
            raise ConfigError(f"{out}: of another training; expected its own plan and cut-outs, or no file")
        standing = Standing(**state["standing"])
    weight = torch.from_numpy(class_weights(given.label).astype(np.float32))
    while standing.epoch < plan.epochs:
        began = time.monotonic()
        _epoch(network, optimiser, given, weight, plan, standing, tell)
        standing.epoch, standing.step = standing.epoch + 1, 0
        standing.unseen = _unseen(network, calibration, weight, plan.way)
        standing.seconds += time.monotonic() - began
        if standing.epoch == plan.epochs:
            calibrate(network, predict(network, calibration, plan.way), calibration.label)
        checkpoint.save(out, network, optimiser, {**facts, "standing": asdict(standing)})
        tell(standing)
    return network.eval()


def class_weights(label: NDArray[np.int64]) -> Array:
    """Return weights (classes,) that make all classes count the same, mean 1."""
    count = np.bincount(label, minlength=len(KINDS)) + 1.0
    return np.asarray((1 / count) / (1 / count).mean())


def _epoch(
    network: CutoutNet, optimiser: AdamW, given: CutoutSet, weight: torch.Tensor, plan: Plan, standing: Standing,
    tell: Callable[[Standing], object],
) -> None:  # fmt: skip
    network.train()
    rng = np.random.default_rng((plan.seed, standing.epoch))
    order, label = rng.permutation(len(given)), given.label
    for step in range(standing.steps):
        done = (standing.epoch + step / standing.steps) / plan.epochs
        which = order[step * plan.batch : (step + 1) * plan.batch]
        image = turned(given.inputs(which, plan.way), int(rng.integers(8)))
        with autocast(torch.device("cpu")):
            said = network(torch.from_numpy(image).contiguous(memory_format=torch.channels_last_3d))
        loss = cross_entropy(said.float(), torch.from_numpy(label[which]), weight)
        standing.loss = take_step(optimiser, loss, plan.rate * one_cycle(done), standing.loss)
        standing.step = step + 1
        tell(standing)


def _unseen(network: CutoutNet, calibration: CutoutSet, weight: torch.Tensor, way: Way) -> float:
    """Return the loss on some cut-outs of other skies, spread over all of them."""
    some = np.unique(np.linspace(0, len(calibration) - 1, TOLD_OF).astype(np.int64))
    logits = torch.from_numpy(predict(network, calibration, way, which=some))
    return float(cross_entropy(logits, torch.from_numpy(calibration.label[some]), weight))


def predict(
    network: CutoutNet, unseen: CutoutSet, way: Way, size: int = 512, which: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """Return the logits of cut-outs, (n, classes): of all, or of those asked for."""
    network.eval()
    rows = np.arange(len(unseen)) if which is None else which
    said = [np.empty((0, len(KINDS)), np.float32)]
    with torch.no_grad():
        for first in range(0, len(rows), size):
            image = unseen.inputs(rows[first : first + size], way)
            said.append(network(torch.from_numpy(image)).numpy())
    return np.concatenate(said)


def calibrate(network: CutoutNet, logits: NDArray[np.float32], label: NDArray[np.int64]) -> None:
    """Set scale and shift of the network so that its probabilities are those of the skies that made `logits`."""
    scale, shift = calibration_of(logits, label)
    network.scale.copy_(torch.tensor(scale))
    network.shift.copy_(torch.from_numpy(shift))


def calibration_of(logits: NDArray[Any], label: NDArray[np.int64]) -> tuple[float, Array]:
    """Return the scale and the shifts (classes,) of logits (n, classes) with the highest log score of labels (n,)."""
    given = torch.from_numpy(logits).double()
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    shift = torch.zeros(logits.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([scale, shift], max_iter=200, line_search_fn="strong_wolfe")

    def cost() -> torch.Tensor:
        optimiser.zero_grad()
        loss = cross_entropy(scale * given + shift, torch.from_numpy(label)) + 1e-4 * (shift**2).sum()
        loss.backward()
        return loss

    optimiser.step(cost)
    return float(scale.detach()), shift.detach().numpy()


def judged(p: Array, unseen: CutoutSet) -> Judged:
    """Return what probabilities (n, classes) say of cut-outs; decided by p / frequency, so that classes count alike."""
    frequency = (np.bincount(unseen.label, minlength=len(KINDS)) + 0.5) / (len(unseen) + 0.5 * len(KINDS))
    decided = np.argmax(np.log(np.maximum(p, 1e-30)) - np.log(frequency), axis=1)
    return Judged(KINDS, unseen.label, np.asarray(p, float), decided, np.arange(len(unseen)))


def state_of(path: Path) -> dict[str, Any]:
    """Return plan, cut-outs and standing of a checkpoint. Raises ConfigError for any other file."""
    return checkpoint.state_of(path)


def load(path: Path) -> CutoutNet:
    """Return a trained network. Raises ConfigError for a file that is none."""
    plan = state_of(path).get("plan", {})
    if "way" not in plan:
        raise ConfigError(f"{path}: not a network of cut-outs; expected what `raysieve train lat-cutouts` writes")
    network = CutoutNet(cutout_shape(plan["way"])[0])
    checkpoint.load(path, network)
    return network.eval()
