"""Checkpoints of a training: weights, the optimiser's moments and where it stands, as plain arrays. No pickle."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Adam

from config.errors import ConfigError


def save(path: Path, network: nn.Module, optimiser: Adam, state: dict[str, Any]) -> None:
    """Write a checkpoint; it has its name only when it is whole. state: what JSON can hold."""
    arrays = {f"network/{name}": tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}
    for index, moments in optimiser.state_dict()["state"].items():
        arrays |= {f"optimiser/{index}/{name}": np.asarray(value) for name, value in moments.items()}
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(file, state=np.array(json.dumps(state)), **arrays)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def load(path: Path, network: nn.Module, optimiser: Adam | None = None) -> dict[str, Any]:
    """Put a checkpoint into a network (and its optimiser); return its state. ConfigError for one that does not fit."""
    try:
        with path.open("rb") as whole, np.load(whole) as file:
            arrays = {name: file[name] for name in file.files}
        weights = {name: torch.from_numpy(arrays[f"network/{name}"]) for name in network.state_dict()}
        network.load_state_dict(weights)
        if optimiser is not None:
            _restore(optimiser, arrays)
        state: dict[str, Any] = json.loads(str(arrays["state"]))
    except (OSError, ValueError, KeyError, RuntimeError) as fault:
        raise ConfigError(f"{path}: not a checkpoint of this network ({fault})") from None
    return state


def state_of(path: Path) -> dict[str, Any]:
    """Return the state that was saved with a checkpoint. Raises ConfigError for any other file."""
    try:
        with path.open("rb") as whole, np.load(whole) as file:
            state: dict[str, Any] = json.loads(str(file["state"]))
    except (OSError, ValueError, KeyError) as fault:
        raise ConfigError(f"{path}: not a checkpoint ({fault})") from None
    return state


def _restore(optimiser: Adam, arrays: dict[str, Any]) -> None:
    state = optimiser.state_dict()
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in arrays.items():
        if name.startswith("optimiser/"):
            _, index, key = name.split("/")
            moments.setdefault(int(index), {})[key] = torch.from_numpy(value)
    optimiser.load_state_dict({"state": moments, "param_groups": state["param_groups"]})
