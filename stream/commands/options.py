"""What several commands share."""

from collections.abc import Callable
from typing import Any

import click


def configured(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --config and --set."""
    command = click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one value, as links.transport=tcp."
    )(command)
    return click.option(
        "--config", "-c", "config_name", required=True, metavar="CONFIG", help="A TOML file, or a shipped name (wfi)."
    )(command)
