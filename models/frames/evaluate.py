"""How well the frame classifier does: Table 1 of the seed, with intervals."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from models import checkpoint
from models.frames.dataset import Frames
from models.frames.network import CLASSES, FrameNet
from models.frames.train import predict
from models.metrics import Confusion, Interval, bootstrap
from models.sources.evaluate import Judged

Metric = Callable[[Confusion, int], float]
METRICS: dict[str, Metric] = {
    "accuracy": lambda counted, k: counted.accuracy(),
    "F1": Confusion.f1,
    "precision": Confusion.precision,
    "recall": Confusion.recall,
}


def load(weights: Path) -> FrameNet:
    """Return a trained network. Raises ConfigError for a file that is none."""
    network = FrameNet()
    checkpoint.load(weights, network)
    return network.eval()


def table(truth: NDArray[np.integer], predicted: NDArray[np.int64]) -> dict[str, Interval]:
    """Return accuracy, and F1, precision and recall of each class, with 68 % intervals over the frames."""
    found = {}
    for name, metric in METRICS.items():
        for k, label in enumerate(CLASSES if name != "accuracy" else ("",)):

            def of(rows: NDArray[np.int64], metric: Metric = metric, k: int = k) -> float:
                return metric(Confusion.of(truth[rows], predicted[rows], len(CLASSES)), k)

            found[f"{label}: {name}" if label else name] = bootstrap(of, np.arange(truth.size))
    return found


def judge(weights: Path, frames: Path) -> Judged:
    """Return what a network says of a frame set that it has never seen. Raises ConfigError for files that are none."""
    unseen = Frames(frames)
    logits = predict(load(weights), unseen)[0].astype(np.float64)
    label = unseen.labels.astype(np.int64)
    return Judged(CLASSES, label, softmax(logits, axis=1), logits.argmax(axis=1), np.arange(label.size))


def evaluate(weights: Path, frames: Path) -> dict[str, Interval]:
    """Return `table` of a network on a frame set that it has never seen."""
    judged = judge(weights, frames)
    return table(judged.label, judged.decided)
