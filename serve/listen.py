"""Where a service listens."""

import logging
import socket
from typing import Any

from config.errors import ConfigError


def listening(server: Any, host: str, port: int) -> socket.socket:
    """Return a socket at which a server (uvicorn.Server) already listens: clients wait instead of being refused.

    Raises ConfigError that names host and port, and what the system says against them.
    """
    log = logging.getLogger("uvicorn.error")
    log.disabled, before = True, log.disabled  # it would say the same, in its own words
    try:
        bound: socket.socket = server.config.bind_socket()
    except SystemExit as fault:  # uvicorn's way to say no
        why = getattr(fault.__context__, "strerror", None) or "refused"
        expected = "expected an own address, a free port"
        raise ConfigError(f"--host {host} --port {port}: cannot listen there: {why}; {expected}") from None
    finally:
        log.disabled = before
    bound.listen()
    return bound
