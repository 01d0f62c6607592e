"""Frames, what made them, and the activation maps of the frame classifier (Fig. 1 of the seed)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.colors import LogNorm
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn.functional import interpolate

from models.filter.features import JUDGED, Network
from models.frames.dataset import Frames
from models.frames.network import CLASSES, SIDE
from sim.charge import PAIR_ENERGY_EV, PARTICLE, XRAY
from sim.event_sets import SPLIT_EV
from sim.frame_file import read_set
from stream.transport.pictures import FILLED, SIGNED, picture

LOOKED_AT, SHOWN = 4000, 3  # frames
LEAST_PIXELS = 10  # of a particle in an example
FAINT_EV, BRIGHT_EV = 60.0, 30_000.0  # the scale of energies


def draw(path: Path, network: Network, frames: Path) -> Path:
    """Draw the first mixed frames with a particle of two parts and an X-ray; return the path."""
    given = Frames(frames)
    truth = _truth(frames)
    mixed = np.flatnonzero(given.labels[:LOOKED_AT] == CLASSES.index("mixed")).tolist()
    chosen = [n for n in mixed if _telling(truth[n])]
    titles = (
        "frame",
        "X-ray: true pixels",
        "X-ray: activation map",
        "particle: true pixels",
        "particle: activation map",
    )
    with picture(path, 11, 2.05 * SHOWN) as figure:
        panels = figure.subplots(SHOWN, 5, squeeze=False)
        for row, number in zip(panels, chosen[:SHOWN], strict=False):
            energy = given.energies(number, number + 1)[:, 0]
            maps = torch.from_numpy(network(energy.numpy())[1])
            fine = interpolate(maps, size=(SIDE, SIDE), mode="bilinear", align_corners=False)[0].numpy()
            norm = LogNorm(FAINT_EV, BRIGHT_EV, clip=True)
            shown = row[0].imshow(ndimage.maximum_filter(energy[0].numpy(), 3), norm=norm, cmap=FILLED)
            figure.colorbar(shown, ax=row[0], shrink=0.85, label="energy (eV)")
            for k, (kind, place) in enumerate(zip((XRAY, PARTICLE), JUDGED, strict=True)):
                row[1 + 2 * k].imshow(_where(truth[number], kind), cmap="Greys", vmin=0, vmax=1)
                high = np.abs(fine[place]).max()
                cam = row[2 + 2 * k].imshow(fine[place], cmap=SIGNED, vmin=-high, vmax=high)
                figure.colorbar(cam, ax=row[2 + 2 * k], shrink=0.85, label="activation")
            for axes in row:
                axes.set(xticks=[0, 32, 63], yticks=[0, 32, 63])
        for axes, title in zip(panels[0], titles, strict=True):
            axes.set_title(title, fontsize=9)
        for axes in panels[-1]:
            axes.set_xlabel("x (pixels)")
        for axes in panels[:, 0]:
            axes.set_ylabel("y (pixels)")
    return path


def _truth(frames: Path) -> dict[int, NDArray[Any]]:
    """Return the rows of the table of owners of the first frames, those above the split threshold."""
    file = read_set(frames)
    rows = file["pixels"][: int(np.searchsorted(file["pixels"]["frame"], LOOKED_AT))]
    rows = rows[rows["electrons"] * PAIR_ENERGY_EV >= SPLIT_EV]
    bounds = np.searchsorted(rows["frame"], np.arange(LOOKED_AT + 1))
    return {n: rows[bounds[n] : bounds[n + 1]] for n in range(LOOKED_AT)}


def _where(rows: NDArray[Any], kind: int) -> NDArray[np.bool_]:
    """Return the pixels of a kind, (64, 64), each with its neighbours, so that single ones can be seen."""
    image = np.zeros((SIDE, SIDE), bool)
    own = rows[rows["kind"] == kind]
    image[own["y"], own["x"]] = True
    grown: NDArray[np.bool_] = ndimage.binary_dilation(image, np.ones((3, 3)))
    return grown


def _telling(rows: NDArray[Any]) -> bool:
    """Return whether a frame shows an X-ray, and a particle of two parts or more."""
    particle = rows["kind"] == PARTICLE
    parts = ndimage.label(_where(rows, PARTICLE))[1]
    return bool(particle.sum() >= LEAST_PIXELS and parts >= 2 and (~particle).any())
