"""The forest as ONNX, with proof that it decides as the arrays it came from, and what it does to unseen events."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from rich.progress import Progress, TaskID

from config.errors import ConfigError
from export.bf16 import RoughNetwork, in_bf16
from export.card import as_rows
from models.candidates import Candidates, Events
from models.filter.features import Featured, Network, features_of
from models.filter.forest import Forest
from models.metrics import Interval
from models.screening.judge import cut_for, interval, tallies
from models.screening.report import IMPROVEMENT, LOST, METRICS, TRADITIONAL
from sim.check import require
from sim.seeds import Seeds

INPUT, OUTPUT = "features", "p_particle"
OPSETS = {"": 18, "ai.onnx.ml": 3}
IR_VERSION = 9  # what onnxruntime 1.20 reads
EDGES = 10_000  # events made up of thresholds, where a rounded one would be seen
LEAST_EVENTS = 50  # of a kind, in a test
ROWS = 200  # of the ROC table
RAREST = 1e-4  # lost fraction of the table's first step


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the forest and its ONNX are apart on the same events."""

    events: int  # unseen ones
    edges: int  # made up: every feature at a threshold of the forest, or at the next number above it
    difference: float  # largest
    changed: int  # decisions, at any threshold of the ROC table


def write(forest: Forest, out: Path) -> None:
    """Write a forest as ONNX: features (n, k) float32 -> p_particle (n,) float32; NaN where a feature is not finite."""
    scale = np.array(1 / (forest.root.size * forest.unit), np.float32)
    constants = {"scale": scale, "columns": np.array([1], np.int64), "row": np.array([-1], np.int64)}
    nodes = [
        helper.make_node("TreeEnsembleRegressor", [INPUT], ["sum"], domain="ai.onnx.ml", **trees_of(forest)),
        helper.make_node("Mul", ["sum", "scale"], ["mean"]),
        helper.make_node("Sub", [INPUT, INPUT], ["zeros"]),  # NaN for what is not finite: a tree would take it
        helper.make_node("ReduceSum", ["zeros", "columns"], ["zero"], keepdims=1),
        helper.make_node("Add", ["mean", "zero"], ["known"]),
        helper.make_node("Reshape", ["known", "row"], [OUTPUT]),
    ]
    ends = [
        helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", len(forest.features)]),
        helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n"]),
    ]
    values = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "filter", ends[:1], ends[1:], values)
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="raysieve")
    onnx.checker.check_model(model)
    out.write_bytes(model.SerializeToString())


def trees_of(forest: Forest) -> dict[str, Any]:
    """Return the attributes of TreeEnsembleRegressor: the sum of the leaves' whole numbers."""
    number = forest.feature.size
    tree = np.searchsorted(forest.root, np.arange(number), "right") - 1
    node = np.arange(number) - forest.root[tree]
    leaf = forest.left == np.arange(number)
    ends = {side: np.where(leaf, 0, getattr(forest, side) - forest.root[tree]).tolist() for side in ("left", "right")}
    return {
        "n_targets": 1,
        "aggregate_function": "SUM",
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": node.tolist(),
        "nodes_featureids": forest.feature.tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_values": forest.threshold.tolist(),
        "nodes_truenodeids": ends["left"],
        "nodes_falsenodeids": ends["right"],
        "target_treeids": tree[leaf].tolist(),
        "target_nodeids": node[leaf].tolist(),
        "target_ids": [0] * int(leaf.sum()),
        "target_weights": forest.value[leaf].astype(float).tolist(),
    }


def open_model(model: Path) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return a function of features (n, k) that runs the model on one core. Raises ConfigError if it cannot be run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as fault:  # onnxruntime has no class of its own for damaged models
        raise ConfigError(f"{model}: cannot be run ({fault})") from None
    return lambda features: session.run([OUTPUT], {INPUT: features})[0]


def compare(forest: Forest, model: Path, features: NDArray[np.float32], thresholds: NDArray[np.float64]) -> Parity:
    """Run forest and model on features (n, k) and on what is hardest: numbers at the thresholds of the trees.

    Raises ConfigError for a model that cannot be run.
    """
    table = np.concatenate([features, on_edges(forest)])
    found, expected = open_model(model)(table), forest.scores(table)
    difference = float(np.max(np.abs(found - expected.astype(float)), initial=0))
    rejected = [np.searchsorted(thresholds, score.astype(float)) for score in (found, expected)]
    return Parity(len(features), EDGES, difference, int(np.sum(rejected[0] != rejected[1])))


def on_edges(forest: Forest) -> NDArray[np.float32]:
    """Return made up features (EDGES, k): each at a threshold that the trees have for it, or the next number above."""
    rng = Seeds(0).of_set(EDGES)
    inner = forest.left != np.arange(forest.feature.size)
    columns = []
    for k in range(len(forest.features)):
        known = np.append(forest.threshold[inner & (forest.feature == k)], np.float32(0))
        drawn = rng.choice(known, EDGES)
        columns.append(np.where(rng.random(EDGES) < 0.5, drawn, np.nextafter(drawn, np.float32(np.inf))))
    return np.stack(columns, axis=1).astype(np.float32)


