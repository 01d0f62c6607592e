"""The kinds of failure. Bad data is never one of them: it travels as quality bits and `Gap` messages."""

from config.errors import ConfigError, RaysieveError

__all__ = ["ConfigError", "LinkError", "ModelError", "RaysieveError", "StageError", "WireError"]


class ModelError(RaysieveError):
    """A model or its card does not fit: refuse to start."""


class WireError(RaysieveError):
    """One message is bad: count it, keep a sample, go on."""


class LinkError(RaysieveError):
    """A peer or a disk is lost: retry within the budget, then stop."""


class StageError(RaysieveError):
    """A bug in a stage; names the stage and the frame, the process exits non-zero."""
