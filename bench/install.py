"""What an installation of the runtime takes, from the package index: `python -m bench.install`."""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from bench import figures

ROOT: Final = figures.FOLDER.parent.parent
COMMAND: Final = "python -m bench.install"
OURS: Final = ("config", "stream", "sim", "analyse", "models", "export", "serve", "view")
SHOWN: Final = 6  # of the largest packages


def megabytes(path: Path, pattern: str = "*") -> float:
    """Return the size of all files below a folder."""
    return sum(each.stat().st_size for each in path.rglob(pattern) if each.is_file() and not each.is_symlink()) / 1e6


def main() -> None:
    """Install, measure, write docs/figures/install.json."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "v"
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        empty = megabytes(place)
        begun = time.monotonic()
        subprocess.run([place / "bin/pip", "install", "--quiet", ROOT], check=True)
        wall = time.monotonic() - begun
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        (packages,) = place.glob("lib/python3*/site-packages")
        sizes = {each.name: megabytes(each) for each in packages.iterdir() if each.is_dir()}
        found = {
            "runtime without extras: size": (megabytes(place) - empty, "MB"),
            "of it bytecode, written while installing": (megabytes(place, "*.pyc"), "MB"),
            "of it raysieve itself": (sum(sizes[name] for name in OURS), "MB"),
            "wall, with downloads": (wall, "s"),
            "CPU": (used.ru_utime + used.ru_stime, "s"),
        }
        largest = sorted(sizes.items(), key=lambda item: -item[1])[:SHOWN]
        found |= {f"of it {name}": (size, "MB") for name, size in largest}
    figures.write("install", COMMAND, found)


if __name__ == "__main__":
    main()
