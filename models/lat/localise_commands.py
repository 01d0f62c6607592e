"""`raysieve train lat-localise` and `raysieve evaluate lat-localise`: where gamma-ray sources are, by a network."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from config.errors import ConfigError
from config.extra import extra
from models.sources.commands import shown
from sim.check import folder_for
from stream.commands.options import name_pictures, pictured
from stream.lat.masks import THRESHOLD

FILE = click.Path(path_type=Path)


@click.command("lat-localise")
@click.argument("patches", type=FILE)
@click.option("--validation", required=True, type=FILE, help="Patches of other skies, to see how it does.")
@click.option("--out", required=True, type=FILE, help="The weights; a checkpoint while it trains.")
@click.option("--epochs", default=8, type=click.IntRange(1), help="Times through all patches.")
@click.option("--batch", default=8, type=click.IntRange(1), help="Patches in a step.")
@click.option("--rate", default=0.004, type=click.FloatRange(1e-6, 1), help="Highest learning rate, of one cycle.")
@click.option("--first", default=8, type=click.IntRange(2, 64), help="Filters on the finest grid; UNEK: 32.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same order of patches.")
def train_lat_localise(patches: Path, validation: Path, out: Path, **plan_of: Any) -> None:
    """Train the localisation network on sets of `raysieve simulate lat-patches`.

    Interrupted, the same command goes on from the last whole epoch.

    Example: raysieve train lat-localise train.h5 --validation test.h5 --out lat_localise.npz
    """
    with extra("train"):
        from models.lat.dataset import Patches
        from models.lat.train import Plan, Standing, train
    folder_for(out)
    given, unseen, plan = Patches(patches), Patches(validation), Plan(**plan_of)
    console = Console(stderr=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("batches", total=len(given) // plan.batch * plan.epochs)

        def tell(now: Standing) -> None:
            steps = len(given) // plan.batch
            progress.update(task, completed=now.epoch * steps + now.batch, description=f"loss {now.loss:.4f}")
            if now.batch == 0:
                console.print(
                    f"epoch {now.epoch}: loss {now.loss:.4f}, on other skies {now.unseen:.4f}", highlight=False
                )

        try:
            train(given, unseen, out, plan, tell)
        except KeyboardInterrupt:
            raise ConfigError(f"{out}: interrupted; the same command goes on from the last whole epoch") from None
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


@click.command("lat-localise")
@click.argument("weights", type=FILE)
@click.argument("patches", type=FILE)
@click.option("--threshold", default=THRESHOLD, type=click.FloatRange(0, 1), help="Of the mask; higher: purer.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON instead.")
@pictured("localise_places.png (completeness, purity, distances by flux)")
def evaluate_lat_localise(weights: Path, patches: Path, threshold: float, as_json: bool, plot: Path | None) -> None:
    """Judge the localisation network on PATCHES of skies that it has never seen, beside K-Means and the filter alone.

    Example: raysieve evaluate lat-localise lat_localise.npz test.h5 --threshold 0.5
    """
    with extra("train"):
        from models.lat.dataset import Patches
        from models.lat.localise_evaluate import judge, shares
        from models.lat.train import load, masks_of
    network, unseen = load(weights), Patches(patches)
    judged = judge(unseen, lambda given: masks_of(network, given), threshold)
    figures = {name: shares(told) for name, told in judged.items()}
    if as_json:
        click.echo(json.dumps(figures, indent=1))
    else:
        for name, rows in figures.items():
            shown(f"{name}, {1000 * judged[name].seconds:.2f} ms from mask to places", rows)
    if plot:
        from models.lat.plots import draw_places

        name_pictures([draw_places(plot / "localise_places.png", judged)], as_json)
