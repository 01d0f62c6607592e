"""CURVE keys of a daemon and of the peers that may send to it: a folder of ZeroMQ certificates.

- `daemon.key_secret`, `daemon.key`: the pair of the daemon; every peer has a copy of the second file.
- `NAME.key_secret`: the pair of a peer, for its own machine.
- `peers/NAME.key`: who may send; without this file the peer is refused.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zmq.auth import create_certificates, load_certificate

from stream.errors import ConfigError

DAEMON = "daemon"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY = re.compile(rb"[0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")  # Z85 of 32 bytes


@dataclass(frozen=True)
class Keys:
    """What one end of a link needs. The secret key is in no text that is made of this."""

    public: bytes
    secret: bytes = field(repr=False)
    daemon: bytes
    """Public key of the reader that a sender expects."""
    allowed: frozenset[bytes] = frozenset()
    """Public keys of the senders that a reader lets in."""


def create_keys(folder: Path, peers: Sequence[str]) -> list[str]:
    """Make a pair for each peer, and for the daemon if it has none, readable by the user alone; return whose.

    Raises ConfigError if a name is none, if it has keys already, or if the folder is open to others or not writable.
    """
    for name in peers:
        if not _NAME.fullmatch(name) or name == DAEMON:
            raise ConfigError(f"--peer {name}: expected letters, digits, - and _, and not {DAEMON}")
    names = [*([] if _secret(folder, DAEMON).exists() else [DAEMON]), *dict.fromkeys(peers)]
    mask = os.umask(0o077)
    try:
        (folder / "peers").mkdir(parents=True, exist_ok=True)
        _check_private(folder, "700")
        for path in (place(folder, name) for name in names for place in (_secret, _public)):
            if path.exists():
                raise ConfigError(f"{path}: is there already; keys are never written over")
        for name in names:
            public, _ = create_certificates(folder, name)
            os.replace(public, _public(folder, name))
    except OSError as fault:
        raise ConfigError(f"{folder}: cannot be written: {fault.strerror}") from None
    finally:
        os.umask(mask)
    return names


def daemon_keys(folder: Path, *, inside: bool) -> Keys:
    """Return the keys of the daemon; `inside`: of the links between its processes, where nobody else may send.

    Raises ConfigError naming the file that is missing, damaged or open to others, or if there is no peer.
    """
    public, secret = _load_secret(_secret(folder, DAEMON))
    peers = frozenset(_load(path)[0] for path in (folder / "peers").glob("*.key"))
    if not peers:
        raise ConfigError(f"{folder / 'peers'}: expected the *.key of at least one peer, see `raysieve keys`")
    return Keys(public, secret, public, frozenset([public]) if inside else peers)


def peer_keys(folder: Path, name: str) -> Keys:
    """Return the keys of a peer.

    Raises ConfigError naming the file that is missing, damaged or open to others.
    """
    public, secret = _load_secret(_secret(folder, name))
    return Keys(public, secret, _load(_public(folder, DAEMON))[0])


def _secret(folder: Path, name: str) -> Path:
    return folder / f"{name}.key_secret"


def _public(folder: Path, name: str) -> Path:
    return (folder if name == DAEMON else folder / "peers") / f"{name}.key"


def _load_secret(path: Path) -> tuple[bytes, bytes]:
    public, secret = _load(path)
    if secret is None:
        raise ConfigError(f"{path}: no secret key in it, see `raysieve keys`")
    _check_private(path, "600")
    return public, secret


def _load(path: Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = load_certificate(path)
    except OSError:
        raise ConfigError(f"{path}: no such key that can be read, see `raysieve keys`") from None
    except ValueError:
        public, secret = b"", None
    if not all(_KEY.fullmatch(key) for key in (public, secret) if key is not None):
        raise ConfigError(f"{path}: expected a ZeroMQ certificate with keys of 40 characters, see `raysieve keys`")
    return public, secret


def _check_private(path: Path, mode: str) -> None:
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"{path}: open to others: expected mode {mode}")
