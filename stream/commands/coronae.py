"""`raysieve coronae`: what a network says of coronal spectra, at once."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from stream.errors import ConfigError
from stream.judges.corona import as_words
from stream.messages import Product
from stream.transport.corona_products import read_spectra
from stream.transport.products import Products
from stream.wiring import build_corona

SHOWN = 20


@click.command()
@click.argument("spectra", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", default="corona", show_default=True, help="Shipped name, or an ONNX file with its card.")
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path), help="Folder for coronae.fits.")
def coronae(spectra: tuple[Path, ...], model: str, out: Path) -> None:
    """Tell temperature, density and lines of the coronae in SPECTRA: tables, or sets of `raysieve simulate corona`.

    OUT/coronae.fits, or OUT/NAME/coronae.fits of several files. A spectrum that is like none that the network has
    learned from has a FLAG and no answer; `raysieve analyse corona` takes its time and takes any.

    Example: raysieve coronae coronae.h5 --out out
    """
    stems = [path.stem for path in spectra]
    if len(set(stems)) < len(stems):
        raise ConfigError(f"{', '.join(stems)}: expected files of different names")
    stage, sink = build_corona(model), Products(out)
    for number, path in enumerate(spectra):
        for made in stage.process(read_spectra(path, number, path.stem if len(spectra) > 1 else ".")):
            sink.send(made)
            if isinstance(made, Product) and made.kind == "coronae":
                Console(highlight=False, width=110).print(table_of(made))
    if sink.counters["not_written"]:
        raise ConfigError(f"{out}: cannot be written")


def table_of(made: Product) -> Table:
    """Return what is said of the first spectra, for people."""
    rows = made.tables["CORONAE"]
    shown = Table(box=None, pad_edge=False)
    for head in ("spectrum", "log T (K)", "68 %", "log n (cm-3)", "68 %", "one temperature", "lines", ""):
        shown.add_column(head)
    for row in rows[:SHOWN]:
        name = row["NAME"].decode()
        if row["FLAG"]:
            shown.add_row(name, *[""] * 6, as_words(int(row["FLAG"])))
            continue
        end = "" if row["P_ONE"] > 0.5 else "_ANY"
        ends = [f"{row[f'{key}{end}_LO68']:.3f} - {row[f'{key}{end}_HI68']:.3f}" for key in ("LOG_T", "LOG_N")]
        seen = str(int((row["P"] > 0.5).sum()))
        means = [f"{row[f'{key}{end}']:.3f}" for key in ("LOG_T", "LOG_N")]
        shown.add_row(name, means[0], ends[0], means[1], ends[1], f"{row['P_ONE']:.2f}", seen, "")
    if len(rows) > SHOWN:
        shown.add_row(f"... {len(rows):,} in all")
    return shown
