"""What was trained on disk: plain arrays (.npz). No pickle."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from config.errors import ConfigError


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name; the file has its name only when it is whole. Raises ConfigError if it cannot be written."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as fault:
        partial.unlink(missing_ok=True)
        raise ConfigError(f"{path}: cannot be written: {fault.strerror}") from None


def load_arrays(path: Path) -> dict[str, Any]:
    """Return all arrays of a file by name. Raises whatever NumPy and zipfile raise for a damaged one."""
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
