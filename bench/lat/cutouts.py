"""How well cut-outs of other skies tell classes and fakes: the networks, and plain features of the same cut-outs.

    python -m bench.lat.cutouts [FOLDER] [--as-is]

FOLDER (out/lat) has sets and weights of the commands in models/store/README.md; those that are not there are made: ten
minutes of CPU (--as-is: not made, and not judged). The plain features are the signal of each band in the middle and
around, the colours, and the chi2 of the yearly counts; lines (logistic regression) and trees are trained on the skies
that the networks learned from, and calibrated on those that these were. "background" knows nothing but how bright the
sky is there.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from bench import figures
from models.lat.classify_evaluate import ACCURACY, BALANCED, DEFINITIONS, ECE, LOG_SCORE, confusion, intervals
from models.lat.classify_fakes import agn_and_pulsars, only_sources, rejection
from models.lat.classify_train import CutoutSet, calibration_of, judged, load, predict, state_of
from models.lat.plots import draw_fakes
from models.sources.evaluate import Judged
from sim.lat.cutouts import FAKE, KINDS
from stream.judges.lat_cutouts import WAYS
from stream.lat.cutouts import SIDE
from tests.real.conftest import DATA

Array = NDArray[np.float64]
COMMAND = "python -m bench.lat.cutouts"
PICTURE = figures.FOLDER.parent / "pictures" / "lat_fakes.png"
THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
BRIGHT = 10.0  # sigma


FILES = DATA / "lat"
GIVEN = (
    *("--irfs", FILES / "irfs", "--iso", FILES / "diffuse"),
    *("--iem", FILES / "diffuse" / "gll_iem_v07_lowres_fixedwcs.fits.gz"),
)
SETS = {  # skies, years (0: of 2 to 10), seed
    "train": (8, 0, 101),
    "validation": (3, 0, 202),
    "test": (2, 10, 303),
    "short": (2, 3, 404),
}


def make(folder: Path) -> None:
    """Make the sets and weights that are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    at = {name: folder / f"cutouts_{name}.h5" for name in SETS}
    for name, (skies, years, seed) in SETS.items():
        if not at[name].is_file():
            run("simulate", at[name], "--skies", skies, "--years", years, "--seed", seed, *GIVEN)
    for way in WAYS:
        out = folder / f"cutouts_{way}.npz"
        if not out.is_file():
            run("train", at["train"], "--validation", at["validation"], "--way", way, "--out", out)


def run(what: str, *words: object) -> None:
    """Run `raysieve WHAT lat-cutouts`."""
    subprocess.run(["raysieve", what, "lat-cutouts", *map(str, words)], check=True)


