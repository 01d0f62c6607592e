"""`raysieve monitor-calibration`: whether one telescope's area drifts against another's, from a table of fits."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from config.folder import folder_to_write
from stream.crosscal.watch import Watch
from stream.errors import ConfigError, LinkError
from stream.messages import Product
from stream.stages.monitor_calibration import CALIBRATION, DRIFT, DRIFTED, PARAMETERS, SETS, as_words
from stream.transport.calibration_plots import plot_drift
from stream.transport.products import Products
from stream.transport.temperatures import as_products, read_temperatures
from stream.wiring import build_calibration


@click.command("monitor-calibration")
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--model", default="crosscal", show_default=True, help="Shipped name, or an ONNX file with its card.")
@click.option("--window", "window_s", default=1e7, show_default=True, help="Seconds of the newest fits.")
@click.option("--reference", "reference_s", default=0.0, help="Seconds from the first fit; 0: all before the window.")
@click.option("--every", "every_s", default=0.0, help="Seconds of fits in a look; 0: a look at each fit.")
@click.option("--kt", "kt_kev", multiple=True, type=float, help="Where dT/T is told, keV.  [default: 1, 2, 5, 10]")
@click.option("--alarm", "alarm_p", default=1e-3, show_default=True, help="Chance of a false alarm at each look.")
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path), help="Folder for what is found.")
def monitor_calibration(table: Path, every_s: float, out: Path, kt_kev: tuple[float, ...], **watch_of: Any) -> None:
    """Follow the temperatures of TABLE in time: OUT/calibration.fits and OUT/drift.png.

    TABLE (ECSV, CSV, FITS) has a row for each source and time: NAME, TIME (s), KT_0 and KT_0_ERR of the trusted
    telescope, KT_1 and KT_1_ERR of the other (keV).

    Example: raysieve monitor-calibration fits.ecsv --window 3e7 --out out
    """
    rows = read_temperatures(table)
    if not len(rows):
        raise ConfigError(f"{table}: no rows: nothing to follow")
    folder_to_write(out)
    watch = Watch(**watch_of | ({"kt_kev": kt_kev} if kt_kev else {}))
    stage, sink, last = build_calibration(watch), Products(out), None
    for given in as_products(table, rows, every_s):
        for made in stage.process(given):
            if isinstance(made, Product) and made.kind == "calibration":
                last = made
    assert last is not None  # there are rows
    sink.send(last)
    if sink.counters["not_written"]:
        raise LinkError(sink.refused)
    plot_drift(out / "drift.png", last.tables[DRIFT], watch.alarm_p, f"{table.name}, {last.header['MODEL']}")
    tell(last)


def tell(made: Product) -> None:
    """Print what a product "calibration" says, for people."""
    shown = Table(box=None, pad_edge=False)
    names = [row["NAME"].decode() for row in made.tables[PARAMETERS]]
    drift = made.tables[DRIFT]
    kts = [f"dT/T {kt:g} keV, %" for kt in drift["KT"][-1]]
    for head in ("", "fits", *names, "chi2/dof", *kts, ""):
        shown.add_column(head)
    for name, row in zip(SETS, made.tables[CALIBRATION], strict=True):
        theta = [f"{value:.3g} +- {sd:.2g}" for value, sd in zip(row["THETA"], row["THETA_SD"], strict=True)]
        goodness = f"{row['CHI2']:.1f}/{row['DOF']}"
        shown.add_row(name, str(row["FITS"]), *theta, goodness, *shares(row), as_words(int(row["FLAG"])))
    newest = drift[-1]
    chance = f"{newest['CHI2']:.1f}/{newest['DOF']}"
    blank = [""] * (len(names) + 1)
    shown.add_row("drift", *blank, chance, *shares(newest), as_words(int(newest["FLAG"])) or f"P {newest['P']:.2g}")
    Console(highlight=False, width=160).print(shown)
    alarms = drift["FLAG"] & DRIFTED > 0
    since = f", first at {drift['TIME'][alarms][0]:.9g} s" if alarms.any() else ""
    click.echo(f"{alarms.sum()} of {len(drift)} looks with an alarm{since}")


def shares(row: Any) -> list[str]:
    """Return DT of a row with its errors, in per cent."""
    return [f"{100 * dt:+.2f} +- {100 * error:.2f}" for dt, error in zip(row["DT"], row["DT_ERR"], strict=True)]
