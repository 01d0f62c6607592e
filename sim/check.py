"""Refuse what cannot be, in one line."""

from pathlib import Path

from config.errors import ConfigError


def require(what: str, *rules: tuple[bool, str]) -> None:
    """Raise ConfigError naming `what` and every rule (holds, "what was expected") that does not hold."""
    broken = [expected for holds, expected in rules if not holds]
    if broken:
        raise ConfigError(f"{what}: expected {'; '.join(broken)}")


def new_or_replaced(out: Path, overwrite: bool) -> None:
    """Make the folder of a file to be written. Raises ConfigError if it cannot be, or the file is there already."""
    folder_for(out)
    if out.exists() and not overwrite:
        raise ConfigError(f"{out}: exists; --overwrite replaces it")


def folder_for(out: Path) -> Path:
    """Return the folder of a file to be written, made if need be. Raises ConfigError if it cannot be."""
    require(f"{out}", (not out.is_dir(), "a file to write, not a folder"))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {out.parent}: {error.strerror}") from None
    return out.parent
