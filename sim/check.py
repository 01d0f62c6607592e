"""Refuse what cannot be, in one line."""

from config.errors import ConfigError
from stream.commands.options import folder_for, new_or_replaced

__all__ = ["folder_for", "new_or_replaced", "require"]


def require(what: str, *rules: tuple[bool, str]) -> None:
    """Raise ConfigError naming `what` and every rule (holds, "what was expected") that does not hold."""
    broken = [expected for holds, expected in rules if not holds]
    if broken:
        raise ConfigError(f"{what}: expected {'; '.join(broken)}")
