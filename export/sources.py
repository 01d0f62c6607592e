"""Models of source classes as ONNX, with proof that they say the same, and how well they do."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.card import as_rows
from export.fusion import write_fusion
from export.graph import Graph
from models.metrics import Interval
from models.sources.challenger import LEAST, Challenger, Trees
from models.sources.dataset import Sources
from models.sources.evaluate import cross_validate, intervals, judge_unseen
from models.sources.fusion import Fusion
from models.sources.train import Trained
from stream.judges.sources import INPUTS, OUTPUTS
from stream.transport.hdf5 import read_text

MADE_UP = 2000  # sources with features that no source has
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the model and its ONNX are apart on the same sources."""

    sources: int
    made_up: int
    difference: float  # of p and outlier, largest
    evidence: float  # of log_evidence, largest
    changed: int  # classes decided, by the model's rule


def write(trained: Trained, out: Path) -> None:
    """Write a model as ONNX: x, error (n, F), log_prior (n, C) -> p (n, C), log_evidence, outlier (n,); float32."""
    if isinstance(trained.model, Fusion):
        write_fusion(trained.model, out)
    else:
        write_challenger(trained.model, out)


def write_challenger(model: Challenger, out: Path) -> None:
    """Write the trees and their calibration. log_evidence is NaN and outlier 0: trees know no densities."""
    g = Graph()
    sums = g.op("TreeEnsembleRegressor", "x", domain="ai.onnx.ml", **_attributes(model.trees, len(model.classes)))
    log = g.op("LogSoftmax", g.op("Add", g.double(sums), g.const(model.base)), axis=1)
    kept = g.op("Mul", g.op("Max", log, g.const(np.log(LEAST))), g.const(model.exponent[0]))
    prior = g.op("LogSoftmax", g.double("log_prior"), axis=1)
    p = g.op("Softmax", g.op("Add", g.op("Sub", kept, g.const(model.exponent[1] * model.log_prior)), prior), axis=1)
    g.float(p, "p")
    nothing = g.op("Abs", g.op("Mul", g.sum(prior, 1), g.const(0)))
    g.float(nothing, "outlier")
    g.float(g.op("Add", nothing, g.const(np.nan)), "log_evidence")
    g.save(out, len(model.features), len(model.classes))


def _attributes(trees: Trees, classes: int) -> dict[str, Any]:
    number = trees.feature.size
    tree = np.searchsorted(trees.root, np.arange(number), "right") - 1
    leaf = trees.left == np.arange(number)
    ends = {side: np.where(leaf, 0, getattr(trees, side) - trees.root[tree]).tolist() for side in ("left", "right")}
    own = (np.arange(number) - trees.root[tree]).tolist()
    return {
        "n_targets": classes,
        "aggregate_function": "SUM",
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": own,
        "nodes_featureids": trees.feature.tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_values": trees.threshold.tolist(),
        "nodes_truenodeids": ends["left"],
        "nodes_falsenodeids": ends["right"],
        "nodes_missing_value_tracks_true": trees.missing_left.astype(int).tolist(),
        "target_treeids": tree[leaf].tolist(),
        "target_nodeids": np.array(own)[leaf].tolist(),
        "target_ids": trees.target[tree[leaf]].tolist(),
        "target_weights": trees.value[leaf].astype(float).tolist(),
    }