def features(given: CutoutSet) -> Array:
    """Return plain features (n, f) of cut-outs; the first six: ln of the background by band."""
    rows = given.cutouts(np.arange(len(given)))
    years = (rows.good_s > 0)[:, None, :]
    total = rows.counts.sum(axis=2)
    middle, level = slice(SIDE // 2 - 1, SIDE // 2 + 1), rows.background[:, :, None, None] / SIDE**2
    above = total - level
    net = [above[:, :, middle, middle].sum(axis=(2, 3)), above.sum(axis=(2, 3))]
    noise = [np.sqrt(4 * level[..., 0, 0] + 1), np.sqrt(SIDE**2 * level[..., 0, 0] + 1)]
    signal = [a / b for a, b in zip(net, noise, strict=True)]
    base = np.maximum(net[0][:, 3], 3.0)
    yearly = np.stack([rows.counts.sum(axis=(3, 4)), rows.counts[..., middle, middle].sum(axis=(3, 4))])
    share = (rows.good_s / rows.good_s.sum(axis=1, keepdims=True))[:, None]
    mean = yearly.sum(axis=3, keepdims=True) * share
    number = years.sum(axis=2) - 1
    chi2 = (((yearly - mean) ** 2 / (mean + 1)) * years).sum(axis=3) / number
    all_bands = (yearly.sum(axis=2) - mean.sum(axis=2)) ** 2 / (mean.sum(axis=2) + 1)
    change = np.log1p((all_bands * years[:, 0]).sum(axis=2) / number[:, 0]).T
    spread = [np.log1p(np.maximum(change[:, 1] - np.log(2), 0) / np.log1p(np.maximum(net[0].sum(axis=1), 1)))]
    parts = [
        np.log(rows.background),
        *np.arcsinh(signal),
        np.arcsinh(net[0] / base[:, None]),
        np.log1p(np.maximum(net[0], 0)),
        *np.log1p(chi2),
        change,
        np.stack(spread, axis=1),
    ]
    return np.concatenate(parts, axis=1).astype(float)


def by_features(folder: Path) -> dict[str, Callable[[CutoutSet], Judged]]:
    """Return judges that were trained on plain features."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    given, other = (CutoutSet(folder / f"cutouts_{name}.h5") for name in ("train", "validation"))
    x, x_other = features(given), features(other)
    lines = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
    trees = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.1, max_leaf_nodes=12, class_weight="balanced", random_state=0
    )
    sky = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
    told = {}
    for name, model, columns in (("lines", lines, x.shape[1]), ("trees", trees, x.shape[1]), ("background", sky, 6)):
        model.fit(x[:, :columns], given.label)
        log = np.log(np.maximum(model.predict_proba(x_other[:, :columns]), 1e-9))
        scale, shift = calibration_of(log, other.label)

        def judge(unseen: CutoutSet, model: Any = model, columns: int = columns, fit: Any = (scale, shift)) -> Judged:
            logits = np.log(np.maximum(model.predict_proba(features(unseen)[:, :columns]), 1e-9))
            return judged(softmax(fit[0] * logits + fit[1], axis=1), unseen)

        told[name] = judge
    return told


def by_networks(folder: Path) -> dict[str, Callable[[CutoutSet], Judged]]:
    """Return the networks of both ways as judges, those that are trained to their end."""
    told = {}
    for way in WAYS:
        path = folder / f"cutouts_{way}.npz"
        state = state_of(path) if path.is_file() else None
        if state is None or state["standing"]["epoch"] < state["plan"]["epochs"]:
            continue

        def judge(unseen: CutoutSet, path: Path = path, way: Any = way) -> Judged:
            return judged(softmax(predict(load(path), unseen, way), axis=1), unseen)

        told[f"network, {way}"] = judge
    return told


def figures_of(name: str, said: Judged, *, short: bool = False) -> dict[str, tuple[object, ...]]:
    """Return the figures of one judge on one set."""
    views = {"all": said, "four classes": only_sources(said), "AGN/PSR": agn_and_pulsars(said)}
    found: dict[str, tuple[object, ...]] = {}
    for view, one in views.items():
        for key, (value, low, high) in intervals(one).items():
            if not short or key in (BALANCED, ACCURACY, ECE, LOG_SCORE):
                found[f"{name}, {view}: {key}"] = (value, "", (low, high))
    for key, (value, low, high) in rejection(said).items():
        found[f"{name}: {key}"] = (value, "", (low, high))
    return found


def thresholds(name: str, said: Judged) -> dict[str, tuple[object, ...]]:
    """Return what is lost and kept by rejecting above thresholds of P(fake)."""
    score, fake = said.p[:, FAKE], said.label == FAKE
    found: dict[str, tuple[object, ...]] = {}
    for at in THRESHOLDS:
        found[f"{name}, P(fake) above {at:g}: sources lost"] = (float(np.mean(score[~fake] > at)), "")
        found[f"{name}, P(fake) above {at:g}: fakes rejected"] = (float(np.mean(score[fake] > at)), "")
    return found


def measure(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return all figures, and draw the curves."""
    test, few = CutoutSet(folder / "cutouts_test.h5"), folder / "cutouts_short.h5"
    found: dict[str, tuple[object, ...]] = {}
    for name, count in zip(KINDS, np.bincount(test.label, minlength=len(KINDS)).tolist(), strict=True):
        found[f"test: {name}"] = (count, "cut-outs")
    bright = np.flatnonzero((test.rows["sigma"] >= BRIGHT) & (test.label != FAKE))
    curves = {}
    for name, judge in (by_networks(folder) | by_features(folder)).items():
        said = curves[name] = judge(test)
        found |= figures_of(name, said, short=name != "network, counts")
        one = only_sources(said.pick(bright))
        for key, view in (("four classes", one), ("AGN/PSR", agn_and_pulsars(said.pick(bright)))):
            value, low, high = intervals(view)[BALANCED]
            found[f"{name}, {key}, above {BRIGHT:g} sigma: {BALANCED}"] = (value, "", (low, high))
        if name.startswith("network"):
            found |= thresholds(name, said)
            if few.is_file():
                found |= figures_of(f"{name}, three years", judge(CutoutSet(few)), short=True)
    table = f"network, counts: confusion, true {'/'.join(KINDS)} in rows"
    draw_fakes(PICTURE, curves)
    return found | {table: (confusion(curves["network, counts"]), "cut-outs")}


def main() -> None:
    """Measure, and write docs/figures/lat_cutouts.json and docs/pictures/lat_fakes.png."""
    defined = {f"definition: {name}": (text, "") for name, text in DEFINITIONS.items()}
    words = [word for word in sys.argv[1:] if word != "--as-is"]
    folder = Path(words[0] if words else "out/lat")
    if "--as-is" not in sys.argv:
        make(folder)
    figures.write("lat_cutouts", COMMAND, measure(folder) | defined)


if __name__ == "__main__":
    main()
