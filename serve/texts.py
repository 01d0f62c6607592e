"""Numbers and names as results have them."""

import math
from collections.abc import Mapping
from typing import Any, Final, SupportsFloat

KEYWORDS: Final = {"TELESCOP": "telescope", "INSTRUME": "instrument", "OBJECT": "object"}


def number(value: SupportsFloat) -> float | None:
    """Return a number, None for what was not measured or is not finite."""
    found = float(value)
    return found if math.isfinite(found) else None


def named(header: Mapping[str, Any]) -> dict[str, str]:
    """Return what a header says was observed, and with what."""
    return {name: str(header[key]).strip() for key, name in KEYWORDS.items() if key in header}