def roc_table(found: Candidates, score: NDArray[np.float64]) -> dict[str, list[float]]:
    """Return rising thresholds with what is lost of the X-rays (Eq. 6) and the unrejected background (Eq. 7) at each.

    Rejected is what scores above the threshold. The first is 0; at the last, the highest score, nothing is lost.
    """
    xrays = np.sort(score[~found.particle])[::-1]
    steps = np.unique(np.minimum(np.geomspace(RAREST, 1, ROWS) * xrays.size, xrays.size - 1).astype(np.int64))
    threshold = np.unique(np.append(xrays[steps], (0, score.max())))
    kept = []
    for kind in (~found.particle, found.particle):
        order = np.argsort(score[kind])
        total = np.append(0, np.cumsum(found.weight[kind][order]))
        kept.append((total[np.searchsorted(score[kind][order], threshold, "right")], total[-1]))
    (xray, all_xrays), (particle, _) = kept
    return {
        "threshold": threshold.tolist(),
        "lost_xrays": np.round(1 - xray / all_xrays, 7).tolist(),
        "unrejected": np.round(particle / np.maximum(particle + xray, 1e-9), 7).tolist(),
    }


def judged(found: Candidates, scores: dict[str, NDArray[np.float64]]) -> dict[str, dict[str, Interval]]:
    """Return `decided` of each score at the seed's lost fraction."""
    return decided(found, {name: cut_for(found, score, LOST).rejected(score) for name, score in scores.items()})


def decided(found: Candidates, decisions: dict[str, NDArray[np.float64]]) -> dict[str, dict[str, Interval]]:
    """Return what the traditional filter does, and each decision (n,), with 68 % intervals.

    For the decisions after the first also how much more the first improves, on the same draws.
    """
    tallied = tallies(found, {TRADITIONAL: (~found.kept).astype(float), **decisions})
    told = {name: {key: interval(of(tally)) for key, of in METRICS.items()} for name, tally in tallied.items()}
    better = {name: tallied[name].improvement(tallied[TRADITIONAL]) for name in decisions}
    first, *others = decisions
    for name, values in better.items():
        told[name][IMPROVEMENT] = interval(values)
    for name in others:
        told[name][f"{IMPROVEMENT} of {first} more by"] = interval(better[first] - better[name])
    return told


def see(forests: Sequence[Forest], frames: Path, test: Path) -> tuple[Featured, Featured | None, str]:
    """Return the candidates of a set as the network of the forests sees them, and in bf16, and what the set is made of.

    In bf16: None where that cannot be done. Raises ConfigError for another network, or a set that cannot be used.
    """
    network, events = Network(frames), Events(test)
    for forest in forests:
        wanted = json.loads(forest.about).get("frames_sha256", "")
        require(
            f"{frames}, {network.digest[:12]}", (network.digest == wanted, f"the network of the forest, {wanted[:12]}")
        )
    run = in_bf16(frames)
    ways = [network, *([RoughNetwork(frames, run)] if run else [])]
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(test.name)
        seen = [features_of(events, way, partial(_tell, progress, task)) for way in ways]
    return seen[0], seen[1] if run else None, events.about


def _tell(progress: Progress, task: TaskID, done: int, of: int) -> None:
    progress.update(task, completed=done, total=of)


def describe(forest: Forest, model: Path, unseen: Featured, others: dict[str, Forest]) -> dict[str, Any]:
    """Return what the card says of an exported forest, on events that it has never seen; others: shown beside it.

    Raises ConfigError for too few events, or a model that cannot be run.
    """
    found, about = unseen.found, json.loads(forest.about)
    kinds = int(found.particle.sum()), int((~found.particle).sum())
    require("test", (min(kinds) >= LEAST_EVENTS, f"{LEAST_EVENTS} particles and X-rays, got {kinds[0]} and {kinds[1]}"))
    score = open_model(model)(unseen.features).astype(float)
    roc = roc_table(found, score)
    scores = {OUTPUT: score, **{name: other.scores(unseen.features).astype(float) for name, other in others.items()}}
    told = {name: as_rows(metrics) for name, metrics in judged(found, scores).items()}
    return {
        "frames_sha256": about.pop("frames_sha256"),
        "input": {INPUT: {"shape": ["n", len(forest.features)], "dtype": "float32", "names": list(forest.features)}},
        "output": {OUTPUT: {"shape": ["n"], "dtype": "float32"}},
        "training": about | {"events": json.dumps(about["events"])} | size_of(forest),
        "metrics": told[OUTPUT],
        TRADITIONAL: told[TRADITIONAL],
        "beside": {name: size_of(other) | told[name] for name, other in others.items()},
        "parity": asdict(compare(forest, model, unseen.features, np.array(roc["threshold"]))),
        "roc": roc,
    }


def describe_rough(model: Path, exact: Featured, rough: Featured) -> dict[str, Any]:
    """Return the table `[bf16]` of the card: what a network in bf16 does to the events, same forest, same threshold."""
    run = open_model(model)
    scores = [run(seen.features).astype(float) for seen in (exact, rough)]
    cut = cut_for(exact.found, scores[0], LOST)
    one, other = (cut.rejected(score) for score in scores)
    told = decided(exact.found, {OUTPUT: one, "bf16": other})["bf16"]
    changed = {"events": one.size, "changed": int(np.sum(one != other))}
    return changed | {"difference": float(np.max(np.abs(scores[0] - scores[1]), initial=0))} | as_rows(told)


def size_of(forest: Forest) -> dict[str, int]:
    """Return the numbers of trees and nodes."""
    return {"trees": int(forest.root.size), "nodes": int(forest.feature.size)}
