"""What a window, an event and a candidate cost one core, by runtime, precision and number at a time; one run."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

import numpy as np

from bench.screening.cost import Row, best
from bench.screening.inputs import Inputs
from export.bf16 import in_bf16
from export.frames import INPUT, in_int8
from models.frames.dataset import Frames
from models.islands.dataset import COLUMNS, MOST, WIDTH
from stream.infer import Arrays, Run, on_onnxruntime, on_openvino
from stream.kernels.cam import FEATURES

NETWORK, FOREST, ISLANDS = "network", "forest", "islands"
UNITS = {NETWORK: "ms per window", FOREST: "ms per event", ISLANDS: "ms per candidate"}
EXACT, F32, ROUGH, INT8, INT8_OPENVINO = (
    "onnxruntime f32",
    "OpenVINO f32",
    "OpenVINO bf16",
    "onnxruntime int8",
    "OpenVINO int8",
)
WAYS = {NETWORK: (EXACT, F32, ROUGH, INT8, INT8_OPENVINO), FOREST: (EXACT,), ISLANDS: (EXACT, F32, ROUGH)}
BATCHES, MAIN = (1, 8, 64), 8  # rows at a time; those of the stream
ROWS = 64  # in a measurement
JUDGED = 4096  # frames


def figures(inputs: Inputs) -> dict[str, Row]:
    """Return CPU times of each model in every way that is here, and how often the network is right in each."""
    found: dict[str, Row] = {}
    with TemporaryDirectory() as folder:
        for model, runs, given in _models(inputs, Path(folder)):
            found |= _times(model, runs, given)
            if model == NETWORK:
                found |= _judged(runs, Frames(inputs.frames))
    return found


def missing(found: dict[str, Row]) -> list[str]:
    """Return the models and ways, "model, way", that figures do not have."""
    known = {key.rsplit(", ", 1)[0] for key in found}
    return [key for model, ways in WAYS.items() for way in ways if (key := f"{model}, {way}") not in known]


def _models(inputs: Inputs, folder: Path) -> Iterator[tuple[str, dict[str, Run], Arrays]]:
    """Yield each model that is there, what runs it, by way, and inputs for it."""
    rng = np.random.default_rng(0)
    models, training = inputs.models, inputs.folder / "train.h5"
    if models.frames and models.frames.is_file():
        unseen = Frames(inputs.frames)
        runs = _ways(models.frames)
        if training.is_file():
            int8 = Path(copyfile(models.frames, folder / "int8.onnx"))
            in_int8(int8, Frames(training), unseen)
            of_int8 = _ways(int8)
            runs |= {there: of_int8[way] for way, there in ((EXACT, INT8), (F32, INT8_OPENVINO)) if way in of_int8}
        yield NETWORK, runs, {INPUT: unseen.energies(0, ROWS).numpy()}
    if models.forest and models.forest.is_file():
        features = rng.normal(0, 50, (ROWS, len(FEATURES))).astype(np.float32)
        yield FOREST, {EXACT: on_onnxruntime(models.forest.read_bytes())}, {"features": features}
    if models.islands and models.islands.is_file():
        shapes = {"candidate": (ROWS, COLUMNS), "around": (ROWS, MOST, WIDTH), "known": (ROWS, MOST)}
        given = {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
        yield ISLANDS, _ways(models.islands), given | {"known": np.ones_like(given["known"])}


def _ways(model: Path) -> dict[str, Run]:
    """Return what runs a model in fp32 (as exact as it is), and in bf16, without what is not here."""
    content = model.read_bytes()
    runs = {EXACT: on_onnxruntime(content)}
    try:
        runs[F32] = on_openvino(content)[0]
    except ImportError:
        return runs
    rough = in_bf16(model)
    return runs | ({ROUGH: rough} if rough else {})


def _times(model: str, runs: dict[str, Run], given: Arrays) -> dict[str, Row]:
    spent = {(way, size): _milliseconds(run, given, size) for way, run in runs.items() for size in BATCHES}
    found: dict[str, Row] = {f"{model}, {way}, {size}": (ms, UNITS[model]) for (way, size), ms in spent.items()}
    return found | {f"{model}, {way}, ratio": (spent[EXACT, MAIN] / spent[way, MAIN], f"x {EXACT}") for way in runs}


def _milliseconds(run: Run, given: Arrays, size: int) -> float:
    parts = [{name: array[k : k + size] for name, array in given.items()} for k in range(0, ROWS, size)]
    return 1e3 * best(lambda: [run(part) for part in parts]) / ROWS


def _judged(runs: dict[str, Run], frames: Frames) -> dict[str, Row]:
    """Return accuracy on the first JUDGED frames, and how many of their classes are not those of fp32."""
    classes: dict[str, list[np.ndarray]] = {way: [] for way in runs}
    number = min(JUDGED, len(frames))
    for first in range(0, number, ROWS):
        energy = frames.energies(first, min(first + ROWS, number)).numpy()
        for way, run in runs.items():
            classes[way].append(run({INPUT: energy})["logits"].argmax(axis=1))
    told = {way: np.concatenate(parts) for way, parts in classes.items()}
    found: dict[str, Row] = {}
    for way, one in told.items():
        found[f"{NETWORK}, {way}, accuracy"] = (100 * float(np.mean(one == frames.labels[:number])), "%")
        changed = int(np.sum(one != told[EXACT]))
        found[f"{NETWORK}, {way}, changed"] = (changed, f"classes of {number:,}")
    return found
