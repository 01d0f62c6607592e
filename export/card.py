"""The card of an exported model: what goes in and comes out, what it learned from, how well it does."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from config.checkout import commit
from models.metrics import Interval


def write_card(model: Path, facts: Mapping[str, Any]) -> Path:
    """Write MODEL.toml beside a model: its digest, the commit, and `facts` (tables of TOML values); return its path."""
    card = {"model": model.name, "sha256": hashlib.sha256(model.read_bytes()).hexdigest(), "commit": commit(), **facts}
    path = model.with_suffix(".toml")
    path.write_text(tomli_w.dumps(card))
    return path


def as_rows(metrics: Mapping[str, Interval]) -> dict[str, list[float]]:
    """Return metrics as [value, low, high], five digits."""
    return {name: [float(f"{value:.5g}") for value in row] for name, row in metrics.items()}
