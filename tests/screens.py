"""Small models for screening, made on the spot, that do what can be worked out by hand."""

import hashlib

import numpy as np
import pytest

from stream.kernels.cam import FEATURES

CLASSES = ["empty", "xray", "particle", "mixed"]
WEIGHTS, BIASES = (-0.02, 0.01, 0.02, 0.005), (0.5, -0.5, 0.0, -1.0)  # of the activation maps, by class
PARTICLES_ABOVE_EV, SLOPE_EV = 3000.0, 500.0  # what the forest believes
ROC = {
    "threshold": [0.0, 0.25, 0.5, 0.75, 1.0],
    "lost_xrays": [1.0, 0.1, 0.05, 0.01, 0.0],
    "unrejected": [0.0, 0.1, 0.2, 0.5, 1.0],
}
REASON = "no train extra: onnx not installed (pip install -e '.[train]')"


def p_of(energy_ev):
    """Return what the forest says of an energy."""
    return 1 / (1 + np.exp(-(np.asarray(energy_ev) - PARTICLES_ABOVE_EV) / SLOPE_EV))


def maps_of(windows):
    """Return the activation maps (n, 4, 16, 16) of windows (n, 64, 64): cells of 4 x 4 pixels, weighted."""
    cells = windows.reshape(-1, 16, 4, 16, 4).mean(axis=(2, 4))
    return np.array(WEIGHTS)[:, None, None] * cells[:, None] + np.array(BIASES)[:, None, None]


def write(path, nodes, inputs, outputs, constants, **facts):
    """Write a model and its card; inputs and outputs: name -> shape, float32."""
    onnx = pytest.importorskip("onnx", reason=REASON)
    tomli_w = pytest.importorskip("tomli_w", reason=REASON)
    kind = onnx.TensorProto.FLOAT
    ports = [
        [onnx.helper.make_tensor_value_info(name, kind, shape) for name, shape in each.items()]
        for each in (inputs, outputs)
    ]
    known = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = onnx.helper.make_graph(nodes, "made", *ports, known)
    versions = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=versions, ir_version=10), path)
    card = {"model": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    for side, each in (("input", inputs), ("output", outputs)):
        card[side] = {name: {"shape": shape, "dtype": "float32"} for name, shape in each.items()}
    if "features" in inputs:
        card["input"]["features"]["names"] = list(FEATURES)
    for name in ("logits", "maps"):
        if name in outputs:
            card["output"][name]["classes"] = CLASSES
    path.with_suffix(".toml").write_text(tomli_w.dumps(card | facts))
    return path


def node(name, inputs, outputs, **attributes):
    onnx = pytest.importorskip("onnx", reason=REASON)
    return onnx.helper.make_node(name, inputs, outputs, **attributes)


def network(path, weights=WEIGHTS, **facts):
    """Write a network that takes energies (n, 1, 64, 64) and gives logits and activation maps."""
    nodes = [
        node("AveragePool", ["energy_ev"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        node("Conv", ["cells", "weights", "biases"], ["maps"]),
        node("ReduceMean", ["maps", "axes"], ["logits"], keepdims=0),
    ]
    constants = {
        "weights": np.array(weights, np.float32).reshape(4, 1, 1, 1),
        "biases": np.array(BIASES, np.float32),
        "axes": np.array([2, 3]),
    }
    outputs = {"logits": ["n", 4], "maps": ["n", 4, 16, 16]}
    return write(path, nodes, {"energy_ev": ["n", 1, 64, 64]}, outputs, constants, **facts)


def forest(path, net=None, fails_above_ev=1e9, **facts):
    """Write a forest behind a network: what is above 3 keV is a particle; above `fails_above_ev` it says NaN."""
    nodes = [
        node("Gather", ["features", "first"], ["energy"], axis=1),
        node("Sub", ["energy", "middle"], ["above"]),
        node("Div", ["above", "slope"], ["steps"]),
        node("Sigmoid", ["steps"], ["p"]),
        node("Sub", ["limit", "energy"], ["below"]),
        node("Log", ["below"], ["log"]),
        node("Mul", ["log", "zero"], ["nothing"]),
        node("Add", ["p", "nothing"], ["p_particle"]),
    ]
    numbers = {"middle": PARTICLES_ABOVE_EV, "slope": SLOPE_EV, "limit": fails_above_ev, "zero": 0.0}
    constants = {"first": np.array(0), **{name: np.array(value, np.float32) for name, value in numbers.items()}}
    facts = {"roc": ROC, "frames_sha256": hashlib.sha256(net.read_bytes() if net else b"").hexdigest(), **facts}
    return write(path, nodes, {"features": ["n", 10]}, {"p_particle": ["n"]}, constants, **facts)


def trees(path):
    """Write a real tree: p_particle is 0.9 above 3 keV, else 0.1; few runtimes can run it."""
    tree = node(
        "TreeEnsembleRegressor",
        ["features"],
        ["tall"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[0, 0, 0],
        nodes_modes=["BRANCH_GT", "LEAF", "LEAF"],
        nodes_values=[3000.0, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        target_treeids=[0, 0],
        target_nodeids=[1, 2],
        target_ids=[0, 0],
        target_weights=[0.9, 0.1],
    )
    nodes = [tree, node("Squeeze", ["tall", "one"], ["p_particle"])]
    return write(path, nodes, {"features": ["n", 10]}, {"p_particle": ["n"]}, {"one": np.array([1])}, roc=ROC)


def screening(folder):
    """Write both models into a folder; return the settings that name them."""
    net = network(folder / "net.onnx")
    wood = forest(folder / "wood.onnx", net)
    return {"screen.model": net, "screen.forest": wood, "screen.look": "windows", "screen.max_lost_xray_fraction": 0.05}
