"""docs/figures/NAME.json: {key: {value, unit, ci, command}}."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "docs" / "figures"


def write(name: str, command: str, figures: dict[str, tuple[Any, ...]]) -> Path:
    """Write figures, key -> (value, unit) or (value, unit, (low, high)); returns the path."""
    table = {}
    for key, (value, unit, *interval) in figures.items():
        ci = [_short(v) for v in interval[0]] if interval else None
        table[key] = {"value": _short(value), "unit": unit, "ci": ci, "command": command}
        shown = f"  [{ci[0]}, {ci[1]}]" if ci else ""
        print(f"{name}: {key:48s} {table[key]['value']} {unit}{shown}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(table, indent=1) + "\n")
    return path


def poisson_interval(count: int, exposure: float) -> tuple[float, float]:
    """Return the 68 % interval of a rate (Gehrels 1986, ApJ 303, 336: exact, from chi-squared quantiles)."""
    from scipy.stats import chi2

    low = chi2.ppf(0.1587, 2 * count) / 2 if count else 0.0
    return low / exposure, float(chi2.ppf(0.8413, 2 * (count + 1)) / 2 / exposure)


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
