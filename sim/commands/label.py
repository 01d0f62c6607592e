"""`raysieve simulate label`: what made the events of an event list."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from astropy.table import Table, vstack
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table as Shown

from config.errors import ConfigError
from sim.check import new_or_replaced, require
from sim.truth import KINDS, NOISE, label
from stream.transport.fitsfile import new_file
from stream.transport.recording import Recording

MOST_UNKNOWN = 0.1  # share of valid events from noise; a right recording has next to none
COLUMNS = ("FRAME", "QUADRANT", "RAWX", "RAWY")
LISTS = ("EVENTS", "REJECTED")
FILE = click.Path(path_type=Path)


@click.command("label")
@click.argument("events", type=FILE)
@click.argument("recording", type=FILE)
@click.argument("out", type=FILE, required=False)
@click.option("--overwrite", is_flag=True, help="Replace OUT.")
def label_events(events: Path, recording: Path, out: Path | None, overwrite: bool) -> None:
    """Say what made the events of a list: X-rays, particles, both, or noise. RECORDING is what it was made from.

    Events of a recording that was replayed in a loop are found in its first turn. OUT, if given, is a copy of EVENTS
    and REJECTED in one table with TRUTH, OWNER and the electrons of both kinds.

    Example: raysieve simulate label out/events.fits demo.h5 labelled.fits
    """
    if out:
        new_or_replaced(out, overwrite)
    with Recording(recording) as source:
        require(f"{recording}", ("pixels" in source.tables, "a simulated recording, with the truth of its pixels"))
        pixels = source.truth("pixels")
        readouts = len(source) // len(source.start.quadrants)
    tables = {name: _read(events, name) for name in LISTS}
    labels = {name: _label(table, pixels, readouts) for name, table in tables.items()}
    Console(highlight=False).print(_summary(labels))
    unknown = float(np.mean(labels["EVENTS"]["kind"] == NOISE)) if labels["EVENTS"].size else 0.0
    if unknown > MOST_UNKNOWN:
        click.echo(f"note: nothing made {unknown:.0%} of the events: is {recording} what they were found in?", err=True)
    if out:
        _write(out, tables, labels)


def _read(path: Path, name: str) -> Table:
    try:
        table = Table.read(path, hdu=name, unit_parse_strict="silent")
    except (OSError, KeyError, ValueError) as fault:
        raise ConfigError(f"{path}: {name}: cannot be read ({fault})") from None
    missing = [column for column in COLUMNS if column not in table.colnames]
    require(f"{path}: {name}", (not missing, f"columns {', '.join(missing)}"))
    return table


def _label(table: Table, pixels: NDArray[Any], readouts: int) -> NDArray[Any]:
    frame, quadrant, x, y = (np.asarray(table[name]) for name in COLUMNS)
    return label(frame % readouts, quadrant, x, y, pixels)


def _summary(labels: Mapping[str, NDArray[Any]]) -> Shown:
    shown = Shown(box=None, pad_edge=False)
    for head in ("", *KINDS.values()):
        shown.add_column(head, justify="right" if head else "left")
    for name, rows in labels.items():
        shown.add_row(name, *(f"{np.count_nonzero(rows['kind'] == kind):,}" for kind in KINDS))
    return shown


def _write(out: Path, tables: Mapping[str, Table], labels: Mapping[str, NDArray[Any]]) -> None:
    parts = []
    for name, table in tables.items():
        rows = labels[name]
        table["TRUTH"], table["OWNER"] = rows["kind"], rows["owner"]
        table["XRAY_E"], table["PARTICLE_E"] = rows["xray_e"], rows["particle_e"]
        parts.append(table)
    with new_file(out) as file:
        vstack(parts, metadata_conflicts="silent").write(file, format="fits")
    click.echo(f"{out}: {sum(map(len, parts))} events; TRUTH " + ", ".join(f"{k} {v}" for k, v in KINDS.items()))
