"""`raysieve simulate`: frames and tables of known truth. One file for each command."""

import click

from sim.commands.charge_loss import charge_loss
from sim.commands.corona import corona
from sim.commands.crosscal import crosscal, crosscal_clusters
from sim.commands.events import events
from sim.commands.frames import frames
from sim.commands.hits import hits
from sim.commands.label import label_events
from sim.commands.lat import lat
from sim.commands.lat_cutouts import lat_cutouts
from sim.commands.lat_patches import lat_patches
from sim.commands.live import live
from sim.commands.sources import source_sets, sources
from sim.commands.telemetry import telemetry
from sim.commands.wfi import wfi


@click.group()
def simulate() -> None:
    """Make recordings, training sets and tables of known truth.

    Example: raysieve simulate wfi demo.h5 --config wfi --readouts 200
    """


for command in (wfi, frames, events, hits, label_events, live, telemetry, charge_loss, sources, source_sets):
    simulate.add_command(command)
simulate.add_command(lat_cutouts)
simulate.add_command(lat)
simulate.add_command(lat_patches)
simulate.add_command(corona)
simulate.add_command(crosscal)
simulate.add_command(crosscal_clusters)
