"""The Bayesian fusion of source features as an ONNX graph."""

from pathlib import Path

import numpy as np
from onnx import TensorProto

from export.graph import Graph
from models.sources.fusion import FLAT, Fusion

LOG_2PI = float(np.log(2 * np.pi))


def write_fusion(model: Fusion, out: Path) -> None:
    """Write the fusion as ONNX: elementwise operations on all components of all blocks at once, (n, B K)."""
    g = Graph()
    z, variance, missing = _standardised(g, model)
    normal, flat = _components(g, model, z, variance, missing)
    terms = [_classes(g, model, normal, flat), _absent(g, model, missing)]
    log = g.op("Concat", terms[0], g.op("Unsqueeze", terms[1], g.const([0], np.int64)), axis=0)  # (B + 1, n, C)
    likelihood = g.sum(g.op("Mul", log, g.const(model.exponent[:, None, None])), 0)
    unusual = g.op("ReduceMax", terms[1], g.const([1], np.int64), keepdims=1)
    outlier = g.op("MatMul", g.op("Concat", flat, unusual, axis=1), g.const(model.exponent[:, None]))
    _posterior(g, likelihood, outlier, model.plan.outliers)
    g.save(out, len(model.features), len(model.classes))


def _standardised(g: Graph, model: Fusion) -> tuple[str, str, str]:
    """Return features in units of their spread (n, F), 0 where missing; their variances; and 1 where missing."""
    zero, spread = g.const(0), g.const(model.spread)
    absent = g.op("IsNaN", g.double("x"))
    z = g.op("Div", g.op("Sub", g.double("x"), g.const(model.centre)), spread)
    error = g.double("error")
    width = g.op("Div", g.op("Where", g.op("IsNaN", error), zero, error), spread)
    return g.op("Where", absent, zero, z), g.op("Mul", width, width), g.op("Cast", absent, to=TensorProto.DOUBLE)


def _components(g: Graph, model: Fusion, z: str, variance: str, missing: str) -> tuple[str, str]:
    """Return ln N of all components (n, B, K), padded, and ln of the flat density (n, B), by Cholesky as in mixture."""
    blocks, most = model.blocks, max(len(each.columns) for each in model.blocks)
    wide = max(len(each.mean) for each in blocks)
    mean, cov = np.zeros((len(blocks), wide, most)), np.tile(np.eye(most), (len(blocks), wide, 1, 1))
    column, used = np.zeros((len(blocks), most), np.int64), np.zeros((len(blocks), most))
    for b, each in enumerate(blocks):
        k, d = each.mean.shape
        mean[b, :k, :d], cov[b, :k, :d, :d] = each.mean, each.cov
        column[b, :d], used[b, :d] = each.columns, 1
    one, half, least = g.const(1), g.const(0.5), g.const(1e-12)
    chol: dict[tuple[int, int], str] = {}
    seen: list[str] = []
    rest: list[str] = []
    log, flat = g.const(np.zeros((1, 1, 1))), g.const(np.zeros((1, 1)))
    for i in range(most):
        at = g.const(column[:, i], np.int64)
        value, var, gone = (g.op("Gather", each, at, axis=1) for each in (z, variance, missing))  # (n, B)
        here = g.op("Mul", g.op("Sub", one, gone), g.const(used[:, i]))
        broad = g.op("Add", var, g.const(FLAT**2))
        square = g.op("Add", g.op("Div", g.op("Mul", value, value), broad), g.op("Log", broad))
        flat = g.op("Sub", flat, g.op("Mul", g.op("Mul", here, half), g.op("Add", square, g.const(LOG_2PI))))
        value, var, here = (g.op("Unsqueeze", each, g.const([2], np.int64)) for each in (value, var, here))
        seen.append(here)
        away = g.op("Sub", value, g.const(mean[:, :, i]))
        total = g.op("Add", var, g.const(cov[:, :, i, i]))
        for j in range(i):
            off = g.const(cov[:, :, i, j])
            for k in range(j):
                off = g.op("Sub", off, g.op("Mul", chol[i, k], chol[j, k]))
            chol[i, j] = g.op("Mul", g.op("Div", off, chol[j, j]), g.op("Mul", here, seen[j]))
            total = g.op("Sub", total, g.op("Mul", chol[i, j], chol[i, j]))
            away = g.op("Sub", away, g.op("Mul", chol[i, j], rest[j]))
        root = g.op("Sqrt", g.op("Max", total, least))
        chol[i, i] = g.op("Add", g.op("Mul", root, here), g.op("Sub", one, here))
        rest.append(g.op("Mul", g.op("Div", away, chol[i, i]), here))
        size = g.op("Mul", half, g.op("Add", g.op("Mul", rest[i], rest[i]), g.op("Mul", here, g.const(LOG_2PI))))
        log = g.op("Sub", log, g.op("Add", size, g.op("Log", chol[i, i])))
    return log, flat


