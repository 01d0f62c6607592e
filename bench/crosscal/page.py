"""Fills docs/crosscal.md with the figures of the benches: `python -m bench.crosscal.page`."""

from collections.abc import Callable
from typing import Any

from bench import figures
from bench.crosscal.response import KT, PUBLISHED
from bench.pages import show
from bench.scaling import fill_all

PAGE = figures.FOLDER.parent / "crosscal.md"
Rows = dict[str, dict[str, Any]]
LIKE = "as published, ACIS-I cycle 0"
CASES = {  # what is shown of the response, and what differs from the published library in it
    LIKE: "the same choices",
    "nH fixed": "nH fixed",
    "sigma of the text": "2 sigma^2, the text",
    "analytic telescope": "the telescope that needs no file",
}
TO_REACH = {
    "coverage of 90 %, all parameters": "90 +- 3 %",
    "held out: mean dT/T, corrected": "below 0.5 %",
}


def pick(rows: Rows, key: str) -> str:
    """Return a figure as pages show it; a dash where it was not measured."""
    row = rows.get(key)
    return "-" if row is None or row["value"] is None else show(row).strip().replace(" ;", ";")


def table(rows: Rows, reach: dict[str, str] | None = None) -> list[str]:
    """Return all rows as a table, with what was to be reached."""
    lines = ["| | measured | to reach |", "|---|---|---|"]
    goals = reach or {}
    for key in rows:
        goal = next((text for what, text in goals.items() if key.endswith(what)), "")
        lines.append(f"| {key} | {pick(rows, key)} | {goal} |")
    return lines


def columns(rows: Rows, names: list[str], reach: dict[str, str]) -> list[str]:
    """Return rows of the same name side by side, `NAME: row`, one column a name."""
    lines = [f"| | {' | '.join(names)} | to reach |", "|---|" + "---|" * (len(names) + 1)]
    keys = dict.fromkeys(key.removeprefix(f"{n}: ") for n in names for key in rows if key.startswith(f"{n}: "))
    for key in keys:
        cells = " | ".join(pick(rows, f"{name}: {key}") for name in names)
        lines.append(f"| {key} | {cells} | {reach.get(key, '')} |")
    return lines


def response_table() -> str:
    """Return dT/T beside the published library, how far all choices are from it, and what grids cost."""
    rows = figures.read("crosscal_response")
    lines = [f"| dT/T, % | {' | '.join(f'{kt:.1f} keV' for kt in KT)} |", "|---|" + "---|" * len(KT)]
    for (mu, amplitude), published in PUBLISHED.items():
        what = f"mu {mu:g} keV, A {100 * amplitude:+.0f} %"
        lines.append(f"| {what}: published | {' | '.join(f'{v:+.1f}' for v in published)} |")
        for case, told in CASES.items():
            found = [rows.get(f"{case}: dT/T, {what}, kT {kt:.1f} keV") for kt in KT]
            cells = " | ".join("-" if one is None else f"{one['value']:+.1f}" for one in found)
            lines.append(f"| ... {told} | {cells} |")
    lines += ["", "| | median distance | largest | same sign | within 30 % |", "|---|---|---|---|---|"]
    for case in dict.fromkeys(key.split(":")[0] for key in rows if key.endswith(": same sign")):
        keys = ("median distance", "largest distance", "same sign", "within 30 %")
        lines.append(f"| {case} | {' | '.join(pick(rows, f'{case}: {key}') for key in keys)} |")
    more = {key: row for key, row in rows.items() if key.startswith("our plasma")}
    lines += ["", *table(more), "", *table(figures.read("crosscal_grid"))]
    return "\n".join(lines)


def emulator_table() -> str:
    """Return how well the network knows what was simulated, what it costs, and what the monitor detects."""
    rows = figures.read("crosscal_emulator")
    reach = {"error of kt_fit, median": "<= 0.2 %", "error of kt_fit, worst": "<= 1 %"}
    lines = columns(rows, ["kept back", "other points"], reach)
    told = ("kept back: ", "other points: ", "monitor, ")
    more = {key: row for key, row in rows.items() if not key.startswith(told)}
    cases = [name for name in dict.fromkeys(key.split(": ")[0] for key in rows) if name.startswith("monitor, ")]
    lines += ["", *table(more, {"judge, 512 at once": "<= 20 us"}), "", *columns(rows, cases, {})]
    return "\n".join(lines)


def recovery_table() -> str:
    """Return coverage and bias, through the emulator and through a grid."""
    rows = figures.read("crosscal_recovery")
    names = [n for n in ("emulator", "grid") if any(key.startswith(f"{n}: ") for key in rows)]
    return "\n".join(columns(rows, names, TO_REACH))


def sky_table() -> str:
    """Return the relation before and after, and the area that would explain it."""
    rows = figures.read("crosscal_sky")
    names = ["spline, nH fixed", "spline, nH free", "Gaussian, nH fixed"]
    before = {key: row for key, row in rows.items() if key.startswith("as they are: ")}
    return "\n".join([*table(before), "", *columns(rows, [n for n in names if any(k.startswith(n) for k in rows)], {})])


def drift_table() -> str:
    """Return how the known ratio is found from three kinds of data."""
    rows = figures.read("crosscal_drift")
    names = dict.fromkeys(key.split(": ")[0] for key in rows)
    return "\n".join(columns(rows, list(names), {}))


BLOCKS: dict[str, Callable[[], str]] = {
    "response": response_table,
    "emulator": emulator_table,
    "recovery": recovery_table,
    "sky": sky_table,
    "drift": drift_table,
}


def filled(text: str) -> str:
    """Return a page with its tables, of the figures that are there."""
    return fill_all(text, BLOCKS)


def main() -> None:
    """Write it."""
    PAGE.write_text(filled(PAGE.read_text()))


if __name__ == "__main__":
    main()
