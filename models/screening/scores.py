"""The scores that are compared: the shipped models, and what is left of them without one part or another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from config.errors import ConfigError
from config.schema import Config
from models.candidates import Candidates, Events
from models.filter.features import Featured
from models.filter.train import Plan, grow
from models.islands.dataset import COLUMNS, MOST, WIDTH, scenes
from models.screening.judge import Floats, cut_for
from models.screening.report import LOST, WINDOWS, Scored, bound, perfect_within
from stream.kernels.cam import FEATURES

FOREST, ISLANDS = "CAM + forest", "islands"
ENERGY, PATTERN, WITHOUT_CAM = "energy only", "energy + pattern", "energy, pattern, 5 x 5 pixels"
SOFTMAX, BEST = "particle probability of the window", "best feature of the maps alone"
PLAN = Plan(trees=200, least_leaf=20)  # of the forests that are grown here; see docs/screening.md
AT_A_TIME = 4096  # candidates


@dataclass(frozen=True, slots=True)
class Seen:
    """Candidates with windows of an event set, and what their scores are made of."""

    events: Events
    featured: Featured

    @property
    def found(self) -> Candidates:
        """The candidates."""
        return self.featured.found

    @property
    def table(self) -> NDArray[Any]:
        """Their rows of EVENT."""
        return self.events.events[self.found.row]


Score = Callable[[Seen], Floats]


def inputs(seen: Seen, name: str) -> NDArray[np.float32]:
    """Return what a forest without maps is given, (n, k): energy (eV), then pattern, then 5 x 5 pixels (ADU)."""
    table = seen.table
    columns = [table["energy_ev"][:, None], table["pattern"][:, None], np.nan_to_num(table["island"])]
    wide = {ENERGY: 1, PATTERN: 2, WITHOUT_CAM: 3}[name]
    return np.concatenate(columns[:wide], axis=1).astype(np.float32)


def without_maps(training: Sequence[Seen], plan: Plan = PLAN) -> dict[str, Score]:
    """Return forests that are grown without what the network says. Raises ConfigError for too few events."""
    found = _joined(training)

    def of(name: str) -> Score:
        table = np.concatenate([inputs(seen, name) for seen in training])
        names = tuple(map(str, range(table.shape[1])))
        grown = grow(table, found.particle, found.weight, replace(plan, tried=ceil(sqrt(len(names)))), names)
        return lambda seen: grown.scores(inputs(seen, name)).astype(float)

    return {name: of(name) for name in (ENERGY, PATTERN, WITHOUT_CAM)}


def without_forest(training: Sequence[Seen]) -> dict[str, Score]:
    """Return what the network says by itself: its probability, and the feature of its maps that does best in training.

    A feature may count downwards: then the score is its negative.
    """
    found, table = _joined(training), np.concatenate([seen.featured.features for seen in training])
    maps = range(FEATURES.index("max_xray"), len(FEATURES))
    sign, best = max(
        ((s, k) for k in maps for s in (1.0, -1.0)), key=lambda one: _recall(found, one[0] * table[:, one[1]])
    )

    def column(k: int) -> Score:
        return lambda seen: seen.featured.features[:, k].astype(float)

    of_best = column(best)
    return {SOFTMAX: column(FEATURES.index("p_particle")), BEST: lambda seen: sign * of_best(seen)}


def forest(model: Path) -> Score:
    """Return the score of a forest (.onnx) of the ten features. Raises ConfigError for a file that is none."""
    session = _session(model, {"features": [len(FEATURES)]}, "a forest of the features")

    def score(seen: Seen) -> Floats:
        return _run(session, {"features": seen.featured.features})

    return score


def islands(model: Path, config: Config) -> Callable[[Events], Scored]:
    """Return what scores all candidates of event sets with a context model (.onnx). ConfigError for other files."""
    ends = {"candidate": [COLUMNS], "around": [MOST, WIDTH], "known": [MOST]}
    session = _session(model, ends, "a context model")

    def score(events: Events) -> Scored:
        seen = scenes(events, config)
        found = [np.empty(0)]
        for first in range(0, len(seen), AT_A_TIME):
            arrays = seen.as_seen(np.arange(first, min(first + AT_A_TIME, len(seen))))
            found.append(_run(session, dict(zip(ends, arrays, strict=True))))
        return Scored(seen.candidates, {ISLANDS: np.concatenate(found)})

    return score


def of_islands(scored: Scored, found: Candidates) -> Floats:
    """Return the scores of all candidates for some of them, (n,)."""
    return scored.scores[ISLANDS][np.searchsorted(scored.found.row, found.row)]


def bounds(found: Candidates, scores: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return what knows all company in a window, and energies: none without the energy-only score."""
    if ENERGY not in scores:
        return {}
    return {bound(window): perfect_within(found, scores[ENERGY], window) for window in WINDOWS}


def _joined(sets: Sequence[Seen]) -> Candidates:
    founds = [seen.found for seen in sets]
    return Candidates(
        *(np.concatenate([getattr(one, name) for one in founds]) for name in founds[0].__dataclass_fields__)
    )


def _recall(found: Candidates, score: Floats) -> float:
    return float(cut_for(found, score, LOST, exact=True).rejected(score)[found.particle].mean())


def _session(model: Path, expected: Mapping[str, list[int]], what: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model.read_bytes(), options, providers=["CPUExecutionProvider"])
    except OSError as fault:
        raise ConfigError(f"{model}: {fault.strerror}; expected {what} (.onnx)") from None
    except Exception:  # onnxruntime has no class of its own for damaged models
        raise ConfigError(f"{model}: cannot be run; expected {what} (.onnx)") from None
    if {one.name: one.shape[1:] for one in session.get_inputs()} != expected:
        names = ", ".join(f"{one.name} {one.shape[1:]}" for one in session.get_inputs())
        wanted = ", ".join(f"{name} {shape}" for name, shape in expected.items())
        raise ConfigError(f"{model}: inputs {names}: expected {what} (.onnx), with {wanted}")
    return session


def _run(session: Any, given: dict[str, Any]) -> Floats:
    found: Floats = np.asarray(session.run(["p_particle"], given)[0], float).reshape(-1)
    return found
