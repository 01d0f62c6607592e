"""Models in the stream: an ONNX file, the card beside it, and where it runs."""

import hashlib
import importlib.util
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.schema import Screen
from stream.errors import ModelError

STORE = Path(__file__).parent.parent / "models" / "store"  # the shipped models
PROVIDERS = ("tensorrt", "cuda", "openvino", "cpu")  # the order in which `auto` tries them
ON_CPU, ON_GPU = 8, 256  # rows at a time: what fits in the caches of a core; what keeps a GPU busy
_GPU = {"tensorrt": "TensorrtExecutionProvider", "cuda": "CUDAExecutionProvider"}
_DTYPES = {"float": "float32", "double": "float64"}  # as ONNX says it, where NumPy says it otherwise

Arrays = dict[str, NDArray[Any]]
Run = Callable[[Arrays], Arrays]


@dataclass(frozen=True, slots=True)
class Card:
    """What is written beside a model: `facts` are the TOML tables of `export/card.py`."""

    model: Path
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        """Name the model and the first 12 digits of its SHA-256."""
        return f"{self.model.stem} {self.digest}"

    @property
    def path(self) -> Path:
        """The card's own file."""
        return self.model.with_suffix(".toml")

    @property
    def digest(self) -> str:
        """First 12 hexadecimal digits of the model's SHA-256."""
        return str(self.get("sha256"))[:12]

    def get(self, key: str) -> Any:
        """Return the value of a dotted key. Raises ModelError if there is none."""
        value: Any = self.facts
        for name in key.split("."):
            if not isinstance(value, Mapping) or name not in value:
                raise ModelError(f"{self.path}: {key}: missing; expected as `raysieve export` writes it")
            value = value[name]
        return value

    def require(self, key: str, expected: Any) -> None:
        """Raise ModelError if a value is not the expected one."""
        if (found := self.get(key)) != expected:
            raise ModelError(f"{self.path}: {key}: expected {expected}, found {found}")


