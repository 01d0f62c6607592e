"""`raysieve keys`: who may send to a daemon that others can reach."""

from pathlib import Path

import click

from stream.transport.keys import DAEMON, create_keys


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--peer", "peers", multiple=True, default=["camera"], metavar="NAME", help="Who may send (camera); again for more."
)
def keys(folder: Path, peers: tuple[str, ...]) -> None:
    """Make the CURVE keys of a daemon and of its peers; a folder that has those of a daemon gets more peers.

    Example: raysieve keys keys --peer camera --peer test-stand
    """
    for name in create_keys(folder, peers):
        if name == DAEMON:
            click.echo(f"{name}: --set links.keys={folder}")
        else:
            click.echo(
                f"{name}: may send; takes {name}.key_secret and {DAEMON}.key to its machine: --keys FOLDER --as {name}"
            )
