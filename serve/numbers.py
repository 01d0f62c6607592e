"""Numbers as JSON has them."""

import math
from typing import SupportsFloat


def number(value: SupportsFloat) -> float | None:
    """Return a number, None for what was not measured or is not finite."""
    found = float(value)
    return found if math.isfinite(found) else None
