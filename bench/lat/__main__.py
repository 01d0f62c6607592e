"""All figures of docs/lat.md, then the page; each part is a command of its own, and needs the mission's files.

"localise" writes the figures of "search" as well, of the same skies: that one need not run besides it.
"""

import subprocess
import sys

PARTS = ("realsky", "realmap", "localise", "live", "stream", "classes", "cutouts", "analyse", "analyse_real", "page")


def main() -> None:
    """Run the parts in turn: each with a fresh process, so that their times are their own."""
    for part in PARTS:
        print(f"bench.lat.{part}", flush=True)
        subprocess.run([sys.executable, "-m", f"bench.lat.{part}"], check=True)


if __name__ == "__main__":
    main()
