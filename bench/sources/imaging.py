"""Finding, widths and the diffuse map on the toy of 60 sources over a ridge; the diffusion map of simulated sources.

The toy: 512 x 512 px, 0.15 to 0.75 counts per px, 60 sources of 10 to 400 counts, FWHM 4 px. A source found lies within
4 px of a true one of its own; every other one is false. Metrics of the map: `stream.imaging.diffuse`.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from numpy.typing import NDArray

from bench import figures
from models.sources.dataset import read_sources
from stream.imaging.detect import Detections, detect, threshold_for
from stream.imaging.diffuse import DiffuseMap, diffuse_map, scores
from stream.imaging.embedding import embed, explained
from stream.imaging.image import FWHM
from stream.imaging.morphology import measure
from stream.transport.pictures import BLUE, FILLED, MARKED, PURPLE, SIGNED, VERMILION, picture

COMMAND = "python -m bench.sources.imaging"
SIDE, SOURCES, SIGMA, OWN_SEED = 512, 60, 4.0 / FWHM, 3
SHAPES = ("log_fwhm_ratio", "extent_sigma", "concentration", "log_local_density", "neighbours", "log_nearest_bright_px")
Image = NDArray[np.float64]
Rows = dict[str, tuple[object, ...]]


def toy(seed: int) -> tuple[Image, Image, Image]:
    """Return counts and diffuse light (rows, columns), and the true x, y, counts (60, 3): the scene of the trial."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    diffuse = 0.15 + 0.6 * np.exp(-(((y - 256) / 60.0) ** 2)) * (0.7 + 0.3 * np.sin(x / 70.0))
    place, flux = rng.uniform(20, SIDE - 20, (SOURCES, 2)), 10 ** rng.uniform(1.0, 2.6, SOURCES)
    expected = diffuse.copy()
    for (v, u), counts in zip(place, flux, strict=True):
        expected += counts * np.exp(-((y - v) ** 2 + (x - u) ** 2) / (2 * SIGMA**2)) / (2 * np.pi * SIGMA**2)
    return rng.poisson(expected).astype(float), diffuse, np.column_stack([place[:, 1], place[:, 0], flux])


def own_of(found: NDArray[Any], truth: Image) -> NDArray[np.int64]:
    """Return for each source found (n,) the true one that is its own, nearest pairs first, or -1."""
    apart = np.hypot(found["x"][:, None] - truth[:, 0], found["y"][:, None] - truth[:, 1])
    own = np.full(len(found), -1)
    for k in np.argsort(apart, axis=None):
        i, j = np.unravel_index(k, apart.shape)
        if apart[i, j] >= 4:
            break
        if own[i] < 0 and j not in own:
            own[i] = j
    return own


def of_seed(seed: int, mapped: bool) -> tuple[dict[str, float], tuple[Any, ...]]:
    """Return the scores of one toy, and what there is to draw."""
    counts, diffuse, truth = toy(seed)
    began = time.process_time()
    found = detect(counts, None, SIGMA, threshold_for(SIDE * SIDE, SIGMA))
    spent = {"detect: CPU": time.process_time() - began}
    began = time.process_time()
    shapes = measure(counts, None, found, SIGMA)
    spent["widths: CPU per source"] = 1e3 * (time.process_time() - began) / max(len(shapes), 1)
    own = own_of(found.sources, truth)
    good = (own >= 0) & shapes["converged"]
    pull = (shapes["fwhm_px"] - 4.0) / shapes["fwhm_error_px"]
    told = {
        "found": float((own >= 0).sum()),
        "false": float((own < 0).sum()),
        "FWHM": float(np.median(shapes["fwhm_px"][good])),
        "pull": float(np.std(pull[good])),
    }
    shown: tuple[Any, ...] = (counts, diffuse, truth, found, own, None)
    if mapped:
        began = time.process_time()
        made = diffuse_map(counts, None, found, SIGMA)
        spent["diffuse map: CPU"] = time.process_time() - began
        told |= scores(made.rate, made.error, diffuse)
        told |= {f"first {key}": value for key, value in scores(made.first, made.error, diffuse).items()}
        shown = (*shown[:-1], made)
    return told | spent, shown


def mean(values: list[float]) -> tuple[float, tuple[float, float]]:
    """Return the mean and its 68 % interval."""
    middle, error = float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))
    return middle, (middle - error, middle + error)


def rows_of(own: dict[str, float], others: list[dict[str, float]]) -> Rows:
    """Return the figures of the toy."""
    rows: Rows = {"threshold": (threshold_for(SIDE * SIDE, SIGMA), "sigma")}
    named = {
        "found": ("detection", "found", 1, ""),
        "false": ("detection", "false", 1, ""),
        "FWHM": ("widths", "FWHM, median", 1, "px"),
        "pull": ("widths", "width of the pulls", 1, ""),
        "rms": ("diffuse", "rms", 100, "%"),
        "bias": ("diffuse", "bias", 100, "%"),
        "coverage": ("diffuse", "coverage", 100, "%"),
        "first rms": ("diffuse by smoothing alone", "rms", 100, "%"),
        "first bias": ("diffuse by smoothing alone", "bias", 100, "%"),
    }
    for key, (what, name, scale, unit) in named.items():
        rows[f"{what}, own seed: {name}"] = (own[key] * scale, unit)
        middle, interval = mean([one[key] * scale for one in others if key in one])
        rows[f"{what}, other seeds: {name}"] = (middle, unit, interval)
    for key, unit in (("detect: CPU", "s"), ("widths: CPU per source", "ms"), ("diffuse map: CPU", "s")):
        rows[key] = (float(np.median([one[key] for one in (own, *others) if key in one])), unit)
    rows["other seeds"] = (len(others), "")
    return rows