def card_of(name: str) -> Card:
    """Return the card of a shipped model, or of an ONNX file. Raises ModelError if there is none or it is no TOML."""
    model = Path(name) if name.endswith(".onnx") else STORE / f"{name}.onnx"
    if not model.is_file():
        shipped = ", ".join(sorted(path.stem for path in STORE.glob("*.onnx"))) or "none"
        raise ModelError(f"{name}: no such model; expected an .onnx file, or a shipped one ({shipped})")
    path = model.with_suffix(".toml")
    if not path.is_file():
        raise ModelError(f"{path}: no such card; expected what `raysieve export` writes beside {model.name}")
    try:
        return Card(model, tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise ModelError(f"{path}: expected TOML: {fault}") from None


def rule_of(section: Screen) -> tuple[Card, float]:
    """Return the card of the model that decides, and the value of P_PARTICLE above which it rejects."""
    card = card_of(section.forest or section.model)
    return card, threshold_for(card, section.max_lost_xray_fraction)


def threshold_for(card: Card, max_lost: float) -> float:
    """Return the smallest threshold that loses no more than a fraction of the X-rays.

    Linear between the rows of the card's table `[roc]`: threshold, rising, and lost_xrays, falling. Raises ModelError
    if the table is no such table, or ends before that fraction.
    """
    threshold, lost = _column(card, "threshold"), _column(card, "lost_xrays")
    if len(threshold) != len(lost) or np.any(np.diff(threshold) < 0) or np.any(np.diff(lost) > 0):
        raise ModelError(f"{card.path}: roc: expected a lost_xrays for each threshold, falling while these rise")
    place = int(np.argmax(lost <= max_lost))
    if lost[place] > max_lost:
        raise ModelError(f"{card.path}: roc.lost_xrays: ends at {lost[-1]:g}; expected {max_lost:g} or less")
    if place == 0:
        return float(threshold[0])
    (low, high), (more, less) = threshold[place - 1 : place + 1], lost[place - 1 : place + 1]
    return float(low + (high - low) * (more - max_lost) / (more - less))


def _column(card: Card, name: str) -> NDArray[np.float64]:
    values = card.get(f"roc.{name}")
    try:
        column = np.array(values, np.float64)
    except (TypeError, ValueError):
        column = np.empty(0)
    if column.ndim != 1 or not len(column) or not np.all((column >= 0) & (column <= 1)):
        raise ModelError(f"{card.path}: roc.{name}: expected a list of numbers from 0 to 1")
    return column


class Model:
    """A model that is ready to run. `provider`: where, and how exact, as "openvino bf16".

    Should its provider fail while the stream runs (a GPU that falls off the bus), it goes on with `spare`, the model on
    the CPU: same answers, slower. `failed` says what happened.
    """

    def __init__(self, card: Card, run: Run, provider: str, at_a_time: int) -> None:
        self.card, self.provider = card, provider
        self.at_a_time = at_a_time  # rows that it should be given at once, at most
        self.failed = ""
        self.spare: Model | None = None
        self._run = run

    def __str__(self) -> str:
        """Name the model, its digest and its provider, and the one that failed."""
        return f"{self.card} on {self.provider}{f', as {self.failed}' if self.failed else ''}"

    def run(self, **inputs: NDArray[Any]) -> Arrays:
        """Return the outputs by name. Inputs and outputs: name, shape, dtype and unit as the card says."""
        if self.spare is None:
            return self._run(inputs)
        try:
            return self._run(inputs)
        except Exception as fault:  # the runtimes have no classes of their own for a device that is gone
            self.failed = f"{self.provider} failed: {_line(fault)}"
            self._run, self.provider, self.at_a_time = self.spare._run, self.spare.provider, self.spare.at_a_time
            self.spare = None
            return self._run(inputs)


def open_model(name: str, provider: str = "auto") -> Model:
    """Open a shipped model or an ONNX file, one thread on a CPU; `auto`: on the first of PROVIDERS that works.

    Raises ModelError, naming file and key, for a model that is damaged or does not fit its card, and for a provider
    that was asked for by name and is not here or cannot run it.
    """
    card = card_of(name)
    content = content_of(card)
    on_cpu = _checked(card, content)
    here = available()
    if provider != "auto" and provider not in here:
        raise ModelError(f"provider {provider}: not available; expected one of {', '.join(here)}, or auto")
    for each in here if provider == "auto" else (provider,):
        try:
            model = on_cpu if each == "cpu" else _open(card, content, each)
            model.run(**_nothing(card))
            model.spare = on_cpu if model is not on_cpu else None
            return model
        except Exception as fault:  # neither runtime has classes of its own for what it cannot do
            failed = f"provider {each} cannot run it: {_line(fault)}"
    raise ModelError(f"{card.model}: {failed}")


def available() -> list[str]:
    """Return the providers that are installed, in the order of PROVIDERS."""
    import onnxruntime

    there = onnxruntime.get_available_providers()
    here = {name for name, long in _GPU.items() if long in there} | {"cpu"}
    if importlib.util.find_spec("openvino"):
        here.add("openvino")
    return [name for name in PROVIDERS if name in here]


def content_of(card: Card) -> bytes:
    """Return the bytes of a model. Raises ModelError if it cannot be read, or is not the one that its card says."""
    try:
        content = card.model.read_bytes()
    except OSError as fault:
        raise ModelError(f"{card.model}: cannot be read: {fault.strerror}") from None
    digest = hashlib.sha256(content).hexdigest()
    if card.get("sha256") != digest:
        raise ModelError(f"{card.path}: sha256: expected {digest}, that of {card.model.name}; one of both is damaged")
    return content


def _nothing(card: Card) -> Arrays:
    """Return inputs of zeros, as small as they can be."""
    return {name: np.zeros(_shape(port, 1), port["dtype"]) for name, port in card.get("input").items()}


def _shape(port: Mapping[str, Any], free: int) -> list[int]:
    return [free if isinstance(size, str) else size for size in port["shape"]]


def _shapes(card: Card, free: int) -> str:
    """Return the shapes of all inputs as TensorRT wants them."""
    return ",".join(f"{name}:{'x'.join(map(str, _shape(port, free)))}" for name, port in card.get("input").items())


def _checked(card: Card, content: bytes) -> Model:
    """Return the model on the CPU, its inputs and outputs compared with the card."""
    try:
        session = _session(content, ["CPUExecutionProvider"])
    except Exception as fault:
        raise ModelError(f"{card.model}: expected an ONNX model: {_line(fault)}") from None
    for kind, ports in (("input", session.get_inputs()), ("output", session.get_outputs())):
        names, told = sorted(port.name for port in ports), card.get(kind)
        told = told if isinstance(told, Mapping) else {}
        if sorted(told) != names:
            raise ModelError(f"{card.path}: {kind}: expected {names}, found {sorted(told)}")
        for port in ports:
            dtype = port.type.removeprefix("tensor(").removesuffix(")")
            card.require(f"{kind}.{port.name}.dtype", _DTYPES.get(dtype, dtype))
            _check_shape(card, f"{kind}.{port.name}.shape", port.shape)
    return Model(card, _running(session), "cpu f32", ON_CPU)


def _check_shape(card: Card, key: str, shape: list[Any]) -> None:
    """Compare sizes; those that are free are texts in a card, and texts or None in a model."""
    told = card.get(key)
    free = [None if isinstance(size, str) else size for size in told] if isinstance(told, list) else told
    if free != [size if isinstance(size, int) else None for size in shape]:
        raise ModelError(f"{card.path}: {key}: expected {shape}, as {card.model.name} has it, found {told}")


def _open(card: Card, content: bytes, provider: str) -> Model:
    """Open a model elsewhere than on onnxruntime's CPU; any exception means that it cannot be."""
    # bf16, or TF32: fewer than 1 class in 1,000 changes (export/frames.py); f32 where that was not measured
    may_be_rough = bool(card.facts.get("parity", {}).get("bf16_ok", False))
    if provider == "openvino":
        run, precision = on_openvino(content, may_be_rough)
        return Model(card, run, f"openvino {precision}", ON_CPU)
    import onnxruntime

    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # CUDA and cuDNN from their wheels
    cuda = {"use_tf32": int(may_be_rough), "cudnn_conv_algo_search": "HEURISTIC"}  # it searches for each size of input
    chain: list[Any] = [("CUDAExecutionProvider", cuda), "CPUExecutionProvider"]
    if provider == "tensorrt":
        sizes = {"min": 1, "opt": ON_GPU, "max": ON_GPU}  # else it would be built anew for each size
        chain.insert(0, (_GPU[provider], {f"trt_profile_{k}_shapes": _shapes(card, n) for k, n in sizes.items()}))
    session = _session(content, chain)
    if session.get_providers()[0] != _GPU[provider]:  # it falls back by itself
        raise ModelError("it could not be started")
    return Model(card, _running(session), f"{provider} {'tf32' if may_be_rough else 'f32'}", ON_GPU)


def _session(content: bytes, providers: list[Any]) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # the other processes have the other cores
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=providers)


