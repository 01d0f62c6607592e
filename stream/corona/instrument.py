"""What a spectrograph makes of coronal light: bins of wavelength, effective area, width of a line. Instruments as data.

The shipped ones are like real ones, coarsely (10 to 30 % in area): for a real spectrum take its own area.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from stream.errors import ConfigError
from stream.spectra.grid import Floats
from stream.spectra.response import Response

KEV_A: Final = 12.39841984
FWHM: Final = 2.0 * np.sqrt(2.0 * np.log(2.0))  # of a Gaussian, in sigma
LIMITS_A: Final = (0.9, 2000.0)  # coronal spectrographs work within: other numbers are another unit


@dataclass(frozen=True, slots=True, eq=False)
class Instrument:
    """A spectrograph. B bins of the model; its counts have as many, or as many as a response has channels."""

    name: str
    edges_a: Floats  # (B + 1,) Angstrom, rising
    area_cm2: Floats  # (B,)
    fwhm_a: Floats  # (B,) of a line without a width of its own; 0: as narrow as a bin
    response: Response | None = None  # then area_cm2 is 1, and counts are by channel
    about: str = ""

    @classmethod
    def of(cls, name: str, edges_a: ArrayLike, area_cm2: ArrayLike, fwhm_a: ArrayLike, about: str = "") -> "Instrument":
        """Return an instrument of bins (B + 1,), areas and widths (B,) or one for all.

        Raises ConfigError for a grid that does not rise or is not in Angstrom, and for missing or negative areas.
        """
        edges = check_edges(edges_a, name)
        shape = (len(edges) - 1,)
        try:
            area, fwhm = (np.broadcast_to(np.asarray(x, float), shape).copy() for x in (area_cm2, fwhm_a))
        except ValueError:
            raise ConfigError(f"{name}: area_cm2, fwhm_a: expected one value, or {shape[0]} as bins") from None
        for what, values in (("area_cm2", area), ("fwhm_a", fwhm)):
            if not np.all(np.isfinite(values) & (values >= 0)):
                raise ConfigError(f"{name}: {what}: expected numbers of 0 or more in every bin")
        if not area.any():
            raise ConfigError(f"{name}: area_cm2: expected an area above 0 somewhere")
        return cls(name, edges, area, fwhm, None, about)

    @classmethod
    def ccd(cls, name: str, response: Response) -> "Instrument":
        """Return a camera of a response (RMF with ARF, `stream.transport.ogip.read_response`), at its bins of energy.

        Energies outside of LIMITS_A are dark. Raises ConfigError for bins of energy that do not join.
        """
        low, high = response.energy_lo_kev, response.energy_hi_kev
        if not np.allclose(low[1:], high[:-1], rtol=1e-4):
            raise ConfigError(f"{name}: expected bins of energy without gaps")
        edges = KEV_A / np.append(low, high[-1])[::-1]
        if not np.all(np.diff(edges) > 0) or edges[0] <= 0:
            raise ConfigError(f"{name}: expected rising energies in keV")
        ones = np.ones(len(low))
        return cls(name, edges, ones, np.zeros(len(low)), response, "OGIP response")

    @property
    def middle_a(self) -> Floats:
        """(B,) Angstrom."""
        return 0.5 * (self.edges_a[1:] + self.edges_a[:-1])

    @property
    def width_a(self) -> Floats:
        """(B,) Angstrom."""
        return np.diff(self.edges_a)

    @property
    def channels(self) -> int:
        """How many counts a spectrum has."""
        return len(self.area_cm2) if self.response is None else len(self.response.channel)

    def sigma_a(self, wavelength_a: Floats) -> Floats:
        """Return the standard deviation of a narrow line, Angstrom; of any shape."""
        return np.interp(wavelength_a, self.middle_a, self.fwhm_a) / FWHM


def check_edges(edges_a: ArrayLike, name: str = "spectrum") -> Floats:
    """Return bounds of bins (B + 1,). Raises ConfigError if they do not rise or are not in Angstrom."""
    edges = np.asarray(edges_a, float)
    if edges.ndim != 1 or len(edges) < 2 or not np.all(np.isfinite(edges)):
        raise ConfigError(f"{name}: wavelengths: expected the bounds of one bin or more, all finite")
    if not np.all(np.diff(edges) > 0):
        raise ConfigError(f"{name}: wavelengths: expected bounds that rise; a grid of energies falls")
    low, high = LIMITS_A
    if edges[0] < low or edges[-1] > high:
        raise ConfigError(
            f"{name}: wavelengths: {edges[0]:.4g} to {edges[-1]:.4g}; expected Angstrom, {low:g} to {high:g}"
        )
    return edges


# Wavelength (A) and effective area (cm2). MEG, first order, one side, with ACIS-S: after the Chandra Proposers'
# Observatory Guide, ch. 8; the area fell by contamination since, and is smooth here over the gaps between chips.
_MEG: Final = (
    (1.2, 1.7, 2, 3, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 22, 24, 27, 31),
    (0.1, 1.5, 5, 22, 22, 42, 78, 80, 60, 47, 26, 14, 7.5, 4.2, 2.2, 1.2, 1.5, 0.7, 0.2),
)
# LETG with HRC-S, first order, both sides: ch. 9 of the same guide; order sorting is not in it.
_LETG: Final = (
    (5, 7, 10, 15, 20, 30, 40, 44, 45, 60, 80, 100, 120, 140, 160, 175),
    (17, 20, 26, 25, 24, 18, 13, 11, 26, 24, 16, 13, 9, 6, 4, 2.5),
)
# EUVE's short- and medium-wavelength spectrometers, joined at 170 A: Bowyer & Malina 1991, Adv. Space Res. 11 (11),
# 205; Welsh et al. 1990, Opt. Eng. 29, 752. Interstellar absorption is not in it: stars within some 10 pc.
_EUV: Final = (
    (90, 100, 120, 150, 165, 169, 171, 180, 200, 230, 260, 300, 340),
    (2.0, 2.1, 1.5, 0.9, 0.6, 0.5, 1.0, 1.2, 1.1, 0.9, 0.7, 0.6, 0.5),
)


def shipped(name: str) -> Instrument:
    """Return "hetg", "letg" or "euv". Raises ConfigError for another name."""
    match name:
        case "hetg":  # 0.023 A FWHM, POG table 8.1
            return _made(name, _MEG, np.linspace(1.2, 31.0, 2981), 0.023)
        case "letg":  # 0.05 A FWHM, POG table 9.1
            return _made(name, _LETG, np.linspace(5.0, 175.0, 6801), 0.05)
        case "euv":
            edges = np.linspace(90.0, 340.0, 1001)
            return _made(name, _EUV, edges, np.where(edges[:-1] < 170.0, 0.5, 1.0))
    raise ConfigError(f"instrument {name!r}: expected {', '.join(NAMES)}")


NAMES: Final = ("hetg", "letg", "euv")


def _made(name: str, table: tuple[ArrayLike, ArrayLike], edges: Floats, fwhm: ArrayLike) -> Instrument:
    """Return an instrument with the area of a table, straight in its logarithm between its points."""
    area = np.exp(np.interp(0.5 * (edges[1:] + edges[:-1]), np.asarray(table[0], float), np.log(table[1])))
    return Instrument.of(name, edges, area, fwhm, "like the real one, coarsely")
