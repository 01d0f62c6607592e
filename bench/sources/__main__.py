"""All figures and pictures of docs/sources.md, then the page; each part is a command of its own."""

import subprocess
import sys

PARTS = ("spectra", "plasma", "imaging", "field", "classes", "gain", "analyse", "live", "page")


def main() -> None:
    """Run the parts in turn: each with a fresh process, so that their times are their own."""
    for part in PARTS:
        print(f"bench.sources.{part}", flush=True)
        subprocess.run([sys.executable, "-m", f"bench.sources.{part}"], check=True)


if __name__ == "__main__":
    main()
