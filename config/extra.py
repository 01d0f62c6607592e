"""Packages of the extras, imported when they are needed."""

from collections.abc import Iterator
from contextlib import contextmanager

from config.errors import ConfigError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a missing package into one line that says how to install the extra of this name. Raises ConfigError."""
    try:
        yield
    except ImportError as fault:
        raise ConfigError(f"{fault}: expected the {name} extra, pip install -e '.[{name}]'") from None
