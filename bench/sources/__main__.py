"""All figures and pictures of docs/sources.md, then the page; each part is a command of its own."""

import subprocess
import sys

from tests.real.conftest import DATA

PARTS = ("spectra", "plasma", "imaging", "field", "classes", "gain", "analyse", "joint", "live", "page")


def main() -> None:
    """Run the parts in turn: each with a fresh process, so that their times are their own."""
    for part in PARTS:
        print(f"bench.sources.{part}", flush=True)
        more = [str(DATA)] if part == "analyse" else []
        subprocess.run([sys.executable, "-m", f"bench.sources.{part}", *more], check=True)


if __name__ == "__main__":
    main()
