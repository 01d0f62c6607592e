"""How well the classes of X-ray sources are told: fusion, challenger and Yang et al. 2022, on the MUWCLASS table."""

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from bench import figures
from models.metrics import Interval
from models.sources.challenger import Boosting
from models.sources.dataset import Sources, read_sources
from models.sources.evaluate import Judged, cross_validate, intervals, judge_unseen, published, scores
from models.sources.fusion import Plan
from models.sources.plots import draw_confusion, draw_reliability
from models.sources.train import finish, hold_out
from tests.real.conftest import DATA

COMMAND = "python -m bench.sources.classes"
TABLE, LOO, BULGE = (
    f"catalogues/{name}.csv.gz" for name in ("CSC_TD_11042023_MW", "LOO_classes", "CSCv2_TD_11162022_raretype_GB")
)
PLANS = {"fusion": Plan(), "challenger": Boosting()}
SKY = {False: "", True: ", latitude prior"}
AMONG = "challenger with |b| as a feature"
SAME_ARCSEC = 3.0
SHORT = ("accuracy", "macro-F1", "macro-F1, rule", "ECE")
Figures = dict[str, tuple[object, ...]]
Told = dict[tuple[str, bool, bool], list[Judged]]  # of kind, by field, with the prior by latitude: a repeat each


def cross_validated(given: Sources, repeats: int, kinds: Sequence[str], keep: Path | None) -> Told:
    """Return the repeats of 5 folds, by source and by field."""
    found: Told = {}
    for seed in range(repeats):
        for by_field in (False, True):
            for kind in kinds:
                for sky, judged in kept(given, PLANS[kind], 100 + seed, by_field, keep).items():
                    _keep(found, (kind, by_field, sky), judged)
            if (
                seed == 0 and "challenger" in kinds
            ):  # what a forest with |b| among its features was measured with before
                judged = kept(with_latitude(given), PLANS["challenger"], 100, by_field, keep)[False]
                _keep(found, (AMONG, by_field, False), judged)
    return found


def kept(given: Sources, plan: Plan | Boosting, seed: int, by_field: bool, keep: Path | None) -> dict[bool, Judged]:
    """Return a cross-validation, from an earlier run that was cut off if that had done it."""
    what = json.dumps([asdict(plan), type(plan).__name__, given.digest(), seed, by_field])
    path = keep / f"{hashlib.sha256(what.encode()).hexdigest()[:16]}.npz" if keep else None
    if path is not None and path.is_file():
        with np.load(path) as file:
            group = given.field if by_field else np.arange(len(given))
            return {
                sky: Judged(given.classes, given.label, file[f"p{sky:d}"], file[f"decided{sky:d}"], group)
                for sky in (False, True)
            }
    told = cross_validate(given, plan, seed=seed, by_field=by_field)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {f"p{sky:d}": one.p for sky, one in told.items()}
        np.savez(path, **arrays, **{f"decided{sky:d}": one.decided for sky, one in told.items()})
    return told


def _keep(found: Told, key: tuple[str, bool, bool], judged: Judged) -> None:
    found.setdefault(key, []).append(judged)
    print(key, {name: round(value, 3) for name, value in scores(judged).items()}, flush=True)


def with_latitude(given: Sources) -> Sources:
    """Return sources with |b| as one more feature, as no model of ours has it: it tells the fields of the training."""
    place = np.arcsinh(np.abs(given.sky[:, 1]))[:, None]
    return replace(
        given,
        features=(*given.features, "latitude"),
        units=(*given.units, "asinh of deg"),
        x=np.concatenate([given.x, place], axis=1),
        error=np.concatenate([given.error, 0 * place], axis=1),
    )


def mean(rows: Sequence[dict[str, Interval]]) -> dict[str, Interval]:
    """Return the mean of repeats, and of the ends of their intervals: the repeats have the same sources."""
    mean_of = {name: np.mean([row[name] for row in rows], axis=0).tolist() for name in rows[0]}
    return {name: (value, low, high) for name, (value, low, high) in mean_of.items()}


