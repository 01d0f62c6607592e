"""`raysieve simulate frames`: sets of frames of four classes."""

import math
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from config.load import digest, load
from sim.check import require
from sim.commands.scene import STRAIGHT, particle_rate, say_rounds, sky_options, xrays
from sim.frame_file import FrameFile
from sim.frame_sets import FrameSet, write_set
from sim.hit_library import HitLibrary, shipped
from sim.particles import Pixels
from sim.pools import ParticlePool, XRayPool
from sim.seeds import Seeds
from stream.commands.options import configured


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@configured
@click.option("--window", default="64", help="Side in pixels; quadrant; or camera: all quadrants in one frame.")
@click.option("--per-class", default=1000, type=click.IntRange(1), help="Frames of each of the four classes.")
@click.option("--part", default=(0.0, 1.0), nargs=2, type=click.FloatRange(0, 1), help="Share of the library to use.")
@sky_options
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same frames.")
def frames(out: Path, config_name: str, overrides: tuple[str, ...], window: str, per_class: int, **given: Any) -> None:
    """Write a set of frames, the same number of empty, X-ray, particle and mixed ones, with the truth of every pixel.

    Frames of 64 x 64 hold as many events as in seed 003; other windows take --photons and --particles per quadrant
    frame. Different parts of a library have different primaries: split training from tests by --part.

    Example: raysieve simulate frames train.h5 --config wfi --hits hits.h5 --per-class 50000 --part 0 0.7
    """
    config, seeds = load(config_name, overrides), Seeds(given["seed"])
    _check(given)
    layout = config.detector
    shape = shape_of(window, len(layout.quadrants), (layout.rows, layout.columns))
    library = HitLibrary(given["hits"] or shipped())
    pixels = Pixels(library, config.simulate.sensor, layout)
    low, high = given["part"]
    part = (int(low * len(library)), int(high * len(library)))
    require(f"--part {low:g} {high:g}", (part[0] < part[1], "a range that holds primaries"))
    area = shape[0] * shape[1] * shape[2] / (layout.rows * layout.columns)
    rates = None if shape == (1, 64, 64) else (given["photons"] * area, particle_rate(given, pixels, config) * area)
    particles = ParticlePool(pixels, part, shape, seeds, whole=window == "camera")
    pools = (XRayPool(xrays(config, given), layout, shape, seeds), particles)
    made = FrameSet(per_class, shape, rates, pools, config, seeds)
    about = {"config_digest": digest(config), "library": library.path.name, "part": part, "seed": seeds.seed}
    with FrameFile(out, shape, about) as file, Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"simulate {out.name}", total=len(made))
        counts = write_set(made, file.write, lambda done: progress.update(task, completed=done))
    say_rounds(library, part, particles.rounds)
    click.echo(f"{out}: {len(made)} frames; " + ", ".join(f"{n} {name}" for name, n in counts.items()))


def _check(given: dict[str, Any]) -> None:
    low, high = given["part"]
    require(
        "frame set",
        (given["hits"] != STRAIGHT, "a hit library, not straight tracks"),
        (not given["point"], "no --point: the X-rays of a set fall anywhere"),
        (math.isfinite(low + high), "two numbers for --part"),
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
