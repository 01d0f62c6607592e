"""`raysieve coronae`: what a network says of coronal spectra, at once."""

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from config.folder import folder_to_write
from stream.corona.excess import nearest_log_t, templates
from stream.corona.instrument import Instrument
from stream.corona.posterior import ENDS
from stream.errors import ConfigError, LinkError
from stream.judges.corona import NO_COUNTS, as_words
from stream.messages import Product
from stream.transport.corona_prior import write_prior
from stream.transport.corona_products import read_spectra
from stream.transport.products import Products
from stream.wiring import build_corona

SHOWN = 20
FILE = click.Path(path_type=Path)
AS_PRIOR = 0.9  # of the width of the prior's interval: the spectrum has said next to nothing
LEGEND = (
    "mean and 68 %: of the one temperature where P(one T), the probability that there is but one, is above 0.5; else "
    "weighted by emission measure. As prior: no narrower than before the spectrum was seen, log T 6 to 7, log n 9 to 11"
)
FEW = 4.0  # sigma: what is beyond it is told of a spectrum that is not known


@click.command()
@click.argument("spectra", nargs=-1, required=True, type=FILE)
@click.option("--model", default="", help="Shipped name, or an ONNX file with its card; else that of the grid.")
@click.option("--out", "-o", required=True, type=FILE, help="Folder for coronae.fits.")
@click.option("--offset", default=0.0, help="Angstrom that all wavelengths of the files are too long by.")
@click.option("--prior", type=FILE, help="Write what `analyse corona-population --network` takes (npz), of one file.")
@click.option(
    "--seed", default=0, type=click.IntRange(0), help="Of counts of other grids, or too many: which are kept."
)
def coronae(spectra: tuple[Path, ...], model: str, out: Path, offset: float, prior: Path | None, seed: int) -> None:
    """Tell temperature, density and lines of the coronae in SPECTRA: tables, or sets of `raysieve simulate corona`.

    OUT/coronae.fits, or OUT/NAME/coronae.fits of several files. The network is that of the spectra's grid. Narrower
    bins are put into it by chance, with their area; a spectrum brighter than the network knows is thinned. A spectrum
    that is like none that the network has learned from has a FLAG and no answer; `raysieve analyse corona` takes its
    time and takes any.

    Example: raysieve coronae coronae.h5 --out out
    """
    stems = [path.stem for path in spectra]
    if len(set(stems)) < len(stems):
        raise ConfigError(f"{', '.join(stems)}: expected files of different names")
    if prior is not None and len(spectra) > 1:
        raise ConfigError(f"--prior {prior}: expected one file of spectra, found {len(spectra)}")
    stage, sink = build_corona(model, seed), Products(out)
    console = Console(highlight=False, width=110)
    for number, path in enumerate(spectra):
        given = read_spectra(path, number, path.stem if len(spectra) > 1 else ".", offset)
        folder_to_write(out)
        for made in stage.process(given):
            sink.send(made)
            if isinstance(made, Product) and made.kind == "coronae":
                console.print(f"{path.name}: {made.header['MODEL']}, of {made.header['INSTRUME']}")
                console.print(table_of(made, given))
                if not made.tables["CORONAE"]["FLAG"].all():
                    console.print(LEGEND)
                if prior is not None:
                    write_prior(prior, made)
    if sink.counters["not_written"]:
        raise LinkError(sink.refused)


def table_of(made: Product, given: Product) -> Table:
    """Return what is said of the first spectra, for people. given: the spectra."""
    rows = made.tables["CORONAE"][:SHOWN]
    shown = Table(box=None, pad_edge=False)
    for head in ("spectrum", "log T (K)", "68 %", "log n (cm-3)", "68 %", "P(one T)", "lines", ""):
        shown.add_column(head)
    for row, seems in zip(rows, nearest(rows, given), strict=True):
        name = row["NAME"].decode()
        if row["FLAG"]:
            shown.add_row(name, *[""] * 6, why(row, float(seems)))
            continue
        end = "" if row["P_ONE"] > 0.5 else "_ANY"
        ends = [f"{row[f'{key}{end}_LO68']:.3f} - {row[f'{key}{end}_HI68']:.3f}" for key in ("LOG_T", "LOG_N")]
        means = [f"{row[f'{key}{end}']:.3f}" for key in ("LOG_T", "LOG_N")]
        cells = [
            f"{row['P_ONE']:.2f}",
            str(int(row["SEEN"].sum())),
            "; ".join(filter(None, (as_prior(row), used(row)))),
        ]
        shown.add_row(name, means[0], ends[0], means[1], ends[1], *cells)
    if len(made.tables["CORONAE"]) > SHOWN:
        shown.add_row(f"... {len(made.tables['CORONAE']):,} in all")
    return shown


def nearest(rows: NDArray[np.void], given: Product) -> NDArray[np.float64]:
    """Return the one temperature that the first spectra are most like, (rows,); NaN where there is an answer."""
    out = np.full(len(rows), np.nan)
    unknown = np.flatnonzero(rows["FLAG"])
    if len(unknown):
        grid = given.tables["GRID"][0]
        instrument = Instrument.of(given.stream, grid["EDGES"], grid["AREA"], grid["FWHM"])
        out[unknown] = nearest_log_t(given.tables["SPECTRA"]["COUNTS"][unknown], templates(instrument))
    return out


def as_prior(row: NDArray[np.void]) -> str:
    """Return what of a row of CORONAE is as wide as the flat prior of the network's training: nothing was learned."""
    end = "" if row["P_ONE"] > 0.5 else "_ANY"
    told = []
    for (low, high), key, name in zip(ENDS, ("LOG_T", "LOG_N"), ("log T", "log n"), strict=True):
        if row[f"{key}{end}_HI68"] - row[f"{key}{end}_LO68"] > AS_PRIOR * 0.68 * (high - low):
            told.append(f"{name} as prior")
    return ", ".join(told)


def used(row: NDArray[np.void]) -> str:
    """Return what is to be said of the counts of a row of CORONAE: nothing where all were used."""
    return "" if row["KEPT"] > 0.9995 else f"{row['KEPT']:.2%} of the counts, drawn at random"


def why(row: NDArray[np.void], log_t: float) -> str:
    """Return why there is no answer of a row of CORONAE: the flag, counts too many, and what it is most like."""
    text = as_words(int(row["FLAG"]))
    if row["FLAG"] & NO_COUNTS:
        return text
    told, (low, high) = [text, used(row)], ENDS[0]
    if row["EXCESS_SIGMA"] > FEW:
        told.append(f"{row['EXCESS_SIGMA']:.0f} sigma of light too much at {row['EXCESS_A']:.2f} A")
    beyond = "hotter" if log_t > high + 0.01 else "colder" if log_t < low - 0.01 else ""
    told.append(f"most like log T {log_t:.1f}{f', {beyond} than what is known, {low:g} to {high:g}' if beyond else ''}")
    return "; ".join(part for part in told if part)
