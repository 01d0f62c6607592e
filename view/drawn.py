"""The figures as text, kept beside this file: to load Bokeh and make them anew takes two CPU seconds at each start."""

import hashlib
import json
import os
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
MADE_OF: Final = ("figures.py", "sight.py")
THEMES: Final = {  # ink, lines of the grid
    "light": ("#1b1f24", "#d8dce1"),
    "dark": ("#e4e7eb", "#3a414b"),
}


def drawn(theme: str, folder: Path = HERE / "__pycache__") -> str:
    """Return all figures as JSON, by name. theme: light or dark. Where `folder` cannot be written, nothing is kept."""
    text = _light(folder)
    for one, other in zip(THEMES["light"], THEMES[theme], strict=True):
        text = text.replace(one, other)
    return text


def _light(folder: Path) -> str:
    sources = b"".join((HERE / name).read_bytes() for name in MADE_OF)
    digest = hashlib.sha256(sources + version("bokeh").encode()).hexdigest()[:12]
    kept = folder / f"figures-{digest}.json"
    with suppress(OSError, ValueError):
        text = kept.read_text()
        json.loads(text)
        return text
    from view.figures import figures

    text = json.dumps(figures())
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
        temporary = kept.with_suffix(f".{os.getpid()}")
        temporary.write_text(text)
        os.replace(temporary, kept)
    return text
