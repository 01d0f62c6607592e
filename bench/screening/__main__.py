"""Judge the screens as they are shipped; write docs/screening.md, its pictures and figures."""

import argparse
import sys
from pathlib import Path

from bench import figures
from bench.screening import ambiguous, cams, cost, page, speed
from bench.screening.inputs import Inputs
from config.errors import RaysieveError
from config.load import load
from models.candidates import Events
from models.filter.features import Network
from models.frames.evaluate import evaluate as evaluate_frames
from models.screening import scores
from models.screening.evaluate import Result, draw, evaluate
from models.screening.report import IMPROVEMENT, OWN, TRADITIONAL

COMMAND = "python -m bench.screening"
Row = tuple[object, ...]
IN_FULL = (TRADITIONAL, scores.FOREST, scores.ISLANDS)
IN_SHORT = ("lost X-rays", "recall", IMPROVEMENT, "of ceiling 64 x 64", "of ceiling four quadrants")


def main() -> None:
    """Make everything from the models and sets that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("out/train"), help="sets, libraries and checkpoints")
    parser.add_argument("--store", type=Path, default=Path("models/store"), help="exported models")
    parser.add_argument("--config", default="wfi", help="the configuration that the sets were made with")
    given = parser.parse_args()
    inputs, config = Inputs(given.folder, given.store), load(given.config)
    inputs.require()
    pictures = figures.FOLDER.parent / "pictures"
    training = inputs.training if inputs.models.frames else []
    result = evaluate(inputs.models, config, inputs.calibration, inputs.test, training, tell=_tell)
    draw(result, pictures)
    found: dict[str, Row] = {}
    if inputs.models.frames:
        cams.draw(pictures / "screening_cams.png", Network(inputs.models.frames), inputs.frames)
        judged = evaluate_frames(inputs.weights("frames"), inputs.frames) | ambiguous.figures(inputs.frames)
        for name, row in judged.items():
            found[f"frames, {name}"] = (100 * row[0], "%", (100 * row[1], 100 * row[2]))
    found |= chosen(result) | {
        f"cost: {k}": row for k, row in cost.figures(Events(inputs.test), inputs.models, config).items()
    }
    found |= _speed(inputs)
    figures.write("screening", COMMAND, found)
    page.write(inputs)


def chosen(result: Result) -> dict[str, Row]:
    """Return the figures of the page: all of the shipped models, the most telling ones of the others."""
    events = result.test.found
    xrays = ~events.particle
    found: dict[str, Row] = {
        "test: particle events": (int(events.particle.sum()), "in the band"),
        "test: X-rays": (int(xrays.sum()), "in the band"),
        "test: X-rays, weighted": (round(float(events.weight[xrays].sum())), "in the band"),
    }
    for key, (value, low, high) in result.figures.items():
        score = key.split(",")[0] if not key.startswith(scores.WITHOUT_CAM) else scores.WITHOUT_CAM
        score = score.removesuffix(OWN)
        in_full = score in IN_FULL or key.startswith("ceiling")
        if in_full or (key.rpartition(": ")[2] in IN_SHORT and OWN not in key):
            found[key] = (value, "%", (low, high))
    return found


def _speed(inputs: Inputs) -> dict[str, Row]:
    """Return how fast the models are, and say what is not here."""
    found = speed.figures(inputs)
    for way in speed.missing(found):
        print(f"speed: {way}: not here")
    return {f"speed: {key}": row for key, row in found.items()}


def _tell(what: str, done: int, of: int) -> None:
    if done == of:
        print(f"{what}: seen")


if __name__ == "__main__":
    try:
        main()
    except RaysieveError as fault:
        sys.exit(str(fault))
