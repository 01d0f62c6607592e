"""A model's card as PNG: what a threshold costs and gains, and the figures it was judged by."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from stream.infer import Card
from stream.transport.pictures import BLUE, INK, SKY, STYLES, picture

LOST: Final = {"lost_xrays": "lost X-rays", "lost_sources": "lost sources"}
KEPT: Final = {"unrejected": "particles in what is kept", "kept_fakes": "kept fakes"}
SHOWN: Final = 24  # figures, at most: a card has hundreds


def plot_card(card: Card, folder: Path) -> list[Path]:
    """Draw roc.png of a card with a table of thresholds, metrics.png of one with figures; return what was drawn.

    Raises LinkError if a picture cannot be written.
    """
    made = []
    roc = card.facts.get("roc")
    if isinstance(roc, Mapping) and "threshold" in roc:
        made.append(_roc(folder / "roc.png", card, roc))
    rows = metrics_of(card.facts.get("metrics", {}))
    if rows:
        made.append(_metrics(folder / "metrics.png", card, rows))
    return made


def metrics_of(metrics: Any, before: str = "") -> dict[str, tuple[float, float, float]]:
    """Return the figures between 0 and 1 of a card's table with their intervals, nested names joined."""
    found: dict[str, tuple[float, float, float]] = {}
    for name, value in metrics.items():
        whole = f"{before}: {name}" if before else name
        if isinstance(value, Mapping):
            found |= metrics_of(value, whole)
        elif isinstance(value, list) and len(value) == 3 and np.all(np.isfinite(value)) and 0 <= value[0] <= 1:
            found[whole] = (float(value[0]), float(value[1]), float(value[2]))
    return found


def _roc(png: Path, card: Card, roc: Mapping[str, Any]) -> Path:
    threshold = np.array(roc["threshold"], float)
    lost, kept = (next((k for k in names if k in roc), "") for names in (LOST, KEPT))
    curves = [(roc[name], text) for name, text in ((lost, LOST.get(lost)), (kept, KEPT.get(kept))) if name]
    with picture(png, 10, 4.4) as figure:
        by_threshold, against = figure.subplots(1, 2)
        for (values, text), (colour, line, _) in zip(curves, STYLES, strict=False):
            by_threshold.plot(threshold, 100 * np.array(values), color=colour, ls=line, label=text)
        by_threshold.set(xlabel="threshold of the probability", ylabel="share (%)", xlim=(0, 1), ylim=(0, None))
        by_threshold.legend()
        if lost and kept:
            against.plot(100 * np.array(roc[lost]), 100 * np.array(roc[kept]), color=BLUE)
            against.set(xlabel=f"{LOST[lost]} (%)", ylabel=f"{KEPT[kept]} (%)", xlim=(0, 10), ylim=(0, None))
        else:
            against.set_axis_off()
        figure.suptitle(str(card))
    return png


def _metrics(png: Path, card: Card, rows: Mapping[str, tuple[float, float, float]]) -> Path:
    shown = list(rows.items())[:SHOWN]
    with picture(png, 8, 1.2 + 0.27 * len(shown)) as figure:
        axes = figure.subplots()
        value, low, high = np.array([row for _, row in shown]).T
        place = np.arange(len(shown))
        axes.barh(place, value, 0.66, color=SKY, edgecolor=INK, lw=0.4)
        error = [np.maximum(value - low, 0), np.maximum(high - value, 0)]
        axes.errorbar(value, place, xerr=error, fmt="none", color=INK, lw=1, capsize=2)
        axes.set(
            yticks=place,
            yticklabels=[name for name, _ in shown],
            xlim=(0, 1),
            xlabel="value, 68 % interval",
            ylabel="figure",
        )
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        left = len(rows) - len(shown)
        axes.set_title(f"{card}{f'; {left} more in its card' if left else ''}")
    return png
