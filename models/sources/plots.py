"""Pictures of classes that were told: what was called what, and whether a probability is what it says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from models.metrics import Confusion
from models.sources.evaluate import BINS, Judged, calibration, calibration_error
from stream.lat.associate import wilson
from stream.transport.pictures import INK, PAPER, SHARES, STYLES, picture

Array = NDArray[np.float64]
Curve = tuple[str, tuple[Array, Array, Array]]  # name; number, mean probability and share that is right, of each bin
LEAST: Final = 5  # in a bin that is drawn: fewer say nothing
SIDE, CELL = 4.6, 0.55  # inches of a matrix at least, and of a class in it


def draw_told(folder: Path, stem: str, shown: Mapping[str, Judged], *, ruled: bool = False) -> list[Path]:
    """Draw all three into a folder, STEM_confusion.png and so on: a picture of classes for each that is shown."""
    pictures = [
        draw_confusion(folder / f"{stem}_confusion.png", shown, ruled=ruled),
        draw_reliability(folder / f"{stem}_reliability.png", shown),
    ]
    for name, judged in shown.items():
        end = "".join(f"_{word}" for word in name.split())
        pictures.append(draw_classes(folder / f"{stem}_classes{end}.png", judged))
    return pictures


def draw_confusion(path: Path, shown: Mapping[str, Judged], *, ruled: bool = False) -> Path:
    """Draw the share of each true class (row) that is called each class, with the counts; return `path`.

    Called is the most probable class; ruled: what the model's rule decides. Raises LinkError if `path` cannot be
    written.
    """
    side = max(SIDE, CELL * max((len(judged.classes) for judged in shown.values()), default=0))
    with picture(path, side * len(shown) + 0.6, side + 1.1) as figure:
        panels = figure.subplots(1, len(shown), squeeze=False)[0]
        for axes, (name, judged) in zip(panels, shown.items(), strict=True):
            called = judged.decided if ruled else judged.p.argmax(axis=1)
            counted = Confusion.of(judged.label, called, len(judged.classes))
            _matrix(axes, counted.counts, judged.classes)
            there = [k for k in range(len(judged.classes)) if np.any(judged.label == k)]
            f1, recall = (float(np.mean([of(k) for k in there] or [np.nan])) for of in (counted.f1, counted.recall))
            balanced = f"balanced {recall:.3f}, " if ruled else ""
            told = f"accuracy {counted.accuracy():.3f}, {balanced}macro-F1 {f1:.3f}"
            axes.set_title(f"{name}\n{told}" if name else told)
            axes.set(xlabel="class by the model's rule" if ruled else "most probable class", ylabel="true class")
    return path


def _matrix(axes: Axes, counts: NDArray[np.int64], classes: Sequence[str]) -> None:
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap=SHARES, vmin=0, vmax=1, origin="upper")
    many = len(classes) > 6
    for row, column in np.argwhere(counts > 0).tolist():
        text = f"{100 * share[row, column]:.{0 if many else 1}f} %\n{counts[row, column]:,}"
        colour = PAPER if share[row, column] > 0.6 else INK
        axes.text(column, row, text, ha="center", va="center", fontsize=7.5 if many else 9, color=colour)
    axes.set_xticks(range(len(classes)), classes, rotation=45 if many else 0, ha="right" if many else "center")
    axes.set_yticks(range(len(classes)), classes)
    axes.tick_params(length=0)


def draw_reliability(path: Path, shown: Mapping[str, Judged]) -> Path:
    """Draw the share that is right against the highest probability, with the ECE, and how many are in each bin.

    Error bars are 68 % (Wilson). Raises LinkError if `path` cannot be written.
    """
    curves = [
        (f"{name}: ECE {ece:.3f}" if name else f"ECE {ece:.3f}", calibration(judged.p, judged.label))
        for name, judged in shown.items()
        for ece in (calibration_error(judged.p, judged.label),)
    ]
    return _draw(path, curves, "probability of the most probable class", "share that is right")


def draw_classes(path: Path, judged: Judged) -> Path:
    """Draw, for each class, the share of it among those that got such a probability of it; return `path`.

    Raises LinkError if `path` cannot be written.
    """
    curves = [(name, of_class(judged, k)) for k, name in enumerate(judged.classes)]
    return _draw(path, curves, "probability of a class", "share of that class")


def of_class(judged: Judged, k: int) -> tuple[Array, Array, Array]:
    """Return number, mean probability of class k and share of it, (BINS,), in equal bins of that probability."""
    p = judged.p[:, k]
    place = np.minimum((p * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(place, minlength=BINS).astype(float)
    known = np.maximum(count, 1)
    return count, np.bincount(place, p, BINS) / known, np.bincount(place, judged.label == k, BINS) / known


def _draw(path: Path, curves: Sequence[Curve], said: str, right: str) -> Path:
    with picture(path, 6.4, 6.4) as figure:
        axes, below = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
        axes.plot([0, 1], [0, 1], color=INK, lw=0.8)
        for (name, (count, mean, share)), (colour, line, mark) in zip(curves, STYLES * 3, strict=False):
            known = count >= LEAST
            ends = np.array([wilson(round(n * one), int(n)) for n, one in zip(count[known], share[known], strict=True)])
            error = np.abs(ends.reshape(-1, 2).T - share[known])
            style = {"color": colour, "ls": line, "marker": mark, "lw": 1.2}
            axes.errorbar(mean[known], share[known], error, label=name, **style)
            below.plot(mean[known], count[known], **style)
        axes.set(ylabel=right, xlim=(-0.01, 1.01), ylim=(-0.02, 1.02))
        axes.legend(loc="upper left")
        most = max((float(count.max()) for _, (count, *_) in curves), default=0.0)
        below.set(xlabel=said, ylabel="number in the bin", yscale="log", ylim=(LEAST / 2, 2 * max(most, LEAST)))
    return path
