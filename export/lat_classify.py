"""Models of the classes of gamma-ray sources as ONNX, with proof that they say the same, and how well they do.

They have the inputs and outputs of the models of X-ray sources (`stream/judges/sources.py`): the same judge runs them.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.card import as_rows
from export.graph import Graph
from export.sources import MADE_UP, made_up
from models.lat.classify_evaluate import DEFINITIONS, confusion, intervals
from models.lat.classify_linear import FURTHEST, Linear, judge_folds, train_folds
from models.sources.dataset import Sources
from sim.check import require
from stream.judges.lat import LIKELIHOOD, TEMPORAL
from stream.judges.sources import INPUTS

Array = NDArray[np.float64]
HIDDEN = {
    "": (),
    "without likelihood fit": tuple(LIKELIHOOD),
    "spectrum alone": (*LIKELIHOOD, *TEMPORAL),
}


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the model and its ONNX are apart on the same sources."""

    sources: int
    made_up: int
    difference: float  # of p, largest
    changed: int  # classes decided


def write(model: Linear, out: Path) -> None:
    """Write a model: x, error (n, F), log_prior (n, C) -> p (n, C), log_evidence (NaN), outlier (0) (n,); float32.

    Lines know no densities, and take no notice of errors.
    """
    g = Graph()
    x = g.double("x")
    away = g.op("Div", g.op("Sub", x, g.const(model.centre)), g.const(model.spread))
    near = g.op("Min", g.op("Max", away, g.const(-FURTHEST)), g.const(FURTHEST))
    missing = g.op("IsNaN", x)
    scaled = g.op("Where", missing, g.const(0.0), near)
    told = ""
    for head in reversed(model.heads):  # the last one judges what no other can
        weight, bias = _whole(head.weight * head.exponent[0], head.columns, len(model.features)), head.bias
        shift = head.exponent[0] * bias + (head.exponent[1] - 1) * model.log_prior
        log = g.op("Add", g.op("MatMul", scaled, g.const(weight)), g.const(shift))
        if head.needed.size:
            lacks = g.op("Gather", g.op("Cast", missing, to=11), g.const(head.needed, np.int64), axis=1)
            log = g.op("Where", g.op("Greater", g.sum(lacks, 1, 1), g.const(0.0)), told, log)
        told = log
    prior = g.op("LogSoftmax", g.double("log_prior"), axis=1)
    g.float(g.op("Softmax", g.op("Add", told, prior), axis=1), "p")
    nothing = g.op("Mul", g.sum(prior, 1), g.const(0.0))
    g.float(g.op("Abs", nothing), "outlier")
    g.float(g.op("Add", nothing, g.const(np.nan)), "log_evidence")
    g.save(out, len(model.features), len(model.classes))


def _whole(weight: Array, columns: NDArray[np.int64], features: int) -> Array:
    """Return weights of all features, 0 for those that a head does not use."""
    full = np.zeros((features, weight.shape[1]))
    full[columns] = weight
    return full


def compare(model: Linear, onnx: Path, given: Sources) -> Parity:
    """Run both on the sources of a table and on made up ones, with random priors."""
    x = np.concatenate([given.x.astype(np.float32), made_up(given)[0]])
    log_prior = np.log(np.random.default_rng(1).dirichlet(np.ones(len(model.classes)), len(x)) + 1e-4)
    prior = log_prior.astype(np.float32)
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    found = session.run(["p"], dict(zip(INPUTS, (x, np.zeros_like(x), prior), strict=True)))[0].astype(float)
    expected = model.judge(x.astype(float), prior.astype(float))
    changed = np.sum(model.decide(found) != model.decide(expected))
    return Parity(len(given), MADE_UP, float(np.abs(found - expected).max()), int(changed))


def describe(model: Linear, onnx: Path, given: Sources) -> dict[str, Any]:
    """Return what the card says of an exported model, on the table of its training: metrics are cross-validated.

    By source and by sector of longitude, everything fitted inside the folds; with all features, and without some.
    Raises ConfigError for another table.
    """
    about = json.loads(model.about)
    require(f"{given.path}", (given.digest() == about["digest"], f"the table of the training, {about['table']}"))
    wide, names = ["n", len(model.features)], {"names": list(model.features), "units": list(model.units)}
    classes = {"shape": ["n", len(model.classes)], "dtype": "float32", "names": list(model.classes)}
    metrics: dict[str, Any] = {}
    for by_field, how in ((False, "by source"), (True, "by sector of longitude")):
        models = train_folds(given, model.plan, by_field=by_field)
        for name, hidden in HIDDEN.items():
            judged = judge_folds(given, models, hidden, by_field=by_field)
            metrics[", ".join(filter(None, (how, name)))] = as_rows(intervals(judged))
            if not (by_field or name):
                table = confusion(judged)
    free = {"shape": ["n"], "dtype": "float32"}
    features = {"shape": wide, "dtype": "float32"} | names
    return {
        "kind": "linear",
        "test": {"table": given.path.name, "sources": len(given), "how": "5-fold cross-validation"},
        "input": {"x": features, "error": features, "log_prior": classes},
        "output": {"p": classes, "log_evidence": free, "outlier": free},
        "prior": {"p": np.exp(model.log_prior).tolist()},
        "decision": {"threshold": np.exp(model.log_prior).tolist()},
        "training": about,
        "heads": {head.name: {"exponent": head.exponent.tolist()} for head in model.heads},
        "metrics": metrics,
        "definitions": dict(DEFINITIONS),
        "confusion": {"rows": "true", "columns": "decided", "counts": table},
        "parity": asdict(compare(model, onnx, given)),
    }
