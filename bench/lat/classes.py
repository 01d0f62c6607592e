"""How well classes of gamma-ray sources are told, on 4FGL-DR2: lines and trees, by source and by sector of the sky."""

import numpy as np
from scipy.special import softmax

from bench import figures
from models.lat.classify_evaluate import ACCURACY, BALANCED, DEFINITIONS, ECE, LOG_SCORE, confusion, intervals, scores
from models.lat.classify_linear import FURTHEST, Linear, Plan, judge_folds, train, train_folds
from models.lat.classify_table import KINDS, read_table
from models.sources import challenger
from models.sources.challenger import Boosting
from models.sources.dataset import Sources
from models.sources.evaluate import Judged
from models.sources.folds import folds_of
from stream.judges.lat import LIKELIHOOD, TEMPORAL
from tests.real.conftest import DATA

COMMAND = "python -m bench.lat.classes"
CATALOGUE = DATA / "lat" / "catalogs" / "gll_psc_v27.fit.gz"
KNOWN = {
    "spectrum, light curve, likelihood fit": (),
    "spectrum, light curve": tuple(LIKELIHOOD),
    "spectrum": (*LIKELIHOOD, *TEMPORAL),
}
MOST_WEIGHT = 20.0  # of a source that looks like one without a class


def by_trees(given: Sources) -> Judged:
    """Return what gradient-boosted trees say of each fold that they did not see; all classes weigh the same."""
    p = np.empty((len(given), len(given.classes)))
    fold = folds_of(given, 5, 100, by_field=False)
    plan = Boosting(steps=100, rate=0.06, leaves=4, least_leaf=10, shrinkage=5.0)
    for k in range(5):
        out = np.flatnonzero(fold == k)
        model = challenger.fit(given.pick(np.flatnonzero(fold != k)), plan)
        p[out] = softmax(model.terms(given.x[out], given.error[out])[0][:, 0], axis=1)
    return Judged(given.classes, given.label, p, p.argmax(axis=1), np.arange(len(given)))


def as_unassociated(model: Linear, judged: Judged, given: Sources, others: Sources) -> tuple[Judged, float]:
    """Return what was said of sources, drawn as those without a class look, and how many these are worth.

    Weights are the odds of a logistic regression between both on the spectrum, at most MOST_WEIGHT (Malyshev 2023).
    """
    from sklearn.linear_model import LogisticRegression

    both = np.concatenate([model.scaled(given.x), model.scaled(others.x)])
    which = np.repeat([0, 1], [len(given), len(others)])
    fitted = LogisticRegression(max_iter=5000).fit(both, which)
    odds = np.exp(fitted.decision_function(both[: len(given)]))
    weight = np.minimum(odds / odds.mean(), MOST_WEIGHT)
    drawn = np.random.default_rng(0).choice(len(given), 20 * len(given), p=weight / weight.sum())
    return judged.pick(drawn), float(weight.sum() ** 2 / (weight**2).sum())


def measure() -> dict[str, tuple[object, ...]]:
    """Return all figures."""
    found: dict[str, tuple[object, ...]] = {}
    for kind in KINDS:
        given = read_table(CATALOGUE, kind)
        for name, count in zip(given.classes, np.bincount(given.label).tolist(), strict=True):
            found[f"{kind}: {name}"] = (count, "sources")
        whole: list[Judged] = []
        for by_field, how in ((False, "by source"), (True, "by sector of 15 degrees of longitude")):
            models = train_folds(given, Plan(), by_field=by_field)
            for known, hidden in KNOWN.items():
                judged = judge_folds(given, models, hidden, by_field=by_field)
                if not hidden:
                    whole.append(judged)
                    table = f"{kind}, {how}: confusion, true {'/'.join(given.classes)} in rows"
                    found[table] = (confusion(judged), "sources")
                for key, (value, low, high) in intervals(judged).items():
                    if known == "spectrum, light curve, likelihood fit" or key in (BALANCED, ACCURACY, ECE, LOG_SCORE):
                        found[f"{kind}, {how}, {known}: {key}"] = (value, "", (low, high))
        trees = intervals(by_trees(given))
        found[f"{kind}, by source, trees: {BALANCED}"] = (trees[BALANCED][0], "", trees[BALANCED][1:])
        place = np.arcsinh(np.abs(given.sky[:, 1]))
        found[f"{kind}: largest correlation of a feature with asinh|b|"] = (correlation(given, place), "")
        found |= shifted(kind, given, whole[0])
    return found


def correlation(given: Sources, place: np.ndarray) -> float:
    known = np.nan_to_num((given.x - np.nanmean(given.x, axis=0)) / np.nanstd(given.x, axis=0))
    return float(max(abs(np.corrcoef(column, place)[0, 1]) for column in known.T))


def shifted(kind: str, given: Sources, judged: Judged) -> dict[str, tuple[object, ...]]:
    """Return what is said of the sources without a class, and how much worse that may be than what was `judged`."""
    others = read_table(CATALOGUE, kind, known=False)
    model = train(given, Plan())
    drawn, worth = as_unassociated(model, judged, given, others)
    told = scores(drawn)
    p = model.judge(others.x)
    found: dict[str, tuple[object, ...]] = {
        f"{kind}, weighted to look as those without a class: {key}": (told[key], "") for key in (BALANCED, ACCURACY)
    }
    found[f"{kind}, weighted to look as those without a class: worth"] = (worth, "sources")
    for k, name in enumerate(given.classes):
        found[f"{kind}: sources without a class that are {name}, expected"] = (float(p[:, k].sum()), "sources")
    beyond = np.mean(np.any(np.abs(model.scaled(others.x)) >= FURTHEST, axis=1))
    found[f"{kind}: of these, a feature beyond {FURTHEST:g} sd"] = (float(beyond), "")
    return found


def main() -> None:
    """Measure, and write docs/figures/lat_classes.json."""
    defined = {f"definition: {name}": (text, "") for name, text in DEFINITIONS.items()}
    figures.write("lat_classes", COMMAND, measure() | defined)


if __name__ == "__main__":
    main()
