"""The picture of a field before and after: the diffuse light, the rates, the classes."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from analyse.field import FieldPosterior, quantiles
from stream.judges.catalogue import BAND_KEV, Seen
from stream.transport.fitsfile import new_file

_DATA, _MODEL = "#0072b2", "#d55e00"


def plot_field(path: Path, seen: Seen, done: FieldPosterior) -> None:
    """Draw counts and sources, normalisations, rates and P(diffuse) before and after. Raises LinkError."""
    figure = Figure(figsize=(11, 9.4), layout="constrained")
    (counts, light), (rates, classes) = figure.subplots(2, 2)
    image = seen.image(*BAND_KEV)
    counts.imshow(np.arcsinh(image), origin="lower", cmap="Greys", vmax=np.arcsinh(max(np.quantile(image, 0.999), 1.0)))
    x, y, _ = done.model.sources.T
    diffuse = done.is_diffuse().mean(axis=(0, 1))
    marks = counts.scatter(x, y, 40, c=diffuse, cmap="coolwarm", vmin=0, vmax=1, lw=1.2, marker="+")
    figure.colorbar(marks, ax=counts, label="P(diffuse)", shrink=0.8)
    counts.set_title(f"counts, {len(x)} sources found", fontsize=10)
    rate, _ = done.diffuse_image()
    top = float(np.quantile(rate, 0.998))
    shown = light.imshow(rate, origin="lower", cmap="magma", vmin=0, vmax=top or 1.0)
    figure.colorbar(shown, ax=light, label="counts s$^{-1}$ px$^{-1}$", shrink=0.8)
    light.set_title("diffuse light, with what is labelled so", fontsize=10)
    if len(x):
        told, found = quantiles(done.rates.sum(axis=-1)), done.found.detections.sources["rate"]
        error = np.abs(told["68"].T - told["mean"])
        rates.errorbar(found, told["mean"] / found, error / found, fmt=".", color=_DATA, ms=3, lw=0.7)
        rates.axhline(1, color=_MODEL, lw=1)
        rates.set(xscale="log", xlabel="rate as found (s$^{-1}$)", ylabel="joint / found, 68 %", ylim=(0, 2.5))
    if done.labels is not None:
        for k, name in enumerate((*done.labels.classes, "none")):
            classes.plot(done.labels.before[:, k], done.labels.after[:, k], ".", ms=4, label=name)
        classes.plot([0, 1], [0, 1], color="0.5", lw=0.8)
        classes.legend(frameon=False, fontsize=8)
        classes.set(xlabel="P(class) of the features as measured", ylabel="P(class), marginal")
    for empty in (axis for axis in (rates, classes) if not axis.has_data()):
        empty.set_axis_off()
    gates = "gates passed" if done.sampled.fault() is None else "GATES FAILED"
    figure.suptitle(f"{gates}; {done.model.photons.sum():.0f} photons", fontsize=10)
    with new_file(path) as file:
        figure.savefig(file, format="png", dpi=110)
