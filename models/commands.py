"""`raysieve train` and `raysieve evaluate`: models from simulated truth, and how well they do."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from config.errors import ConfigError
from config.extra import extra
from models.corona.commands import evaluate_corona, train_corona
from models.crosscal.commands import evaluate_crosscal, train_crosscal
from models.filter.commands import train_filter
from models.islands.commands import train_islands
from models.lat.classify_commands import (
    evaluate_lat_classify,
    evaluate_lat_cutouts,
    train_lat_classify,
    train_lat_cutouts,
)
from models.lat.localise_commands import evaluate_lat_localise, train_lat_localise
from models.screening.commands import evaluate_filter, evaluate_islands
from models.sources.commands import evaluate_sources, train_sources
from sim.check import folder_for
from stream.commands.options import name_pictures, pictured

FILE = click.Path(path_type=Path)


@click.group()
def train() -> None:
    """Train a model; needs the train extra (pip install -e '.[train]').

    Example: raysieve train frames train.h5 --validation test.h5 --out frames.npz
    """


train.add_command(train_corona)
train.add_command(train_crosscal)
train.add_command(train_filter)
train.add_command(train_islands)
train.add_command(train_sources)
train.add_command(train_lat_classify)
train.add_command(train_lat_cutouts)
train.add_command(train_lat_localise)


@train.command()
@click.argument("frames", type=FILE)
@click.option("--validation", required=True, type=FILE, help="Frames of other primaries, to see how it does.")
@click.option("--out", required=True, type=FILE, help="The weights; a checkpoint while it trains.")
@click.option("--epochs", default=4, type=click.IntRange(1), help="Times through all frames.")
@click.option("--batch", default=64, type=click.IntRange(2), help="Frames in a step.")
@click.option("--rate", default=0.005, type=click.FloatRange(1e-6, 1), help="Highest learning rate.")
@click.option(
    "--schedule", default="one-cycle", type=click.Choice(["one-cycle", "decay"]), help="decay: 0.95 of it an epoch."
)
@click.option("--dropout", default=0.0, type=click.FloatRange(0, 0.9), help="For many epochs of few frames: 0.2.")
@click.option(
    "--begin", type=FILE, help="Weights of an earlier training, in smaller windows or other ones, to go on from."
)
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same order of frames.")
def frames(frames: Path, validation: Path, out: Path, begin: Path | None, **plan_of: Any) -> None:
    """Train the frame classifier on sets of `raysieve simulate frames`.

    A window of 32 x 32 is a quarter of the work of 64 x 64 and shows most of the same: begin with those. Interrupted,
    the same command goes on from the last checkpoint.

    Example: raysieve train frames train.h5 --validation test.h5 --out frames.npz
    """
    with extra("train"):
        from models.frames.dataset import Frames
        from models.frames.train import Plan, Standing
        from models.frames.train import train as fit
    folder_for(out)
    given = Frames(frames, side=None)
    unseen = Frames(validation, side=given.side)
    plan = Plan(**plan_of)
    steps = -(-len(given) // plan.batch)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task("batches", total=steps * plan.epochs)

        def tell(now: Standing) -> None:
            progress.update(task, completed=now.epoch * steps + now.batch, description=f"loss {now.loss:.4f}")
            if now.batch == 0:
                console.print(f"epoch {now.epoch}: loss {now.loss:.4f}, accuracy {now.accuracy:.4f}", highlight=False)

        try:
            fit(given, unseen, out, plan, tell, begin)
        except KeyboardInterrupt:
            raise ConfigError(f"{out}: interrupted; the same command goes on from the last checkpoint") from None
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


@click.group()
def evaluate() -> None:
    """Judge a trained model on data that it has never seen, with 68 % intervals; needs the train extra.

    Example: raysieve evaluate frames frames.npz test.h5
    """


for command in (
    evaluate_filter, evaluate_islands, evaluate_sources, evaluate_lat_classify, evaluate_lat_cutouts,
    evaluate_lat_localise, evaluate_corona, evaluate_crosscal,
):  # fmt: skip
    evaluate.add_command(command)


@evaluate.command("frames")
@click.argument("weights", type=FILE)
@click.argument("frames", type=FILE)
@pictured("frames_confusion.png, frames_reliability.png and frames_classes.png")
def evaluate_frames(weights: Path, frames: Path, plot: Path | None) -> None:
    """Print accuracy, and F1, precision and recall of the four classes (percent).

    Example: raysieve evaluate frames frames.npz test.h5
    """
    with extra("train"):
        from models.frames.evaluate import judge, table
    judged = judge(weights, frames)
    shown = Table(box=None, pad_edge=False)
    for head in ("", "%", "68 % interval"):
        shown.add_column(head, justify="right" if head else "left")
    for name, (value, low, high) in table(judged.label, judged.decided).items():
        shown.add_row(name, f"{100 * value:.2f}", f"{100 * low:.2f} - {100 * high:.2f}")
    Console(highlight=False).print(shown)
    if plot:
        from models.sources.plots import draw_told

        name_pictures(draw_told(plot, "frames", {"": judged}))
