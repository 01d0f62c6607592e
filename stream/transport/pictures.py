"""How our pictures look: one style for all of them, opened and written in one place.

The paper is white and opaque, always, and the ink dark: a PNG cannot know what is behind it. Ink on a transparent
picture is gone on a dark page, a grey in the middle is weak on both, and white is what a printer has. Colours are those
of Okabe and Ito (2008), whom colour-blind readers can tell apart; lines and marks differ as well, for print in grey.
Images have maps of even lightness: rising where they are full, falling (to white for nothing) where they are sparse.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from cycler import cycler
from matplotlib import rc_context
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from stream.errors import ConfigError
from stream.transport.fitsfile import new_file

INK: Final = "#222222"
PAPER: Final = "#ffffff"
GREY: Final = "#767676"  # contrast 4.5 on white: still text
SOFT: Final = "#cccccc"
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, YELLOW = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442",
)  # fmt: skip
COLOURS: Final = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GREY)
DASHES: Final[tuple[Any, ...]] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
STYLES: Final = tuple(zip((*COLOURS, INK), DASHES, "os^DvPX*", strict=True))  # colour, line, mark
FILLED: Final = "viridis"  # an image with a value in every pixel
MARKED: Final = "magma"  # the same under marks in SKY and GREEN, which it has not
SPARSE: Final = "magma_r"  # counts, of which most pixels have none: these are paper
SIGNED: Final = "RdBu_r"  # what is over and under
SHARES: Final = "Blues"
BETWEEN: Final = LinearSegmentedColormap.from_list("between", (BLUE, VERMILION))  # of marks: none is lost on paper
STYLE: Final[dict[Any, Any]] = {
    "figure.facecolor": PAPER, "axes.facecolor": PAPER, "savefig.facecolor": PAPER, "savefig.transparent": False,
    "savefig.dpi": 150, "image.cmap": FILLED, "image.origin": "lower", "image.interpolation": "nearest",
    "axes.prop_cycle": cycler(color=COLOURS), "lines.linewidth": 1.4, "lines.markersize": 4,
    "text.color": INK, "axes.labelcolor": INK, "axes.titlecolor": INK, "axes.edgecolor": INK, "axes.linewidth": 0.7,
    "xtick.color": INK, "ytick.color": INK, "xtick.direction": "in", "ytick.direction": "in", "xtick.top": True,
    "ytick.right": True, "axes.grid": True, "axes.axisbelow": True, "grid.color": GREY, "grid.alpha": 0.3,
    "grid.linewidth": 0.5, "font.size": 10, "axes.titlesize": 10, "axes.labelsize": 10, "figure.titlesize": 11,
    "xtick.labelsize": 9, "ytick.labelsize": 9, "legend.fontsize": 8.5, "legend.frameon": False,
}  # fmt: skip


@contextmanager
def picture(png: Path, width: float, height: float) -> Iterator[Figure]:
    """Open an empty figure of so many inches, in the style; write it to `png` when what draws it is done.

    Images have no grid. Raises LinkError, naming the path, when the disk refuses; nothing is left then.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        for axes in figure.axes:
            if axes.images:
                axes.grid(visible=False)
        with new_file(png) as file:
            figure.savefig(file, format="png", metadata={"Software": None})


def folder_of_pictures(folder: Path) -> Path:
    """Return a folder, made if need be. Raises ConfigError if it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise ConfigError(f"{folder}: cannot be written: expected a folder for pictures: {fault.strerror}") from None
    return folder


def plain_ticks(axis: Axis, low: float, high: float) -> None:
    """Put plain numbers on a logarithmic axis from low to high: 1, 2, 3 and 5 of a decade, more where it is short."""
    decades = np.log10(high / low)
    digits: tuple[float, ...] = (1, 2, 3, 5) if decades < 2.2 else (1, 3) if decades < 3.6 else (1,)
    if decades < 1:
        digits = (1, 1.5, 2, 3, 4, 5, 6, 8)
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    ticks = [digit * 10.0**power for power in range(first, last + 1) for digit in digits]
    ticks = [tick for tick in ticks if low <= tick <= high]
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)
