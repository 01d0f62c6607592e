"""Packages of the extras, imported when they are needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.checkout import ROOT
from config.errors import ConfigError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a missing package into one line that says how to install the extra of this name. Raises ConfigError."""
    try:
        yield
    except ImportError as fault:
        raise ConfigError(f"{fault}: expected the {name} extra, {installed_by(name)}") from None


def installed_by(name: str) -> str:
    """Return the command that installs an extra here: of this checkout, wherever the user is, or of the package."""
    if not (ROOT / "pyproject.toml").is_file():
        return f"pip install 'raysieve[{name}]'"
    return f"pip install -e '{'.' if Path.cwd() == ROOT else ROOT}[{name}]'"
