"""`raysieve train sources` and `raysieve evaluate sources`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from config.extra import extra
from models.metrics import Interval
from sim.check import new_or_replaced, require
from stream.commands.options import name_pictures, pictured

if TYPE_CHECKING:
    from models.sources.challenger import Boosting
    from models.sources.dataset import Sources
    from models.sources.fusion import Plan

FILE = click.Path(path_type=Path)
KINDS = click.Choice(["fusion", "challenger"])


@contextmanager
def told(what: str) -> Iterator[Callable[[int, int], object]]:
    """Show a bar; give the function that moves it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what)
        yield lambda done, of: progress.update(task, completed=done, total=of)


def plan_of(kind: str, seed: int) -> "Plan | Boosting":
    """Return the plan of a kind of model."""
    from models.sources.challenger import Boosting
    from models.sources.fusion import Plan

    return Boosting(seed=seed) if kind == "challenger" else Plan(seed=seed)


def table_of(path: Path, features: tuple[str, ...]) -> "Sources":
    """Return the sources of a table with some of its features, or all."""
    from models.sources.dataset import read_sources

    given = read_sources(path)
    return given.only(features) if features else given


@click.command("sources")
@click.argument("table", type=FILE)
@click.option("--out", required=True, type=FILE, help="The model, as plain arrays (.npz).")
@click.option("--kind", default="fusion", type=KINDS, help="Bayesian fusion, or gradient-boosted trees.")
@click.option("--sky", is_flag=True, help="With a prior by Galactic latitude, of the columns l and b, or ra and dec.")
@click.option("--by-field", is_flag=True, help="Calibrate on fields that are left out, not on sources.")
@click.option("--feature", "features", multiple=True, help="A column to use; all, if none is named.")
@click.option("--overwrite", is_flag=True, help="Replace an existing model.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same model.")
def train_sources(
    table: Path, out: Path, kind: str, sky: bool, by_field: bool, features: tuple[str, ...], overwrite: bool, seed: int
) -> None:
    """Train a model of source classes on TABLE: CSV or HDF5 with a column `class` and one for each feature.

    NAME_error are the errors of NAME, empty or NaN is missing, `field` says which sources were seen together. The
    table of MUWCLASS (CSC_TD_*_MW.csv.gz) is known by its columns.

    Example: raysieve train sources fields.h5 --out sources.npz --by-field
    """
    with extra("train"):
        from models.sources.store import save
        from models.sources.train import train
    new_or_replaced(out, overwrite)
    given = table_of(table, features)
    require(f"{table}: --sky", (not sky or given.sky is not None, "columns l and b, or ra and dec"))
    with told("folds") as tell:
        trained = train(given, plan_of(kind, seed), sky=sky, by_field=by_field, tell=tell)
    save(out, trained)
    click.echo(
        f"{out}: {kind} of {len(given.features)} features, {len(given.classes)} classes, {len(given):,} sources; "
        f"{out.stat().st_size / 1e6:.2f} MB"
    )


@click.command("sources")
@click.argument("table", type=FILE)
@click.option("--model", type=FILE, help="A trained model (.npz) that never saw TABLE; else: cross-validation.")
@click.option("--kind", default="fusion", type=KINDS, help="Of the cross-validation.")
@click.option("--by-field", is_flag=True, help="Leave out whole fields; intervals from drawing fields.")
@click.option("--folds", default=5, type=click.IntRange(2), help="Of the cross-validation.")
@click.option("--feature", "features", multiple=True, help="A column to use; all, if none is named.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON instead.")
@pictured("sources_confusion.png, sources_reliability.png and sources_classes.png")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same folds.")
def evaluate_sources(table: Path, model: Path | None, features: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Judge a model of source classes on TABLE, or cross-validate one there (everything is fitted inside the folds).

    Example: raysieve evaluate sources fields.h5 --by-field
    """
    with extra("train"):
        from models.sources.evaluate import cross_validate, embedded, intervals, judge_unseen
        from models.sources.store import load
    sources = table_of(table, features)
    if model is not None:
        told_of = {"": judge_unseen(load(model), sources, given["by_field"])}
    else:
        plan = plan_of(given["kind"], given["seed"])
        options = {key: given[key] for key in ("by_field", "folds", "seed")}
        with told("folds") as move:
            judged = cross_validate(sources, replace(plan, folds=min(plan.folds, given["folds"])), **options, tell=move)
        told_of = {"prior by latitude" if sky else "": one for sky, one in judged.items()}
    figures = {name: intervals(one) for name, one in told_of.items()}
    figures |= {"diffusion map, eta squared": embedded(sources, given["seed"])}
    if as_json:
        click.echo(json.dumps(figures, indent=1))
    else:
        for name, rows in figures.items():
            shown(name, rows)
    if given["plot"]:
        from models.sources.plots import draw_told

        name_pictures(draw_told(given["plot"], "sources", told_of), as_json)


def shown(title: str, rows: dict[str, Interval]) -> None:
    """Print figures with their intervals."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for head in ("", "value", "68 % interval"):
        table.add_column(head, justify="right" if head else "left")
    for name, (value, low, high) in rows.items():
        table.add_row(name, f"{value:.3f}", f"{low:.3f} - {high:.3f}")
    Console(highlight=False).print(table)
