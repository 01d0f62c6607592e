"""`raysieve analyse corona-population`: temperatures and densities of many coronae, and of their population."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from astropy.io import fits
from rich.console import Console
from rich.table import Table

from analyse.corona.hierarchy import LIKELIHOODS, Choices, NetworkPriors
from analyse.corona.population import PopulationPosterior, Sampling, sample_population
from analyse.corona.population_files import describe, publish, star_table
from analyse.corona.population_plots import PICTURES, plot_population
from analyse.corona.stars import Stars
from analyse.corona.windows import BOX_N, BOX_T, Box, Ints, Windows
from config.extra import extra
from sim.corona.sets import SPLITS, CoronaSet, read_set
from stream.corona.forward import Forward
from stream.errors import ConfigError
from stream.transport.corona_spectra import ROW
from stream.transport.fitsfile import disk_faults

FILE = click.Path(path_type=Path)
PAIR: Final[dict[str, Any]] = {"nargs": 2, "type": float, "show_default": True}
SHOWN: Final = 20  # stars on the screen
CHOSEN: Final = ("flagged", "uncertain")


@click.command("corona-population")
@click.argument("set_path", metavar="SET", type=FILE)
@click.option("--spectra", default=10, show_default=True, type=click.IntRange(1), help="So many, from --first on.")
@click.option("--first", default=0, show_default=True, type=click.IntRange(0), help="Row of the split.")
@click.option("--rows", metavar="3,7,12", help="Of the whole set, from 0 on, instead of --first and --spectra.")
@click.option(
    "--select", type=click.Choice(CHOSEN), help="Rows by what `raysieve coronae` said of them: --spectra most."
)
@click.option("--coronae", type=FILE, help="The coronae.fits that --select looks at.")
@click.option("--split", type=click.Choice(SPLITS), help="Of the set; else all of it.")
@click.option("--lines", default=30, show_default=True, type=click.IntRange(4, 200), help="That windows are cut about.")
@click.option("--log-t", default=BOX_T, help="Box of temperatures, log10 K.", **PAIR)
@click.option("--log-n", default=BOX_N, help="Box of densities, log10 cm-3.", **PAIR)
@click.option("--shared", is_flag=True, help="Shift, width and errors of line data are the same in all spectra.")
@click.option("--spread", is_flag=True, help="Temperatures are spread about log T as a Gaussian, not one.")
@click.option("--likelihood", type=click.Choice(LIKELIHOODS), default="poisson", show_default=True)
@click.option("--network", type=FILE, help="What a network says of the spectra, as priors (npz); see docs/corona.md.")
@click.option("--batch", type=click.IntRange(1), help="Spectra sampled at once: 10 of --shared, else 1, if not given.")
@click.option("--evidence", default=0, show_default=True, type=click.IntRange(0), help="Draws of marginal likelihoods.")
@click.option("--draws", type=click.IntRange(8), help="Of each chain.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Same seed, same posterior.")
@click.option("--plot", "drawn", is_flag=True, help="Also stars.png and population.png.")
@click.option("--out", "-o", required=True, type=FILE, help="Folder for posterior.nc, stars.fits, population.json.")
def corona_population(set_path: Path, out: Path, seed: int, **given: Any) -> None:
    """Sample temperatures, densities and norms of the coronae of a set, and their population, by NUTS.

    SET is one of `raysieve simulate corona`. More spectra than a batch are sampled batch by batch, and the population
    on the draws of all. Published when R-hat <= 1.01, ESS >= 400 and no draw diverged, for every variable of every
    batch; otherwise written as posterior_failed.nc, and the command fails.

    Example: raysieve analyse corona-population coronae.h5 --split test --spectra 10 --out population
    """
    rows = rows_of(given, set_path)
    with extra("analyse"):
        import h5netcdf  # noqa: F401
        import numpyro  # noqa: F401
        import xarray  # noqa: F401
    held = read_set(set_path, given["split"])
    at = np.arange(given["first"], given["first"] + given["spectra"]) if rows is None else rows
    stars = stars_of(held, at)
    box = Box(given["log_t"], given["log_n"])
    windows = Windows.around(Forward.through(held.instrument), given["lines"], box)
    network = read_network(given["network"], windows, at) if given["network"] else None
    how = Sampling(seed=seed, batch=given["batch"], evidence=given["evidence"])
    how = replace(how, draws=given["draws"]) if given["draws"] else how
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise ConfigError(f"{out}: cannot be made: {fault.strerror}") from None
    done = sample_population(stars, windows, choices_of(held, given), how, network)
    show(Console(highlight=False, width=110), done, seed)
    for stale in PICTURES:  # of an earlier run: not of these stars
        with disk_faults(out / stale):
            (out / stale).unlink(missing_ok=True)
    drawn = plot_population(out, done) if given["drawn"] else []  # what fails its gates is drawn too
    for path in (*drawn, *publish(out, done, seed)):
        click.echo(str(path))


def stars_of(held: CoronaSet, at: Ints) -> Stars:
    """Return these spectra of a set with their truth. Raises ConfigError for rows that it has not."""
    if at.max() >= len(held.counts):
        raise ConfigError(
            f"spectra {at.min()} to {at.max()}: expected {len(held.counts)} at most, the set's, from 0 on"
        )
    rows = held.truth[at]
    truth = {name: rows[name].astype(float) for name in ("log_t", "log_n", "log_norm")}
    several = len(np.unique(rows["star"])) < len(rows)
    names = [f"{star}.{k}" if several else f"{star}" for k, star in enumerate(rows["star"].tolist())]
    return Stars.of(held.counts[at], rows["exposure_s"].astype(float), names, truth)


def rows_of(given: dict[str, Any], set_path: Path) -> Ints | None:
    """Return the rows of a set that --rows or --select chose; None: neither did. Raises ConfigError."""
    told, by, coronae = given["rows"], given["select"], given["coronae"]
    if (by is None) != (coronae is None):
        raise ConfigError("--select and --coronae: expected both, what to look for and where")
    if told is None and by is None:
        return None
    if (told is not None and by is not None) or given["split"] or given["first"]:
        raise ConfigError(
            "--rows, --select: expected one of them, and no --split or --first: rows are of the whole set"
        )
    if by is not None:
        return chosen_of(coronae, set_path.name, by, given["spectra"])
    words = [word.strip() for word in told.split(",")]
    if not all(word.isdecimal() for word in words) or len(set(words)) < len(words):
        raise ConfigError(f"--rows {told!r}: expected numbers of 0 or more with commas between, each once")
    return np.array(words, np.int64)


def chosen_of(path: Path, name: str, by: str, most: int) -> Ints:
    """Return so many rows of a set of this name that the network flagged, or was least certain of log T of; rising.

    path: coronae.fits of `raysieve coronae`. Raises ConfigError for another file, or where there is no such row.
    """
    try:
        with fits.open(path, memmap=False) as held:
            table = held["CORONAE"].data
            names = [str(word).strip() for word in table["NAME"]]
            flag = np.asarray(table["FLAG"], int)
            end = np.where(table["P_ONE"] > 0.5, "", "_ANY")
            widths = {e: np.asarray(table[f"LOG_T{e}_HI68"] - table[f"LOG_T{e}_LO68"], float) for e in ("", "_ANY")}
    except (OSError, KeyError, ValueError, TypeError) as fault:
        raise ConfigError(f"{path}: expected coronae.fits of `raysieve coronae` ({fault})") from None
    found = [ROW.fullmatch(word) for word in names]
    rows = np.array([int(one["row"]) if one and name.endswith(one["file"]) else -1 for one in found], np.int64)
    width = np.where(end == "", widths[""], widths["_ANY"])
    order = np.flatnonzero((rows >= 0) & ((flag > 0) == (by == "flagged")))
    if by == "uncertain":
        order = order[np.argsort(-width[order], kind="stable")]
    if not len(order):
        raise ConfigError(f"{path}: no spectrum of {name} that is {by}")
    return np.sort(rows[order[:most]])


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


def read_network(path: Path, windows: Windows, at: Ints) -> NetworkPriors:
    """Return what a network says: arrays present (S, K), weights, means, covariances, width_kms, trust, if there.

    Its rows are those of the set, or of the split. Lines are those of `lines`, names as in the report; those that it
    lacks are there as predicted. Raises ConfigError for a file that is none.
    """
    names = ("present", "weights", "means", "covariances")
    try:
        with np.load(path, allow_pickle=False) as held:
            arrays = {name: held[name][at].astype(float) for name in names if name in held}
            width = tuple(held["width_kms"].tolist()) if "width_kms" in held else None
            trust = float(held["trust"]) if "trust" in held else 1.0
            lines = held["lines"].astype(str).tolist() if "lines" in held else None
    except (OSError, ValueError, KeyError, IndexError, EOFError) as fault:
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
