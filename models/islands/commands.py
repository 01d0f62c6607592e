"""`raysieve train islands`: the model that judges candidates by the islands of the whole read-out."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from config.errors import ConfigError
from config.extra import extra
from config.load import load
from sim.check import folder_for
from stream.commands.options import configured

FILE = click.Path(path_type=Path)


@click.command("islands")
@click.argument("events", type=FILE, nargs=-1, required=True)
@configured
@click.option("--validation", required=True, type=FILE, help="Events of other primaries, to see how it does.")
@click.option("--out", required=True, type=FILE, help="The weights; a checkpoint while it trains.")
@click.option("--steps", default=6000, type=click.IntRange(1), help="Batches to learn from.")
@click.option("--batch", default=1024, type=click.IntRange(8), help="Candidates in a batch.")
@click.option("--rate", default=0.002, type=click.FloatRange(1e-6, 1), help="Highest learning rate of one cycle.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same batches.")
def train_islands(
    events: tuple[Path, ...], config_name: str, overrides: tuple[str, ...], validation: Path, out: Path, **plan_of: Any
) -> None:
    """Train the context model on sets of `raysieve simulate events`, made with this configuration.

    Interrupted, the same command goes on from the last checkpoint.

    Example: raysieve train islands train.h5 -c wfi --validation other.h5 --out islands.npz
    """
    with extra("train"):
        from models.candidates import Events
        from models.islands.dataset import joined, scenes
        from models.islands.train import Plan, Standing, train
    folder_for(out)
    config, plan = load(config_name, overrides), Plan(**plan_of)
    sets = [Events(path) for path in events]
    given, unseen = joined([scenes(one, config) for one in sets]), scenes(Events(validation), config)
    about = "\n".join(one.about for one in sets)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task("batches", total=plan.steps)

        def tell(now: Standing) -> None:
            progress.update(task, completed=now.step, description=f"loss {now.loss:.4f}")
            if now.step % 1000 == 0 or now.step == plan.steps:
                console.print(f"{now.step}: loss {now.loss:.4f}, rejected {now.rejected:.4f}", highlight=False)

        try:
            train(given, unseen, out, plan, about, tell)
        except KeyboardInterrupt:
            raise ConfigError(f"{out}: interrupted; the same command goes on from the last checkpoint") from None
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
