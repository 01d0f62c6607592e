"""`raysieve train lat-classify` and `raysieve evaluate lat-classify`: what gamma-ray sources are."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from config.errors import ConfigError
from config.extra import extra
from models.sources.commands import shown, told
from sim.check import folder_for, new_or_replaced
from stream.commands.options import name_pictures, pictured

FILE = click.Path(path_type=Path)
KINDS = click.Choice(["classes", "agn-psr"])
BY_SKY = click.option("--by-sky", is_flag=True, help="Leave out sectors of Galactic longitude, not sources.")


@click.command("lat-classify")
@click.argument("catalogue", type=FILE)
@click.option("--out", required=True, type=FILE, help="The model, as plain arrays (.npz).")
@click.option("--kind", default="classes", type=KINDS, help="BLL, FSRQ, PSR and PWN+SPP+SNR; or AGN and pulsars.")
@BY_SKY
@click.option("--overwrite", is_flag=True, help="Replace an existing model.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same folds of the calibration.")
def train_lat_classify(catalogue: Path, out: Path, kind: str, by_sky: bool, overwrite: bool, seed: int) -> None:
    """Train a model of the classes of gamma-ray sources on CATALOGUE, a gll_psc of 4FGL (any version).

    Spectrum and light curve above 300 MeV, as our own detections have them; no place on the sky.

    Example: raysieve train lat-classify gll_psc_v27.fit --out lat_classes.npz
    """
    with extra("train"):
        from models.lat.classify_linear import Plan, train
        from models.lat.classify_store import save
        from models.lat.classify_table import read_table
    new_or_replaced(out, overwrite)
    given = read_table(catalogue, kind)  # type: ignore[arg-type]
    with told("folds") as tell:
        model = train(given, Plan(seed=seed), by_field=by_sky, tell=tell)
    save(out, model)
    click.echo(
        f"{out}: {len(model.heads)} heads of {len(given.features)} features, {', '.join(given.classes)}, "
        f"{len(given):,} sources; {out.stat().st_size / 1e3:.0f} kB"
    )


@click.command("lat-classify")
@click.argument("catalogue", type=FILE)
@click.option("--kind", default="classes", type=KINDS, help="As of the training.")
@BY_SKY
@click.option("--folds", default=5, type=click.IntRange(2), help="Of the cross-validation.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON instead.")
@pictured("lat_confusion.png, lat_reliability.png and lat_classes_*.png")
@click.option("--seed", default=100, type=click.IntRange(0), help="Same seed, same folds.")
def evaluate_lat_classify(
    catalogue: Path, kind: str, by_sky: bool, folds: int, as_json: bool, plot: Path | None, seed: int
) -> None:
    """Cross-validate a model of the classes of gamma-ray sources on CATALOGUE; everything is fitted inside the folds.

    With all that a catalogue knows, and with the spectrum and light curve alone that our own detections have.

    Example: raysieve evaluate lat-classify gll_psc_v27.fit --by-sky
    """
    with extra("train"):
        from models.lat.classify_evaluate import confusion, intervals
        from models.lat.classify_linear import Plan, judge_folds, train_folds
        from models.lat.classify_table import read_table
        from stream.judges.lat import LIKELIHOOD
    given = read_table(catalogue, kind)  # type: ignore[arg-type]
    models = train_folds(given, Plan(), by_field=by_sky, folds=folds, seed=seed)
    judged = {
        name: judge_folds(given, models, hidden, by_field=by_sky)
        for name, hidden in (("as the catalogue", ()), ("as our detections", tuple(LIKELIHOOD)))
    }
    figures = {name: {"metrics": intervals(one), "confusion": confusion(one)} for name, one in judged.items()}
    if as_json:
        click.echo(json.dumps(figures, indent=1))
    else:
        for name, rows in figures.items():
            shown(name, rows["metrics"])  # type: ignore[arg-type]
            Console(highlight=False).print(f"true {'/'.join(given.classes)} called so: {rows['confusion']}")
    if plot:
        from models.sources.plots import draw_told

        name_pictures(draw_told(plot, "lat", judged, ruled=True), as_json)


@click.command("lat-cutouts")
@click.argument("cutouts", type=FILE)
@click.option("--validation", required=True, type=FILE, help="Cut-outs of other skies: calibration.")
@click.option("--out", required=True, type=FILE, help="The weights; a checkpoint while it trains.")
@click.option("--way", default="counts", type=click.Choice(["counts", "changes"]), help="changes: without the mean.")
@click.option("--epochs", default=6, type=click.IntRange(1), help="Times through all cut-outs.")
@click.option("--batch", default=128, type=click.IntRange(2), help="Cut-outs in a step.")
@click.option("--rate", default=0.004, type=click.FloatRange(1e-6, 1), help="Highest learning rate of one cycle.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same order of cut-outs.")
def train_lat_cutouts(cutouts: Path, validation: Path, out: Path, **plan_of: Any) -> None:
    """Train the network of classes (and of fakes) on sets of `raysieve simulate lat-cutouts`.

    Interrupted, the same command goes on from the last whole epoch.

    Example: raysieve train lat-cutouts train.h5 --validation other.h5 --out lat_cutouts.npz
    """
    with extra("train"):
        from models.lat.classify_train import CutoutSet, Plan, Standing, train
    folder_for(out)
    given, calibration, plan = CutoutSet(cutouts), CutoutSet(validation), Plan(**plan_of)
    console = Console(stderr=True)
    with told("batches") as move:

        def tell(now: Standing) -> None:
            move(now.epoch * now.steps + now.step, plan.epochs * now.steps)
            if now.step == 0:
                console.print(f"epoch {now.epoch}: loss {now.loss:.4f}, unseen {now.unseen:.4f}", highlight=False)

        try:
            train(given, calibration, out, plan, tell)
        except KeyboardInterrupt:
            raise ConfigError(f"{out}: interrupted; the same command goes on from the last whole epoch") from None
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


@click.command("lat-cutouts")
@click.argument("weights", type=FILE)
@click.argument("cutouts", type=FILE)
@pictured("cutouts_confusion.png, cutouts_reliability.png, cutouts_classes_*.png and cutouts_fakes.png")
def evaluate_lat_cutouts(weights: Path, cutouts: Path, plot: Path | None) -> None:
    """Judge the network of classes on CUTOUTS of skies that it has never seen, with 68 % intervals.

    Example: raysieve evaluate lat-cutouts lat_cutouts.npz test.h5
    """
    with extra("train"):
        from scipy.special import softmax

        from models.lat.classify_evaluate import confusion, intervals
        from models.lat.classify_fakes import only_sources, rejection
        from models.lat.classify_train import CutoutSet, judged, load, predict, state_of
    network, unseen = load(weights), CutoutSet(cutouts)
    said = judged(softmax(predict(network, unseen, state_of(weights)["plan"]["way"]), axis=1), unseen)
    among = only_sources(said)
    shown("all", intervals(said))
    shown("sources among each other", intervals(among))
    shown("fakes", rejection(said))
    Console(highlight=False).print(f"true {'/'.join(said.classes)} called so: {confusion(said)}")
    if plot:
        from models.lat.plots import draw_fakes
        from models.sources.plots import draw_told

        name_pictures(draw_told(plot, "cutouts", {"all": said, "sources": among}, ruled=True))
        name_pictures([draw_fakes(plot / "cutouts_fakes.png", {"": said})])
