"""`raysieve simulate charge-loss`: the energy that events lose below the split threshold."""

import click

from config.load import load
from sim.charge_loss import measure
from stream.commands.options import configured


@click.command("charge-loss")
@configured
@click.option("--photons", default=400_000, type=click.IntRange(1000), help="How many photons.")
@click.option("--seed", default=0, help="Same seed, same table.")
def charge_loss(config_name: str, overrides: tuple[str, ...], photons: int, seed: int) -> None:
    """Print the [reconstruct.charge_loss] table of a configuration.

    Example: raysieve simulate charge-loss --config wfi
    """
    click.echo("[reconstruct.charge_loss]")
    for name, column in measure(load(config_name, overrides), photons, seed).items():
        click.echo(f"{name} = {column}")