def as_figures(name: str, rows: dict[str, Interval], *, short: bool = False) -> Figures:
    """Return figures of the bench; short: without precision and recall of each class, and the rule's F1."""
    kept = {key: row for key, row in rows.items() if not short or key in SHORT or key.endswith(" F1")}
    return {f"{name}: {key}": (value, "", (low, high)) for key, (value, low, high) in kept.items()}


def beside_published(given: Sources, told: Told, loo: Judged, names: Sequence[str]) -> Figures:
    """Compare on the sources that both tables have, with the same class: ours without and with the latitude prior."""
    place = {name: row for row, name in enumerate(given.name)}
    pairs = [
        (place[name], row)
        for row, name in enumerate(names)
        if name in place and given.label[place[name]] == loo.label[row]
    ]
    ours, theirs = np.array(pairs).T
    found = as_figures(f"{ours.size} sources of both, Yang 2022", intervals(loo.pick(theirs)), short=True)
    for (kind, by_field, sky), repeats in told.items():
        if not by_field:
            rows = mean([intervals(one.pick(ours)) for one in repeats])
            found |= as_figures(f"{ours.size} sources of both, {kind}{SKY[sky]}", rows, short=True)
    return found


def bulge(given: Sources, unseen: Sources) -> Figures:
    """Judge rare types near the Galactic centre by models of the whole table, but for the sources that are in it."""
    apart = cKDTree(unit_vectors(given)).query(unit_vectors(unseen))[0]
    new = unseen.pick(np.flatnonzero(apart > np.radians(SAME_ARCSEC / 3600)))
    found: Figures = {"bulge, sources not in the table": (len(new), "sources")}
    for kind, plan in PLANS.items():
        held = hold_out(given, plan, by_field=True)
        for sky in (False, True):
            rows = intervals(judge_unseen(finish(held, sky=sky), new))
            found |= as_figures(f"bulge, {kind}{SKY[sky]}", rows, short=True)
    return found


def unit_vectors(given: Sources) -> np.ndarray:
    """Return the directions (n, 3) of sources."""
    lon, lat = np.radians(given.sky).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def measure(repeats: int, kinds: Sequence[str], keep: Path | None) -> None:
    """Measure all, and draw; of one kind alone: only cross-validate it, for `keep`."""
    given = read_sources(DATA / TABLE)
    told = cross_validated(given, repeats, kinds, keep)
    if len(kinds) < len(PLANS):
        return
    loo, names = published(DATA / LOO)
    found = as_figures("Yang 2022, leave-one-out", intervals(loo))
    for (kind, by_field, sky), repeated in told.items():
        how = "held-out fields" if by_field else "5-fold by source"
        found |= as_figures(f"{kind}{SKY[sky]}, {how}", mean([intervals(one) for one in repeated]))
    found |= {"fields, 1 deg friends of friends": (len(np.unique(given.field)), "fields")}
    found |= beside_published(given, told, loo, names) | bulge(given, read_sources(DATA / BULGE))
    figures.write("sources_classes", COMMAND, found)
    pictures = figures.FOLDER.parent / "pictures"
    shown = {
        "Bayesian fusion, 5-fold": told["fusion", False, True][0],
        "challenger, 5-fold": told["challenger", False, True][0],
        "Yang et al. 2022, leave-one-out": loo,
    }
    draw_confusion(pictures / "sources_confusion.png", shown)
    fields = {f"{kind}, held-out fields": told[kind, True, True][0] for kind in PLANS}
    draw_reliability(pictures / "sources_reliability.png", shown | fields)


def main() -> None:
    """Run the command line."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--repeats", type=int, default=2, help="of the 5 folds, by source and by field")
    words.add_argument("--kind", choices=list(PLANS), help="cross-validate this one alone, for --keep")
    words.add_argument("--keep", type=Path, help="folder for what was judged: a run that is cut off goes on from it")
    said = words.parse_args()
    measure(said.repeats, [said.kind] if said.kind else list(PLANS), said.keep)


if __name__ == "__main__":
    main()
