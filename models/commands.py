"""`raysieve train`: networks and forests, from simulated truth."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from config.errors import ConfigError
from sim.check import folder_for

FILE = click.Path(path_type=Path)


@click.group()
def train() -> None:
    """Train a model; needs the train extra (pip install -e '.[train]').

    Example: raysieve train frames train.h5 --validation test.h5 --out frames.npz
    """


@train.command()
@click.argument("frames", type=FILE)
@click.option("--validation", required=True, type=FILE, help="Frames of other primaries, to see how it does.")
@click.option("--out", required=True, type=FILE, help="The weights; a checkpoint while it trains.")
@click.option("--epochs", default=12, type=click.IntRange(1), help="Times through all frames.")
@click.option("--batch", default=256, type=click.IntRange(2), help="Frames in a step.")
@click.option("--rate", default=0.007, type=click.FloatRange(1e-6, 1), help="First learning rate; 0.95 of it an epoch.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same order of frames.")
def frames(frames: Path, validation: Path, out: Path, epochs: int, batch: int, rate: float, seed: int) -> None:
    """Train the frame classifier on sets of `raysieve simulate frames`.

    Interrupted, the same command goes on from the last checkpoint.

    Example: raysieve train frames train.h5 --validation test.h5 --out frames.npz --epochs 12
    """
    try:
        from models.frames.dataset import Frames
        from models.frames.train import Plan, Standing
        from models.frames.train import train as fit
    except ImportError as fault:
        raise ConfigError(f"{fault}: expected the train extra, pip install -e '.[train]'") from None
    folder_for(out)
    given, unseen = Frames(frames), Frames(validation)
    plan = Plan(epochs=epochs, batch=batch, rate=rate, seed=seed)
    steps = -(-len(given) // batch)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task("batches", total=steps * epochs)

        def tell(now: Standing) -> None:
            progress.update(task, completed=now.epoch * steps + now.batch, description=f"loss {now.loss:.4f}")
            if now.batch == 0:
                console.print(f"epoch {now.epoch}: loss {now.loss:.4f}, accuracy {now.accuracy:.4f}", highlight=False)

        fit(given, unseen, out, plan, tell)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