def embedded(path: Path) -> Rows:
    """Return how well classes tell the diffusion map of the shapes of simulated sources."""
    given = read_sources(path).only(SHAPES)
    chosen = np.sort(np.random.default_rng(0).choice(len(given), min(2000, len(given)), replace=False))
    x, label = given.x[chosen], given.label[chosen]
    began = time.process_time()
    made = embed(x, 4)
    rows: Rows = {f"diffusion map of {len(x):,} sources: CPU": (time.process_time() - began, "s")}
    eta, p = explained(made.coordinates, label)
    for k in range(4):
        rows[f"diffusion map, coordinate {k + 1}: eta squared by class"] = (float(eta[k]), "")
        rows[f"diffusion map, coordinate {k + 1}: chance"] = (float(p[k]), "")
    return rows


def draw_found(shown: tuple[Any, ...], path: Path) -> None:
    """Draw image, significance and segments of the own seed, with what was found, missed and false."""
    counts, _, truth, found, own, _ = shown
    assert isinstance(found, Detections)
    missed = np.setdiff1d(np.arange(len(truth)), own)
    marks = {
        "found": (found.sources["x"][own >= 0], found.sources["y"][own >= 0], BLUE),
        "missed": (truth[missed, 0], truth[missed, 1], VERMILION),
        "false": (found.sources["x"][own < 0], found.sources["y"][own < 0], PURPLE),
    }
    with picture(path, 14, 4.9) as figure:
        panels = figure.subplots(1, 3, sharex=True, sharey=True)
        image, sigma, segments = panels
        shown = image.imshow(counts + 0.1, cmap="Greys", norm=LogNorm(0.1, 30))
        figure.colorbar(shown, ax=image, label="counts per pixel + 0.1", shrink=0.8)
        shown = sigma.imshow(found.significance, cmap=FILLED, vmin=-2, vmax=12)
        figure.colorbar(shown, ax=sigma, label="significance ($\\sigma$)", shrink=0.8)
        segments.imshow(np.where(found.labels > 0, found.labels % 19 + 1, np.nan), cmap="tab20")
        segments.set_title("segments")
        for name, (x, y, colour) in marks.items():
            for axes in (image, segments):
                axes.scatter(x, y, s=70, facecolors="none", edgecolors=colour, lw=1.3, label=f"{name}: {len(x)}")
        image.legend(loc="lower left", frameon=True, framealpha=0.9)
        _pixels(panels)


def draw_map(shown: tuple[Any, ...], path: Path) -> None:
    """Draw truth, both maps, the stated error and the pulls."""
    *_, made = shown
    diffuse = shown[1]
    assert isinstance(made, DiffuseMap)
    with picture(path, 17, 3.9) as figure:
        panels = figure.subplots(1, 5, sharex=True, sharey=True)
        images = {"truth": diffuse, "smoothing alone": made.first, "map": made.rate}
        for axes, (title, image) in zip(panels, images.items(), strict=False):
            drawn = axes.imshow(image, cmap=MARKED, vmin=0, vmax=0.8)
            axes.set_title(title)
        figure.colorbar(drawn, ax=panels[:3], label="counts per pixel", shrink=0.8)
        error = panels[3].imshow(100 * made.error / made.rate, cmap=FILLED)
        figure.colorbar(error, ax=panels[3], label="stated error (%)", shrink=0.8)
        pulls = panels[4].imshow((made.rate - diffuse) / made.error, cmap=SIGNED, vmin=-3, vmax=3)
        figure.colorbar(pulls, ax=panels[4], label="(map - truth) / error", shrink=0.8)
        _pixels(panels)


def _pixels(panels: Any) -> None:
    """Label panels that share their axes."""
    panels[0].set_ylabel("y (pixels)")
    for axes in panels:
        axes.set_xlabel("x (pixels)")


def main() -> None:
    """Write docs/figures/sources_imaging.json and the pictures."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--seeds", type=int, default=24)
    words.add_argument("--maps", type=int, default=12)
    words.add_argument("--set", type=Path, default=Path("out/sources/test.h5"), help="of simulated fields")
    given = words.parse_args()
    own, shown = of_seed(OWN_SEED, mapped=True)
    others = [of_seed(100 + k, mapped=k < given.maps)[0] for k in range(given.seeds)]
    rows = rows_of(own, others)
    if given.set.is_file():
        rows |= embedded(given.set)
    figures.write("sources_imaging", COMMAND, rows)
    pictures = figures.FOLDER.parent / "pictures"
    draw_found(shown, pictures / "sources_detect.png")
    draw_map(shown, pictures / "sources_diffuse.png")


if __name__ == "__main__":
    main()
