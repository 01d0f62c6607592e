"""Line emissivities of ions that the coronal solver has no collision strengths for, at every temperature."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError
from sim.sources.abundances import SYMBOLS, split_ion
from sim.sources.chianti import ANGSTROM_KEV, K_KEV
from stream.spectra.flux import ERG_PER_KEV
from stream.transport.chianti import CORONAL_2021, HYDROGEN_PER_ELECTRON

Floats = NDArray[np.float64]
STEEPEST: Final = 1.0  # of a collision strength against temperature, where it is continued
KEYS: Final = ("ion", "wavelength_angstrom", "G", "log_T", "log_n")


@dataclass(frozen=True, slots=True)
class Emissivities:
    """Effective collision strengths (up to a factor) of lines: (n, m) at log_t (m,), NaN where the ion is too rare."""

    name: NDArray[np.str_]  # (n,)
    energy_kev: Floats  # (n,)
    log_t: Floats
    log_strength: Floats

    @classmethod
    def read(cls, path: Path | str, fractions: dict[tuple[int, int], Floats], fraction_log_t: Floats) -> "Emissivities":
        """Read an npz of G(T, n), erg cm3 s-1 sr-1; its lowest density counts. Raises ConfigError for another file.

        fractions: (j,) by ion at fraction_log_t (j,): the ionisation equilibrium that G holds and that is divided out.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                ion, wavelength, g, log_t, log_n = (file[key] for key in KEYS)
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(f"{path}: expected an npz with {', '.join(KEYS)} ({error})") from None
        energy = ANGSTROM_KEV / wavelength.astype(float)
        rate = 4 * np.pi * g[:, :, int(np.argmin(log_n))].astype(float) / (energy[:, None] * ERG_PER_KEV)
        with np.errstate(divide="ignore", invalid="ignore"):
            for name in np.unique(ion):
                share = np.interp(log_t, fraction_log_t, fractions[split_ion(str(name))])
                abundance = 10 ** (CORONAL_2021[str(name).partition("_")[0]] - 12)
                rate[ion == name] /= np.where(share > 1e-9, share, np.nan) * abundance * HYDROGEN_PER_ELECTRON
            strength = np.log(rate) + 0.5 * np.log(10.0) * log_t + energy[:, None] / (K_KEV * 10.0**log_t)
        strength[~np.isfinite(strength)] = np.nan
        return cls(ion.astype(str), energy, log_t.astype(float), strength)

    @property
    def ions(self) -> set[str]:
        """Names of the ions whose element is known here."""
        return {str(n) for n in np.unique(self.name) if str(n).partition("_")[0] in SYMBOLS}

    def rates(self, name: str, log_t: Floats) -> tuple[Floats, Floats]:
        """Return energies (m,) keV and rates (m, k), cm3 s-1 for each ion and electron.

        Between its points the strength is straight in both logarithms, outside it goes on with the slope of its last
        0.2 dex.
        """
        rows = np.flatnonzero(self.name == name)
        energy, temperature = self.energy_kev[rows], 10.0**log_t
        strength = np.array([_continue(self.log_t, self.log_strength[row], log_t) for row in rows])
        return energy, np.exp(strength - energy[:, None] / (K_KEV * temperature)) / np.sqrt(temperature)


def _continue(x: Floats, y: Floats, at: Floats) -> Floats:
    known = np.isfinite(y)
    if known.sum() < 5:
        return np.full(len(at), -np.inf)
    x, y = x[known], y[known]
    steepest = STEEPEST * np.log(10)
    low = np.clip((y[4] - y[0]) / (x[4] - x[0]), -steepest, steepest)
    high = np.clip((y[-1] - y[-5]) / (x[-1] - x[-5]), -steepest, steepest)
    inside = np.interp(at, x, y)
    return np.where(at < x[0], y[0] + low * (at - x[0]), np.where(at > x[-1], y[-1] + high * (at - x[-1]), inside))
