"""Pictures of how gamma-ray sources are told and found: fakes rejected; completeness, purity and places by flux."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes

from models.lat.classify_fakes import area, roc
from models.lat.localise_evaluate import EDGES, MATCH_DEG, Judged, shares, within
from models.metrics import QUANTILES, Interval
from models.sources.evaluate import Judged as Told
from sim.lat.cutouts import FAKE
from stream.transport.pictures import INK, STYLES, picture, plain_ticks

LAST: Final = 2.63e-9  # photons cm-2 s-1, end of the last bin as it is drawn: as wide as the others
UNIT: Final = 1e-10
ROWS: Final = ("|b| > 20", "all sky")
FLUX: Final = "flux, 1 to 100 GeV (10$^{-10}$ photons cm$^{-2}$ s$^{-1}$)"


def draw_fakes(path: Path, told: Mapping[str, Told]) -> Path:
    """Draw the share of the fakes that is rejected against the share of the sources that is lost, whole and near 0.

    Sets without fakes, or without sources, have no curve. Raises LinkError if `path` cannot be written.
    """
    with picture(path, 10, 4.4) as figure:
        whole, near = figure.subplots(1, 2)
        for (name, said), (colour, line, _) in zip(told.items(), STYLES, strict=False):
            curve = roc(said)
            lost, rejected = 100 * np.array(curve["lost_sources"]), 100 * (1 - np.array(curve["kept_fakes"]))
            under = f"area {area(said.p[:, FAKE], said.label == FAKE):.3f}"
            for axes in (whole, near):
                axes.plot(lost, rejected, color=colour, ls=line, label=f"{name}: {under}" if name else under)
        for axes in (whole, near):
            axes.plot([0, 100], [0, 100], color=INK, lw=0.6, label="at random")
            axes.set(xlabel="sources lost (%)", ylabel="fakes rejected (%)", xlim=(0, 100), ylim=(0, 101))
        near.set(xlim=(0, 10))
        whole.legend(loc="lower right")
    return path


def draw_places(path: Path, judged: Mapping[str, Judged]) -> Path:
    """Draw completeness, purity and distances to the true place by flux, off the plane and on the whole sky.

    Bars: 68 % intervals of the shares; 68 % of the distances about their median. Raises LinkError if `path` cannot be
    written.
    """
    with picture(path, 12, 7.4) as figure:
        panels = figure.subplots(len(ROWS), 3, sharex=True, sharey="col")
        for cut, (complete, pure, away) in zip(ROWS, panels, strict=True):
            for shift, ((name, one), style) in enumerate(zip(judged.items(), STYLES, strict=False)):
                told = shares(one)
                for axes, what in ((complete, "completeness"), (pure, "purity")):
                    _points(axes, [told[f"{cut}, from {low:.2e}: {what}"] for low in EDGES[:-1]], shift, name, style)
                _points(away, _distances(one, cut), shift, name, style)
            complete.set(ylabel=f"{cut}: completeness", ylim=(0, 1.03))
            pure.set(ylabel=f"{cut}: purity", ylim=(0, 1.03))
            away.set(ylabel=f"{cut}: distance to the true place (degrees)", ylim=(0, MATCH_DEG))
        for axes, whose in zip(panels[-1], ("true ", "measured ", "true "), strict=True):
            axes.set(xscale="log", xlabel=whose + FLUX)
            plain_ticks(axes.xaxis, EDGES[0] / UNIT, LAST / UNIT)
        panels[0, 0].legend(loc="lower right")
    return path


def _distances(judged: Judged, cut: str) -> list[Interval]:
    true, _ = within(judged, cut)
    found = true[true[:, 2] > 0]
    out = []
    for low, high in pairwise(EDGES):
        away = found[(found[:, 0] >= low) & (found[:, 0] < high), 3]
        first, middle, last = np.quantile(away, (QUANTILES[0], 0.5, QUANTILES[1])) if len(away) else (np.nan,) * 3
        out.append((float(middle), float(first), float(last)))
    return out


def _points(axes: Axes, rows: Sequence[Interval], shift: int, label: str, style: tuple[Any, ...]) -> None:
    """Draw a value of each bin of EDGES with its interval; those of other methods lie beside it."""
    edges = np.array([*EDGES[:-1], LAST]) / UNIT
    middle = np.sqrt(edges[1:] * edges[:-1]) * (1 + 0.05 * (shift - 1))
    value, low, high = np.array(rows).T
    error = np.nan_to_num([np.maximum(value - low, 0), np.maximum(high - value, 0)])
    colour, line, mark = style
    axes.errorbar(middle, value, error, color=colour, ls=line, marker=mark, lw=1.2, label=label)