def made_up(given: Sources, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return x and error (MADE_UP, F) of sources with features of several others, none, and far outside."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(given), size=(MADE_UP, len(given.features)))
    columns = np.arange(len(given.features))
    x, error = given.x[rows, columns], given.error[rows, columns]
    x[rng.random(x.shape) < 0.2] = np.nan
    far = rng.random(x.shape) < 0.02
    x[far] *= rng.choice([-10, 10, 100], far.sum())
    x[0] = np.nan
    return x.astype(np.float32), error.astype(np.float32)


def compare(trained: Trained, model: Path, given: Sources) -> Parity:
    """Run both on the sources of a table and on made up ones, with the priors of their places or random ones."""
    made = made_up(given)
    x = np.concatenate([given.x.astype(np.float32), made[0]])
    error = np.concatenate([given.error.astype(np.float32), made[1]])
    log_prior = np.log(np.random.default_rng(1).dirichlet(np.ones(len(trained.model.classes)), len(x)) + 1e-4)
    prior = log_prior.astype(np.float32)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    told = session.run(list(OUTPUTS), dict(zip(INPUTS, (x, error, prior), strict=True)))
    found = dict(zip(OUTPUTS, told, strict=True))
    p, evidence, outlier = trained.model.judge(x.astype(float), error.astype(float), prior.astype(float))
    difference = max(np.abs(found["p"] - p).max(), np.abs(found["outlier"] - outlier).max())
    apart = np.abs(found["log_evidence"] - evidence)
    changed = np.sum(trained.rule.decide(found["p"].astype(float)) != trained.rule.decide(p))
    known = apart[np.isfinite(apart)]
    return Parity(len(given), MADE_UP, float(difference), float(known.max(initial=0)), int(changed))


def _metrics(trained: Trained, given: Sources, about: dict[str, Any]) -> tuple[str, dict[str, Interval]]:
    """Return how the metrics were measured, and the metrics; on the table of the training: by cross-validation."""
    by_field, seen = bool(about["by_field"]), given.only(trained.model.features).as_classes(trained.model.classes)
    if seen.digest() != about["digest"]:
        return "sources of another table", intervals(judge_unseen(trained, given, by_field))
    told = cross_validate(seen, trained.model.plan, by_field=by_field)[trained.sky is not None]
    return f"5-fold cross-validation by {'field' if by_field else 'source'}, all fitted inside the folds", intervals(
        told
    )


def camera_of(table: Path) -> dict[str, dict[str, float]]:
    """Return the table `[camera]` of a card: of which PSF the features in pixels are; empty for a table of the sky."""
    if not h5py.is_hdf5(table):
        return {}
    with h5py.File(table) as file:
        made_of = json.loads(read_text(file, "made_of")) if "made_of" in file.attrs else {}
    changed = dict(made_of.get("optics", {}).get("changes", ()))
    if not changed:
        return {}
    scale = float(changed["arcsec_per_px"])
    return {"camera": {"psf_fwhm_px": round(float(changed["fwhm_arcsec"]) / scale, 4), "arcsec_per_px": scale}}


def describe(trained: Trained, out: Path, given: Sources) -> dict[str, Any]:
    """Return what the card says of an exported model, on a table of sources.

    Sources that it has never seen, or those of its training: then the metrics are from a cross-validation. Raises
    ConfigError for a table with other features or classes.
    """
    model = trained.model
    seen = given.only(model.features).as_classes(model.classes)
    wide, names = ["n", len(model.features)], {"names": list(model.features), "units": list(model.units)}
    classes = {"shape": ["n", len(model.classes)], "dtype": "float32", "names": list(model.classes)}
    prior: dict[str, Any] = {"p": np.exp(model.log_prior).tolist()}
    if trained.sky is not None:
        prior |= {"latitude_deg": trained.sky.latitude_deg.tolist(), "log_p": trained.sky.log_p.tolist()}
    features = {"shape": wide, "dtype": "float32"} | names
    about = json.loads(model.about)
    how, metrics = _metrics(trained, given, about)
    return {
        "kind": "fusion" if isinstance(model, Fusion) else "challenger",
        "test": {"table": given.path.name, "sources": len(given), "digest": given.digest(), "how": how},
        "input": {"x": features, "error": features, "log_prior": classes},
        "output": {
            "p": classes,
            "log_evidence": {"shape": ["n"], "dtype": "float32"},
            "outlier": {"shape": ["n"], "dtype": "float32"},
        },
        **camera_of(given.path),
        "prior": prior,
        "decision": {"threshold": trained.rule.threshold.tolist()},
        "training": about,
        "metrics": as_rows(metrics),
        "parity": asdict(compare(trained, out, seen)),
    }
