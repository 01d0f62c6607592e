"""The tables of the section "Classes" of docs/lat.md."""

import tomllib
from typing import Any

from bench import figures
from models.lat.classify_evaluate import BALANCED, ECE

STORE = figures.FOLDER.parent.parent / "models" / "store"
Rows = dict[str, dict[str, Any]]
KNOWN = {  # as the cards name them
    "": "lines: all that a catalogue knows",
    "without likelihood fit": "lines: spectrum and light curve",
    "spectrum alone": "lines: spectrum alone, as our detections have it",
}
JUDGES = {
    "network, counts": "network: years and their mean",
    "network, changes": "network: years without their mean (seed 004)",
    "trees": "trees on plain features of the cut-outs",
    "lines": "lines on the same",
    "background": "the background's brightness alone",
}
KEPT = "fakes rejected where 95 % of the sources are kept"
THRESHOLDS = ("0.05", "0.1", "0.2", "0.3", "0.5", "0.7")


def value(rows: Rows, key: str) -> str:
    """Return a figure with its interval, "-" if it is not there."""
    if key not in rows:
        return "-"
    row = rows[key]
    ends = f" [{row['ci'][0]:.3f}, {row['ci'][1]:.3f}]" if row["ci"] else ""
    return f"{row['value']:.3f}{ends}"


def classes_table() -> str:
    """Return what lines make of a catalogue's columns, as the cards of the shipped models say, and trees."""
    head = "4FGL-DR2, balanced accuracy, five-fold"
    lines = [f"| {head} | four classes | by sector of longitude | AGN/PSR | by sector |", "|---|---|---|---|---|"]
    cards = [tomllib.loads((STORE / f"{name}.toml").read_text())["metrics"] for name in ("lat_classes", "lat_agn_psr")]
    for known, name in KNOWN.items():
        cells = []
        for metrics in cards:
            for how in ("by source", "by sector of longitude"):
                here, low, high = metrics[", ".join(filter(None, (how, known)))][BALANCED]
                cells.append(f"{here:.3f} [{low:.3f}, {high:.3f}]")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    rows = figures.read("lat_classes")
    if rows:
        trees = [value(rows, f"{kind}, by source, trees: {BALANCED}") for kind in ("classes", "agn-psr")]
        lines.append(f"| trees: all that a catalogue knows | {trees[0]} | - | {trees[1]} | - |")
    return "\n".join([*lines, "| to reach | .85 | | .95 | |"])


def cutouts_table() -> str:
    """Return what networks, lines and trees make of the same cut-outs of simulated skies."""
    rows = figures.read("lat_cutouts")
    head = "balanced accuracy | four classes | above 10 sigma | AGN/PSR | above 10 sigma | ECE of all five"
    lines = [f"| {head} | fakes: area under the curve | {KEPT} |", "|" + "---|" * 8]
    for name, shown in JUDGES.items():
        if f"{name}, all: {ECE}" not in rows:
            continue
        keys = [
            f"{name}, four classes: {BALANCED}",
            f"{name}, four classes, above 10 sigma: {BALANCED}",
            f"{name}, AGN/PSR: {BALANCED}",
            f"{name}, AGN/PSR, above 10 sigma: {BALANCED}",
            f"{name}, all: {ECE}",
            f"{name}: area under the curve",
            f"{name}: {KEPT}",
        ]
        lines.append(f"| {shown} | {' | '.join(value(rows, key) for key in keys)} |")
    return "\n".join(lines)


def fakes_table() -> str:
    """Return what is lost and rejected by thresholds of the shipped network's probability of being a fake."""
    rows = figures.read("lat_cutouts")
    lines = [f"| `P_FAKE` above | {' | '.join(THRESHOLDS)} |", "|" + "---|" * (len(THRESHOLDS) + 1)]
    for what in ("sources lost", "fakes rejected"):
        cells = [value(rows, f"network, counts, P(fake) above {at}: {what}") for at in THRESHOLDS]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)
