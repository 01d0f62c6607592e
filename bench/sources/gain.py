"""What morphology and the prior of the place add to spectra alone: source classes in simulated fields never seen.

Needs two sets of fields, of other seeds: `raysieve simulate source-sets`, as `make sources` says.
"""

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench import figures
from models.sources.challenger import Boosting
from models.sources.dataset import Sources, read_sources
from models.sources.evaluate import Judged, intervals, judge_unseen
from models.sources.fusion import Plan
from models.sources.store import save
from models.sources.train import finish, hold_out
from stream.transport.pictures import GREEN, GREY, INK, ORANGE, SKY, picture

COMMAND = "python -m bench.sources.gain"
SPECTRAL = (
    *("log_flux", "log_nh", "photon_index", "log_kt", "log_kt_bbody", "goodness", "hardness_soft", "hardness_hard"),
    *("delta_c_bremss", "delta_c_bbody", "log_median_kev"),
)
PARTS = {  # name: with morphology and place in the image, with the prior by latitude
    "spectra": (False, False),
    "spectra, prior": (False, True),
    "spectra, morphology": (True, False),
    "spectra, morphology, prior": (True, True),
}
PLANS = {"fusion": Plan(), "challenger": Boosting()}
Rows = dict[str, tuple[object, ...]]


def judged_by_parts(train: Sources, test: Sources, out: Path) -> dict[tuple[str, str], Judged]:
    """Train with and without each part; keep the models with all of them; return what they say of the test."""
    found = {}
    for kind, plan in PLANS.items():
        for with_shapes in (False, True):
            given = train if with_shapes else train.only(SPECTRAL)
            held = hold_out(given, plan, by_field=True)
            for name, (shapes, sky) in PARTS.items():
                if shapes is with_shapes:
                    trained = finish(held, sky=sky)
                    found[kind, name] = judge_unseen(trained, test, by_field=True)
                    if shapes and sky:
                        save(out / f"{kind}.npz", trained)
    return found


def by_value(judged: Judged, value: NDArray[np.float64], name: str) -> Rows:
    """Return macro-F1 in thirds of a value (n,)."""
    edges = np.quantile(value, [0, 1 / 3, 2 / 3, 1])
    rows: Rows = {}
    for low, high in pairwise(edges):
        inside = np.flatnonzero((value >= low) & (value <= high))
        score, *interval = intervals(judged.pick(inside))["macro-F1"]
        rows[f"{name} {low:.3g} to {high:.3g}: macro-F1"] = (score, "", tuple(interval))
    return rows


def draw(rows: Rows, path: Path) -> None:
    """Draw F1 of each class, with and without each part; rows: the figures."""
    of = "fusion, spectra: "
    names = [key.removeprefix(of) for key in rows if key.startswith(of) and key.endswith(" F1")]
    names += ["macro-F1"]
    with picture(path, 11, 4) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, kind in zip(panels, PLANS, strict=True):
            for k, (part, colour) in enumerate(zip(PARTS, (GREY, SKY, ORANGE, GREEN), strict=True)):
                told: Any = [rows[f"{kind}, {part}: {name}"] for name in names]
                value, low, high = np.array([(score, *ends) for score, _, ends in told]).T
                at = np.arange(len(names)) + (k - 1.5) * 0.2
                axes.bar(at, value, 0.2, color=colour, label=part)
                axes.errorbar(at, value, [value - low, high - value], fmt="none", color=INK, lw=0.8)
            axes.set_xticks(range(len(names)), [name.removesuffix("F1").strip(" -") for name in names])
            axes.set(title=kind, xlabel="class", ylim=(0, 1.2))
        panels[0].set_ylabel("F1, 68 % interval")
        panels[0].legend(loc="upper left", ncols=2)


def main() -> None:
    """Write docs/figures/sources_gain.json and the models with all parts."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--train", type=Path, default=Path("out/sources/train.h5"))
    words.add_argument("--test", type=Path, default=Path("out/sources/test.h5"))
    words.add_argument("--out", type=Path, default=Path("out/sources"))
    words = words.parse_args()
    train, test = read_sources(words.train), read_sources(words.test)
    found = judged_by_parts(train, test, words.out)
    rows: Rows = {"sources to train on": (len(train), ""), "sources to judge": (len(test), "")}
    rows["fields to judge"] = (len(np.unique(test.field)), "")
    for (kind, name), judged in found.items():
        for key, (value, low, high) in intervals(judged).items():
            if key.endswith(("F1", "accuracy", "ECE")):
                rows[f"{kind}, {name}: {key}"] = (value, "", (low, high))
    with h5py.File(words.test) as file:
        snr, density = file["about/snr"][:], file["about/density"][:]
    for name in ("spectra", "spectra, morphology, prior"):
        for what, value in (("SNR", snr), ("density", density)):
            rows |= {f"fusion, {name}: {key}": row for key, row in by_value(found["fusion", name], value, what).items()}
    figures.write("sources_gain", COMMAND, rows)
    draw(rows, figures.FOLDER.parent / "pictures" / "sources_gain.png")


if __name__ == "__main__":
    main()
