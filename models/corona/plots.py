"""Pictures of how well a network knows coronae: parameters beside the truth, their intervals, the lines it tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from models.corona.calibrate import Said, Shown
from models.corona.evaluate import RANGES, interval
from models.metrics import Interval
from stream.corona.posterior import moments
from stream.transport.pictures import BLUE, INK, PAPER, STYLES, VERMILION, picture, plain_ticks

HEADS: Final = {  # the posteriors, by their name in figures
    "one": "coronae of one temperature, told that they are",
    "any": "coronae of all kinds, told nothing of their temperatures",
}
LABELS: Final = {"log T": "log T (K)", "log n": "log n (cm$^{-3}$)"}
SHOWN: Final = 50  # spectra of each range of SNR
EDGES: Final = np.geomspace(1, 10, 13)  # of SNR
BANDS: Final = ((0.025, 0.975, "95 % of them", 0.2), (0.16, 0.84, "68 % of them", 0.4))
POINTS: Final = 500  # of a curve
Figures = Mapping[str, Interval]
Floats = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """One parameter of S spectra: truth, the posterior's mean, the ends of its conformal 68 % interval, SNR; (S,)."""

    true: Floats
    mean: Floats
    low: Floats
    high: Floats
    snr: Floats

    def within(self, low: float, high: float) -> NDArray[np.int64]:
        """Return which spectra have such an SNR."""
        return np.flatnonzero((self.snr >= low) & (self.snr < high))


def draw_judged(folder: Path, calibration: dict[str, Any], said: Said, truth: Shown, found: Figures) -> list[Path]:
    """Draw corona_one.png, corona_any.png and corona_lines.png; return what was drawn. found: of `evaluate`.

    Without coronae of one temperature there is no corona_one.png. Raises LinkError if one cannot be written.
    """
    made = []
    for head, name in enumerate(HEADS):
        rows = truth.kind == 0 if head == 0 else np.ones(len(truth.kind), bool)
        if rows.any():
            known = [_known(calibration["conformal"], said, truth, (head, which), rows) for which in range(len(LABELS))]
            made.append(draw_parameters(folder / f"corona_{name}.png", name, known, found))
    return [*made, draw_lines(folder / "corona_lines.png", said, truth, found)]


def _known(conformal: Any, said: Said, truth: Shown, of: tuple[int, int], rows: NDArray[np.bool_]) -> Known:
    head, which = of
    low, high = interval(said, conformal, head, which, 0)
    mean = moments(said.mixtures[:, head])[0][:, which]
    return Known(*(values[rows] for values in (truth.target[:, which], mean, low, high, truth.snr)))


def draw_parameters(path: Path, name: str, known: list[Known], found: Figures) -> Path:
    """Draw parameters beside the truth, what they are off by, and what their intervals hold; return `path`."""
    with picture(path, 12.5, 8) as figure:
        panels = figure.subplots(len(known), 3, squeeze=False)
        for (parameter, label), one, (beside, off, held) in zip(LABELS.items(), known, panels, strict=True):
            _beside(beside, one, label)
            _off(off, one)
            off.set_ylabel(f"{parameter}: recovered - true (dex)")
            _held(held, f"of {parameter}, {name}", found)
            held.set_ylabel(f"{parameter}: share in the interval - stated (%)")
        panels[0, 0].legend(loc="upper left", title="68 % intervals")
        panels[0, 1].legend(loc="upper right")
        figure.suptitle(f"{len(known[0].true):,} {HEADS[name]}")
    return path


