"""Frames and maps of a camera as PNG, by quadrant; frames of a set by class."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import h5py
import numpy as np
from matplotlib.colors import LogNorm
from numpy.typing import NDArray

from stream.messages import DEAD, FLICKERING, HOT, Frame, Maps
from stream.transport.hdf5 import read_text
from stream.transport.pictures import BLUE, FILLED, INK, VERMILION, picture
from stream.transport.recording import Recording

FRAMES: Final = 64  # of each quadrant, evenly through the recording
RANGE: Final = (0.002, 0.998)  # quantiles of all pixels, the ends of the colours
KINDS: Final = {HOT: ("hot", VERMILION, "."), FLICKERING: ("flickering", BLUE, "x"), DEAD: ("dead", INK, "s")}
EXAMPLES: Final = 4  # of a class
FAINT, BRIGHT = 30, 10_000  # electrons: from above the noise to a MIP track


class _Row(NamedTuple):
    label: str
    images: Mapping[int, NDArray[Any]]  # by quadrant; uint8: kinds of bad pixels


def plot_frames(recording: Recording, png: Path) -> Path | None:
    """Draw mean and spread of up to FRAMES frames of each quadrant, ADU; return `png`, or None without a frame.

    Frames that are damaged are left out. Raises LinkError if `png` cannot be written.
    """
    index = recording.frames
    mean, spread, most = {}, {}, 0
    for number in np.unique(index["quadrant"]).tolist():
        rows = index[index["quadrant"] == number]
        some = rows[np.unique(np.linspace(0, len(rows) - 1, FRAMES).astype(int))]
        frames = [m.pixels.astype(np.float64) for m in recording.at(some) if isinstance(m, Frame)]
        if frames:
            mean[number], spread[number] = np.mean(frames, axis=0), np.std(frames, axis=0)
            most = max(most, len(frames))
    if not mean:
        return None
    title = f"{recording.start.run_id}: {most} frames of each quadrant"
    return _draw(png, [_Row("mean (ADU)", mean), _Row("standard deviation (ADU)", spread)], title)


def plot_maps(maps: Mapping[int, Maps], png: Path) -> Path | None:
    """Draw offset, noise and bad pixels of each quadrant; return `png`, or None without maps.

    Raises LinkError if `png` cannot be written.
    """
    if not maps:
        return None
    rows = [
        _Row("offset (ADU)", {n: np.where(m.bad, np.nan, m.offset) for n, m in maps.items()}),
        _Row("noise (ADU)", {n: np.where(m.bad, np.nan, m.noise) for n, m in maps.items()}),
        _Row("bad pixels", {n: m.bad for n, m in maps.items()}),
    ]
    return _draw(png, rows, ", ".join(f"q{n} {m.version}" for n, m in sorted(maps.items())))


def _draw(png: Path, rows: Sequence[_Row], title: str) -> Path:
    numbers = sorted(rows[0].images)
    with picture(png, 3.0 * len(numbers) + 1.3, 2.9 * len(rows) + 0.5) as figure:
        panels = figure.subplots(len(rows), len(numbers), squeeze=False, sharex="col", sharey="row")
        for line, row in zip(panels, rows, strict=True):
            bad = row.images[numbers[0]].dtype == np.uint8
            ends = (0.0, 1.0) if bad else _ends(list(row.images.values()))
            for axes, number in zip(line, numbers, strict=True):
                image = row.images[number]
                shape = np.full(image.shape, np.nan) if bad else image
                mesh = axes.imshow(shape, cmap=FILLED, vmin=ends[0], vmax=ends[1])
                if bad:
                    _mark(axes, image)
                axes.grid(visible=False)
            if not bad:
                figure.colorbar(mesh, ax=list(line), label=row.label, extend="both")
            line[0].set_ylabel(f"{row.label}\nrow (pixels)" if bad else "row (pixels)")
        for axes, number in zip(panels[0], numbers, strict=True):
            axes.set_title(f"quadrant {number}")
        for axes in panels[-1]:
            axes.set_xlabel("column (pixels)")
        figure.suptitle(title, fontsize=9)
    return png


def _ends(images: Sequence[NDArray[Any]]) -> tuple[float, float]:
    values = np.concatenate([image[np.isfinite(image)].ravel() for image in images])
    low, high = np.quantile(values, RANGE) if len(values) else (0.0, 1.0)
    return float(low), float(max(high, low + 1e-3 * max(abs(low), 1.0)))  # of what is the same everywhere, too


def _mark(axes: Any, bad: NDArray[np.uint8]) -> None:
    """Mark bad pixels: one of them would be lost among the pixels of a screen."""
    for kind, (name, colour, mark) in KINDS.items():
        y, x = np.nonzero(bad == kind)
        axes.plot(x, y, mark, color=colour, ms=2.5, label=f"{len(x):,} {name}", rasterized=True)
    axes.legend(loc="upper right", frameon=True, fontsize=7.5, markerscale=2)


def plot_frame_set(file: Path, png: Path) -> Path | None:
    """Draw the first EXAMPLES frames of each class of a set of `raysieve simulate frames`; None without a frame.

    Raises LinkError if `png` cannot be written.
    """
    with h5py.File(file, "r") as content:
        label, classes = content["label"][()], json.loads(read_text(content, "classes"))
        chosen = [np.flatnonzero(label == k)[:EXAMPLES].tolist() for k in range(len(classes))]
        shown = [[content["frames"][n, 0] for n in some] for some in chosen]
    if not any(shown):
        return None
    with picture(png, 2.5 * EXAMPLES + 1, 2.4 * len(classes)) as figure:
        panels = figure.subplots(len(classes), EXAMPLES, squeeze=False, sharex=True, sharey=True)
        norm = LogNorm(FAINT, BRIGHT, clip=True)
        for line, name, frames in zip(panels, classes, shown, strict=True):
            for axes, frame in zip(line, frames, strict=False):
                mesh = axes.imshow(frame, norm=norm, cmap=FILLED)
            line[0].set_ylabel(f"{name}\nrow (pixels)")
        for axes in panels[-1]:
            axes.set_xlabel("column (pixels)")
        figure.colorbar(mesh, ax=panels, label="signal (electrons)", extend="both")
    return png
