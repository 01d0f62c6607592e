"""A folder to write into, found out before the work and not after it."""

import tempfile
from pathlib import Path

from config.errors import ConfigError


def folder_to_write(folder: Path) -> Path:
    """Return a folder, made if need be, in which files can be made. Raises ConfigError that says why they cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except FileExistsError:
        raise ConfigError(f"{folder}: cannot be written: is a file, expected a folder") from None
    except OSError as fault:
        raise ConfigError(f"{folder}: cannot be written: {fault.strerror or fault}") from None
    return folder
