"""docs/figures/NAME.json: {key: {value, unit, ci, command, commit, machine}}."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.checkout import commit

FOLDER = Path(__file__).parent.parent / "docs" / "figures"


def write(
    name: str, command: str, figures: Mapping[str, tuple[Any, ...]], keep: Mapping[str, dict[str, Any]] | None = None
) -> Path:
    """Write figures, key -> (value, unit) or (value, unit, (low, high)); returns the path. keep: rows as they are."""
    table = dict(keep or {})
    made_of = {"command": command, "commit": commit(), "machine": machine()}
    for key, (value, unit, *interval) in figures.items():
        ci = [_short(v) for v in interval[0]] if interval else None
        table[key] = {"value": _short(value), "unit": unit, "ci": ci, **made_of}
        shown = f"  [{ci[0]}, {ci[1]}]" if ci else ""
        print(f"{name}: {key:48s} {table[key]['value']} {unit}{shown}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(table, indent=1) + "\n")
    return path


def read(name: str) -> dict[str, dict[str, Any]]:
    """Return the figures that are there; none if there is no such file."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def machine() -> str:
    """Return the processor, its widest vector units, and how many cores this process may use."""
    cores, about = len(os.sched_getaffinity(0)), Path("/proc/cpuinfo")
    text = about.read_text() if about.is_file() else ""
    name = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    units = [unit for unit in ("amx_bf16", "avx512f", "avx2") if unit in text.split()]
    return f"{name[1].strip() if name else 'processor'}{f' ({units[0]})' if units else ''}, {cores} cores"


def poisson_interval(count: int, exposure: float) -> tuple[float, float]:
    """Return the 68 % interval of a rate (Gehrels 1986, ApJ 303, 336: exact, from chi-squared quantiles)."""
    from scipy.stats import chi2

    low = chi2.ppf(0.1587, 2 * count) / 2 if count else 0.0
    return low / exposure, float(chi2.ppf(0.8413, 2 * (count + 1)) / 2 / exposure)


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
