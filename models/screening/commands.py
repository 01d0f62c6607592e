"""`raysieve evaluate filter` and `raysieve evaluate islands`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from config.extra import extra
from config.load import load
from models.metrics import Interval
from stream.commands.options import configured, name_pictures, pictured

if TYPE_CHECKING:
    from models.screening.evaluate import Models, Result

FILE = click.Path(path_type=Path)
WIDTH = 180  # of the tables, where nobody says how wide the terminal is


def judged(command: Any) -> Any:
    """Add what both commands have."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON instead."),
        pictured("screening_roc.png, _background.png, _lost.png and _scores.png"),
        click.option("--max-lost", default=0.0182, type=click.FloatRange(0, 1, True, True), help="Of the X-rays."),
        click.option("--calibration", required=True, type=FILE, help="Events for the thresholds, of other primaries."),
        configured,
    ):
        command = option(command)
    return command


@click.command("filter")
@click.argument("forest", type=FILE)
@click.argument("events", type=FILE)
@click.option("--frames", required=True, type=FILE, help="The frame classifier (.onnx) that the forest was grown on.")
@click.option("--islands", type=FILE, help="A context model (.onnx), to be judged on the same events.")
@click.option("--training", multiple=True, type=FILE, help="Events to grow the forests of the ablations on.")
@judged
def evaluate_filter(forest: Path, events: Path, frames: Path, islands: Path | None, **given: Any) -> None:
    """Judge FOREST (.onnx) beside the traditional filter, on EVENTS with windows that it has never seen (percent).

    Example: raysieve evaluate filter filter.onnx test.h5 --frames frames.onnx --calibration other.h5 -c wfi
    """
    with extra("train"):
        from models.screening.evaluate import Models
    _judge(Models(frames, forest, islands), events, given)


@click.command("islands")
@click.argument("model", type=FILE)
@click.argument("events", type=FILE)
@judged
def evaluate_islands(model: Path, events: Path, **given: Any) -> None:
    """Judge a context model (.onnx) beside the traditional filter, on EVENTS that it has never seen (percent).

    Example: raysieve evaluate islands islands.onnx test.h5 --calibration other.h5 -c wfi
    """
    with extra("train"):
        from models.screening.evaluate import Models
    _judge(Models(islands=model), events, given | {"training": ()})


def _judge(models: "Models", events: Path, given: Mapping[str, Any]) -> None:
    """Evaluate, print and draw. given: the options of `judged`, and `training`."""
    from models.screening.evaluate import draw

    result = _evaluate(models, events, given)
    if given["as_json"]:
        click.echo(json.dumps(result.figures, indent=1))
    else:
        _show(result)
    if given["plot"]:
        name_pictures(draw(result, given["plot"]), given["as_json"])


def _evaluate(models: "Models", events: Path, given: Mapping[str, Any]) -> "Result":
    from models.screening.evaluate import evaluate

    config = load(given["config_name"], given["overrides"])
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("read", total=None)

        def tell(what: str, done: int, of: int) -> None:
            progress.update(task, description=what, completed=done, total=of)

        return evaluate(models, config, given["calibration"], events, given["training"], given["max_lost"], tell)


def _show(result: "Result") -> None:
    """Print a table for each lost fraction, and the ceilings."""
    from models.screening.report import IMPROVEMENT, TRADITIONAL, WINDOWS, points

    console = Console(highlight=False)
    console = Console(highlight=False, width=max(console.width, WIDTH))
    found = result.test.found
    particles, xrays = int(found.particle.sum()), int((~found.particle).sum())
    click.echo(f"{particles:,} particles; {xrays:,} X-rays, weighted {found.weight[~found.particle].sum():,.0f}")
    metrics = ("lost X-rays", "unrejected background", IMPROVEMENT, "recall", "of ceiling four quadrants")
    for point in points(result.lost):
        shown = Table(title=f"{point.name} (%, 68 % interval)", title_justify="left", box=None, pad_edge=False)
        for head in ("", "lost X-rays", "FOR", "improvement", "recall", "of four quadrants", "precision", "F1"):
            shown.add_column(head, justify="right" if head else "left", no_wrap=True)
        for name in (TRADITIONAL, *result.test.scores):
            rows = [result.figures.get(f"{name}, {point.name}: {metric}") for metric in metrics]
            plain = [f"{result.figures[f'{name}, {point.name}: {metric}'][0]:.2f}" for metric in ("precision", "F1")]
            shown.add_row(name, *map(_text, rows), *plain)
        console.print(shown)
    for window in WINDOWS:
        click.echo(f"particles with company in {window}: {_text(result.figures[f'ceiling, {window}'])} %")


def _text(row: Interval | None) -> str:
    return f"{row[0]:.2f} [{row[1]:.2f}, {row[2]:.2f}]" if row else "-"
