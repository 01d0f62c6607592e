"""docs/screening.md, from docs/figures/screening.json."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench import figures
from bench.pages import number
from bench.screening.cost import OF_FRAMES, OF_ISLANDS
from bench.screening.inputs import SETS, Inputs, as_made, card, commands_of, standing
from bench.screening.speed import BATCHES, EXACT, UNITS, WAYS
from bench.screening.speed import MAIN as AT_ONCE
from models.frames.network import CLASSES
from models.screening.report import CALIBRATED, IMPROVEMENT, KEPT, OWN, TRADITIONAL, WINDOWS, bound, points
from models.screening.scores import BEST, ENERGY, FOREST, ISLANDS, PATTERN, SOFTMAX, WITHOUT_CAM

ROOT = figures.FOLDER.parent
MAIN, SAME_LOST, IRON = (point.name for point in points())
INTRO = """# Particles that look like X-rays

Made by `make screening` (`python -m bench.screening`) from the models in `models/store` and the sets named below. All
figures in percent unless said otherwise, with 68 % intervals from drawing primaries and read-outs anew. Equations and
names are those of Poliszczuk et al. 2024 ([arXiv:2407.16768](https://arxiv.org/abs/2407.16768)), "the seed": lost
X-rays is Eq. (6), FOR (unrejected background) Eq. (7), FOR relative improvement Eq. (8), against the traditional filter
on the same events.
"""
UNFINISHED = """
A dash: CAM + forest is built and tested, but its frame classifier is still in training.
"""
SEED_FRAMES = {  # Table 1 of the seed, %
    "F1": (99.83, 98.16, 98.12, 98.89),
    "precision": (99.67, 97.21, 99.48, 98.57),
    "recall": (100.0, 99.13, 96.81, 99.21),
}
SEED = {  # Table 2: AI, traditional
    "F1": ("31.98", "2.91"),
    "precision": ("25.23", "3.31"),
    "recall": ("43.67", "2.60"),
    "lost X-rays": ("1.82", "1.07"),
    "unrejected background": ("0.80", "1.37"),
    IMPROVEMENT: ("41.37", "-"),
}
ABLATIONS = (ENERGY, PATTERN, WITHOUT_CAM, SOFTMAX, BEST, FOREST, ISLANDS)
Figures = Mapping[str, Mapping[str, Any]]


def write(inputs: Inputs) -> None:
    """Write the page."""
    found = json.loads((figures.FOLDER / "screening.json").read_text())
    looked = inputs.models.frames is not None  # else what needs the frame classifier is left out
    parts = [
        INTRO,
        events(found),
        goals(found) + ("" if looked else UNFINISHED),
        frames(found) if looked else "",
        table2(found),
    ]
    parts += [ablations(found) if looked else "", energies(found), ceilings(found), cams() if looked else ""]
    parts = [part for part in (*parts, cost(found), speed(found), made(inputs)) if part]
    (ROOT / "screening.md").write_text("\n".join(parts).rstrip() + "\n")


def cell(found: Figures, key: str) -> str:
    """Return a figure with its interval, without its unit; a dash if there is none."""
    if key not in found or math.isnan(found[key]["value"]):
        return "-"
    value, ci = found[key]["value"], found[key]["ci"]
    text = number(value) if ci is None else f"{value:.2f}"
    return f"{text} [{ci[0]:.2f}, {ci[1]:.2f}]" if ci else text


def rows(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(out + ["| " + " | ".join(line) + " |" for line in lines]) + "\n"


def events(found: Figures) -> str:
    """Return what everything is judged on."""
    particles, xrays, weighted = (
        f"{found[f'test: {name}']['value']:,}" for name in ("particle events", "X-rays", "X-rays, weighted")
    )
    return f"""The test set: {particles} particle events of 0.3-10 keV (in no track, below the MIP threshold, no grade
cut) and {xrays} X-rays that stand for {weighted}. The hit libraries of training, calibration and test are simulations
of different protons; mass model `close` ([simulation.md](simulation.md)). Thresholds are those that lose the fraction
asked for of the *calibration* set's X-rays, so the lost fraction of the test set differs a little.
"""


def goals(found: Figures) -> str:
    """Return both models beside the seed and what was to be reached."""
    at = [f", {MAIN}: ", f", {SAME_LOST}: ", f", {IRON}: ", f"{OWN}, {MAIN}: "]

    def line(what: str, seed: str, goal: str, which: int, metric: str) -> list[str]:
        return [what, seed, goal, *(cell(found, f"{name}{at[which]}{metric}") for name in (FOREST, ISLANDS))]

    share = "rejected particles / those with company in {}"
    lines = [
        line("lost X-rays", "1.82", "1.82", 0, "lost X-rays"),
        line(f"**{IMPROVEMENT}**", "41.37", "41.4, or as below", 0, IMPROVEMENT),
        line("the same with the threshold of the test set itself", "", "", 3, IMPROVEMENT),
        line("of what perfect sight in 64 x 64 and energies allow", "", "CAM + forest: 80", 0, "of bound 64 x 64"),
        line(share.format("64 x 64"), "", "", 0, "of ceiling 64 x 64"),
        line(share.format("the four quadrants"), "", "islands: 70", 0, "of ceiling four quadrants"),
        line("improvement at the traditional filter's lost fraction", "", "", 1, IMPROVEMENT),
        line("improvement in 4-8 keV, 3.11 lost there", "45.13", "", 2, IMPROVEMENT),
    ]
    ratio = found["cost: multiply-adds, DenseNet / islands"]["value"]
    cpu = [cell(found, f"cost: {name}: CPU") for name in (OF_FRAMES, OF_ISLANDS)]
    lines += [
        ["million multiply-adds per read-out", "", f"islands: 20 times less ({ratio:.0f})"]
        + [cell(found, f"cost: {name}: multiply-adds") for name in (OF_FRAMES, OF_ISLANDS)],
        ["CPU, ms per read-out (one core, fp32)", "", "", *cpu],
    ]
    table = rows(["", "seed, its frames", "to reach", FOREST, ISLANDS], lines)
    return f"## Both models\n\n{table}\n![All scores](pictures/screening_scores.png)\n"


def frames(found: Figures) -> str:
    """Return Table 1."""
    lines = [["accuracy", "98.76", cell(found, "frames, accuracy")]]
    lines += [
        ["accuracy if all but the ambiguous were right", "", cell(found, "frames, accuracy without the ambiguous")]
    ]
    for metric, seeds in SEED_FRAMES.items():
        for label, seed in zip(CLASSES, seeds, strict=True):
            lines.append([f"{label}: {metric}", f"{seed:.2f}", cell(found, f"frames, {label}: {metric}")])
    shares = [cell(found, f"frames, {name}: ambiguous") for name in ("particle", "mixed")]
    return f"""## The frame classifier (Table 1)

{rows(["", "seed", "measured"], lines)}
Ambiguous frames: all that their particles left are islands of at most 2 x 2 pixels below 10 keV, as X-rays leave them:
{shares[0]} % of the particle frames, {shares[1]} % of the mixed ones. A classifier of windows cannot know them.
"""


def table2(found: Figures) -> str:
    """Return Table 2."""
    lines = []
    for metric, (ai, traditional) in SEED.items():
        ours, context, filtered = (cell(found, f"{name}, {MAIN}: {metric}") for name in (FOREST, ISLANDS, TRADITIONAL))
        lines.append([metric, ai, ours, context, traditional, filtered])
    head = ["", "seed: AI", FOREST, ISLANDS, "seed: traditional", "traditional"]
    return f"""## Events (Table 2)

{rows(head, lines)}
FOR goes with the share of particles among the events: one particle event to one X-ray in a quadrant frame here. Its
relative improvement hardly does.

![ROC](pictures/screening_roc.png)
"""


def ablations(found: Figures) -> str:
    """Return what is left without one part or another, and what perfect sight would give."""
    lines = [
        [
            name,
            cell(found, f"{name}, {MAIN}: lost X-rays"),
            *(cell(found, f"{name}, {point}: {IMPROVEMENT}") for point in (MAIN, SAME_LOST, IRON)),
            cell(found, f"{name}, {MAIN}: of ceiling 64 x 64"),
            cell(found, f"{name}, {MAIN}: of ceiling four quadrants"),
        ]
        for name in (*ABLATIONS, *map(bound, WINDOWS))
    ]
    head = [
        "",
        "lost X-rays",
        f"improvement, {MAIN}",
        "lost as traditional",
        IRON,
        "of ceiling 64 x 64",
        "of four quadrants",
    ]
    return f"""## With less, and with perfect sight

The first three are forests as the shipped one, grown on the same events without what the network says. "Perfect in"
knows every particle whose primary left another signal there, and judges the others by energy alone: a bound for any
model that looks at no more than that window.

{rows(head, lines)}"""


def energies(found: Figures) -> str:
    """Return Fig. 3, Fig. 4 and the iron band."""
    lines = [
        [what, *(cell(found, key.format(name)) for name in (FOREST, ISLANDS))]
        for what, key in (
            ("lost X-rays in 4-8 keV, threshold of the whole band", f"{{}}, {MAIN}, in 4-8 keV: lost X-rays"),
            ("improvement there", f"{{}}, {MAIN}, in 4-8 keV: {IMPROVEMENT}"),
            ("lost X-rays in 4-8 keV, threshold for 3.11 there", f"{{}}, {IRON}: lost X-rays"),
            ("improvement there (seed: 45.13)", f"{{}}, {IRON}: {IMPROVEMENT}"),
            ("rejected particles there / those with company in 64 x 64", f"{{}}, {IRON}: of ceiling 64 x 64"),
            ("the same, in the four quadrants", f"{{}}, {IRON}: of ceiling four quadrants"),
        )
    ]
    return f"""## By energy (Fig. 3 and 4)

![Unrejected background](pictures/screening_background.png)

![Lost X-rays](pictures/screening_lost.png)

{rows(["", FOREST, ISLANDS], lines)}
The traditional filter loses {cell(found, f"{TRADITIONAL}, {IRON}: lost X-rays")} of the X-rays of 4-8 keV (seed: 1.22).
"""


def ceilings(found: Figures) -> str:
    """Return which share of the particles has company, and what is reached of it."""
    lines = []
    for window in WINDOWS:
        for which, suffix, point in (
            ("all", "", MAIN),
            ("kept by the traditional filter", f", {KEPT}", f"{MAIN}, {KEPT}"),
            ("4-8 keV", ", 4-8 keV", IRON),
        ):
            reached = [cell(found, f"{name}{CALIBRATED}, {point}: of ceiling {window}") for name in (FOREST, ISLANDS)]
            own = [cell(found, f"{name}{OWN}, {point}: of ceiling {window}") for name in (FOREST, ISLANDS)]
            lines.append([f"{window}: {which}", cell(found, f"ceiling, {window}{suffix}"), *reached, *own])
    head = ["window: particles", "with company", f"{FOREST}: rejected of it", f"{ISLANDS}: rejected of it"]
    head += [f"{name}, the test set's own threshold" for name in (FOREST, ISLANDS)]
    return f"""## Ceilings of context

Company: the primary of the event left another signal above 80 eV, beyond the 5 x 5 pixels around the event. Rejected
particles are counted whether context told or energy did, so more than 100 is possible.

{rows(head, lines)}"""


def cams() -> str:
    """Return Fig. 1."""
    return """## Where the network looks (Fig. 1)

Every pixel is drawn 3 x 3; true pixels are those above 80 eV. The map of a class is high where the network sees what
speaks for the class.

![Activation maps](pictures/screening_cams.png)
"""


def cost(found: Figures) -> str:
    """Return the cost of each part."""
    lines = [
        [key.removeprefix("cost: "), f"{number(found[key]['value'])} {found[key]['unit']}"]
        for key in found
        if key.startswith("cost: ")
    ]
    return f"""## Computation

CPU: onnxruntime, fp32, one core; islands with the arrays that it is given, the network without cutting its windows.

{rows(["", "measured"], lines)}"""


def speed(found: Figures) -> str:
    """Return times of one core by runtime and precision; a dash for what was not there, no row for no model."""
    lines = []
    for model, ways in WAYS.items():
        for way in ways if any(key.startswith(f"speed: {model}, ") for key in found) else ():
            key = f"speed: {model}, {way}, "
            columns = [cell(found, f"{key}{column}") for column in (*BATCHES, "ratio", "accuracy", "changed")]
            lines.append([f"{model}, {UNITS[model]}", way, *columns])
    head = ["", "runtime", *(f"{size} at once" for size in BATCHES), f"times as fast, {AT_ONCE} at once"]
    judged = next((figure["unit"] for key, figure in found.items() if key.endswith(f"{EXACT}, changed")), "classes")
    return f"""## Speed

CPU time of one core, all in one run; a dash is for what was not there. bf16 is used where the model's card allows it;
int8 (`raysieve export frames --int8`) is a model of its own, which needs a forest of its own.

{rows([*head, "accuracy, %", f"changed {judged}"], lines)}"""


def made(inputs: Inputs) -> str:
    """Return the commands that made everything, as the files say themselves, and what they cost."""
    of_frames = [inputs.folder / f"{name}.h5" for name in ("small", "small_test", "train")]
    sets = [*inputs.training, inputs.calibration, inputs.test, *of_frames, inputs.frames]
    lines = [line for path in sets if path.is_file() for line in as_made(path)]
    models = [
        path
        for name in ("frames", "filter")
        if (inputs.store / f"{name}.onnx").is_file()
        for path in (inputs.weights(name), inputs.store / f"{name}.onnx")
    ]
    lines += [inputs.command_for(path) for path in (inputs.weights("small"), *models) if models]
    text = "\n".join(dict.fromkeys(line for line in lines if line))
    islands = card(inputs.models.islands).get("training", {})
    spent = {name: standing(inputs.weights(name)).get("seconds", 0) for name in ("small", "frames")}
    spent["islands"] = islands.get("standing", {}).get("seconds", 0)
    costs = [f"{name}: {seconds / 60:.0f} minutes" for name, seconds in spent.items() if seconds]
    grown = card(inputs.models.forest).get("training", {})
    trees = f" The forest has {grown['trees']:,} trees of {grown['nodes']:,} nodes." if "trees" in grown else ""
    earlier = _of_islands(inputs, islands["events"]) if "events" in islands else ""
    return f"""## How it was made

```
{text}
```

{earlier}Training took ({"; ".join(costs)}) on one or two shared cores.{trees} Libraries and sets are not shipped.
"""


def _of_islands(inputs: Inputs, events: str) -> str:
    """Return the commands that made the context model, from what its card says of the events of its training."""
    sets = zip(SETS, events.splitlines(), strict=False)
    lines = [line for name, about in sets for line in commands_of(about, inputs.folder / name)]
    lines += [inputs.command_for(path) for path in (inputs.weights("islands"), inputs.store / "islands.onnx")]
    text = "\n".join(dict.fromkeys(line for line in lines if line))
    return f"""The context model was trained before, on larger sets of the same names, with the protons of the training:

```
{text}
```

"""
