"""The pictures of docs/simulation.md."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from numpy.typing import NDArray
from scipy import ndimage

from bench.simulation.context import WINDOWS
from bench.simulation.traditional import Found
from bench.simulation_patterns import KINDS, Fractions
from config.load import load
from sim.geant4.spectrum import cumulative, force_field
from sim.hit_library import HitLibrary
from sim.particles import Particles, Pixels
from sim.photons import XRays
from sim.seeds import Seeds
from sim.telemetry import Telemetry
from stream.transport.pictures import BLUE, INK, MARKED, SKY, SOFT, VERMILION, picture, plain_ticks

OURS, THEIRS = BLUE, VERMILION
READOUTS, HALF = 12, 24  # in the picture of the focal plane; half a side of its details, pixels


def primaries(
    path: Path, libraries: Mapping[str, HitLibrary], beam_kev: NDArray[np.float64], evtlog_gev: NDArray[np.float64]
) -> None:
    """Draw the energies of the protons, what they leave, and 1 GeV protons in 450 um."""
    with picture(path, 12, 3.6) as figure:
        (left, middle, right) = figure.subplots(1, 3)
        edges = np.geomspace(0.01, 100, 41)
        if evtlog_gev.size:
            _steps(left, evtlog_gev, edges, THEIRS, f"MIT EvtLog, {evtlog_gev.size:,}")
        energy, _ = cumulative()
        shape = force_field(energy) * energy
        left.plot(
            energy, shape / np.trapezoid(shape, np.log(energy)) * np.log(edges[1] / edges[0]), color=OURS, label="ours"
        )
        left.set(xscale="log", xlim=(0.01, 100), xlabel="proton energy (GeV)", ylabel="share per bin")
        edges = np.geomspace(1, 1e5, 61)
        for (name, library), colour in zip(libraries.items(), (OURS, SKY), strict=False):
            _steps(middle, library.primaries()["deposit_kev"], edges, colour, name)
        middle.set(xscale="log", xlabel="deposit of a primary (keV)")
        _steps(right, beam_kev, np.arange(80, 420, 5.0), OURS, "1 GeV protons, 450 um")
        right.axvspan(138, 143, color=SOFT, label="most probable: 138-143 keV")
        right.axvline(beam_kev.mean(), color=INK, lw=1, label=f"mean {beam_kev.mean():.0f} keV")
        right.set(xlabel="deposit (keV)")
        for axes in (left, middle, right):
            axes.legend()


def beside_mit(path: Path, ours: Found, theirs: Found | None) -> None:
    """Draw pixels per track, energies of valid events and their distances to tracks."""
    with picture(path, 12, 3.6) as figure:
        axes = figure.subplots(1, 3)
        what = (
            ("track_pixels", np.unique(np.rint(np.geomspace(1, 300, 30))) - 0.5, "size of a track (pixels)", "log"),
            ("energy_kev", np.geomspace(0.1, 2000, 30), "energy of a valid event (keV)", "log"),
            (
                "track_px",
                np.concatenate([[0, 1], np.arange(20, 400, 30)]),
                "valid event to nearest track (pixels)",
                "linear",
            ),
        )
        for one, (name, edges, label, scale) in zip(axes, what, strict=True):
            _steps(one, getattr(ours, name), edges, OURS, "ours")
            if theirs:
                _points(one, getattr(theirs, name), edges, THEIRS, "MIT lists")
            one.set(xlabel=label, xscale=scale)
            one.legend()
        axes[0].set_ylabel("share per bin")
        axes[2].set_yscale("log")


def ceilings(
    path: Path, found: Mapping[str, tuple[int, dict[str, int]]], references: Mapping[str, list[float]]
) -> None:
    """Draw the share of X-ray-like particle events with a companion in each window."""
    with picture(path, 6, 3.6) as figure:
        axes = figure.subplots()
        place = np.arange(len(WINDOWS))
        for shift, (name, (total, counts)), colour in zip((-0.2, 0.2), found.items(), (OURS, THEIRS), strict=True):
            share = np.array([100 * counts[window] / total for window in WINDOWS])
            error = np.sqrt(share * (100 - share) / total)
            axes.bar(place + shift, share, 0.36, yerr=error, color=colour, label=f"{name} board, {total:,} events")
            axes.plot(place + shift, references[name], "_", color=INK, ms=16, label="reference" if shift > 0 else None)
        axes.set(xticks=place, xticklabels=WINDOWS, ylabel="with a companion (%)", ylim=(0, 80))
        axes.legend()


def patterns(path: Path, ours: Fractions, theirs: Fractions | None) -> None:
    """Draw the shares of the patterns against energy, the WFI's and MOS's."""
    with picture(path, 12, 3.2) as figure:
        axes = figure.subplots(1, 4, sharex=True)
        for k, one in enumerate(axes):
            for fractions, colour, name in ((ours, OURS, "WFI, simulated"), (theirs, THEIRS, "XMM MOS1, real")):
                if fractions is None:
                    continue
                middle = np.sqrt(fractions.edges_ev[1:] * fractions.edges_ev[:-1]) / 1e3
                share, low, high = (100 * a[:, k] for a in (fractions.share, fractions.low, fractions.high))
                one.errorbar(middle, share, (share - low, high - share), fmt="o-", ms=3, lw=1, color=colour, label=name)
            one.set(xscale="log", xlabel="energy (keV)", title=KINDS[k], ylim=(0, None))
        plain_ticks(axes[0].xaxis, *ours.edges_ev[[0, -1]] / 1e3)  # of all: they share it
        axes[0].set_ylabel("share of the events (%)")
        axes[0].legend()


def readout(path: Path, library: HitLibrary) -> None:
    """Draw the focal plane, brightest of READOUTS read-outs at the seed's rates, and some tracks as they are."""
    config, seeds = load("wfi"), Seeds(5)
    layout = config.detector
    pixels = Pixels(library, config.simulate.sensor, layout)
    sources = [XRays(per_frame=1.0, sensor=config.simulate.sensor), Particles.of(pixels, 4.0, seeds)]
    camera = Telemetry(config, sources, seeds=seeds)
    right, top = (max(getattr(q, f"origin_{axis}_px") for q in layout.quadrants) for axis in "xy")
    plane = np.full((top + layout.rows, right + layout.columns), np.nan)
    for quadrant in layout.quadrants:
        offset = camera.detector.true_maps(quadrant.id).offset
        frames = (next(f for f in camera.frames(r) if f.quadrant == quadrant.id) for r in range(READOUTS))
        brightest = np.max([frame.pixels - offset for frame in frames], axis=0)
        rows = slice(quadrant.origin_y_px, quadrant.origin_y_px + layout.rows)
        plane[rows, quadrant.origin_x_px : quadrant.origin_x_px + layout.columns] = brightest
    scale = LogNorm(40, 6000, clip=True)
    with picture(path, 11, 5.2) as figure:
        grid = figure.add_gridspec(2, 4, width_ratios=(1, 1, 0.98, 0.98))
        whole = figure.add_subplot(grid[:, :2])
        shown = whole.imshow(_widen(plane), norm=scale, cmap=MARKED)
        whole.set(xlabel="focal plane (pixels)", title=f"{READOUTS} read-outs (points drawn larger)")
        for (y, x), cell in zip(_longest(plane, 4), ((0, 2), (0, 3), (1, 2), (1, 3)), strict=False):
            one = figure.add_subplot(grid[cell])
            cut = plane[max(y - HALF, 0) : y + HALF, max(x - HALF, 0) : x + HALF]
            one.imshow(cut, norm=scale, cmap=MARKED)
            one.set(xticks=[], yticks=[], title=f"{2 * HALF} x {2 * HALF} pixels")
        figure.colorbar(shown, ax=whole, label="signal (electrons)", fraction=0.045)


