"""Which version of the source this is."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def commit() -> str:
    """Return the commit of this checkout, 12 digits, with + if files differ from it; "" outside of one.

    Figures that a bench has just written do not count: the next one runs the same source.
    """
    try:
        own = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/figures")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return own + ("+" if changed else "")


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()
