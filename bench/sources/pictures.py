"""Confusion matrices and reliability of source classes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from models.metrics import Confusion
from models.screening.plots import INK, PAPER, STYLES, save
from models.sources.evaluate import Judged, calibration, scores


def draw_confusion(path: Path, shown: Mapping[str, Judged]) -> Path:
    """Draw the share of each true class (row) that is called each class; return the path."""
    figure = Figure(figsize=(4.6 * len(shown), 5.0), layout="constrained", facecolor=PAPER)
    for axes, (name, judged) in zip(np.atleast_1d(figure.subplots(1, len(shown))), shown.items(), strict=True):
        number = len(judged.classes)
        counts = Confusion.of(judged.label, judged.p.argmax(axis=1), number).counts
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for row in range(number):
            for column in range(number):
                if counts[row, column]:
                    colour = PAPER if share[row, column] > 0.6 else INK
                    axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=8, color=colour)
        told = scores(judged)
        axes.set_title(f"{name}\naccuracy {told['accuracy']:.3f}, macro-F1 {told['macro-F1']:.3f}", fontsize=10)
        axes.set_xticks(range(number), judged.classes, rotation=60, ha="right", fontsize=8)
        axes.set_yticks(range(number), judged.classes, fontsize=8)
        axes.set(xlabel="most probable class", ylabel="true class")
    return save(figure, path)


def draw_reliability(path: Path, shown: Mapping[str, Judged]) -> Path:
    """Draw accuracy against the highest probability, in bins of it, and how many sources are in each."""
    figure = Figure(figsize=(6.4, 6.4), layout="constrained", facecolor=PAPER)
    axes, below = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    axes.plot([0, 1], [0, 1], color=INK, lw=0.8)
    for (name, judged), (colour, line, mark) in zip(shown.items(), STYLES, strict=False):
        count, said, right = calibration(judged.p, judged.label)
        known = count > 4
        spread = np.sqrt(right * (1 - right) / np.maximum(count, 1))
        told = f"{name}: ECE {scores(judged)['ECE']:.3f}"
        axes.errorbar(
            said[known], right[known], spread[known], color=colour, ls=line, marker=mark, ms=4, lw=1.2, label=told
        )
        below.plot(said[known], count[known], color=colour, ls=line, marker=mark, ms=4, lw=1.2)
    axes.set(ylabel="share that is right", xlim=(0.15, 1.01), ylim=(0, 1.02))
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    below.set(xlabel="probability of the most probable class", ylabel="sources", yscale="log")
    for each in (axes, below):
        each.grid(alpha=0.25, lw=0.5)
    return save(figure, path)
