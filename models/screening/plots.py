"""Pictures of screens side by side, for the screen and for print: told apart by colour, line and mark."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes

from models.metrics import Interval
from models.screening.judge import EDGES_EV, Tally, interval, roc
from models.screening.report import IMPROVEMENT, TRADITIONAL, WINDOWS, Scored, bound
from stream.transport.pictures import INK, SKY, SOFT, STYLES, picture, plain_ticks

SEED = (1.82, 43.67)  # Table 2 of the seed, %: lost X-rays, recall
ZOOM = 6.0  # % lost


def draw_roc(path: Path, scored: Scored, chosen: Sequence[str], figures: Mapping[str, Interval]) -> Path:
    """Draw recall of particles against lost X-rays, whole and near the origin; return the path."""
    with picture(path, 10, 4.4) as figure:
        whole, near = figure.subplots(1, 2)
        for name, (colour, line, _) in zip(chosen, STYLES, strict=False):
            lost, recall = roc(scored.found, scored.scores[name])
            for axes in (whole, near):
                axes.plot(100 * lost, 100 * recall, color=colour, ls=line, lw=1.6, label=name)
        for axes in (whole, near):
            axes.plot([0, 100], [0, 100], color=INK, lw=0.6, label="at random")
            axes.plot(*SEED, "*", color=INK, ms=9, label="seed 003, its own frames", ls="none")
        whole.set(xlabel="lost X-rays (%)", ylabel="rejected particles (%)", xlim=(0, 100), ylim=(0, 101))
        near.set(xlabel="lost X-rays (%)", ylabel="rejected particles (%)", xlim=(0, ZOOM), ylim=(0, 72))
        for window in WINDOWS:
            ceiling = figures[f"ceiling, {window}"][0]
            near.axhline(ceiling, color=INK, lw=0.6, ls=(0, (6, 4)))
            near.text(ZOOM, ceiling, f"company in {window} ", ha="right", va="bottom", fontsize=8)
        whole.legend(loc="lower right")
    return path


def draw_background(path: Path, tallied: Mapping[str, Tally]) -> Path:
    """Draw the spectra of the particles that are kept, and how many fewer than by the traditional filter."""
    with picture(path, 10, 4.2) as figure:
        spectra, better = figure.subplots(1, 2)
        width = np.diff(EDGES_EV) / 1e3
        for shift, (name, tally, style) in enumerate(_styled(tallied)):
            parts = tally.by_bin()
            kept = [interval(one.unrejected() / w) for one, w in zip(parts, width, strict=True)]
            _points(spectra, kept, shift, name, style)
            if name != TRADITIONAL:
                others = tallied[TRADITIONAL].by_bin()
                values = [one.improvement(other) for one, other in zip(parts, others, strict=True)]
                _points(better, [_percent(each) for each in values], shift, name, style)
        spectra.set(ylabel="unrejected particle events per keV", ylim=(0, None))
        better.axhline(0, color=INK, lw=0.6)
        better.set(ylabel=f"{IMPROVEMENT} (%)")
        _finish(figure.axes)
    return path


def draw_lost(path: Path, tallied: Mapping[str, Tally]) -> Path:
    """Draw the lost X-rays against energy."""
    with picture(path, 6.4, 4.2) as figure:
        axes = figure.subplots()
        for shift, (name, tally, style) in enumerate(_styled(tallied)):
            _points(axes, [_percent(one.lost()) for one in tally.by_bin()], shift, name, style)
        axes.set(ylabel="lost X-rays (%)", ylim=(0, None))
        _finish(figure.axes, "upper left")
    return path


def draw_scores(path: Path, figures: Mapping[str, Interval], scores: Sequence[str], point: str) -> Path:
    """Draw the improvement of every score with its threshold from another set; bounds in grey."""
    with picture(path, 7.6, 0.6 + 0.36 * len(scores)) as figure:
        axes = figure.subplots()
        for row, name in enumerate(scores):
            value, low, high = figures[f"{name}, {point}: {IMPROVEMENT}"]
            colour = SOFT if name in map(bound, WINDOWS) else SKY
            axes.barh(row, value, 0.62, color=colour, edgecolor=INK, lw=0.5)
            axes.errorbar(value, row, xerr=[[max(value - low, 0)], [max(high - value, 0)]], color=INK, lw=1, capsize=2)
            axes.text(max(high, 0), row, f"  {value:.1f}", va="center", fontsize=8)
        axes.set(yticks=range(len(scores)), yticklabels=scores, xlabel=f"{IMPROVEMENT} at {point} (%)", ylabel="score")
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.grid(visible=False, axis="y")
    return path


def _styled(tallied: Mapping[str, Tally]) -> list[tuple[str, Tally, Any]]:
    others = {name: tally for name, tally in tallied.items() if name != TRADITIONAL}
    grey: Any = (INK, "-", ".")
    styled = zip(others.items(), STYLES, strict=False)
    return [(TRADITIONAL, tallied[TRADITIONAL], grey), *((name, tally, style) for (name, tally), style in styled)]


def _points(axes: Axes, values: Sequence[Interval], shift: int, label: str, style: Any) -> None:
    """Draw values of the bins with their intervals; different shifts lie beside each other."""
    colour, line, mark = style
    middle = np.sqrt(EDGES_EV[1:] * EDGES_EV[:-1]) / 1e3 * (1 + 0.02 * (shift - 1))
    value, low, high = np.array(values).T
    error = np.nan_to_num([np.maximum(value - low, 0), np.maximum(high - value, 0)])
    axes.errorbar(middle, value, error, fmt=mark, ls=line, color=colour, ms=4, lw=1, label=label)


def _finish(panels: Sequence[Axes], legend: Literal["upper left", "upper right"] = "upper right") -> None:
    low, high = EDGES_EV[0] / 1e3, EDGES_EV[-1] / 950
    for axes in panels:
        axes.set(xscale="log", xlabel="energy (keV)", xlim=(low, high))
        plain_ticks(axes.xaxis, low, high)
    panels[0].legend(loc=legend)


def _percent(values: Any) -> Interval:
    return interval(100 * values)
