"""What every deliberate failure derives from."""


class RaysieveError(Exception):
    """Its text is for the user: what is wrong, where, and what was expected."""


class ConfigError(RaysieveError):
    """A configuration, map file or input cannot be used: refuse to start."""
