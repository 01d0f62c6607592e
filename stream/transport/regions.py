"""Reads regions as DS9 writes them, in pixels of images.fits: circle, ellipse, box, annulus."""

import re
from pathlib import Path
from typing import Final

from stream.errors import ConfigError
from stream.imaging.regions import SHAPES, Region, Regions, Shape

FRAMES: Final = ("image", "physical")
LINE: Final = re.compile(r"(?P<sign>[-+]?)\s*(?P<kind>[a-z]+)\s*\((?P<numbers>[^)]*)\)\s*(?:#\s*(?P<more>.*))?")
TEXT: Final = re.compile(r"text\s*=\s*(?:\{([^}]*)\}|\"([^\"]*)\"|'([^']*)')")
NAME: Final = re.compile(r"[\w.+-]{1,32}")


def read_regions(path: Path) -> Regions:
    """Return the regions of a DS9 file (image or physical coordinates, pixels from 1).

    A region with the property `background` is one; one with a minus sign is taken out of all; others are source
    regions, named by their text, else region_1, ... Raises ConfigError, one line that names file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{path}: cannot be read: {fault}") from None
    frame, sources, background, excluded = "", list[Region](), list[Shape](), list[Shape]()
    for number, line in enumerate(lines, 1):
        for part in line.split(";"):
            text = part.strip()
            if not text or text.startswith(("#", "global")):
                continue
            if re.fullmatch(r"[a-z]\w*", text):
                frame = text
                continue
            shape, more = _shape(text, f"{path}, line {number}", frame)
            if shape.excluded:
                excluded.append(shape)
            elif re.search(r"\bbackground\b", re.sub(TEXT, "", more)):
                background.append(shape)
            else:
                sources.append(Region(_name(more, len(sources) + 1, f"{path}, line {number}"), shape))
    names = [region.name for region in sources]
    if len(set(names)) < len(names):
        raise ConfigError(f"{path}: two regions of one name; expected a text of its own for each")
    if not sources:
        raise ConfigError(f"{path}: no source region; expected circle, ellipse, box or annulus")
    return Regions(tuple(sources), tuple(background), tuple(excluded))


def _shape(text: str, where: str, frame: str) -> tuple[Shape, str]:
    found = LINE.fullmatch(text)
    kind = found["kind"] if found else ""
    if found is None or kind not in SHAPES:
        raise ConfigError(f"{where}: {text[:40]!r}: expected {', '.join(SHAPES)}")
    if frame not in FRAMES:
        raise ConfigError(f"{where}: coordinates {frame or 'not given'}: expected {' or '.join(FRAMES)}")
    try:
        numbers = [float(part) for part in found["numbers"].split(",")]
    except ValueError:
        numbers = []
    if kind in ("ellipse", "box") and len(numbers) == 4:
        numbers.append(0.0)
    radii = numbers[2:4] if kind != "circle" else numbers[2:3]
    if len(numbers) != SHAPES[kind] or min(radii, default=0.0) < 0 or max(radii, default=0.0) <= 0:
        raise ConfigError(f"{where}: {kind}: expected {SHAPES[kind]} numbers, radii above 0")
    place = (numbers[0] - 1, numbers[1] - 1)  # DS9 counts pixels from 1
    return Shape(kind, (*place, *numbers[2:]), found["sign"] == "-"), found["more"] or ""


def _name(more: str, number: int, where: str) -> str:
    found = TEXT.search(more)
    name = next((part for part in found.groups() if part is not None), "").strip() if found else ""
    name = name.replace(" ", "_") or f"region_{number}"
    if not NAME.fullmatch(name):
        raise ConfigError(f"{where}: text {name[:40]!r}: expected up to 32 letters, digits or _ . + -: it names a file")
    return name
