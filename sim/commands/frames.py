"""`raysieve simulate frames`: sets of frames of four classes."""

import math
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from config.load import load
from config.schema import Config
from sim.check import new_or_replaced, require
from sim.commands.scene import STRAIGHT, about, part_of, particle_rate, say_rounds, sky_options, was_given, xrays
from sim.frame_file import FrameFile
from sim.frame_sets import FrameSet, write_set
from sim.hit_library import HitLibrary, shipped
from sim.particles import Pixels, quadrants_per_primary
from sim.pools import ParticlePool, XRayPool
from sim.seeds import Seeds
from stream.commands.options import configured

SEED_WINDOW = (1, 64, 64)


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@configured
@click.option("--window", default="64", help="Side in pixels; quadrant; or camera: all quadrants in one frame.")
@click.option("--per-class", default=1000, type=click.IntRange(1), help="Frames of each of the four classes.")
@sky_options
@click.option("--overwrite", is_flag=True, help="Replace an existing set.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same frames.")
def frames(
    out: Path, config_name: str, overrides: tuple[str, ...], window: str, per_class: int, overwrite: bool, **given: Any
) -> None:
    """Write a set of frames, the same number of empty, X-ray, particle and mixed ones, with the truth of every pixel.

    Frames of 64 x 64 hold as many events as in seed 003; other windows take --photons and --particles per quadrant
    frame. Different parts of a library have different primaries: split training from tests by --part.

    Example: raysieve simulate frames train.h5 --config wfi --hits hits.h5 --per-class 50000 --part 0 0.7
    """
    new_or_replaced(out, overwrite)
    config = load(config_name, overrides)
    layout = config.detector
    shape = shape_of(window, len(layout.quadrants), (layout.rows, layout.columns))
    _check(given, shape)
    library = HitLibrary(given["hits"] or shipped())
    pixels = Pixels(library, config.simulate.sensor, layout)
    part = part_of(library, given["part"])
    seeds = Seeds(given["seed"], part[0])  # the X-rays and the noise of two parts are different, too
    particles = ParticlePool(pixels, part, shape, seeds, whole=window == "camera")
    pools = (XRayPool(xrays(config, given), layout, shape, seeds), particles)
    made = FrameSet(per_class, shape, rates_of(given, shape, pixels, config), pools, config, seeds)
    facts = about(config, given | {"window": window, "per_class": per_class})
    with FrameFile(out, shape, facts) as file, Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"simulate {out.name}", total=len(made))
        counts = write_set(made, file.write, lambda done: progress.update(task, completed=done))
    say_rounds(library, part, particles.rounds)
    click.echo(f"{out}: {len(made)} frames; " + ", ".join(f"{n} {name}" for name, n in counts.items()))


def rates_of(
    given: dict[str, Any], shape: tuple[int, int, int], pixels: Pixels, config: Config
) -> tuple[float, float] | None:
    """Return the mean X-rays and particles in a frame; None for 64 x 64, which has its own numbers (seed 003)."""
    if shape == SEED_WINDOW:
        return None
    layout = config.detector
    area = math.prod(shape) / (layout.rows * layout.columns)
    # In a frame of the camera an item is a primary with all its quadrants; only those that are seen become items.
    whole = quadrants_per_primary(pixels, seen=True) if shape[0] > 1 else 1.0
    return given["photons"] * area, particle_rate(given, pixels, config) * area / whole


def _check(given: dict[str, Any], shape: tuple[int, int, int]) -> None:
    asked = any(was_given(name) for name in ("photons", "particles", "flux"))
    require(
        "frame set",
        (given["hits"] != STRAIGHT, "a hit library, not straight tracks"),
        (not given["point"], "no --point: the X-rays of a set fall anywhere"),
        (shape != SEED_WINDOW or not asked, "no rates: frames of 64 x 64 hold as many events as seed 003 says"),
    )


def shape_of(window: str, quadrants: int, size: tuple[int, int]) -> tuple[int, int, int]:
    """Return quadrants, rows, columns of a frame. Raises ConfigError for a window that the camera does not have."""
    named = {"quadrant": (1, *size), "camera": (quadrants, *size)}
    side = int(window) if window.isdecimal() else 0
    require(
        f"--window {window}",
        (window in named or 5 <= side <= min(size), f"quadrant, camera or 5 to {min(size)} pixels"),
    )
    return named.get(window, (1, side, side))
