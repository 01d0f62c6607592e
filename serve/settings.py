"""What a service is told when it starts, and whom it lets in."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from config.errors import ConfigError

MB: Final = 1_000_000
LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
WILD: Final = frozenset({"0.0.0.0", "::"})
_TOKEN = re.compile(r"([A-Za-z0-9_-]{1,64})\s+([A-Za-z0-9._~+/=-]{32,512})")


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may ask for."""

    upload_mb: float = 256.0  # of one request
    unpacked_mb: float = 1024.0  # of the files of one request after gunzip
    disk_mb: float = 10_240.0  # of everything that the service keeps
    waiting: int = 32  # jobs
    per_minute: int = 120  # requests of one client
    job_s: float = 1800.0
    fit_s: float = 60.0
    memory_mb: float = 8192.0  # address space of a worker
    keep_h: float = 24.0  # results


@dataclass(frozen=True, slots=True)
class Settings:
    """A service. Tokens are in no text that is made of this."""

    folder: Path
    host: str = "127.0.0.1"
    workers: int = 1  # for any job; one more does fits only
    wait_s: float = 10.0  # for a fit before it is answered as a job
    model: str = ""  # of source classes, for catalogues
    tokens: dict[str, str] = field(default_factory=dict, repr=False)  # token -> who; none: everybody of this machine
    names: tuple[str, ...] = ()  # further host names that a request may be for
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        """Raises ConfigError for a service that others can reach without a token."""
        if not is_local(self.host) and not self.tokens:
            raise ConfigError(f"--host {self.host} is open to other machines: needs --token FILE")

    @property
    def hosts(self) -> frozenset[str]:
        """Host names that a request may be for."""
        own = LOCAL if is_local(self.host) or self.host in WILD else frozenset({self.host.lower()})
        return own | {name.lower() for name in self.names}


def is_local(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def read_tokens(path: Path) -> dict[str, str]:
    """Return token -> who, of lines NAME TOKEN. Raises ConfigError; no message holds a token."""
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path}: open to others: expected mode 600")
        lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{path}: no such file of tokens that can be read") from None
    found = [_TOKEN.fullmatch(line) for line in lines]
    for number, match in enumerate(found, 1):
        if match is None:
            raise ConfigError(f"{path}: line {number}: expected NAME TOKEN, the token of 32 characters or more")
    if not found:
        raise ConfigError(f"{path}: expected a line NAME TOKEN for each client")
    return {match[2]: match[1] for match in found if match}
