"""Pictures of how far an emulator of cross-calibration is off: beside the fits, by temperature and by theta."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.crosscal.dataset import Grid, Points
from models.crosscal.evaluate import parts_of, said_of
from models.crosscal.network import Emulator
from stream.crosscal.modifiers import Family, FamilyParameter
from stream.judges.crosscal import FITS
from stream.transport.pictures import INK, SPARSE, STYLES, picture, plain_ticks

BINS: Final = 16  # of a parameter, with as many points in each
QUANTILES: Final = {"median": 0.5, "95 %": 0.95, "99 %": 0.99, "worst": 1.0}
PIXELS: Final = 90
COLUMNS: Final = 3
KT: Final = FamilyParameter("true kT", "keV", 0.0, np.inf, log=True)
Floats = NDArray[np.float64]


def draw_errors(folder: Path, network: Emulator, state: dict[str, Any], unseen: Sequence[Grid]) -> list[Path]:
    """Draw crosscal_kept_back.png and crosscal_other_points.png, what there is of them; return what was drawn.

    Raises ConfigError as `evaluate` does, LinkError if one cannot be written.
    """
    parts, family = parts_of(state, unseen), unseen[0].family
    return [
        draw_error(folder / f"crosscal_{'_'.join(name.split())}.png", network, points, family, name)
        for name, points in parts.items()
    ]


def draw_error(path: Path, network: Emulator, points: Points, family: Family, name: str) -> Path:
    """Draw the bias as emulated beside that of the fits, and the error of kT by all that it depends on."""
    ratio, _ = said_of(network, points)
    error = 100 * np.abs(np.expm1(ratio - points.ratio))
    given = [(KT, points.kt_kev), *zip(family.parameters, points.theta.T, strict=True)]
    lines = -(-(2 + len(given)) // COLUMNS)
    with picture(path, 4.2 * COLUMNS, 3.8 * lines + 0.4) as figure:
        panels = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
        _bias(figure, panels[0], 100 * np.expm1(points.ratio[:, 0]), 100 * np.expm1(ratio[:, 0]))
        _shares(panels[1], error)
        for axes, (parameter, values) in zip(panels[2:], given, strict=False):
            _by(axes, parameter, values, error[:, 0])
        panels[2].legend(ncols=2)
        for axes in panels[2 + len(given) :]:
            axes.set_axis_off()
        figure.suptitle(f"{family.name}: {len(points):,} fits of {len(np.unique(points.group)):,} theta, {name}")
    return path


def _bias(figure: Figure, axes: Axes, true: Floats, said: Floats) -> None:
    ends = (float(min(true.min(), said.min())), float(max(true.max(), said.max())))
    ends = (ends[0] - 0.1, ends[1] + 0.1)
    counts, edges, _ = np.histogram2d(true, said, PIXELS, (ends, ends))
    shown = np.ma.masked_equal(counts.T, 0)
    mesh = axes.pcolormesh(edges, edges, shown, cmap=SPARSE, norm=LogNorm(0.8, max(counts.max(), 2)), rasterized=True)
    figure.colorbar(mesh, ax=axes, label="fits per pixel")
    axes.plot(ends, ends, color=INK, lw=0.6)
    axes.set(xlabel="bias of kT in the fit (%)", ylabel="bias of kT, emulated (%)", xlim=ends, ylim=ends)


def _shares(axes: Axes, error: Floats) -> None:
    left = np.arange(len(error), 0, -1) / len(error)
    for fit, values, (colour, line, _) in zip(FITS, error.T, STYLES, strict=False):
        axes.plot(np.maximum(np.sort(values), 1e-4), 100 * left, color=colour, ls=line, label=fit)
    axes.set(xscale="log", yscale="log", xlabel="error of kT (%)", ylabel="fits with a larger error (%)")
    axes.legend()


def _by(axes: Axes, of: FamilyParameter, values: Floats, error: Floats) -> None:
    """Draw quantiles of the error (m,) in bins of a parameter (m,), as many points in each."""
    order = np.argsort(values, kind="stable")
    bins = [rows for rows in np.array_split(order, min(BINS, len(np.unique(values)))) if len(rows)]
    middle = [np.median(values[rows]) for rows in bins]
    for (name, share), (colour, line, mark) in zip(QUANTILES.items(), STYLES, strict=False):
        axes.plot(
            middle, [np.quantile(error[rows], share) for rows in bins], color=colour, ls=line, marker=mark, label=name
        )
    what = of.name.removesuffix("_kev")
    axes.set(yscale="log", xlabel=f"{what} ({of.unit})" if of.unit else what, ylabel="error of kt_fit (%)")
    if of.log and values.min() > 0:
        axes.set_xscale("log")
        plain_ticks(axes.xaxis, float(values.min()), float(values.max()))
