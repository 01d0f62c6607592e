"""A folder to write into, found out before the work and not after it."""

import tempfile
from pathlib import Path

from config.errors import ConfigError


def folder_to_write(folder: Path) -> Path:
    """Return a folder, made if need be, in which files can be made. Raises ConfigError that says why they cannot."""
    if why := why_not_to_write(folder):
        raise ConfigError(f"{folder}: cannot be written: {why}")
    return folder


def why_not_to_write(folder: Path) -> str:
    """Make a folder if need be, try to make a file in it, and return what the system says against it; "": nothing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except FileExistsError:
        return "is a file, expected a folder"
    except OSError as fault:
        return fault.strerror or str(fault)
    return ""
