"""`raysieve train lat-classify` and `raysieve evaluate lat-classify`: what gamma-ray sources are."""

import json
from pathlib import Path

import click
from rich.console import Console

from config.extra import extra
from models.sources.commands import shown, told
from sim.check import new_or_replaced

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
@click.option("--seed", default=100, type=click.IntRange(0), help="Same seed, same folds.")
def evaluate_lat_classify(catalogue: Path, kind: str, by_sky: bool, folds: int, as_json: bool, seed: int) -> None:
    """Cross-validate a model of the classes of gamma-ray sources on CATALOGUE; everything is fitted inside the folds.

    With all that a catalogue knows, and with the spectrum and light curve alone that our own detections have.

    Example: raysieve evaluate lat-classify gll_psc_v27.fit --by-sky
    """
    with extra("train"):
        from models.lat.classify_evaluate import confusion, intervals
        from models.lat.classify_linear import Plan, cross_validate
        from models.lat.classify_table import read_table
        from stream.judges.lat import LIKELIHOOD
    given = read_table(catalogue, kind)  # type: ignore[arg-type]
    figures = {}
    for name, hidden in (("as the catalogue", ()), ("as our detections", tuple(LIKELIHOOD))):
        judged = cross_validate(given, Plan(), by_field=by_sky, hidden=hidden, folds=folds, seed=seed)
        figures[name] = {"metrics": intervals(judged), "confusion": confusion(judged)}
    if as_json:
        click.echo(json.dumps(figures, indent=1))
        return
    for name, rows in figures.items():
        shown(name, rows["metrics"])  # type: ignore[arg-type]
        Console(highlight=False).print(f"true {'/'.join(given.classes)} called so: {rows['confusion']}")
