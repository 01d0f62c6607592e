"""The picture of a field before and after: the diffuse light, the rates, the classes."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analyse.field import FieldPosterior, quantiles
from stream.judges.catalogue import BAND_KEV, Seen
from stream.transport.pictures import BETWEEN, BLUE, GREY, MARKED, STYLES, VERMILION, picture

_DATA, _MODEL = BLUE, VERMILION


def plot_field(path: Path, seen: Seen, done: FieldPosterior) -> None:
    """Draw counts and sources, normalisations, rates and P(diffuse) before and after. Raises LinkError."""
    with picture(path, 11, 9.4) as figure:
        (counts, light), (rates, classes) = figure.subplots(2, 2)
        _counts(figure, counts, seen, done)
        rate, _ = done.diffuse_image()
        top = float(np.quantile(rate, 0.998))
        shown = light.imshow(rate, cmap=MARKED, vmin=0, vmax=top or 1.0)
        figure.colorbar(shown, ax=light, label="counts s$^{-1}$ px$^{-1}$", shrink=0.8)
        light.set(xlabel="X (pixels)", ylabel="Y (pixels)", title="diffuse light, with what is labelled so")
        if len(done.model.sources):
            told, found = quantiles(done.rates.sum(axis=-1)), done.found.detections.sources["rate"]
            error = np.abs(told["68"].T - told["mean"])
            rates.errorbar(found, told["mean"] / found, error / found, fmt=".", color=_DATA, ms=3, lw=0.7)
            rates.axhline(1, color=_MODEL, lw=1)
            rates.set(
                xscale="log", xlabel="rate as found (counts s$^{-1}$)", ylabel="joint / found, 68 %", ylim=(0, 2.5)
            )
        if done.labels is not None:
            names = (*done.labels.classes, "none")
            for k, (name, (colour, _, mark)) in enumerate(zip(names, STYLES * 2, strict=False)):
                before, after = done.labels.before[:, k], done.labels.after[:, k]
                classes.plot(before, after, mark, color=colour, ms=3, mew=0.5, label=name)
            classes.plot([0, 1], [0, 1], color=GREY, lw=0.8)
            classes.legend()
            classes.set(xlabel="P(class) of the features as measured", ylabel="P(class), marginal")
        for empty in (axis for axis in (rates, classes) if not axis.has_data()):
            empty.set_axis_off()
        gates = "gates passed" if done.sampled.fault() is None else "GATES FAILED"
        figure.suptitle(f"{gates}; {done.model.photons.sum():,.0f} photons")


def _counts(figure: Figure, axes: Axes, seen: Seen, done: FieldPosterior) -> None:
    image = seen.image(*BAND_KEV)
    axes.imshow(np.arcsinh(image), cmap="Greys", vmax=np.arcsinh(max(np.quantile(image, 0.999), 1.0)))
    x, y, _ = done.model.sources.T
    diffuse = done.is_diffuse().mean(axis=(0, 1))
    marks = axes.scatter(x, y, 40, c=diffuse, cmap=BETWEEN, vmin=0, vmax=1, lw=1.2, marker="+")
    figure.colorbar(marks, ax=axes, label="P(diffuse)", shrink=0.8)
    axes.set(xlabel="X (pixels)", ylabel="Y (pixels)", title=f"counts, {len(x)} sources found")
