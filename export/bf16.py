"""Models in bf16, 8 bits of precision, as the stream runs them where OpenVINO is and the processor has units for it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.filter.features import INPUT, LOGITS, MAPS, Network
from stream.infer import Run, on_openvino

NOT_HERE = "bf16 not measured: no OpenVINO (pip install -e '.[openvino]'), or no units for it in this processor"


def in_bf16(model: Path) -> Run | None:
    """Return what runs an ONNX model in bf16 on one core; None where that cannot be done (NOT_HERE)."""
    try:
        run, precision = on_openvino(model.read_bytes(), may_be_rough=True)
    except ImportError:
        return None
    return run if precision == "bf16" else None


class RoughNetwork(Network):
    """An exported frame classifier in bf16."""

    def __init__(self, path: Path, run: Run) -> None:
        """Raises ConfigError for a file that is no such model. run: of `in_bf16`."""
        super().__init__(path)
        self._run = run

    def __call__(self, energy_ev: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits (n, 4) and activation maps (n, 4, 16, 16) of windows (n, 64, 64), eV."""
        found = self._run({INPUT: energy_ev[:, None]})
        return found[LOGITS], found[MAPS]