def _classes(g: Graph, model: Fusion, normal: str, flat: str) -> str:
    """Return ln P of the blocks (B, n, C): the mixture of each class, and a little of the flat density."""
    wide = max(len(one.mean) for one in model.blocks)
    weight = np.zeros((len(model.blocks), wide, len(model.classes)))
    for b, one in enumerate(model.blocks):
        weight[b, : one.log_weight.shape[1]] = np.exp(one.log_weight).T * (1 - model.plan.flat)
    padding = np.where(weight.any(axis=2), 0, -1e300)  # no component of a shorter block is the highest
    normal = g.op("Add", normal, g.const(padding))
    column = g.op("Unsqueeze", flat, g.const([2], np.int64))  # (n, B, 1)
    highest = g.op("Max", g.op("ReduceMax", normal, g.const([2], np.int64), keepdims=1), column)
    share = g.op("Transpose", g.op("Exp", g.op("Sub", normal, highest)), perm=[1, 0, 2])
    little = g.op("Mul", g.op("Exp", g.op("Sub", column, highest)), g.const(model.plan.flat))
    dense = g.op("Add", g.op("MatMul", share, g.const(weight)), g.op("Transpose", little, perm=[1, 0, 2]))
    return g.op("Add", g.op("Log", dense), g.op("Transpose", highest, perm=[1, 0, 2]))


def _absent(g: Graph, model: Fusion, missing: str) -> str:
    """Return ln P of what is missing (n, C): the table of two bits as a bilinear form of them."""
    parent, table = model.missing.parent, model.missing.log_table
    at = g.const(np.maximum(parent, 0), np.int64)
    above = g.op("Mul", g.op("Gather", missing, at, axis=1), g.const((parent >= 0).astype(float)))
    parts = (
        (missing, table[:, 0, 1] - table[:, 0, 0]),
        (above, table[:, 1, 0] - table[:, 0, 0]),
        (g.op("Mul", missing, above), table[:, 1, 1] - table[:, 1, 0] - table[:, 0, 1] + table[:, 0, 0]),
    )
    total = g.const(table[:, 0, 0].sum(axis=0)[None])
    for bits, weight in parts:
        total = g.op("Add", total, g.op("MatMul", bits, g.const(weight)))
    nothing = g.op("ReduceMin", missing, g.const([1], np.int64), keepdims=1)  # no measurement at all says nothing
    return g.op("Mul", total, g.op("Sub", g.const(1), nothing))


def _posterior(g: Graph, log: str, flat: str, outliers: float) -> None:
    """End the graph: p, log_evidence and outlier from ln likelihoods (n, C) and that of outliers (n, 1)."""
    prior = g.op("Add", g.op("LogSoftmax", g.double("log_prior"), axis=1), g.const(np.log1p(-outliers)))
    joint = g.op("Concat", g.op("Add", log, prior), g.op("Add", flat, g.const(np.log(outliers))), axis=1)
    highest = g.op("ReduceMax", joint, g.const([1], np.int64), keepdims=1)
    share = g.op("Exp", g.op("Sub", joint, highest))
    total = g.sum(share, 1, keep=1)
    p = g.op("Div", share, total)
    column = g.const([1], np.int64)
    evidence = g.op("Add", g.op("Log", total), highest)
    first, last, end = (g.const([k], np.int64) for k in (0, -1, np.iinfo(np.int64).max))
    g.float(g.op("Slice", p, first, last, column), "p")
    g.float(g.op("Squeeze", g.op("Slice", p, last, end, column), column), "outlier")
    g.float(g.op("Squeeze", evidence, column), "log_evidence")
