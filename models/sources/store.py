"""A trained model of source classes on disk: plain arrays (.npz). No pickle."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from config.errors import ConfigError
from models.arrays import load_arrays, save_arrays
from models.sources.challenger import Boosting, Challenger, Trees
from models.sources.fusion import Block, Fusion, Plan
from models.sources.missing import Missing
from models.sources.sky import SkyPrior
from models.sources.train import Rule, Trained

KINDS = {"fusion": Plan, "challenger": Boosting}
NAMES = ("features", "units", "classes")
SHARED = ("exponent", "log_prior")
OF_BLOCK = ("columns", "mean", "cov", "log_weight")


def save(path: Path, trained: Trained) -> None:
    """Write a model; it has its name only when it is whole. Raises ConfigError if it cannot be written."""
    model = trained.model
    arrays: dict[str, Any] = {name: np.array(getattr(model, name), str) for name in NAMES}
    arrays |= {name: getattr(model, name) for name in SHARED} | {"threshold": trained.rule.threshold}
    if trained.sky is not None:
        arrays |= {"sky_latitude_deg": trained.sky.latitude_deg, "sky_log_p": trained.sky.log_p}
    if isinstance(model, Fusion):
        arrays |= {"centre": model.centre, "spread": model.spread}
        arrays |= {"missing_parent": model.missing.parent, "missing_log_table": model.missing.log_table}
        for k, block in enumerate(model.blocks):
            arrays |= {f"block{k}_{name}": getattr(block, name) for name in OF_BLOCK}
    else:
        arrays |= {"base": model.base} | {
            f"trees_{part.name}": getattr(model.trees, part.name) for part in fields(Trees)
        }
    told = {"kind": "fusion" if isinstance(model, Fusion) else "challenger", "plan": asdict(model.plan)}
    arrays["about"] = np.array(json.dumps(told | {"about": model.about}))
    save_arrays(path, arrays)


def load(path: Path) -> Trained:
    """Return a model. Raises ConfigError for a file that holds none, or a damaged one."""
    try:
        return _trained(load_arrays(path))
    except Exception as fault:  # NumPy and zipfile have no class of their own for damaged files
        line = " ".join(str(fault).split())[:100] or type(fault).__name__
        raise ConfigError(
            f"{path}: not a model of source classes ({line}); expected what `raysieve train sources` writes"
        ) from None


def _trained(arrays: dict[str, Any]) -> Trained:
    told = json.loads(str(arrays["about"]))
    plan = KINDS[told["kind"]](**told["plan"])
    shared = {name: tuple(map(str, arrays[name])) for name in NAMES} | {name: arrays[name] for name in SHARED}
    shared |= {"plan": plan, "about": told["about"]}
    model: Fusion | Challenger
    if told["kind"] == "fusion":
        number = sum(name.endswith("_columns") for name in arrays)
        blocks = tuple(Block(*(arrays[f"block{k}_{name}"] for name in OF_BLOCK)) for k in range(number))
        missing = Missing(arrays["missing_parent"], arrays["missing_log_table"])
        model = Fusion(centre=arrays["centre"], spread=arrays["spread"], blocks=blocks, missing=missing, **shared)
    else:
        trees = Trees(*(arrays[f"trees_{part.name}"] for part in fields(Trees)))
        model = Challenger(trees=trees, base=arrays["base"], **shared)
    sky = SkyPrior(arrays["sky_latitude_deg"], arrays["sky_log_p"]) if "sky_log_p" in arrays else None
    return Trained(model, sky, Rule(arrays["threshold"]))
