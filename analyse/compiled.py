"""Programs that JAX compiled, kept on disk: a process that samples what another has sampled starts at once."""

import hashlib
import logging
import os
import platform
import re
import stat
from pathlib import Path
from typing import Any, Final

OFF: Final = "off"  # of RAYSIEVE_COMPILED
LEAST_S: Final = 0.3  # of compilation, for a program to be kept
MOST_BYTES: Final = 256_000_000  # of all programs; the oldest go first


def keep_programs() -> Path | None:
    """Let JAX keep what it compiles from now on, and return the folder; None where it keeps nothing.

    RAYSIEVE_COMPILED names a folder, or says `off`; else it is raysieve/jax of the user's cache. A program that is read
    is run: a folder that others may write to is not used, and a warning says so. What JAX itself was told
    (JAX_COMPILATION_CACHE_DIR) stays.
    """
    import jax

    told = os.environ.get("RAYSIEVE_COMPILED", "")
    if told == OFF or jax.config.jax_compilation_cache_dir:
        return None
    cache = os.environ.get("RAYSIEVE_CACHE") or os.environ.get("XDG_CACHE_HOME") or ""
    try:
        root = Path(told) if told else (Path(cache) if cache else Path.home() / ".cache") / "raysieve" / "jax"
        folder = make_private(root, _processor())
        _forget(folder, MOST_BYTES)
    except (OSError, RuntimeError) as fault:
        logging.getLogger(__name__).warning("compiled programs are not kept: %s", fault)
        return None
    for name, value in _settings(folder).items():
        jax.config.update(name, value)
    return folder


def make_private(root: Path, name: str) -> Path:
    """Return folder `name` of root, both made with the user's rights only.

    Raises OSError for one that is a link, another's, or that others may write to.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    above = root.parent.stat().st_mode
    if above & 0o002 and not above & stat.S_ISVTX:
        raise PermissionError(f"{root.parent}: anybody may write to it")
    for folder in (root, root / name):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(f"{folder}: expected a folder of this user that nobody else may write to")
    return root / name


def known_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return options of the compiler, or none where this version of it does not know all of them."""
    import jax

    try:
        jax.jit(lambda x: x + 1.0, compiler_options=options)(0.0)
    except jax.errors.JaxRuntimeError:
        return {}
    return options


def _settings(folder: Path) -> dict[str, Any]:
    return {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": LEAST_S,
        "jax_persistent_cache_enable_xla_caches": "none",  # those are of graphics cards
    }


def _processor() -> str:
    """Return a name of what this processor can do: another one, with the same home, may not run its programs."""
    about = Path("/proc/cpuinfo")
    found = re.search(r"^(?:flags|Features)\s*:.*$", about.read_text() if about.is_file() else "", re.MULTILINE)
    text = f"{platform.machine()} {platform.processor()} {found[0] if found else ''}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _forget(folder: Path, most: int) -> None:
    """Remove the oldest programs until those left have `most` bytes or fewer."""
    known = [(path, path.stat()) for path in folder.iterdir() if path.is_file()]
    size = sum(about.st_size for _, about in known)
    for path, about in sorted(known, key=lambda one: one[1].st_mtime):
        if size <= most:
            return
        path.unlink(missing_ok=True)
        size -= about.st_size
