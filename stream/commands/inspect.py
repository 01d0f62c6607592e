"""`raysieve inspect` and `raysieve explain`: what is in a file, what a configuration does."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import h5py
import numpy as np
from rich.console import Console
from rich.table import Table

from config.lat import Lat
from config.load import AnyConfig, digest, load_any
from config.schema import Config
from stream.commands.options import name_pictures, pictured, told
from stream.commands.photons import describe
from stream.errors import ConfigError
from stream.infer import card_of
from stream.lat.bands import EDGES_MEV, NSIDE
from stream.lat.cube import WINDOWS
from stream.transport import gcn
from stream.transport.eventlist import read_event_list
from stream.transport.fitsfile import open_fits
from stream.transport.hdf5 import read_text
from stream.transport.maps import read_maps
from stream.transport.recording import Recording
from stream.wiring import ASIDE, PIXELS, TABLE, TAP, Row, policy_of, sky_rows, url_of


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@pictured("image, spectrum, response, frames, maps, sky, sources, coronae, thresholds: what the file has, as PNG")
def inspect(file: Path, plot: Path | None) -> None:
    """Say what is in a recording, maps, an event list, products, spectra, photons or pointing of Fermi-LAT, a set, a
    model (.onnx, or its card).

    Example: raysieve inspect out/events.fits --plot out
    """
    if not file.is_file():
        raise ConfigError(f"{file}: no such file")
    with file.open("rb") as stream:
        magic = stream.read(8)
    if file.suffix in (".onnx", ".toml"):
        made = _model(file, plot)
    elif describe(file):
        made = _sky(file, plot)
    elif magic.startswith((b"SIMPLE", b"\x1f\x8b")):
        made = _fits(file, plot)
    elif magic == b"\x89HDF\r\n\x1a\n":
        made = _hdf5(file, plot)
    else:
        raise ConfigError(f"{file}: neither HDF5 (recording, maps, set), FITS (event list, product) nor a model")
    name_pictures(made)
    if plot and not made:
        click.echo("  nothing of it is a picture", err=True)


def _model(file: Path, plot: Path | None) -> list[Path]:
    card = card_of(str(file.with_suffix(".onnx")))
    click.echo(f"{file}: model {card}{', ' + str(card.facts['kind']) if 'kind' in card.facts else ''}")
    for side in ("input", "output"):
        for name, about in card.facts.get(side, {}).items():
            unit = f", {about['unit']}" if about.get("unit") else ""
            click.echo(
                f"  {side} {name}: {about.get('dtype', '')} {' x '.join(map(str, about.get('shape', ())))}{unit}"
            )
    from stream.transport.model_plots import metrics_of, plot_card

    click.echo(f"  {len(metrics_of(card.facts.get('metrics', {})))} figures of quality in its card")
    return plot_card(card, plot) if plot else []


def _sky(file: Path, plot: Path | None) -> list[Path]:
    if plot is None:
        return []
    from stream.transport.lat_plots import plot_photons, plot_pointing

    drawn = (plot_photons(file, plot / "sky.png"), plot_pointing(file, plot / "pointing.png"))
    return [path for path in drawn if path]


def _fits(file: Path, plot: Path | None) -> list[Path]:
    """An event list has EVENTS; any other FITS file is told table by table."""
    with open_fits(file) as hdus:
        names = [hdu.name for hdu in hdus]
        said = [f"  {hdu.name}: {_size(hdu)}" for hdu in hdus[1:]]
        header = dict(hdus[0].header)
    if "EVENTS" in names or not said:
        return _event_list(file, plot)
    about = [f"{key} {header[key]}" for key in ("INSTRUME", "OBJECT", "MODEL") if str(header.get(key, "")).strip()]
    click.echo(f"{file}: {', '.join(['FITS', *about])}")
    for line in said:
        click.echo(line)
    if plot is None:
        return []
    from stream.transport.product_plots import plot_product

    return plot_product(file, plot)


def _size(hdu: Any) -> str:
    if hdu.is_image:
        return f"image {' x '.join(map(str, hdu.shape))} {hdu.header.get('BUNIT', '')}".rstrip()
    return f"{hdu.header['NAXIS2']} rows of {hdu.header['TFIELDS']} columns"


def _event_list(file: Path, plot: Path | None) -> list[Path]:
    from stream.transport.plots import plot_image, plot_spectrum

    tables, header = read_event_list(file)
    events = tables["EVENTS"]
    click.echo(f"{file}: event list of {header['TELESCOP']} {header['INSTRUME']}, run {header.get('OBS_ID', '')}")
    spans = {key: header[key] for key in ("TSTART", "TSTOP", "ONTIME", "EXPOSURE") if key in header}
    click.echo("  " + ", ".join(f"{key} {value:.3f} s" for key, value in spans.items()))
    if "PATTERN" in (events.dtype.names or ()):
        names = ("single", "double", "triple", "quad", "invalid")
        shares = np.histogram(events["PATTERN"], [0, 1, 5, 9, 13, 14])[0]
        click.echo(f"  events: {len(events)}, " + ", ".join(f"{n} {s}" for n, s in zip(names, shares, strict=True)))
    else:
        click.echo(f"  events: {len(events)}")
    for name, table in tables.items():
        if name != "EVENTS":
            click.echo(f"  {name}: {len(table)} rows")
    return [plot_image(file, plot / "image.png"), plot_spectrum(file, plot / "spectrum.png")] if plot else []


def _hdf5(file: Path, plot: Path | None) -> list[Path]:
    made: list[Path | None] = []
    try:
        recording = Recording(file)
    except ConfigError as not_a_recording:
        try:
            maps = read_maps(file)
        except ConfigError:
            if not _other(file):
                raise not_a_recording from None
            return _set(file, plot) if plot else []
        click.echo(f"{file}: maps")
    else:
        with recording:
            start, index = recording.start, recording.frames
            maps = recording.maps()
            click.echo(f"{file}: recording of {start.telescope} {start.instrument}, run {start.run_id}")
            if recording.about:
                click.echo(f"  made of: {recording.about}")
            click.echo(
                f"  {len(recording)} frames of {start.pixel_dtype}, "
                f"read-outs {index['sequence'].min()} to {index['sequence'].max()}, "
                f"{start.frame_time_ns * 1e-6:g} ms each"
                if len(index)
                else "  no frames"
            )
            for q in start.quadrants:
                click.echo(f"  quadrant {q.id}: {q.columns}x{q.rows} at ({q.origin_x_px}, {q.origin_y_px})")
            if plot:
                from stream.transport.frame_plots import plot_frames

                made.append(plot_frames(recording, plot / "frames.png"))
    for number, m in sorted(maps.items()):
        good = m.bad == 0
        click.echo(
            f"  maps of quadrant {number}: offset {np.mean(m.offset[good]):.2f}, noise {np.mean(m.noise[good]):.3f}, "
            f"{np.count_nonzero(m.bad)} bad pixels, version {m.version}"
        )
    if plot:
        from stream.transport.frame_plots import plot_maps

        made.append(plot_maps(maps, plot / "maps.png"))
    return [path for path in made if path]


def _set(file: Path, plot: Path) -> list[Path]:
    """Draw a set of frames, coronae, fits or patches, or a hit library; at others nobody would look."""
    from stream.transport.corona_plots import plot_corona_set
    from stream.transport.frame_plots import plot_frame_set
    from stream.transport.hit_plots import plot_hits
    from stream.transport.set_plots import plot_grid, plot_patches

    drawn = {
        "frame set": (plot_frame_set, "frames.png"),
        "corona": (plot_corona_set, "spectra.png"),
        "hits 1": (plot_hits, "hits.png"),
        "crosscal": (plot_grid, "grid.png"),
        "lat patches": (plot_patches, "patches.png"),
    }
    draw, name = drawn.get(_kind(file), (None, ""))
    made = draw(file, plot / name) if draw else None
    return [made] if made else []


def _kind(file: Path) -> str:
    """Return what an HDF5 file says that it is: `format` "raysieve ...", or `kind` of sets with a truth; else ""."""
    with h5py.File(file, "r") as content:
        kind = read_text(content, "format")
        if kind.startswith("raysieve "):
            return kind.removeprefix("raysieve ")
        own = content.attrs.get("kind", "")
        return own if isinstance(own, str) and "about" in content.attrs else ""


def _other(file: Path) -> bool:
    """Describe what the simulator makes: any HDF5 file of ours says what it is. Returns whether it did."""
    try:
        with h5py.File(file, "r") as content:
            tables = {name: table.shape for name, table in content.items() if isinstance(table, h5py.Dataset)}
            about = {name: read_text(content, name) for name in content.attrs if name not in ("format", "kind")}
        kind = _kind(file)
    except (OSError, ConfigError, KeyError):
        return False
    if not kind:
        return False
    click.echo(f"{file}: {kind}")
    for name, text in about.items():
        facts = _facts(name, text)
        for key, value in facts.items():
            if str(value) and "\n" not in str(value):  # a whole file is not for the screen
                click.echo(f"  {key}: {value}")
    for name, shape in tables.items():
        click.echo(f"  {name}: {' x '.join(map(str, shape))}")
    return True


def _facts(name: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = text
    return found if isinstance(found, dict) else {name: text}


@click.command()
@click.argument("config_name", metavar="CONFIG")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one value.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of the alerts instead, of photons only.")
def explain(config_name: str, overrides: tuple[str, ...], schema: bool) -> None:
    """Show what a configuration does: the stages, their rates, queues, processes and addresses.

    Example: raysieve explain config/wfi.toml
    """
    config = load_any(config_name, overrides)
    console = Console(width=None if sys.stdout.isatty() else 120)
    if schema and not isinstance(config, Lat):
        raise ConfigError(f"--schema: {config_name} raises no alerts; expected lat")
    if schema:
        click.echo(json.dumps(gcn.schema(), indent=1))
        return
    if isinstance(config, Lat):
        _explain_sky(config, console)
        return
    screen = ""
    if config.screen.model:
        from stream.stages.screen import Screen

        screen = told("screen", Screen(config).about)  # a model that cannot be used is refused before the table
    detector = config.detector
    console.print(
        f"{detector.telescope} {detector.instrument}: {len(detector.quadrants) or 'any'} quadrants of "
        f"{detector.columns}x{detector.rows}, {detector.frame_time_s * 1e3:g} ms",
        highlight=False,
    )
    rates = _rates(config)
    _print_table(console, config, rates)
    if screen:
        console.print(screen, highlight=False)
    console.print(f"configuration {digest(config)[:16]}", highlight=False)


def _explain_sky(config: Lat, console: Console) -> None:
    bands = ", ".join(
        f"{low / 1e3:g}-{high / 1e3:g} GeV nside {n}"
        for low, high, n in zip(EDGES_MEV, EDGES_MEV[1:], NSIDE, strict=False)
    )
    console.print(f"GLAST LAT: {bands}; front and back", highlight=False)
    _print_table(console, config, [(row, f"{row.rate_hz:.2g}") for row in sky_rows(config)])
    console.print(f"windows: {', '.join(WINDOWS)}, mission; a product every {config.accumulate_sky.every_s / 3600:g} h")
    console.print(f"configuration {digest(config)[:16]}", highlight=False)


def _print_table(console: Console, config: AnyConfig, rates: Sequence[tuple[Row, str]]) -> None:
    """Print the table; where it is too wide, its addresses below it: one that is cut cannot be given to `replay`."""
    table = _table(config, rates)
    if console.measure(table, options=console.options.update(width=1000)).maximum <= console.width:
        console.print(table)
        return
    table.columns.pop()
    console.print(table)
    for row, _ in rates:
        if row.link:
            click.echo(f"{row.stage}: fed by {url_of(row.link, config.links)}")


def _table(config: AnyConfig, rates: Sequence[tuple[Row, str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "takes", "gives", "per s", "process", "queue", "when full", "fed by"):
        table.add_column(name, justify="right" if name in ("per s", "queue") else "left")
    for row, rate in rates:
        url = url_of(row.link, config.links) if row.link else ""
        queue = str(row.queue) if row.queue else ""
        table.add_row(row.stage, row.takes, row.gives, rate, row.process, queue, policy_of(row, config.links), url)
    return table


def _rates(config: Config) -> list[tuple[Row, str]]:
    """Return the rows of a camera's table, each with its messages in a second."""
    found = []
    quadrants = len(config.detector.quadrants) or 1
    beside = ASIDE if config.accumulate.every_s else ()
    for row in (*TABLE, *beside, TAP, PIXELS):
        share = quadrants / 4 if row.takes.endswith("Frame") else 1  # the table is for four quadrants and 5 ms
        rate = row.rate_hz * share * 0.005 / config.detector.frame_time_s
        if row.takes == "Product":
            rate = 1 / config.record.interval_s
        found.append((row, f"{rate:.4g}"))
    return found
