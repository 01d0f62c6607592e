"""A trained model of the classes of gamma-ray sources on disk: plain arrays (.npz). No pickle."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from config.errors import ConfigError
from models.arrays import load_arrays, save_arrays
from models.lat.classify_linear import Head, Linear, Plan

TEXTS = ("features", "units", "classes")
ARRAYS = ("centre", "spread", "log_prior")
OF_HEAD = ("columns", "needed", "weight", "bias", "exponent")
KIND = "lat-classify"


def save(path: Path, model: Linear) -> None:
    """Write a model; it has its name only when it is whole. Raises ConfigError if it cannot be written."""
    arrays: dict[str, Any] = {name: np.array(getattr(model, name), str) for name in TEXTS}
    arrays |= {name: getattr(model, name) for name in ARRAYS}
    for k, head in enumerate(model.heads):
        arrays |= {f"head{k}_{name}": getattr(head, name) for name in OF_HEAD}
    told = {"kind": KIND, "plan": asdict(model.plan), "heads": [head.name for head in model.heads]}
    save_arrays(path, arrays | {"about": np.array(json.dumps(told | {"about": model.about}))})


def load(path: Path) -> Linear:
    """Return a model. Raises ConfigError for a file that holds none, or a damaged one."""
    try:
        arrays = load_arrays(path)
        told = json.loads(str(arrays["about"]))
        if told["kind"] != KIND:
            raise KeyError(KIND)
        heads = [Head(name, *(arrays[f"head{k}_{part}"] for part in OF_HEAD)) for k, name in enumerate(told["heads"])]
        shared: dict[str, Any] = {name: tuple(map(str, arrays[name])) for name in TEXTS}
        shared |= {name: arrays[name] for name in ARRAYS}
        return Linear(**shared, heads=tuple(heads), plan=Plan(**told["plan"]), about=told["about"])
    except Exception as fault:  # NumPy and zipfile have no class of their own for damaged files
        line = " ".join(str(fault).split())[:100] or type(fault).__name__
        raise ConfigError(
            f"{path}: not a model of gamma-ray classes ({line}); expected what `raysieve train lat-classify` writes"
        ) from None
