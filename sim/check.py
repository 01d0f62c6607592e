"""Refuse settings that make no sense, in one line."""

from config.errors import ConfigError


def require(what: str, *rules: tuple[bool, str]) -> None:
    """Raise ConfigError naming `what` and every rule (holds, "what was expected") that does not hold."""
    broken = [expected for holds, expected in rules if not holds]
    if broken:
        raise ConfigError(f"{what}: expected {'; '.join(broken)}")
