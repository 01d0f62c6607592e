"""docs/simulation.md, from docs/figures/simulation.json."""

import json

from bench import figures
from bench.pages import show
from bench.simulation.context import REFERENCE, WINDOWS

ROOT = figures.FOLDER.parent
INTRO = """# The simulated telemetry beside what is known

Made by `python -m bench.simulation` (hit libraries included: about 25 minutes on two cores). Intervals are 68 %.

What is simulated, and how: [simulator.md](simulator.md). Mass models: `close` (sensor board 1.5 mm behind the wafers,
the default), `open` (10 mm, as the references).

![One read-out](pictures/simulation_readout.png)

## Single primaries

"open" is the geometry of the references. The MIT lists, and so the shares of deposits, are of electromagnetic physics
only and without spread of charge: compare them with "EM only" and "charge not spread". Nuclear reactions add large
deposits, so that full physics has a larger median and more above 500 keV; the trial behind "287 keV" had full physics,
but a harder spectrum (fewer slow protons).
"""
ROWS = [  # what, keys, reference
    ("1 GeV proton in 450 um, mean", ["1 GeV proton in 450 um, mean"], "175 keV +- 5 %"),
    ("its most probable loss", ["1 GeV proton in 450 um, most probable"], "138-143 keV"),
    ("sphere primaries with signal", ["open: sphere primaries with signal"], "0.67 +- 0.05 %"),
    ("deposit, median: EM only; full", ["open_em: deposit, median", "open: deposit, median"], "273 (MIT) - 287 keV"),
    (
        "island > 15 keV, charge not spread: mean, median, 90 %",
        [f"open_em: island > 15 keV, {k} pixels, charge not spread" for k in ("mean", "median", "90 %")],
        "7.6-8.0, 5-6, 14-15 pixels",
    ),
    (
        "the same with the charge of the WFI's sensor spread",
        [f"open: island > 15 keV, {k} pixels" for k in ("mean", "median", "90 %")],
        "",
    ),
    (
        "deposit 100-200, 200-500, > 500 keV: EM only",
        [f"open_em: deposit {k} keV" for k in ("100-200", "200-500", "above 500")],
        "26, 48, 23 % (+- 3)",
    ),
    ("the same, full", [f"open: deposit {k} keV" for k in ("100-200", "200-500", "above 500")], ""),
    (
        "without the proton itself in silicon: EM only; full",
        [f"{k}: without the proton itself in silicon" for k in ("open_em", "open")],
        "6-8; 20.8 % seen",
    ),
    ("proton energies, KS to the EvtLog", ["proton energies, KS to the EvtLog"], "< 0.0083"),
]
CONTEXT = [
    (f"{name}: {window}", [f"{name}: with a companion, {window}"], f"{reference:.0f} %")
    for name, references in REFERENCE.items()
    for window, reference in zip(WINDOWS, references, strict=True)
]
BACKGROUND = [
    (
        "close board, filter of wfi.toml on frames with noise",
        ["close: 2-7 keV after the traditional filter"],
        "3e-3 to 1e-2",
    ),
    ("close board, each primary alone", ["close: 2-7 keV, each primary alone"], ""),
    (
        "open board, each primary alone (cut of 1 um: 0.85 keV)",
        ["open: 2-7 keV, each primary alone"],
        "6.3e-3 (prototype)",
    ),
    ("wall of 40 mm", ["wall_40mm: 2-7 keV, each primary alone"], "9.7e-3 (prototype)"),
    ("EM physics only", ["open_em: 2-7 keV, each primary alone"], "3.7e-3 (prototype)"),
    ("production cut near the silicon 0.3 um: 250 eV, the lowest", ["cut_0.3um: 2-7 keV, each primary alone"], ""),
    ("3 um: 5.7 keV", ["cut_3um: 2-7 keV, each primary alone"], ""),
    ("10 um: 34 keV in aluminium", ["cut_10um: 2-7 keV, each primary alone"], ""),
    ("100 um: 131 keV in aluminium", ["cut_100um: 2-7 keV, each primary alone"], ""),
]
LISTS = [
    (
        f"{label}: EM only; full physics",
        [f"MIT lists, {name}: {label}, KS p-value" for name in ("EM only", "full physics")],
        "> 0.05",
    )
    for label in ("pixels per track", "energy of valid events", "distance of valid events to tracks")
] + [
    (
        "pixels per track, mean: EM only; full; MIT",
        [f"MIT lists, {n}: pixels per track, ours" for n in ("EM only", "full physics")]
        + ["MIT lists: pixels per track, theirs"],
        "",
    ),
    (
        "valid events per read-out: EM only; full; MIT",
        [f"MIT lists, {n}: valid events per read-out, ours" for n in ("EM only", "full physics")]
        + ["MIT lists: valid events per read-out, theirs"],
        "",
    ),
]
SPEED = [
    ("hits: aimed primaries", ["hits: aimed primaries"], ">= 2,000 per s and core"),
    ("hits: primaries of the sphere", ["hits: primaries of the sphere"], ""),
    ("hits: size", ["hits: size"], ""),
    ("frames of a quadrant, noise included", ["frames: quadrant frames"], ">= 400 per s and core"),
    ("memory of that", ["frames: memory, large library", "frames: memory, shipped library"], "bounded"),
    ("200,000 sub-frames of 64 x 64", ["200,000 sub-frames: time"], "< 600 s"),
]
SECTIONS = [
    ("", ROWS, "![Primaries](pictures/simulation_primaries.png)"),
    (
        """## The same filter on the MIT lists and on our frames

Our stages with `config/wfi_geant4_lists.toml` (no noise, 0.1 keV) on the MIT pixel lists and on frames of ours with as
many primaries in each. KS: Kolmogorov-Smirnov test of two samples.
""",
        LISTS,
        "![Beside the MIT lists](pictures/simulation_mit.png)",
    ),
    (
        """## What context can tell

X-ray-like: an isolated island within 2 x 2 pixels, 0.3-10 keV, peak above 260 eV, split threshold 80 eV, no noise. The
share of them whose own primary left anything else above 80 eV in the window: no classifier can recognise more of them
by context.
""",
        CONTEXT,
        "![Context](pictures/simulation_context.png)",
    ),
    (
        """## Unrejected background, 2-7 keV, counts/cm2/s/keV

Protons only (4.1 /cm2/s); alphas would add two fifths. Electrons of some ten keV from the last micrometres of metal
make it: the level follows the production cut near the silicon, and the wall.
""",
        BACKGROUND,
        "",
    ),
    (
        """## Patterns of X-rays

Other sensors (40 um pixels in MOS, 130 um here), so the trend compares, not the value: the brighter the photon, the
more often its neighbours are above the split threshold.
""",
        [],
        "![Patterns](pictures/simulation_patterns.png)",
    ),
    ("## Speed\n", SPEED, ""),
]


def write() -> None:
    """Write the page."""
    found = json.loads((figures.FOLDER / "simulation.json").read_text())
    lines = [INTRO]
    for head, rows, picture in SECTIONS:
        lines += [head] if head else []
        if rows:
            lines += ["| | measured | reference |", "|---|---|---|"]
            for what, keys, reference in rows:
                values = "; ".join(show(found[key]) for key in keys if key in found) or "no data"
                lines.append(f"| {what} | {values} | {reference} |")
            lines.append("")
        lines += [picture, ""] if picture else []
    (ROOT / "simulation.md").write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    write()
