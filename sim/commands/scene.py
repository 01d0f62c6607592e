"""What is in front of the camera: the options that the commands share."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from config.load import digest
from config.schema import Config
from sim.charge import Source
from sim.check import require
from sim.detector import Imperfections
from sim.geant4.spectrum import ALPHAS
from sim.hit_library import HitLibrary, shipped
from sim.particles import Particles, Pixels, quadrants_per_primary
from sim.photon_list import PhotonList
from sim.photons import XRays
from sim.places import FlatField, PointSource
from sim.seeds import Seeds
from sim.sources.files import read_photons
from sim.spectra import SHAPES, Spectrum
from sim.telemetry import Telemetry, dark
from sim.tracks import Tracks

STRAIGHT = "straight"
SAMPLE, MOST_SEEN = 10_000, 0.9
WHOLE = (0.0, 1.0)
FLUXES = ("protons", "all")
OPTIONS = (
    click.option("--photons", default=1.0, type=click.FloatRange(0), help="Mean X-rays per quadrant frame."),
    click.option("--particles", default=1.0, type=click.FloatRange(0), help="Mean particle events, likewise."),
    click.option("--flux", type=click.Choice(FLUXES), help="Particles as in space instead; all: protons and alphas."),
    click.option(
        "--hits",
        default="",
        help="Hit library; none: the shipped one; straight: plain tracks, any camera with quadrants.",
    ),
    click.option("--part", default=WHOLE, nargs=2, type=click.FloatRange(0, 1), help="Share of the library to use."),
    click.option("--spectrum", default="log_uniform", type=click.Choice(SHAPES), help="Of the X-rays."),
    click.option("--energy-ev", default=(200.0, 10_000.0), nargs=2, type=float, help="Its limits."),
    click.option("--index", default=1.7, help="Of a power law: photons per eV go with energy ** -index."),
    click.option("--line-ev", multiple=True, type=float, help="A line; may be repeated."),
    click.option("--table", default="", help="A spectrum: text file of energy (eV) and photons per eV."),
    click.option("--arf", default="", help="Effective area (FITS) through which the X-rays come."),
    click.option("--point", nargs=2, type=float, help="A point source here (focal plane, pixels), no flat field."),
    click.option("--photons-from", default="", help="X-rays of a field instead (raysieve simulate sources: its .h5)."),
    click.option("--hew-arcsec", default=9.0, type=click.FloatRange(0), help="Half-energy width of the point source."),
)


def sky_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the sky to a command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def camera_of(config: Config, sky: Mapping[str, Any], readouts: int) -> Telemetry:
    """Return the camera of a configuration in front of the sky of the options; says so if its library is small.

    Another part of a library is another run of the same camera: its X-rays and its noise are others, too.
    """
    with_hits = sky["hits"] != STRAIGHT and sky["part"][0] > 0
    seeds = Seeds(sky["seed"], part_of(HitLibrary(sky["hits"] or shipped()), sky["part"])[0] if with_hits else 0)
    sources = (xrays(config, sky), *particles(config, sky, seeds))
    say_uses(sources, readouts)
    return Telemetry(config, sources, Imperfections.of(config, seeds), seeds)


def dark_of(config: Config, seed: int) -> Telemetry:
    """Return the same camera with its shutter closed."""
    return dark(config, Imperfections.of(config, Seeds(seed)), Seeds(seed))


def refuse_unused(sky: Mapping[str, Any]) -> None:
    """Raise ConfigError for options that were given but would change nothing."""
    shape = sky["spectrum"]
    rules = {
        "line_ev": (shape == "lines", "--spectrum lines"),
        "index": (shape == "power_law", "--spectrum power_law"),
        "energy_ev": (shape != "lines", "a spectrum that is no lines"),
        "hew_arcsec": (bool(sky["point"]), "--point"),
        "particles": (not sky["flux"], "no --flux"),
        "part": (sky["hits"] != STRAIGHT, "a hit library"),
    }
    for name, (used, needed) in rules.items():
        require(f"--{name.replace('_', '-')}", (used or not was_given(name), f"{needed} with it"))


def was_given(name: str) -> bool:
    """Return whether the user gave this option of the command that runs."""
    context = click.get_current_context(silent=True)
    return context is not None and context.get_parameter_source(name) == ParameterSource.COMMANDLINE


def xrays(config: Config, sky: Mapping[str, Any]) -> XRays:
    """Return the X-rays of the options. Raises ConfigError for what cannot be."""
    refuse_unused(sky)
    if sky.get("photons_from"):
        return _listed(config, sky)
    low, high = sky["energy_ev"]
    spectrum = Spectrum(
        shape=sky["spectrum"],
        energy_min_ev=low,
        energy_max_ev=high,
        index=sky["index"],
        lines_ev=tuple(sky["line_ev"]),
        table=sky["table"],
        arf=sky["arf"],
    )
    place = FlatField()
    per_frame = sky["photons"]
    if sky["point"]:
        x, y = sky["point"]
        source = PointSource(x_px=x, y_px=y, hew_arcsec=sky["hew_arcsec"])
        _say_seen(source, config)
        per_readout = per_frame * len(config.detector.quadrants)
        return XRays(per_frame=per_readout, spectrum=spectrum, place=source, sensor=config.simulate.sensor)
    return XRays(per_frame=per_frame, spectrum=spectrum, place=place, sensor=config.simulate.sensor)


def _listed(config: Config, sky: Mapping[str, Any]) -> XRays:
    """Return the X-rays of a file; the field lies on the first quadrant. Raises ConfigError for options beside it."""
    beside = [name for name in ("photons", "spectrum", "energy_ev", "table", "arf", "point") if was_given(name)]
    require("--photons-from", (not beside, f"without --{' --'.join(beside).replace('_', '-')}"))
    listed = read_photons(Path(sky["photons_from"]))
    return PhotonList(sensor=config.simulate.sensor, listed=listed, all_absorbed=True)


def _say_seen(source: PointSource, config: Config) -> None:
    """Say so if much of a point source falls beside the quadrants. Raises ConfigError if all of it does."""
    seen = source.draw(SAMPLE, True, config.detector, Seeds(0).start())[0].size / SAMPLE
    require(f"--point {source.x_px:g} {source.y_px:g}", (seen > 0, "a place on the focal plane: nothing of it is seen"))
    if seen < MOST_SEEN:
        click.echo(f"note: {seen:.1%} of the point source falls on pixels, the rest into gaps or beside", err=True)


def particles(config: Config, sky: Mapping[str, Any], seeds: Seeds) -> Iterable[Source]:
    """Return the cosmic rays of the options, none or one source."""
    if sky["particles"] == 0 and not sky["flux"]:
        return []
    if sky["hits"] == STRAIGHT:
        require("--flux", (not sky["flux"], "a hit library, not straight tracks"))
        return [Tracks(per_frame=sky["particles"])]
    pixels = Pixels(HitLibrary(sky["hits"] or shipped()), config.simulate.sensor, config.detector)
    per_readout = particle_rate(sky, pixels, config) * len(config.detector.quadrants) / quadrants_per_primary(pixels)
    return [Particles.of(pixels, per_readout, seeds, part_of(pixels.library, sky["part"]))]


def part_of(library: HitLibrary, part: tuple[float, float]) -> tuple[int, int]:
    """Return the primaries first .. stop - 1 of a share of a library: different shares have different primaries."""
    low, high = part
    first, stop = (int(share * len(library)) if math.isfinite(share) else 0 for share in part)
    require(f"--part {low:g} {high:g}", (first < stop, "a range that holds primaries"))
    return first, stop


def particle_rate(sky: Mapping[str, Any], pixels: Pixels, config: Config) -> float:
    """Return the mean number of particle events in a frame of a quadrant."""
    if not sky["flux"]:
        return float(sky["particles"])
    library = pixels.library
    hits_per_s = library.production.protons_per_s * len(library) / library.production.sphere_primaries
    hits_per_s *= ALPHAS if sky["flux"] == "all" else 1.0
    per_readout = hits_per_s * config.detector.frame_time_s
    return per_readout * quadrants_per_primary(pixels) / len(config.detector.quadrants)


def say_uses(sources: Iterable[Source], readouts: int) -> None:
    """Say so if a hit library is too small for what is asked of it."""
    for source in sources:
        if isinstance(source, Particles) and source.uses(readouts) > 1:
            library, (first, stop) = source.pixels.library, source.part
            click.echo(
                f"note: {library.path.name} gives {stop - first:,} primaries; each is used {source.uses(readouts):.1f} "
                f"times on the average, in {len(source.mirrors)} mirror images; raysieve simulate hits makes more",
                err=True,
            )


def say_rounds(library: HitLibrary, part: tuple[int, int], rounds: int) -> None:
    """Say so if a part of a library was used more than once."""
    if rounds > 1:
        click.echo(
            f"note: the {part[1] - part[0]:,} primaries of {library.path.name} were begun {rounds} times, "
            "in another mirror each time; raysieve simulate hits makes more",
            err=True,
        )


def about(config: Config, sky: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a product was made of: the options, the configuration, and the hit library's own description."""
    used = {name: value for name, value in sky.items() if value not in (None, "", ())}
    if sky.get("particles") == 0 or sky.get("hits") == STRAIGHT:
        return used | {"config_digest": digest(config)}
    with HitLibrary(sky["hits"] or shipped()) as library:
        made = asdict(library.production)
    del made["geometry_toml"], made["processes"], made["volumes"]
    return used | {"config_digest": digest(config), "library": made}
