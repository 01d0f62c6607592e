"""`raysieve train crosscal` and `raysieve evaluate crosscal`: the emulator of cross-calibration."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from config.errors import ConfigError
from config.extra import extra
from models.sources.commands import told
from sim.check import folder_for
from stream.commands.options import name_pictures, pictured

FILE = click.Path(path_type=Path)


@click.command("crosscal")
@click.argument("grids", nargs=-1, required=True, type=FILE)
@click.option("--out", required=True, type=FILE, help="The weights; a checkpoint while it trains.")
@click.option("--steps", default=30_000, show_default=True, type=click.IntRange(1), help="Batches to learn from.")
@click.option("--batch", default=1024, show_default=True, type=click.IntRange(2), help="Fits in a batch.")
@click.option("--rate", default=0.003, type=click.FloatRange(1e-6, 1), help="Highest learning rate of one cycle.")
@click.option("--wide", default=64, show_default=True, type=click.IntRange(4, 1024), help="Units of a hidden layer.")
@click.option("--deep", default=3, show_default=True, type=click.IntRange(1, 8), help="Hidden layers.")
@click.option("--begin", type=FILE, help="Weights of an earlier training to go on from, at a lower rate.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same batches.")
def train_crosscal(grids: tuple[Path, ...], out: Path, begin: Path | None, **plan_of: Any) -> None:
    """Train the emulator on GRIDS, fits of `raysieve simulate crosscal`; every tenth theta of each is kept back.

    Several: one of the whole box, others where the response is sharp. Interrupted, the same command goes on from the
    last checkpoint.

    Example: raysieve train crosscal grid.h5 --out crosscal.npz
    """
    with extra("train"):
        from models.crosscal.dataset import Grid
        from models.crosscal.train import EVERY, Plan, Standing, train
    folder_for(out)
    given, plan = [Grid(path) for path in grids], Plan(**plan_of)
    console = Console(stderr=True)
    with told("batches") as move:

        def tell(now: Standing) -> None:
            move(now.step, plan.steps)
            if now.step % (5 * EVERY) == 0 or now.step == plan.steps:
                kept = f"kept back: median {100 * now.median:.4f} %, worst {100 * now.worst:.3f} %"
                console.print(f"{now.step}: loss {now.loss:.3g}; {kept}", highlight=False)

        try:
            train(given, out, plan, tell, begin)
        except KeyboardInterrupt:
            raise ConfigError(f"{out}: interrupted; the same command goes on from the last checkpoint") from None
    fits, failed = sum(len(grid.points) for grid in given), sum(grid.failed for grid in given)
    lost = f"; {failed:,} fits of the grids failed" if failed else ""
    click.echo(f"{out}: {fits:,} fits of {given[0].family.name}{lost}")


@click.command("crosscal")
@click.argument("weights", type=FILE)
@click.argument("grids", nargs=-1, required=True, type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON instead.")
@pictured("crosscal_kept_back.png, crosscal_other_points.png: the error of kT, by kT and theta")
def evaluate_crosscal(weights: Path, grids: tuple[Path, ...], as_json: bool, plot: Path | None) -> None:
    """Judge the emulator on GRIDS, with 68 % intervals; of its own only theta that were kept back.

    Example: raysieve evaluate crosscal crosscal.npz grid.h5 other.h5
    """
    with extra("train"):
        from models.crosscal.dataset import Grid
        from models.crosscal.evaluate import evaluate
        from models.crosscal.train import load
    network, state = load(weights)
    unseen = [Grid(path) for path in grids]
    found = evaluate(network, state, unseen)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        for name, (value, low, high) in found.items():
            click.echo(f"{name:48s} {100 * value:9.4f} %  {100 * low:.4f} - {100 * high:.4f}")
    if plot:
        from models.crosscal.plots import draw_errors

        name_pictures(draw_errors(plot, network, state, unseen), as_json)
