"""Pictures of a population of coronae: its stars by temperature and density, and what is known of itself."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from scipy.special import logit

from analyse.corona.population import PopulationPosterior
from analyse.corona.population_files import quantiles
from analyse.plots import plot_corner
from stream.spectra.grid import Floats
from stream.transport.pictures import BLUE, GREY, PAPER, VERMILION, picture

PICTURES: Final = ("stars.png", "population.png")
TEMPERATURE, DENSITY = "log T (K)", "log n (cm$^{-3}$)"
OF_POPULATION: Final = {  # as `PopulationPosterior.of_population` names them
    "mean_log_t": "mean of log T (K)",
    "sd_log_t": "sd of log T (dex)",
    "mean_log_n": "mean of log n (cm$^{-3}$)",
    "sd_log_n": "sd of log n (dex)",
}
GRID: Final = 160  # points of a density
BINS: Final = 25
DRAWS: Final = 300  # of the population
LIMITS: Final = (0.16, 0.5, 0.84)


def plot_population(folder: Path, done: PopulationPosterior) -> list[Path]:
    """Draw stars.png and population.png; return them. Raises LinkError when the disk refuses."""
    draws = done.of_population()
    values = np.stack([draws[name].ravel() for name in OF_POPULATION], axis=1)
    gates = "gates passed" if done.fault() is None else "GATES FAILED"
    title = f"{len(done.stars)} coronae, {done.windows.forward.instrument.name}, {gates}"
    made = [folder / name for name in PICTURES]
    plot_stars(made[0], done, title)
    lines = np.median(values, axis=0)
    plot_corner(made[1], list(OF_POPULATION.values()), values, lines, f"{title}; lines: medians")
    return made


def plot_stars(path: Path, done: PopulationPosterior, title: str) -> None:
    """Draw all stars by temperature and density, their truth if known, and above and beside them the population."""
    draws, truth, box = done.of_stars(), done.stars.truth, done.windows.box
    t, n = (quantiles(draws[name], done.weights, LIMITS) for name in ("log_t", "log_n"))  # (3, S)
    with picture(path, 8, 8) as figure:
        (above, corner), (stars, beside) = figure.subplots(
            2, 2, sharex="col", sharey="row", width_ratios=(3, 1), height_ratios=(1, 3)
        )
        corner.set_axis_off()
        errors = [np.abs(q[[0, 2]] - q[1]) for q in (n, t)]
        stars.errorbar(t[1], n[1], *errors, fmt="o", color=BLUE, lw=0.8, label="median and 68 %")
        if truth:
            joined = [np.stack([truth[name], q[1]]) for name, q in (("log_t", t), ("log_n", n))]
            stars.plot(*joined, color=GREY, lw=0.5, zorder=1)
            stars.plot(truth["log_t"], truth["log_n"], "s", color=VERMILION, mfc=PAPER, label="truth")
        stars.set(xlabel=TEMPERATURE, ylabel=DENSITY, xlim=box.log_t, ylim=box.log_n)
        hyper = done.population.variables.reshape(-1, done.population.variables.shape[-1])
        _population(above, hyper[:, :2], box.log_t, across=False)
        _population(beside, hyper[:, 2:], box.log_n, across=True)
        weights = done.weights.ravel() / len(done.stars)
        for axes, name, ends in ((above, "log_t", box.log_t), (beside, "log_n", box.log_n)):
            way: Any = "horizontal" if axes is beside else "vertical"
            density, edges = np.histogram(draws[name], BINS, ends, weights=weights.reshape(draws[name].shape))
            axes.stairs(density / np.diff(edges), edges, color=GREY, orientation=way)
        above.plot([], [], color=GREY, label="all stars' posteriors")
        above.set(ylabel="density (dex$^{-1}$)", ylim=(0, None))
        beside.set(xlabel="density (dex$^{-1}$)", xlim=(0, None))
        told = [each for axes in (stars, above) for each in zip(*axes.get_legend_handles_labels(), strict=True)]
        corner.legend(*zip(*told, strict=True), loc="upper left", bbox_to_anchor=(-0.05, 1.0))
        figure.suptitle(title)


def _population(axes: Axes, hyper: Floats, ends: tuple[float, float], *, across: bool) -> None:
    """Draw the density of the population, median and 68 %; hyper: draws of mean and ln sd, in logits of the box."""
    some = hyper[:: max(len(hyper) // DRAWS, 1)]
    share = (np.arange(GRID) + 0.5) / GRID
    mean, sd = some[:, :1], np.exp(some[:, 1:])
    density = np.exp(-0.5 * ((logit(share) - mean) / sd) ** 2) / (np.sqrt(2 * np.pi) * sd * share * (1 - share))
    low, middle, high = np.quantile(density, LIMITS, axis=0) / (ends[1] - ends[0])
    at = ends[0] + (ends[1] - ends[0]) * share
    fill = axes.fill_betweenx if across else axes.fill_between
    fill(at, low, high, color=BLUE, alpha=0.3, lw=0, label="population, 68 %")
    axes.plot(*((middle, at) if across else (at, middle)), color=BLUE, label="population, median")
