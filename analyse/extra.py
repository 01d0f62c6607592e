"""Packages of the `analyse` extra, imported when they are needed."""

from collections.abc import Iterator
from contextlib import contextmanager

from config.errors import ConfigError


@contextmanager
def analyse_extra() -> Iterator[None]:
    """Turn a missing package into one line that says how to install it."""
    try:
        yield
    except ImportError as fault:
        raise ConfigError(f"{fault}: expected the analyse extra, pip install -e '.[analyse]'") from None
