"""`raysieve simulate live`: a camera that feeds the daemon, without a recording."""

from typing import Any

import click

from config.load import load
from sim.commands.scene import camera_of, sky_options
from stream.commands.feed import feed, push_to, say, speed_of
from stream.commands.options import configured, keyed


@click.command("live")
@configured
@click.option("--to", "url", required=True, metavar="URL", help="Where the daemon listens; see `raysieve explain`.")
@click.option("--readouts", default=2000, type=click.IntRange(1), help="Read-outs of all quadrants.")
@click.option("--rate", default="live", metavar="live|max|X", help="Real time, as fast as possible, or X times live.")
@click.option("--wait", "wait_s", default=30.0, help="Seconds to wait for a reader that takes nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the account as JSON, too.")
@keyed
@sky_options
@click.option("--seed", default=0, type=click.IntRange(0), help="Same seed, same frames.")
def live(config_name: str, overrides: tuple[str, ...], url: str, readouts: int, rate: str, **given: Any) -> None:
    """Send simulated frames straight to a daemon, each made when it is needed.

    The camera is that of `simulate wfi` with the same options and seed: maps from its dark run fit.

    Example: raysieve simulate live --config wfi --to ipc:///run/user/1000/raysieve/frames.sock --readouts 2000 --seed 1
    """
    speed, push = speed_of(rate), push_to(url, given["keys"], given["peer"])
    camera = camera_of(load(config_name, overrides), given, readouts)
    camera.frames(0)  # compiles the kernels before the first frame is due
    frames = readouts * len(camera.start.quadrants)
    say(feed(camera.messages(readouts), push, speed, frames, given["wait_s"]), given["as_json"])
