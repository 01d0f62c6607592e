"""Fills the blocks of docs/sources.md: what was asked and measured, and the commands with their real output."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import figures, pages
from bench.scaling import fill

PAGE = figures.FOLDER.parent / "sources.md"
Found = dict[str, dict[str, Any]]
# What, file, key, goal. A key that was not measured is said to be so.
ASKED = (
    (
        "fit of tbabs*powerlaw, 512 channels, 15,474 counts",
        "spectra",
        "speed: fit of 512 channels, 15,474 counts",
        "<= 5 ms",
    ),
    ("the prototype's method / that", "spectra", "speed: prototype's method / ours", ""),
    ("100 sources of 1,000 counts fitted", "spectra", "speed: 100 sources of 1,000 counts", ""),
    ("3C 273: change by binning 1, 5, 20", "spectra", "real: 3c273: largest change by binning 1, 5, 20", "stable"),
    ("pn: the same", "spectra", "real: pn: largest change by binning 1, 5, 20", "stable"),
    ("toy: sources found of 60, the prototype's seed", "imaging", "detection, own seed: found", ">= 54"),
    ("toy: false ones", "imaging", "detection, own seed: false", "<= 1"),
    ("toy: found, mean of other seeds", "imaging", "detection, other seeds: found", ""),
    ("toy: false, mean of other seeds", "imaging", "detection, other seeds: false", ""),
    ("diffuse map: rms", "imaging", "diffuse, own seed: rms", "<= 8 %"),
    ("diffuse map: bias", "imaging", "diffuse, own seed: bias", "within 1 %"),
    ("diffuse map: coverage of the 68 % error", "imaging", "diffuse, own seed: coverage", "68 %"),
    ("a field in the daemon: sources in it", "live", "sources", "100"),
    ("found, measured, fitted, classified in one interval: CPU", "live", "found, fitted and classified: CPU", ""),
    ("of it, measured, fitted, classified anew", "live", "of it, measured, fitted and classified anew", "< 2 s"),
    (
        "added to the CPU of the daemon, a product a minute",
        "live",
        "added to the daemon, a product every 60 s",
        "< 5 %",
    ),
)
MODELS = {"powerlaw": "PhoIndex", "bremss": "kT", "bbody": "kT", "apec": "kT"}
COUNTS = (50, 200, 1000, 10_000, 50_000)
KINDS = {
    "fusion": "fusion",
    "fusion, latitude prior": "fusion, latitude prior",
    "challenger": "challenger",
    "challenger, latitude prior": "challenger, latitude prior",
}
COMMANDS = (
    "simulate sources bulge.fits --l 0 --b -1.5 --exposure-s 3000 --number LMXB=5 --seed 1 --response camera",
    "catalogue bulge.fits -c wfi --rmf camera.rmf --arf camera.arf --out out",
)


def cell(found: Found, name: str, key: str) -> str:
    """Return a figure as text."""
    figure = found.get(f"sources_{name}", {}).get(key)
    return pages.show(figure).strip() if figure else "not measured"


def asked(found: Found) -> str:
    """Return what was asked beside what was measured."""
    rows = [f"| {what} | {cell(found, name, key)} | {goal} |" for what, name, key, goal in ASKED]
    return "\n".join(["| | measured | to reach |", "|---|---|---|", *rows])


def pulls(found: Found) -> str:
    """Return the pulls of nH, of the shape and of the norm."""
    lines = ["| model, counts | nH | index or kT | norm |", "|---|---|---|---|"]
    for model, shape in MODELS.items():
        for counts in COUNTS:
            row = [f"tbabs*{model}, {counts:,}"]
            for name in ("tbabs.nH", f"{model}.{shape}", f"{model}.norm"):
                head = f"pulls: tbabs*{model}, {counts} counts: {name}: "
                keys = [
                    f"{head}{what}, profile"
                    for what in ("mean of pulls", "width of pulls", "coverage 68 %", "coverage 90 %")
                ]
                told = [found["sources_spectra"].get(key) for key in keys]
                row.append("; ".join(f"{one['value']:.2f}" if one else "-" for one in told))
            lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def scores(found: Found, name: str, heads: dict[str, str], keys: tuple[str, ...]) -> str:
    """Return a table: a row for each head of the keys of a file, a column for each key."""
    lines = [f"| | {' | '.join(keys)} |", "|---|" + "---|" * len(keys)]
    lines += [
        f"| {what} | {' | '.join(cell(found, name, f'{head}: {key}') for key in keys)} |"
        for what, head in heads.items()
    ]
    return "\n".join(lines)


def class_table(found: Found) -> str:
    """Return how well classes of the MUWCLASS table are told."""
    heads = {"published, leave-one-out": "Yang 2022, leave-one-out"}
    heads |= {f"{kind}, by source": f"{kind}, 5-fold by source" for kind in KINDS}
    heads |= {f"{kind}, held-out fields": f"{kind}, held-out fields" for kind in KINDS}
    return scores(
        found, "classes", heads, ("accuracy", "macro-F1", "macro-F1, rule", "ECE", "LMXB F1, rule", "CV F1, rule")
    )


def gain_table(found: Found) -> str:
    """Return what the parts add in simulated fields."""
    parts = ("spectra", "spectra, prior", "spectra, morphology", "spectra, morphology, prior")
    heads = {f"{kind}: {part}": f"{kind}, {part}" for kind in ("fusion", "challenger") for part in parts}
    classes = ("AGN", "CV", "LMXB", "NS", "diffuse", "star")
    keys = ("macro-F1", "ECE", *(f"{name} F1" for name in classes))
    table = scores(found, "gain", heads, keys)
    slices = [key for key in found.get("sources_gain", {}) if " to " in key and key.startswith("fusion")]
    lines = ["", "| the fusion, thirds of the test | macro-F1 |", "|---|---|"]
    lines += [
        f"| {key.removeprefix('fusion, ').removesuffix(': macro-F1')} | {cell(found, 'gain', key)} |" for key in slices
    ]
    return "\n".join([table, *lines])


def joint_table(found: Found) -> str:
    """Return what the posterior of whole fields says beside the catalogue: rates, classes, diffuse light."""
    ways = {"circle": "aperture", "fit of the finding": "fit", "joint posterior": "joint"}
    lines = [
        "| rates of found sources above 8 sigma: median (joint or found) / true - 1, and of its size | |",
        "|---|---|",
    ]
    for who in ("alone", "a neighbour within 2 FWHM"):
        number = cell(found, "joint", f"bias, {who}, 8 sigma: sources")
        for what, key in ways.items():
            told = "; ".join(cell(found, "joint", f"{kind}, {who}, 8 sigma: {key}") for kind in ("bias", "error"))
            lines.append(f"| {who} ({number}), {what} | {told} |")
    keys = [key for key in found.get("sources_joint", {}) if "within 68 %" in key]
    lines += ["", "| truth within the interval of | 68 % | 90 % |", "|---|---|---|"]
    for key in keys:
        both = (cell(found, "joint", one) for one in (key, key.replace("68 %", "90 %")))
        lines.append(f"| {key.removesuffix(' within 68 %')} | {' | '.join(both)} |")
    scores_ = ("macro-F1", "macro-F1, rule", "log-loss", "ECE", "diffuse F1")
    lines += ["", "| classes | as found | joint |", "|---|---|---|"]
    for key in scores_:
        both = (cell(found, "joint", f"classes {when}: {key}") for when in ("before", "after"))
        lines.append(f"| {key} | {' | '.join(both)} |")
    for key in ("macro-F1", "log-loss"):
        lines.append(f"| {key}, joint less found | | {cell(found, 'joint', f'classes: {key} after less before')} |")
    lines += ["", "| all diffuse light of a field | bias | rms |", "|---|---|---|"]
    for of in ("with sources not found", "alone"):
        for name in ("map", "without knots", "joint"):
            both = (cell(found, "joint", f"all diffuse light, {of}: {name}, {what}") for what in ("bias", "rms"))
            lines.append(f"| {name}, beside the truth {of} | {' | '.join(both)} |")
    lines += ["", "| cost | |", "|---|---|"]
    rest = ("fields", "sources found", "CPU of a field", "smallest ESS", "largest R-hat")
    chosen = [key for key in found.get("sources_joint", {}) if key.startswith(rest)]
    lines += [f"| {key} | {cell(found, 'joint', key)} |" for key in chosen]
    return "\n".join(lines)


def plasma(found: Found) -> str:
    """Return the table of the plasma's accuracy."""
    chosen = {k: f for k, f in found.get("sources_plasma", {}).items() if "largest deviation" in k}
    rows = [f"| {key} | {pages.show(figure).removesuffix(' 1')} |" for key, figure in chosen.items()]
    return "\n".join(["| the shipped plasma table beside APEC | |", "|---|---|", *rows])


