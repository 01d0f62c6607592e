"""Fluxes of coronal lines as somebody has measured them, with what each would be for a given emission measure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.spectra.grid import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Fluxes:
    """D line (or continuum) fluxes. Units are the measurer's: flux = sum of emissivity times DEM over log T."""

    name: str
    wavelength_a: Floats  # (D,)
    flux: Floats  # (D,)
    sigma: Floats  # (D,)
    element: tuple[str, ...]  # (D,) "fe"; "h" of a continuum
    log_t: Floats  # (K,) even steps
    emissivity: Floats  # (D, K) flux of a DEM (per dex) of 1 at one temperature; abundances are in it
    published: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # dem, low, high (K,): what others have found

    def __post_init__(self) -> None:
        """Raise ConfigError for fluxes that cannot be, and for arrays that do not fit each other."""
        n, k = len(self.flux), len(self.log_t)
        if self.emissivity.shape != (n, k) or not len(self.sigma) == len(self.wavelength_a) == len(self.element) == n:
            raise ConfigError(f"{self.name}: expected wavelengths, fluxes, errors (D,) and emissivities (D, log T)")
        if not np.all(np.isfinite(self.flux)) or not np.any(self.flux > 0):
            raise ConfigError(f"{self.name}: fluxes: expected finite numbers, some above 0")
        if not np.all(np.isfinite(self.sigma) & (self.sigma > 0)):
            raise ConfigError(f"{self.name}: errors of fluxes: expected numbers above 0")
        if not np.all(np.isfinite(self.emissivity) & (self.emissivity >= 0)):
            raise ConfigError(f"{self.name}: emissivities: expected 0 or more")
        step = np.diff(self.log_t)
        if k < 4 or step[0] <= 0 or not np.allclose(step, step[0], atol=1e-4):
            raise ConfigError(f"{self.name}: log T: expected 4 or more in even, rising steps")