def _beside(axes: Axes, one: Known, label: str) -> None:
    """Draw some spectra of each range, evenly out of all."""
    for (low, high), (colour, _, mark) in zip(RANGES[:3], STYLES, strict=False):
        some = one.within(low, high)
        some = some[:: max(len(some) // SHOWN, 1)][:SHOWN]
        ends = np.maximum([one.mean - one.low, one.high - one.mean], 0)[:, some]
        style: dict[str, Any] = {"color": colour, "marker": mark, "ms": 3, "lw": 0.7, "ls": ""}
        axes.errorbar(one.true[some], one.mean[some], ends, label=f"SNR {low:g}-{high:g}", **style)
    ends = np.array([one.true.min(), one.true.max()])
    axes.plot(ends, ends, color=INK, lw=0.8)
    axes.set(xlabel=f"true {label}", ylabel=f"recovered {label}")
    axes.locator_params(nbins=6)


def _off(axes: Axes, one: Known) -> None:
    """Draw where the residuals are by SNR, and how wide the intervals are that are told."""
    told = [one.within(low, high) for low, high in pairwise(EDGES)]
    filled = [k for k, rows in enumerate(told) if len(rows)]
    middle = np.sqrt(EDGES[:-1] * EDGES[1:])[filled]
    off = [one.mean[told[k]] - one.true[told[k]] for k in filled]
    for low, high, name, alpha in BANDS:
        ends = np.array([np.quantile(values, (low, high)) for values in off]).reshape(-1, 2).T
        axes.fill_between(middle, *ends, color=BLUE, alpha=alpha, lw=0, label=name)
    axes.plot(middle, [np.median(values) for values in off], color=BLUE, label="median")
    half = np.array([0.5 * np.median(one.high[told[k]] - one.low[told[k]]) for k in filled])
    axes.plot(middle, half, color=VERMILION, ls="--", label="half a 68 % interval, median")
    axes.plot(middle, -half, color=VERMILION, ls="--")
    axes.axhline(0, color=INK, lw=0.6)
    axes.set(xscale="log", xlabel="SNR", xlim=(EDGES[0], EDGES[-1]))
    plain_ticks(axes.xaxis, EDGES[0], EDGES[-1])


def _held(axes: Axes, of: str, found: Figures) -> None:
    for shift, ((low, high), (colour, _, mark)) in enumerate(zip(RANGES[:3], STYLES, strict=False)):
        told = [
            (float(key.split()[1]), row)
            for key, row in found.items()
            if key.startswith("coverage") and key.endswith(f"{of}, SNR {low:g}-{high:g}")
        ]
        for k, (level, (value, least, most)) in enumerate(told):
            ends = 100 * np.maximum([[value - least], [most - value]], 0)
            axes.errorbar(k + 0.18 * (shift - 1), 100 * value - level, ends, color=colour, marker=mark, lw=1.0)
        axes.set_xticks(range(len(told)), [f"{level:g}" for level, _ in told])
    axes.axhline(0, color=INK, lw=0.8)
    axes.set(xlabel="stated share (%)", xlim=(-0.5, 2.5))


def draw_lines(path: Path, said: Said, truth: Shown, found: Figures) -> Path:
    """Draw precision against recall of the lines by SNR, and what holds at the thresholds; return `path`."""
    with picture(path, 10.5, 4.8) as figure:
        curves, shares = figure.subplots(1, 2)
        for (low, high), (colour, line, mark) in zip(RANGES[:3], STYLES, strict=False):
            rows, where = (truth.snr >= low) & (truth.snr < high), f"SNR {low:g}-{high:g}"
            recall, precision = curve(said.lines[rows], truth.seen[rows])
            curves.plot(100 * recall, 100 * precision, color=colour, ls=line, label=where)
            for name, fill in (("line", colour), ("p > 1/2: line", PAPER)):
                x, y = (100 * found[f"{name} {what}, {where}"][0] for what in ("recall", "precision"))
                curves.plot(x, y, mark, color=colour, mfc=fill, ms=8)
        curves.set(xlabel="recall (%)", ylabel="precision (%)", xlim=(0, 102), ylim=(0, 102))
        curves.legend(loc="center left")
        for shift, (what, style) in enumerate(zip(("accuracy", "precision", "recall"), STYLES, strict=False)):
            _shares(shares, what, style, found, 0.2 * (shift - 1))
        shares.set_xticks(range(3), [f"{low:g}-{high:g}" for low, high in RANGES[:3]])
        shares.set(xlabel="SNR", ylabel="share of lines (%)", ylim=(0, 102))
        shares.legend(loc="lower right")
        figure.suptitle("full marks: told as seen by the calibration's thresholds; open: from a probability of 1/2 on")
    return path


def _shares(axes: Axes, what: str, style: Any, found: Figures, shift: float) -> None:
    colour, _, mark = style
    for name, fill, beside in (("line", colour, 0.0), ("p > 1/2: line", PAPER, 0.07)):
        rows = [found[f"{name} {what}, SNR {low:g}-{high:g}"] for low, high in RANGES[:3]]
        value, least, most = 100 * np.array(rows).T
        ends = np.maximum(np.nan_to_num([value - least, most - value]), 0)
        label = what if fill == colour else None
        axes.errorbar(np.arange(3) + shift + beside, value, ends, fmt=mark, color=colour, mfc=fill, label=label)


def curve(logits: Floats, seen: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return recall and precision of lines (S, L) by falling threshold, (POINTS,) at most; empty where none is seen."""
    if not seen.any():
        return np.zeros(0), np.zeros(0)
    right = seen.ravel()[np.argsort(-logits.ravel(), kind="stable")].cumsum()
    some = np.unique(np.geomspace(1, len(right), POINTS).astype(np.int64)) - 1
    return right[some] / right[-1], right[some] / (some + 1)
