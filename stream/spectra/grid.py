"""Energy bins, and what components keep of them between evaluations."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
LEAST_KEV = 1e-3  # a bin that begins at zero energy begins here: a power law diverges there


@dataclass(frozen=True, slots=True)
class Grid:
    """Bins of energy, keV; make it once for many evaluations."""

    low: Floats  # (n,)
    high: Floats  # (n,)
    kept: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)  # by component, made at first use

    @classmethod
    def of(cls, energy_lo_kev: ArrayLike, energy_hi_kev: ArrayLike) -> "Grid":
        """Return the grid of these bins, (n,) keV each. Raises ValueError if a bin is empty."""
        low, high = np.asarray(energy_lo_kev, float), np.asarray(energy_hi_kev, float)
        low = np.where(low > 0, low, np.minimum(LEAST_KEV, high / 2))
        if low.shape != high.shape or low.ndim != 1 or not np.all(high > low):
            raise ValueError("expected bins of energy with high > low")
        return cls(low, high)

    @property
    def middle(self) -> Floats:
        """(n,) keV."""
        return self._keep("middle", lambda: 0.5 * (self.low + self.high))

    @property
    def width(self) -> Floats:
        """(n,) keV."""
        return self._keep("width", lambda: self.high - self.low)

    def _keep(self, name: str, make: Any) -> Any:
        if name not in self.kept:
            self.kept[name] = make()
        return self.kept[name]

    def keep(self, key: Any, make: Any) -> Any:
        """Return what `make(grid)` gave the first time for this key."""
        if key not in self.kept:
            self.kept[key] = make(self)
        return self.kept[key]
