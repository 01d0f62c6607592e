"""docs/measured.md and the table of the README, from docs/figures."""

import json
import re
from typing import Any

from bench import figures

ROOT = figures.FOLDER.parent.parent
TITLES = {
    "real": "Agreement with the missions' own event lists",
    "quality": "Quality on simulated frames (7 e- rms, charge diffused through 450 um)",
    "speed": "Speed (512x512 uint16, one core)",
    "scaling": "Recordings on a cluster (two of 200 read-outs of four quadrants)",
}
# What the README shows: what, figures, what was to be reached.
AGREEMENT = [
    ("WFI Geant4 lists: events, PATTERN, VFAINT, ENERGY, distances", "WFI", "100 %"),
    ("Chandra ACIS VFAINT: events, FLTGRADE, GRADE, PHA", "ACIS VFAINT", "11,311 of 11,311"),
    ("Chandra ACIS FAINT: events at the same pixel", "ACIS FAINT: events found", ">= 99.5 %"),
    ("Chandra ACIS FAINT: PHA_RO", "ACIS FAINT: PHA_RO", "94.6 to 100 %"),
    ("Suzaku XIS: GRADE", "Suzaku", "100 of 100"),
]
FOUND = "isolated photons found"
FALSE = "false events at 5 sigma, threshold rounded up to whole ADU"
CHOSEN = [
    ("full chain, 2 events", "speed", ["full chain, 2 events"], ">= 2,500"),
    ("full chain, 50 events", "speed", ["full chain, 50 events"], ">= 2,000"),
    ("static maps, 2; 50 events", "speed", ["static maps, 2 events", "static maps, 50 events"], ">= 10,000"),
    ("full chain / aare, both at 5 sigma, 2 events", "speed", ["full chain / aare 3x3, 2 events"], ""),
    (
        f"{FOUND}, 5 sigma, 2; 50 events",
        "quality",
        [f"2 events: {FOUND}, 5 sigma", f"50 events: {FOUND}, 5 sigma"],
        "all",
    ),
    ("mean energy error, 2 events", "quality", ["2 events: mean energy error"], "below 0.5 e-"),
    ("mean energy error, 50 events", "quality", ["50 events: mean energy error"], "below 0.5 e-"),
    ("its std, 2; 50 events", "quality", [f"{n} events: std of energy error" for n in (2, 50)], "<= 14 e-"),
    (FALSE, "quality", [FALSE], "<= 0.055 per frame"),
    ("daemon, 800 frames/s for 10 minutes: lost", "realtime", ["live, ipc: frames not taken or lost"], "0"),
    ("daemon: frame to events, p99", "realtime", ["live, ipc: frame to events, p99"], "< 5 ms"),
    ("daemon with screening: frame to decision, p99", "realtime", ["live, ipc: frame to decision, p99"], "< 15 ms"),
    (
        "particles like X-rays, islands: lost X-rays; fewer unrejected",
        "screening",
        [f"islands, 1.82 % lost: {what}" for what in ("lost X-rays", "FOR relative improvement")],
        "1.82; 41.4 %",
    ),
    (
        "the same: rejected of those with company in the read-out",
        "screening",
        ["islands, 1.82 % lost: of ceiling four quadrants"],
        "70 %",
    ),
    ("simulated 1 GeV proton in 450 um, mean", "simulation", ["1 GeV proton in 450 um, mean"], "175 keV +- 5 %"),
    ("frame classifier: frames of four classes right", "screening", ["frames, accuracy"], "98.26 %"),
    (
        "class activation maps + forest: fewer unrejected",
        "screening",
        ["CAM + forest, 1.82 % lost: FOR relative improvement"],
        "41.4 %, or below",
    ),
    (
        "the same: of what perfect sight in 64 x 64 allows",
        "screening",
        ["CAM + forest, 1.82 % lost: of bound 64 x 64"],
        "80 %",
    ),
    (
        "simulated primaries through the sphere with signal",
        "simulation",
        ["open: sphere primaries with signal"],
        "0.67 %",
    ),
    (
        "simulated pixels per track beside the MIT lists, KS p",
        "simulation",
        ["MIT lists, EM only: pixels per track, KS p-value"],
        "they agree",
    ),
    (
        "fit of tbabs*powerlaw, 512 channels",
        "sources_spectra",
        ["speed: fit of 512 channels, 15,474 counts"],
        "<= 5 ms",
    ),
    (
        "X-ray sources of a toy found, of 60; false",
        "sources_imaging",
        ["detection, own seed: found", "detection, own seed: false"],
        ">= 54; <= 1",
    ),
    ("diffuse map: rms; bias", "sources_imaging", ["diffuse, own seed: rms", "diffuse, own seed: bias"], "<= 8; 1 %"),
    (
        "MUWCLASS, 5 folds: macro-F1 of Bayesian fusion; challenger",
        "sources_classes",
        [f"{kind}, latitude prior, 5-fold by source: macro-F1" for kind in ("fusion", "challenger")],
        ">= .72; .80",
    ),
    (
        "gamma-ray sky, data / model, isotropic light of the map's class: above 10; 2-20 GeV",
        "lat_realsky",
        [f"{band}, all sky: data/model, isotropic light of its class" for band in ("above 10 GeV", "2-20 GeV")],
        ".99-1.01; .95-1.0",
    ),
    (
        "its sources from 2.3e-10 on, 20 deg off the plane: found; pure",
        "lat_search",
        [f"TS > 25, |b| > 20, from 2.34e-10: {what}" for what in ("completeness", "purity")],
        ">= .90; .95",
    ),
    ("its photons, one core", "lat_stream", ["photons counted"], ">= 1e6 /s"),
    (
        "stellar coronae, network, SNR 3-10: RMSE of log T; of log n over the least possible",
        "corona_network",
        ["one, SNR 3-10: RMSE log T", "one, SNR 3-10: RMSE log n: over bound"],
        "<= .030; 1.1",
    ),
    (
        "wrong area, emulated: error of T, median; worst",
        "crosscal_emulator",
        ["other points: error of kt_fit, median", "other points: error of kt_fit, worst"],
        "<= .2; 1 %",
    ),
    (
        "installation without extras: size; time",
        "install",
        ["runtime without extras: size", "wall, with downloads"],
        "< 700 MB; < 120 s",
    ),
    ("Geant4, aimed primaries, one core", "simulation", ["hits: aimed primaries"], ">= 2,000"),
    ("simulated frames, one core", "simulation", ["frames: quadrant frames"], ">= 400"),
]


