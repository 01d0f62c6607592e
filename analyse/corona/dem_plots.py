"""Pictures: a spectrum with its model and identified lines; an emission measure with its band and the lines' loci."""

from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from analyse.corona.dem import Dem
from analyse.corona.dem_posterior import bands_of
from analyse.corona.features import spelled
from analyse.corona.star import CONSTRAINED, Analysis
from analyse.diagnostics import Draws
from stream.corona.fluxes import Fluxes
from stream.spectra.grid import Floats
from stream.transport.pictures import BLUE, GREEN, PAPER, SOFT, VERMILION, picture

_DATA, _MODEL, _MARK = BLUE, VERMILION, GREEN
PANELS: Final = 3
LABELS: Final = 14  # lines named in a panel


def plot_spectrum(path: Path, found: Analysis) -> None:
    """Draw counts, model and the identified lines. Raises LinkError when the disk refuses."""
    observed = found.observed
    assert not isinstance(observed, Fluxes)
    low, high = observed.channel_edges_a
    order = np.argsort(low)
    low, high, counts = low[order], high[order], observed.counts[order]
    model = _model(found)[order]
    ends = np.quantile(low[counts > 0], [0.0, 1.0]) if np.any(counts > 0) else low[[0, -1]]
    edges = np.linspace(ends[0], ends[1], PANELS + 1)
    with picture(path, 11, 8.5) as figure:
        for axes, a, b in zip(figure.subplots(PANELS, 1), edges[:-1], edges[1:], strict=True):
            some = (high > a) & (low < b)
            axes.set(xlim=(a, b), ylabel="counts Å$^{-1}$", xlabel="wavelength (Å)")
            if not some.any():
                continue
            steps = np.append(low[some], high[some][-1])
            wide = high[some] - low[some]
            axes.stairs(counts[some] / wide, steps, color=_DATA, lw=0.7, label="counts")
            axes.stairs(model[some] / wide, steps, color=_MODEL, lw=0.9, label="model")
            top = max(float((counts[some] / wide).max()), 1.0)
            axes.set_ylim(0, 1.45 * top)
            _names(axes, found, (a, b), top)
        figure.axes[0].legend(loc="upper left")
        figure.suptitle(f"{observed.name}: {observed.counts.sum():,.0f} counts")


def _model(found: Analysis) -> Floats:
    observed = found.observed
    assert not isinstance(observed, Fluxes)
    if found.chosen is None and found.dem is not None:
        out = np.full(len(observed.counts), np.nan)
        out[observed.usable()] = found.dem.expected
        return out
    if found.measured is not None:
        return found.measured.model
    return np.full(len(observed.counts), np.nan)


def _names(axes: Axes, found: Analysis, ends: tuple[float, float], top: float) -> None:
    if found.features is None or found.measured is None:
        return
    at, sigma = found.features.wavelength_a, found.measured.significance
    inside = np.flatnonzero(found.measured.found & (at > ends[0]) & (at < ends[1]))
    apart = 0.012 * (ends[1] - ends[0])
    taken: list[float] = []
    for k in inside[np.argsort(-sigma[inside])]:
        if len(taken) < LABELS and all(abs(at[k] - other) > apart for other in taken):
            taken.append(float(at[k]))
            axes.plot([at[k]] * 2, [1.05 * top, 1.1 * top], color=_MARK, lw=0.8)
            name = spelled(str(found.features.ion[k]))
            axes.text(at[k], 1.12 * top, name, rotation=90, fontsize=7, ha="center", va="bottom", color=_MARK)


def loci(dem: Dem) -> Floats:
    """Return log10 of the emission measure per dex that each line alone would need at each temperature, (D, K)."""
    seen, a = dem.seen, dem.abundance
    k, e, lines, _ = seen.sizes
    made = np.einsum("ekd,e->dk", seen.templates, a)
    factor = np.exp(dem.x[k + e : k + e + lines])
    made += seen.shape.T @ (seen.emissivity * (factor * a[seen.group])[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(np.maximum(seen.data, 0.0)[:, None] / made) - np.log10(dem.step)


def plot_dem(path: Path, found: Analysis, draws: Draws | None = None) -> None:
    """Draw the emission measure, its band (68 and 90 % of a posterior, else 1 sigma), loci, what others have found."""
    dem = found.dem
    assert dem is not None
    t, y, e = dem.seen.log_t, dem.log_dem, dem.error
    with picture(path, 8, 5.5) as figure:
        axes = figure.subplots()
        if dem.seen.sigma is not None:
            for curve in loci(dem):
                axes.plot(t, curve, color=SOFT, lw=0.6, zorder=1)
        if draws is None:
            axes.fill_between(t, y - e, y + e, color=_DATA, alpha=0.3, lw=0, label="1 $\\sigma$")
        else:
            q = bands_of(dem, draws)
            axes.fill_between(t, q[0], q[4], color=_DATA, alpha=0.18, lw=0, label="90 %")
            axes.fill_between(t, q[1], q[3], color=_DATA, alpha=0.3, lw=0, label="68 %")
        axes.plot(t, y, color=_DATA, lw=1.8, label="most probable")
        axes.plot(t[e > CONSTRAINED], y[e > CONSTRAINED], "o", mfc=PAPER, color=_DATA, label="not constrained")
        if isinstance(found.observed, Fluxes) and found.observed.published:
            low, high = (np.log10(np.maximum(found.observed.published[n], 1e-300)) for n in ("low", "high"))
            middle, half = 0.5 * (low + high), 0.5 * (high - low)
            axes.errorbar(t, middle, half, fmt="none", color=_MODEL, lw=1.2, label="published, 68 %")
        of_fluxes = isinstance(found.observed, Fluxes)
        unit = "of the table's emissivities" if of_fluxes else "norm, 10$^{-14}$ cm$^{-5}$"
        top = float(y.max())
        axes.set(xlabel="log T (K)", ylabel=f"log emission measure per dex ({unit})")
        axes.set(ylim=(top - 3.0, top + 1.2), xlim=(t[0], t[-1]))
        axes.legend()
        axes.set_title(f"{found.observed.name}; grey: what each line alone would need")
