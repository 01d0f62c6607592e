"""`raysieve train filter`: the forest that judges events."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from config.extra import extra
from sim.check import new_or_replaced

FILE = click.Path(path_type=Path)


@click.command("filter")
@click.argument("events", type=FILE, nargs=-1, required=True)
@click.option("--frames", required=True, type=FILE, help="The exported frame classifier (.onnx) that it belongs to.")
@click.option("--out", required=True, type=FILE, help="The forest, as plain arrays (.npz).")
@click.option("--trees", default=1000, type=click.IntRange(1, 100_000), help="Each with a balanced bootstrap.")
@click.option("--tried", default=3, type=click.IntRange(1, 10), help="Features at a split.")
@click.option("--least-leaf", default=1, type=click.IntRange(1), help="Events in a leaf; 1: fully grown trees.")
@click.option("--overwrite", is_flag=True, help="Replace an existing forest.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same forest.")
def train_filter(events: tuple[Path, ...], frames: Path, out: Path, overwrite: bool, **plan_of: Any) -> None:
    """Train the forest on sets of `raysieve simulate events --windows`; as it stands it is that of seed 003.

    Fewer trees with larger leaves judge as well and are a hundred times smaller: see the card of the exported model.

    Example: raysieve train filter events.h5 --frames frames.onnx --out filter.npz --trees 100 --least-leaf 50
    """
    with extra("train"):
        from models.candidates import Events
        from models.filter.features import Network
        from models.filter.forest import save
        from models.filter.train import Plan, train
    new_or_replaced(out, overwrite)
    network, sets = Network(frames), [Events(path) for path in events]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("filter")
        forest = train(
            sets,
            network,
            Plan(**plan_of),
            lambda what, done, of: progress.update(task, description=what, completed=done, total=of),
        )
    save(out, forest)
    click.echo(f"{out}: {forest.root.size:,} trees, {forest.feature.size:,} nodes; {out.stat().st_size / 1e6:.1f} MB")