def _longest(plane: NDArray[np.float64], n: int) -> list[tuple[int, int]]:
    """Return the middles of the n islands with most pixels above 100 electrons."""
    islands, _ = ndimage.label(np.nan_to_num(plane) > 100, np.ones((3, 3)))
    size = np.bincount(islands.ravel())
    size[0] = 0
    middles = ndimage.center_of_mass(islands > 0, islands, np.argsort(size)[::-1][:n])
    return [(int(y), int(x)) for y, x in middles]


def _widen(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each pixel as the brightest of its 7 x 7, so that single ones can be seen; the gaps stay."""
    return np.where(np.isnan(image), np.nan, ndimage.maximum_filter(np.nan_to_num(image, nan=-1), 7))


def _steps(axes: Axes, values: Any, edges: NDArray[np.float64], colour: str, label: str) -> None:
    counts = np.histogram(values, edges)[0]
    axes.stairs(counts / max(len(values), 1), edges, color=colour, label=label)


def _points(axes: Axes, values: Any, edges: NDArray[np.float64], colour: str, label: str) -> None:
    counts = np.histogram(values, edges)[0]
    middle = (edges[1:] + edges[:-1]) / 2
    total = max(len(values), 1)
    axes.errorbar(middle, counts / total, np.sqrt(counts) / total, fmt=".", color=colour, label=f"{label}, {total:,}")
