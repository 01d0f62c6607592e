"""What the stream's own code finds in a field of known truth: a table of features with classes, to train on."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.sources.field import Field
from sim.sources.populations import DIFFUSE
from stream.imaging.image import FWHM
from stream.judges.catalogue import Catalogue, Seen, make_catalogue

NEAR: Final = 0.8  # FWHM of the PSF within which a true source may be what was found
MOST: Final = 0.4  # of the net counts found that must be its own
SIZE: Final = 8  # of a class name


def seen_of(field: Field) -> Seen:
    """Return what the camera knows of a field: no truth."""
    e, camera = field.events, field.camera
    measured = (e["x"], e["y"], e["energy_ev"] / np.float32(1000), e["time"], e["channel"])
    return Seen(*measured, field.exposure(), camera.response, camera.sigma_px)


def catalogue_of(field: Field, threshold: float = 5.0) -> NDArray[Any]:
    """Return the rows of a training table: features by name and NAME_error, x, y, l, b, class, and what is true.

    class `diffuse`: no true source gives most of the counts. source: its id in the truth, -1 for none.
    """
    return labelled(field, make_catalogue(seen_of(field), threshold))


def labelled(field: Field, found: Catalogue) -> NDArray[Any]:
    """Return the rows of what was found."""
    source = match(field, found)
    step = field.camera.arcsec_per_px / 3600
    x, y = found.columns["x"], found.columns["y"]
    b = field.setup.b_deg + step * (y - (field.camera.rows - 1) / 2)
    across = step * (x - (field.camera.columns - 1) / 2) / max(np.cos(np.radians(field.setup.b_deg)), 1e-3)
    sky = {"l": (field.setup.l_deg - across) % 360, "b": b}
    columns = {**found.columns, **sky}
    types = [(name, "<f8") for name in columns] + [("class", f"S{SIZE}"), ("source", "<i4"), ("net_counts", "<f8")]
    rows = np.zeros(len(found), types)
    for name, values in columns.items():
        rows[name] = values
    rows["source"], rows["net_counts"] = source, found.detections.sources["net_counts"]
    classes = np.append(field.truth["class"], DIFFUSE.encode())
    rows["class"] = classes[np.where(source >= 0, source, len(field.truth))]
    return rows


def match(field: Field, found: Catalogue) -> NDArray[np.int64]:
    """Return for each thing found the id of the true source with the most events near it, -1: most are not its own."""
    truth = field.truth
    near = NEAR * FWHM * field.camera.sigma_px
    source = np.full(len(found), -1, np.int64)
    if not len(truth):
        return source
    for i, (x, y) in enumerate(zip(found.columns["x"], found.columns["y"], strict=True)):
        counts = np.where(np.hypot(truth["x"] - x, truth["y"] - y) <= near, truth["counts"], 0)
        best = int(counts.argmax())
        if counts[best] > MOST * found.detections.sources["net_counts"][i]:
            source[i] = best
    return source
