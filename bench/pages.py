"""docs/measured.md and the table of the README, from docs/figures."""

import json
import re
from typing import Any

from bench import figures

ROOT = figures.FOLDER.parent.parent
TITLES = {
    "real": "Agreement with the missions' own event lists",
    "quality": "Quality on simulated frames (7 e- rms, cloud 0.12 px)",
    "speed": "Speed (512x512 uint16, one core)",
    "realtime": "The daemon (four quadrants at 200 Hz, two cores)",
    "soak": "Memory over a million frames",
}
# What the README shows: what, figure file and keys, what was to be reached.
CHOSEN = [
    ("WFI Geant4 lists: events, pattern, energy, distances", "real", ["WFI Geant4 run 0000: events found"], "100 %"),
    ("Chandra ACIS VFAINT: FLTGRADE, PHA", "real", ["ACIS VFAINT: FLTGRADE", "ACIS VFAINT: PHA"], "11,311 of 11,311"),
    ("Chandra ACIS FAINT: events at the same pixel", "real", ["ACIS FAINT: events found at their pixel"], ">= 99.5 %"),
    ("Suzaku XIS: GRADE", "real", ["Suzaku XIS: GRADE"], "100 of 100"),
    (
        "full chain, 2 / 50 events per frame",
        "speed",
        ["full chain, 2 events", "full chain, 50 events"],
        ">= 2,500 / 2,000",
    ),
    ("static maps", "speed", ["static maps, 2 events"], ">= 10,000"),
    (
        "ratio to aare on the same frames",
        "speed",
        ["full chain / aare 3x3, 2 events", "full chain / aare 3x3, 50 events"],
        "",
    ),
    (
        "mean energy error, 2 / 50 events",
        "quality",
        ["2 events: mean energy error", "50 events: mean energy error"],
        "below 0.5 e-",
    ),
    (
        "std of energy error",
        "quality",
        ["2 events: std of energy error", "50 events: std of energy error"],
        "<= 14 e-",
    ),
    ("false events at 5 sigma", "quality", ["false events at 5 sigma"], "<= 0.055 per frame"),
    (
        "daemon: lost frames, p99 frame to events",
        "realtime",
        ["live, ipc: frames not taken or lost", "live, ipc: frame to events, p99"],
        "0, < 10 ms",
    ),
]


def read() -> dict[str, dict[str, Any]]:
    """Return all figures, by file."""
    return {p.stem: json.loads(p.read_text()) for p in figures.FOLDER.glob("*.json")}


def show(figure: dict[str, Any]) -> str:
    """Return value, unit and interval of a figure."""
    number = figure["value"]
    value = f"{number:,.0f}" if isinstance(number, int) or abs(number) >= 1000 else f"{number:.4g}"
    interval = f" [{figure['ci'][0]:.3g}, {figure['ci'][1]:.3g}]" if figure["ci"] else ""
    return f"{value}{interval} {figure['unit']}"


def page(found: dict[str, dict[str, Any]]) -> str:
    """Return docs/measured.md."""
    lines = [
        "# Measured",
        "",
        "Made by `make docs` from `docs/figures`; intervals are 68 %. CPU seconds, not wall.",
        "",
    ]
    for name, title in TITLES.items():
        if name not in found:
            continue
        command = next(iter(found[name].values()))["command"]
        lines += [f"## {title}", "", f"`{command}`", "", "| figure | value |", "|---|---|"]
        lines += [f"| {key} | {show(figure)} |" for key, figure in found[name].items()] + [""]
    return "\n".join(lines)


def table(found: dict[str, dict[str, Any]]) -> str:
    """Return the table of the README."""
    lines = ["| | measured | to reach |", "|---|---|---|"]
    for what, name, keys, goal in CHOSEN:
        lines.append(f"| {what} | {'; '.join(show(found[name][key]) for key in keys)} | {goal} |")
    return "\n".join(lines)


def main() -> None:
    """Write both."""
    found = read()
    (ROOT / "docs" / "measured.md").write_text(page(found))
    readme = ROOT / "README.md"
    text = readme.read_text()
    block = re.compile(r"(<!-- figures.*?-->\n).*?(<!-- end -->)", re.DOTALL)
    readme.write_text(block.sub(lambda m: m[1] + table(found) + "\n" + m[2], text))


if __name__ == "__main__":
    main()