def _running(session: Any) -> Run:
    names = [port.name for port in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))


def on_onnxruntime(content: bytes) -> Run:
    """Return what runs an ONNX model with onnxruntime on one core, as exact as it is. Raises its own exceptions."""
    return _running(_session(content, ["CPUExecutionProvider"]))


def on_openvino(content: bytes, may_be_rough: bool = False) -> tuple[Run, str]:
    """Return what runs an ONNX model with OpenVINO on one core, and how exact it is: "bf16" or "f32".

    bf16 is taken if it may be, and the processor has it. Raises ImportError without OpenVINO, and its own exceptions
    for what it cannot run.
    """
    import openvino

    core = openvino.Core()
    bf16 = may_be_rough and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # the other processes choose their cores as well
    }
    compiled = core.compile_model(core.read_model(content), "CPU", settings)
    request = compiled.create_infer_request()
    names = [name for port in compiled.outputs for name in port.get_names()]  # one may have several

    def run(inputs: Arrays) -> Arrays:
        found = request.infer({name: np.ascontiguousarray(a) for name, a in inputs.items()}, share_inputs=True)
        return {name: found[name] for name in names}

    return run, "bf16" if bf16 else "f32"


def _line(fault: Exception) -> str:
    """Return what went wrong as one line."""
    return " ".join(str(fault).split())[:200]
