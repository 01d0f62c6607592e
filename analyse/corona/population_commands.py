"""`raysieve analyse corona-population`: temperatures and densities of many coronae, and of their population."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from analyse.corona.hierarchy import LIKELIHOODS, Choices, NetworkPriors
from analyse.corona.population import BATCH, PopulationPosterior, Sampling, sample_population
from analyse.corona.population_files import describe, publish, star_table
from analyse.corona.stars import Stars
from analyse.corona.windows import BOX_N, BOX_T, Box, Windows
from config.extra import extra
from sim.corona.sets import SPLITS, CoronaSet, read_set
from stream.corona.forward import Forward
from stream.errors import ConfigError

FILE = click.Path(path_type=Path)
PAIR: Final[dict[str, Any]] = {"nargs": 2, "type": float, "show_default": True}
SHOWN: Final = 20  # stars on the screen


@click.command("corona-population")
@click.argument("set_path", metavar="SET", type=FILE)
@click.option("--spectra", default=10, show_default=True, type=click.IntRange(1), help="So many, from --first on.")
@click.option("--first", default=0, show_default=True, type=click.IntRange(0), help="Row of the split.")
@click.option("--split", type=click.Choice(SPLITS), help="Of the set; else all of it.")
@click.option("--lines", default=30, show_default=True, type=click.IntRange(4, 200), help="That windows are cut about.")
@click.option("--log-t", default=BOX_T, help="Box of temperatures, log10 K.", **PAIR)
@click.option("--log-n", default=BOX_N, help="Box of densities, log10 cm-3.", **PAIR)
@click.option("--shared", is_flag=True, help="Shift, width and errors of line data are the same in all spectra.")
@click.option("--spread", is_flag=True, help="Temperatures are spread about log T as a Gaussian, not one.")
@click.option("--likelihood", type=click.Choice(LIKELIHOODS), default="poisson", show_default=True)
@click.option("--network", type=FILE, help="What a network says of the spectra, as priors (npz); see docs/corona.md.")
@click.option("--batch", default=BATCH, show_default=True, type=click.IntRange(1), help="Spectra sampled at once.")
@click.option("--evidence", default=0, show_default=True, type=click.IntRange(0), help="Draws of marginal likelihoods.")
@click.option("--draws", type=click.IntRange(8), help="Of each chain.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Same seed, same posterior.")
@click.option("--out", "-o", required=True, type=FILE, help="Folder for posterior.nc, stars.fits, population.json.")
def corona_population(set_path: Path, out: Path, seed: int, **given: Any) -> None:
    """Sample temperatures, densities and norms of the coronae of a set, and their population, by NUTS.

    SET is one of `raysieve simulate corona`. More spectra than a batch are sampled batch by batch, and the population
    on the draws of all. Published when R-hat <= 1.01, ESS >= 400 and no draw diverged, for every variable of every
    batch; otherwise written as posterior_failed.nc, and the command fails.

    Example: raysieve analyse corona-population coronae.h5 --split test --spectra 10 --out population
    """
    with extra("analyse"):
        import h5netcdf  # noqa: F401
        import numpyro  # noqa: F401
        import xarray  # noqa: F401
    held = read_set(set_path, given["split"])
    stars = stars_of(held, given["first"], given["spectra"])
    box = Box(given["log_t"], given["log_n"])
    windows = Windows.around(Forward.through(held.instrument), given["lines"], box)
    network = read_network(given["network"], windows, given["first"], len(stars)) if given["network"] else None
    how = Sampling(seed=seed, batch=given["batch"], evidence=given["evidence"])
    how = replace(how, draws=given["draws"]) if given["draws"] else how
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise ConfigError(f"{out}: cannot be made: {fault.strerror}") from None
    done = sample_population(stars, windows, choices_of(held, given), how, network)
    show(Console(highlight=False, width=110), done, seed)
    for path in publish(out, done, seed):
        click.echo(str(path))


def stars_of(held: CoronaSet, first: int, spectra: int) -> Stars:
    """Return so many spectra of a set with their truth. Raises ConfigError where it ends before them."""
    if first + spectra > len(held.counts):
        raise ConfigError(f"spectra {first} to {first + spectra - 1}: expected {len(held.counts)} at most, the set's")
    rows = held.truth[first : first + spectra]
    truth = {name: rows[name].astype(float) for name in ("log_t", "log_n", "log_norm")}
    several = len(np.unique(rows["star"])) < len(rows)
    names = [f"{star}.{k}" if several else f"{star}" for k, star in enumerate(rows["star"].tolist())]
    return Stars.of(held.counts[first : first + spectra], rows["exposure_s"].astype(float), names, truth)


def choices_of(held: CoronaSet, given: dict[str, Any]) -> Choices:
    """Return the model that suits a set: abundances vary by as much as they do there, areas too."""
    about = held.about
    metals = float(about.get("metals_dex", 0.0)), float(about.get("abundance_dex", 0.0))
    return Choices(
        likelihood=given["likelihood"],
        own_lines=not given["shared"],
        own_motion=not given["shared"],
        calibration=float(about.get("area", 0.0)),
        spread=given["spread"],
        abundances=metals if any(metals) else None,
    )


def read_network(path: Path, windows: Windows, first: int, spectra: int) -> NetworkPriors:
    """Return what a network says: arrays present (S, K), weights, means, covariances, width_kms, trust, if there.

    Rows are those of the split. Lines are those of `lines`, names as in the report; those that it lacks are there as
    predicted. Raises ConfigError for a file that is none.
    """
    names = ("present", "weights", "means", "covariances")
    try:
        with np.load(path, allow_pickle=False) as held:
            arrays = {name: held[name][first : first + spectra].astype(float) for name in names if name in held}
            width = tuple(held["width_kms"].tolist()) if "width_kms" in held else None
            trust = float(held["trust"]) if "trust" in held else 1.0
            lines = held["lines"].astype(str).tolist() if "lines" in held else None
    except (OSError, ValueError, KeyError, EOFError) as fault:
        raise ConfigError(f"{path}: expected arrays of a network's priors, npz ({fault})") from None
    if "present" in arrays and lines is not None:
        known = {name: k for k, name in enumerate(lines)}
        given = arrays["present"]
        arrays["present"] = np.stack(
            [given[:, known[name]] if name in known else np.ones(len(given)) for name in windows.names], axis=1
        )
    return NetworkPriors(width_kms=width, trust=trust, **arrays)


def show(console: Console, done: PopulationPosterior, seed: int) -> None:
    """Print stars and population."""
    rows, report = star_table(done), describe(done, seed)
    table = Table(title=f"{len(rows)} coronae, {done.windows.count} lines", box=None, pad_edge=False)
    true = "log_t_true" in (rows.dtype.names or ())
    for name in (
        "star",
        "log T",
        "sd",
        "log n",
        "sd",
        "log norm",
        "sd",
        *(("true log T", "true log n") if true else ()),
    ):
        table.add_column(name, justify="right")
    for row in rows[:SHOWN]:
        cells = [row["name"].decode()]
        for name, digits in (("log_t", 3), ("log_n", 2), ("log_norm", 2)):
            cells += [f"{row[name]:.{digits}f}", f"{row[f'{name}_sd']:.{digits}f}"]
        if true:
            cells += [f"{row['log_t_true']:.3f}", f"{row['log_n_true']:.2f}"]
        table.add_row(*cells)
    console.print(table)
    if len(rows) > SHOWN:
        console.print(f"and {len(rows) - SHOWN} more")
    for name, found in report["population"].items():
        console.print(f"{name}: {found['mean']:.3f} +- {found['sd']:.3f}")
    for number, batch in enumerate(report["batches"]):
        told = batch.get("evidence")
        more = (
            f", ln Z {told['ln_z']:.2f} +- {told['error']:.2f}{'' if told['sound'] else ' (unsound)'}" if told else ""
        )
        console.print(
            f"batch {number}: {batch['cpu_seconds']:.1f} s of CPU, least ESS {batch['least_ess']:.0f}, most R-hat "
            f"{batch['most_r_hat']:.4f}, {batch['divergences']} divergences{more}"
        )
