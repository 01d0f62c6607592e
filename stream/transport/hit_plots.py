"""A hit library as PNG: the protons that left a signal, what they left, and where."""

import json
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from stream.transport.hdf5 import read_text
from stream.transport.pictures import BLUE, STYLES, picture

DRAWN: Final = 400  # primaries with their tracks
READ: Final = 100_000  # primaries: a fair sample, they are in no order
PARTICLES: Final = {2212: "protons", 11: "electrons", 22: "photons", -11: "positrons"}  # by PDG code
KEV_PER_EV: Final = 1e-3


def plot_hits(file: Path, png: Path) -> Path | None:
    """Draw energies and deposits of primaries, tracks on the wafers and deposits by particle; None without a primary.

    Raises LinkError if `png` cannot be written.
    """
    with h5py.File(file, "r") as content:
        made = json.loads(read_text(content, "production"))
        primaries = content["primaries"][:READ]
        if not len(primaries):
            return None
        end = int(primaries["first_segment"][DRAWN]) if len(primaries) > DRAWN else len(content["segments"])
        segments = content["segments"][:end]
        steps = content["steps"][: int(segments["steps"].sum())]
        total = len(content["primaries"])
    with picture(png, 11, 8.4) as figure:
        (energy, deposit), (tracks, particles) = figure.subplots(2, 2)
        for axes, name, unit in ((energy, "energy_gev", "GeV"), (deposit, "deposit_kev", "keV")):
            values = primaries[name][primaries[name] > 0]
            edges = np.geomspace(values.min(), 1.001 * values.max(), 50)
            axes.stairs(np.histogram(values, edges)[0], edges, color=BLUE, lw=1.4)
            what = "energy of a proton" if axes is energy else "deposit of a proton in all wafers"
            axes.set(xscale="log", xlabel=f"{what} ({unit})", ylabel="protons")
        _tracks(tracks, segments, steps, made)
        _particles(particles, segments, steps)
        figure.suptitle(f"{made['geometry']}: {total:,} protons of {made['sphere_primaries']:.3g} through the sphere")
    return png


def _of(segments: NDArray[Any], steps: NDArray[Any], name: str) -> NDArray[np.int64]:
    """Return the sum of a column of steps over each segment."""
    after = np.append(0, np.cumsum(steps[name], dtype=np.int64))
    ends = np.cumsum(segments["steps"])
    return np.asarray(after[ends] - after[ends - segments["steps"]])


def _tracks(axes: Axes, segments: NDArray[Any], steps: NDArray[Any], made: dict[str, Any]) -> None:
    mm = 1e-3
    begin = np.stack([segments["x"], segments["y"]], axis=1) * mm
    end = begin + np.stack([_of(segments, steps, "dx"), _of(segments, steps, "dy")], axis=1) * mm
    for name, mine, (colour, *_) in _told(segments):
        lines = np.stack([begin[mine], end[mine]], axis=1)
        axes.add_collection(LineCollection(list(lines), colors=colour, linewidths=0.9, label=name, capstyle="round"))
    sides = [made[name] * made["pixel_um"] * mm for name in ("columns", "rows")]
    axes.set(xlim=(0, sides[0]), ylim=(0, sides[1]), aspect="equal", xlabel="x (mm)", ylabel="y (mm)")
    axes.set_title(f"first {DRAWN} protons, all {len(made['quadrants'])} quadrants upon each other")


def _particles(axes: Axes, segments: NDArray[Any], steps: NDArray[Any]) -> None:
    deposit = _of(segments, steps, "energy_ev") * KEV_PER_EV
    edges = np.geomspace(max(deposit[deposit > 0].min(initial=1.0), 1e-2), max(deposit.max(initial=1.0), 1.0), 40)
    for name, mine, (colour, line, _) in _told(segments):
        counts = np.histogram(deposit[mine], edges)[0]
        axes.stairs(counts, edges, color=colour, ls=line, lw=1.4, label=f"{name} ({mine.sum():,})")
    axes.set(xscale="log", yscale="log", xlabel="deposit of a particle in a wafer (keV)", ylabel="particles")
    axes.legend()


def _told(segments: NDArray[Any]) -> list[tuple[str, NDArray[np.bool_], Any]]:
    """Return name, rows and style of each kind of particle that is there."""
    kinds = [(name, segments["particle"] == code) for code, name in PARTICLES.items()]
    kinds.append(("others", ~np.isin(segments["particle"], list(PARTICLES))))
    styled = [(name, mine, style) for (name, mine), style in zip(kinds, STYLES, strict=False)]
    return [one for one in styled if one[1].any()]
