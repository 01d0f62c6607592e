"""What several commands share."""

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import click

from config.folder import why_not_to_write
from stream.errors import ConfigError


def told(stage: str, about: Mapping[str, str]) -> str:
    """Return what a stage says of itself (`about`) as one line."""
    return f"{stage}: {'; '.join(f'{key} {value}' for key, value in about.items())}"


def folder_for(out: Path) -> Path:
    """Return the folder of a file to be written, made if need be. Raises ConfigError if it cannot be, or not there."""
    if out.is_dir():
        raise ConfigError(f"{out}: expected a file to write, not a folder")
    if why := why_not_to_write(out.parent):
        raise ConfigError(f"{out}: cannot be written: {out.absolute().parent}: {why}")
    return out.parent


def new_or_replaced(out: Path, overwrite: bool) -> None:
    """Make the folder of a file to be written. Raises ConfigError if it cannot be, or the file is there already."""
    folder_for(out)
    if out.exists() and not overwrite:
        raise ConfigError(f"{out}: exists; --overwrite replaces it")


def writes_out(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --overwrite to a command with the argument OUT, a file: one that is there is refused without it."""

    @click.option("--overwrite", is_flag=True, help="Replace an existing file.")
    @wraps(command)
    def checked(*, overwrite: bool, out: Path, **given: Any) -> Any:
        new_or_replaced(out, overwrite)
        return command(out=out, **given)

    return checked


def pictured(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --plot FOLDER, which is made before the work begins. what: the pictures. For commands that write no more."""

    def made(context: click.Context, parameter: click.Parameter, folder: Path | None) -> Path | None:
        if folder is None:
            return None
        from stream.transport.pictures import folder_of_pictures  # Matplotlib: half a second

        return folder_of_pictures(folder)

    return click.option(
        "--plot", type=click.Path(path_type=Path), metavar="FOLDER", callback=made, help=f"Draw {what} there."
    )


def name_pictures(paths: Iterable[Path], as_json: bool = False) -> None:
    """Say what was drawn; where others read the output as JSON, beside it."""
    for path in paths:
        click.echo(f"{path}", err=as_json)


def configured(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --config and --set."""
    command = click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one value, as links.transport=tcp."
    )(command)
    return click.option(
        "--config", "-c", "config_name", required=True, metavar="CONFIG", help="A TOML file, or a shipped name (wfi)."
    )(command)


def keyed(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --keys and --as: who sends, where the daemon asks for it."""
    command = click.option("--as", "peer", default="camera", metavar="NAME", help="Whose keys.")(command)
    return click.option(
        "--keys", type=click.Path(path_type=Path), metavar="FOLDER", help="Keys for a daemon that asks for them."
    )(command)