def read() -> dict[str, dict[str, Any]]:
    """Return all figures, by file."""
    return {p.stem: json.loads(p.read_text()) for p in figures.FOLDER.glob("*.json")}


def number(value: float) -> str:
    """Return a number with four digits, without an exponent where a person would write none."""
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.4g}"


def show(figure: dict[str, Any]) -> str:
    """Return value, unit and interval of a figure."""
    interval = f" [{number(figure['ci'][0])}, {number(figure['ci'][1])}]" if figure["ci"] else ""
    return f"{number(figure['value'])}{interval} {figure['unit']}"


def page(found: dict[str, dict[str, Any]]) -> str:
    """Return docs/measured.md."""
    lines = [
        "# Measured",
        "",
        "Made by `make docs` from `docs/figures`; intervals are 68 %. CPU seconds, not wall.",
        "",
    ]
    return "\n".join([*lines, *sections(found, TITLES)])


def sections(found: dict[str, dict[str, Any]], titles: dict[str, str]) -> list[str]:
    """Return the lines of a table of all figures of each file that is there, under its title."""
    lines = []
    for name, title in titles.items():
        if name in found:
            made = list(dict.fromkeys(_made(figure) for figure in found[name].values()))
            lines += [f"## {title}", "", *made, "", "| figure | value |", "|---|---|"]
            lines += [f"| {key} | {show(figure)} |" for key, figure in found[name].items()] + [""]
    return lines


def _made(figure: dict[str, Any]) -> str:
    """Return the command of a figure, the commit, and where it ran, if that is known."""
    where = [figure[key] for key in ("commit", "machine") if figure.get(key)]
    return ", ".join([f"`{figure['command']}`", *where]) + "  "


MISSED = {  # rows of the README that miss what they were to reach, and why; the page behind each says more
    "daemon: frame to events, p99": "two cores for four programs, and others beside them",
    "daemon with screening: frame to decision, p99": "likewise",
    "particles like X-rays, islands: lost X-rays; fewer unrejected": (
        "the goal is of the seed's own frames; docs/screening.md"
    ),
    "the same: rejected of those with company in the read-out": "docs/screening.md",
    "gamma-ray sky, data / model, isotropic light of the map's class: above 10; 2-20 GeV": (
        "neither isotropic light fits both bands; docs/lat.md"
    ),
    "installation without extras: size; time": "HDF5's filters alone are a fifth; docs/decisions.md",
}


def table(found: dict[str, dict[str, Any]]) -> str:
    """Return the table of the README; of the agreement with a mission the lowest share is shown."""
    lines = ["| | measured | to reach |", "|---|---|---|"]
    for what, prefix, goal in AGREEMENT:
        shares = [f for key, f in found["real"].items() if key.startswith(prefix) and f["unit"].startswith("%")]
        lowest = min(shares, key=lambda f: f["value"])
        lines.append(f"| {what} | {show(lowest)} | {goal} |")
    for what, name, keys, goal in CHOSEN:
        goal += f"; **missed**: {MISSED[what]}" if what in MISSED else ""
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
