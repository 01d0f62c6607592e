"""Pictures of a correction: its posterior, the area by energy, temperatures before and after, held-out clusters."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyse.crosscal.identify import ENERGIES_KEV
from analyse.crosscal.study import Study
from analyse.plots import plot_corner
from stream.transport.pictures import BLUE, GREY, INK, VERMILION, picture, plain_ticks

Floats = NDArray[np.float64]
CORNER, AREA, TEMPERATURES, HELD_OUT = "corner.png", "area.png", "temperatures.png", "held_out.png"
_AFTER, _BEFORE, _PRIOR = BLUE, VERMILION, GREY
WIDE: Final = 3.0  # a range of factors from which an axis is logarithmic


def plot_study(folder: Path, found: Study, truth: Floats | None = None) -> list[Path]:
    """Draw all; truth (n,) the true factor at ENERGIES_KEV, if known. Raises LinkError when the disk refuses."""
    made = [folder / TEMPERATURES]
    plot_temperatures(made[0], found)
    if found.draws is not None:
        made.append(folder / CORNER)
        _corner(made[-1], found)
        made.append(folder / AREA)
        plot_area(made[-1], found, truth)
    if found.held_out is not None:
        made.append(folder / HELD_OUT)
        plot_held_out(made[-1], found)
    return made


def _corner(path: Path, found: Study) -> None:
    prior = found.density.prior
    units = [p.unit for p in prior.family.parameters] + [""] * (len(prior.names) - prior.p)
    labels = [n.removesuffix("_kev") + (f" ({u})" if u else "") for n, u in zip(prior.names, units, strict=True)]
    assert found.draws is not None
    values = found.draws.variables.reshape(-1, len(labels))
    gates = "gates passed" if found.draws.fault(list(prior.names)) is None else "GATES FAILED"
    title = f"{prior.family.name}, {len(found.clusters)} clusters, {gates}; lines: most probable"
    plot_corner(path, labels, values, found.highest.variables, title)


def plot_area(path: Path, found: Study, truth: Floats | None = None) -> None:
    """Draw bands of the factor of the area by energy, 68 and 95 %, before (the prior) and after the data."""
    with picture(path, 7.2, 4.4) as figure:
        axes = figure.subplots()
        after, before = found.bands()
        axes.fill_between(ENERGIES_KEV, before[1], before[3], color=_PRIOR, alpha=0.25, lw=0, label="prior, 68 %")
        for edge, label in ((before[0], "prior, 95 %"), (before[4], None)):
            axes.plot(ENERGIES_KEV, edge, color=_PRIOR, lw=0.8, ls=":", label=label)
        axes.fill_between(ENERGIES_KEV, after[0], after[4], color=_AFTER, alpha=0.2, lw=0, label="posterior, 95 %")
        axes.fill_between(ENERGIES_KEV, after[1], after[3], color=_AFTER, alpha=0.45, lw=0, label="posterior, 68 %")
        axes.plot(ENERGIES_KEV, after[2], color=_AFTER, lw=1.4)
        family = found.density.prior.family
        chosen = family.factor(found.chosen, ENERGIES_KEV)[0]
        axes.plot(ENERGIES_KEV, chosen, color=INK, lw=1, ls="--", label="the correction that is written")
        if truth is not None:
            axes.plot(ENERGIES_KEV, truth, color=_BEFORE, lw=1.6, label="truth")
        axes.axhline(1, color=INK, lw=0.7)
        shown = np.concatenate([after[0], after[4], *([] if truth is None else [truth])])
        if shown.max() > WIDE * shown.min():
            axes.set(yscale="log", ylim=(0.8 * shown.min(), 1.25 * shown.max()))
        axes.set(xscale="log", xlabel="energy (keV)", ylabel="true area / nominal area", xlim=(0.3, 10))
        axes.set_title(f"telescope 1, family {family.name}, {len(found.clusters)} clusters")
        plain_ticks(axes.xaxis, 0.3, 10)
        figure.legend(loc="outside lower center", ncols=3)


def plot_temperatures(path: Path, found: Study) -> None:
    """Draw T1 and T1' against T0, and their ratios below."""
    clusters = found.clusters
    with picture(path, 6.4, 6.6) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        kt_0, e_0 = clusters.kt_0, clusters.kt_0_err
        series = (
            (clusters.kt_1, clusters.kt_1_err, _BEFORE, "as they are"),
            (found.kt_1, found.kt_1_err, _AFTER, "corrected"),
        )
        for kt, error, colour, label in series:
            style = {"fmt": "o", "ms": 3.5, "color": colour, "lw": 0.8}
            above.errorbar(kt_0, kt, error, e_0, label=f"telescope 1, {label}", **style)
            ratio = kt / kt_0
            below.errorbar(kt_0, 100 * (ratio - 1), 100 * ratio * np.hypot(error / kt, e_0 / kt_0), **style)
        lowest, highest = (
            (0.9 * min(kt_0.min(), found.kt_1.min(), clusters.kt_1.min()), 1.1 * max(kt_0.max(), found.kt_1.max()))
            if (len(clusters))
            else (1.0, 10.0)
        )
        above.plot([lowest, highest], [lowest, highest], color=INK, lw=0.8)
        above.set(xscale="log", yscale="log", ylabel="kT of telescope 1 (keV)", xlim=(lowest, highest))
        below.axhline(0, color=INK, lw=0.8)
        below.set(xlabel="kT of telescope 0 (keV)", ylabel="T1/T0 - 1 (%)")
        for axis in (above.xaxis, above.yaxis):
            plain_ticks(axis, lowest, highest)
        above.legend()


def plot_held_out(path: Path, found: Study) -> None:
    """Draw ln(T1'/T0) of clusters whose correction was learned without them."""
    held = found.held_out
    assert held is not None
    with picture(path, 7.2, 3.8) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(3, 1.3))
        kt = found.clusters.kt_0
        left.errorbar(kt, 100 * held.before, fmt="o", ms=3, color=_BEFORE, alpha=0.6, label="as they are")
        left.errorbar(
            kt,
            100 * held.deviation,
            100 * held.error,
            fmt="o",
            ms=3.5,
            lw=0.8,
            color=_AFTER,
            label="held out, corrected",
        )
        mean, error = held.mean(held.deviation)
        left.axhspan(100 * (mean - error), 100 * (mean + error), color=_AFTER, alpha=0.2, lw=0)
        left.axhline(0, color=INK, lw=0.8)
        left.set(xscale="log", xlabel="kT of telescope 0 (keV)", ylabel="ln T1 - ln T0 (%)")
        left.set_title(f"mean {100 * mean:+.2f} ± {100 * error:.2f} %")
        plain_ticks(left.xaxis, 0.9 * kt.min(), 1.1 * kt.max())
        left.legend()
        pulls = held.deviation / held.error
        right.hist(pulls, np.linspace(-4, 4, 17), density=True, color=_AFTER, alpha=0.6)
        x = np.linspace(-4, 4, 81)
        right.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color=INK, lw=1)
        right.set(xlabel="pull", yticks=[])
        right.set_title(f"chi2 {held.chi2:.0f} of {len(pulls)}")
