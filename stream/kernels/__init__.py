"""Pure numerics on arrays.

Numba keeps the machine code of a kernel until its file changes, and does not see when another file changes whose kernel
it calls. So it is kept under a digest of all of them: beside this file or in NUMBA_CACHE_DIR, and where that cannot be
written in a folder of the user alone, as who can write there can run code as the user.
"""

import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

import numba
from numba import njit

__all__ = ["njit"]  # others take it from here, so that their kernels are kept there, too

_FOLDER = Path(__file__).parent
_SOURCES = b"".join(path.read_bytes() for path in sorted(_FOLDER.glob("*.py")))
_DIGEST = hashlib.sha256(_SOURCES).hexdigest()[:12]


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _private(folder: Path) -> bool:
    """Make a folder that its user alone can enter; say whether it is one: in /tmp another may have been first."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    alone = found.st_uid == os.getuid() and not found.st_mode & 0o077
    return stat.S_ISDIR(found.st_mode) and alone and os.access(folder, os.W_OK | os.X_OK)


def _of_the_user() -> Path:
    """Return a folder of the user alone: in the own cache, or a temporary one, that of the last time if it can be."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for folder in (Path(cache, "raysieve"), Path(tempfile.gettempdir(), f"raysieve-{os.getuid()}")):
        if _private(folder):
            return folder
    return Path(tempfile.mkdtemp(prefix="raysieve-"))


def _keep() -> None:
    wanted = Path(getattr(numba.config, "CACHE_DIR", "") or _FOLDER / "__pycache__")  # NUMBA_CACHE_DIR, if it is set
    kept = wanted
    if not _can_be_written(wanted / _DIGEST):
        kept = _of_the_user()
        print(f"raysieve: {wanted}: cannot be written; compiled kernels are kept in {kept}", file=sys.stderr)
        os.environ["NUMBA_CACHE_DIR"] = str(kept)  # processes that this one starts go there, and say nothing
        numba.config.reload_config()
    vars(numba.config)["CACHE_DIR"] = str(kept / _DIGEST)


_keep()
