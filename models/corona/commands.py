"""`raysieve train corona` and `raysieve evaluate corona`: the network of coronal spectra."""

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


@click.command("corona")
@click.argument("spectra", type=FILE)
@click.option("--validation", required=True, type=FILE, help="Spectra of other stars: how it does, then calibration.")
@click.option("--out", required=True, type=FILE, help="The weights; a checkpoint while it trains.")
@click.option("--steps", default=1300, type=click.IntRange(1), help="Batches to learn from.")
@click.option("--batch", default=256, type=click.IntRange(2), help="Spectra in a batch.")
@click.option("--rate", default=0.003, type=click.FloatRange(1e-6, 1), help="Highest learning rate of one cycle.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same batches.")
def train_corona(spectra: Path, validation: Path, out: Path, **plan_of: Any) -> None:
    """Train the network of coronae on SPECTRA, a set of `raysieve simulate corona`; noise is drawn anew each time.

    Interrupted, the same command goes on from the last checkpoint; a finished network it calibrates anew.

    Example: raysieve train corona train.h5 --validation other.h5 --out corona.npz
    """
    with extra("train"):
        from models.corona.dataset import Spectra
        from models.corona.train import EVERY, PARTS, Plan, Standing, train
    folder_for(out)
    given, plan = Spectra(spectra), Plan(**plan_of)
    other = Spectra(validation, given.lines)
    console = Console(stderr=True)
    with told("batches") as move:

        def tell(now: Standing) -> None:
            move(now.step, plan.steps)
            if now.step % EVERY == 0 or now.step == plan.steps:
                unseen = ", ".join(f"{name} {value:g}" for name, value in zip(PARTS, now.unseen, strict=True))
                console.print(f"{now.step}: loss {now.loss:.3f}; unseen: {unseen}", highlight=False)

        try:
            train(given, other, out, plan, tell)
        except KeyboardInterrupt:
            raise ConfigError(f"{out}: interrupted; the same command goes on from the last checkpoint") from None
    click.echo(f"{out}: {len(given.lines)} lines, {out.stat().st_size / 1e6:.1f} MB")


@click.command("corona")
@click.argument("weights", type=FILE)
@click.argument("spectra", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON instead.")
@pictured("corona_one.png, corona_any.png (log T and log n beside the truth) and corona_lines.png")
def evaluate_corona(weights: Path, spectra: Path, as_json: bool, plot: Path | None) -> None:
    """Judge the network of coronae on SPECTRA of stars that it has never seen, with 68 % intervals.

    Example: raysieve evaluate corona corona.npz test.h5
    """
    with extra("train"):
        from models.corona.calibrate import show
        from models.corona.dataset import Spectra
        from models.corona.evaluate import DRAWS, judge
        from models.corona.train import lines_of, load
    network, state = load(weights)
    if "calibration" not in state:
        raise ConfigError(f"{weights}: not calibrated: let `raysieve train corona` come to its end")
    told_and_true = show(network, Spectra(spectra, lines_of(state)), DRAWS, 0)
    found = judge(network, state["calibration"], *told_and_true)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        for name, (value, low, high) in found.items():
            click.echo(f"{name:45s} {value:8.4f}  {low:.4f} - {high:.4f}")
    if plot:
        from models.corona.plots import draw_judged

        name_pictures(draw_judged(plot, state["calibration"], *told_and_true, found), as_json)