def posterior(found: Found) -> str:
    """Return the table of the posteriors by both samplers."""
    wanted = ("less fit", "over fit error", "ESS", "R-hat", "divergences", "CPU", "counts: ")
    all_of_them = found.get("sources_analyse", {})
    chosen = {k: f for k, f in all_of_them.items() if any(word in k for word in wanted)}
    words = (key.replace(" in ", ": truth within the interval of ") for key in chosen)
    rows = [f"| {name} | {pages.show(figure).strip()} |" for name, figure in zip(words, chosen.values(), strict=True)]
    head = f"| posterior of tbabs*powerlaw, {cell(found, 'analyse', 'counts')} | |"
    return "\n".join([head, "|---|---|", *rows])


def run() -> str:
    """Run the commands in a new folder; return them with what they said."""
    lines = ["```"]
    environment = os.environ | {"PYTHONPATH": str(figures.FOLDER.parent.parent), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            words = [sys.executable, "-m", "raysieve", *command.split()]
            done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True)
            lines += [f"$ raysieve {command}", *done.stdout.rstrip().splitlines()]
    return "\n".join([*lines, "```"])


def main(anew: bool = True) -> None:
    """Fill the page; anew: with the commands run anew."""
    text, found = Path(PAGE).read_text(), pages.read()
    blocks = {
        "asked": asked,
        "pulls": pulls,
        "classes": class_table,
        "gain": gain_table,
        "joint": joint_table,
        "plasma": plasma,
        "posterior": posterior,
    }
    for name, make in blocks.items():
        text = fill(text, name, make(found))
    if anew:
        text = fill(text, "run", run())
    PAGE.write_text(text)


if __name__ == "__main__":
    main("--tables" not in sys.argv)
