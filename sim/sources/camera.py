"""The camera that sees a field: pixels, response, PSF, vignetting, particle background."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtr

from sim.check import require
from sim.places import king_radius
from sim.sources.emission import Shapes
from stream.imaging.image import FWHM
from stream.spectra.response import Response
from stream.transport.ogip import read_response

Floats = NDArray[np.float64]
MOST_PIXELS: Final = 4096

# Effective area, cm2, at energies in keV: points of the WFI's on-axis curve with its filter, 1.4 m2 configuration
# (Athena WFI response files of March 2015, WFI consortium), straight lines between them.
WFI_AREA: Final = (
    (0.1, 183), (0.2, 1018), (0.28, 3241), (0.29, 1900), (0.4, 6512), (0.53, 11070), (0.7, 14840), (0.85, 16970),
    (1.0, 18210), (1.2, 18730), (1.5, 18230), (1.8, 14690), (1.85, 13500), (2.0, 7920), (2.1, 3550), (2.2, 6600),
    (2.3, 7310), (2.5, 7350), (3.0, 6790), (3.5, 5970), (4.0, 5140), (5.0, 3680), (6.0, 2640), (7.0, 1860),
    (8.0, 1310), (9.0, 966), (10.0, 637), (11.0, 378), (12.0, 148),
)  # fmt: skip
FANO: Final = 0.119
PAIR_KEV: Final = 3.65e-3
NOISE_E: Final = 4.2  # gives 130 eV FWHM at 6 keV, as in those files
STEP_KEV: Final = 0.02
WFI_PARTICLES: Final = 9.3e-7  # counts s-1 keV-1 px-1: the requirement of 5.5e-3 cm-2 (Meidinger et al. 2017), 130 um


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A camera. Its response holds the area; channels without counts do not matter."""

    response: Response
    name: str = "WFI"
    columns: int = 512
    rows: int = 512
    arcsec_per_px: float = 2.2346  # 130 um at 12 m
    psf: Literal["gaussian", "king"] = "gaussian"
    fwhm_arcsec: float = 9.0  # on axis; a King profile has its half-energy width there
    fwhm_growth: float = 0.0  # share by which it is wider at the corner, going with the square of the distance
    vignetting: float = 0.0  # share of the area that is lost at the corner, likewise
    particles: float = WFI_PARTICLES  # counts s-1 keV-1 px-1
    kept: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        require(
            "camera",
            (
                16 <= self.columns <= MOST_PIXELS and 16 <= self.rows <= MOST_PIXELS,
                f"16 to {MOST_PIXELS:,} pixels a side",
            ),
            (0 < self.arcsec_per_px < 3600, "0 < arcsec_per_px < 3600"),
            (self.psf in ("gaussian", "king"), "psf gaussian or king"),
            (self.fwhm_arcsec >= self.arcsec_per_px, "a PSF of a pixel or more (fwhm_arcsec)"),
            (self.fwhm_arcsec <= 60 * self.arcsec_per_px, "a PSF of 60 pixels or less (fwhm_arcsec)"),
            (0 <= self.fwhm_growth <= 10, "0 <= fwhm_growth <= 10"),
            (0 <= self.vignetting < 1, "0 <= vignetting < 1"),
            (0 <= self.particles < 1, "0 <= particles < 1 counts s-1 keV-1 px-1"),
        )

    @property
    def shapes(self) -> Shapes:
        """Spectra of components in the bins of its response."""
        if "shapes" not in self.kept:
            self.kept["shapes"] = Shapes(self.response.energy_lo_kev, self.response.energy_hi_kev)
        return self.kept["shapes"]

    @property
    def sigma_px(self) -> float:
        """Sigma of the Gaussian PSF on axis, px."""
        return float(self.fwhm_arcsec / self.arcsec_per_px / FWHM)

    @property
    def pixel_deg2(self) -> float:
        """Solid angle of a pixel."""
        return float((self.arcsec_per_px / 3600) ** 2)

    @property
    def sky_sr(self) -> float:
        """Solid angle of the field."""
        return self.columns * self.rows * self.pixel_deg2 * (np.pi / 180) ** 2

    def off_axis(self, x: NDArray[Any], y: NDArray[Any]) -> Floats:
        """Return the squared distance from the centre over that of the corner, (n,)."""
        middle_x, middle_y = (self.columns - 1) / 2, (self.rows - 1) / 2
        return ((x - middle_x) ** 2 + (y - middle_y) ** 2) / ((self.columns / 2) ** 2 + (self.rows / 2) ** 2)

    def through(self, x: NDArray[Any], y: NDArray[Any]) -> Floats:
        """Return the share of the area on axis, (n,)."""
        return 1 - self.vignetting * self.off_axis(x, y)

    def exposure(self, exposure_s: float) -> Floats:
        """Return the exposure map, (rows, columns) s, vignetting included."""
        y, x = np.mgrid[: self.rows, : self.columns]
        return exposure_s * self.through(x, y)

    def spread(self, x: Floats, y: Floats, rng: Generator) -> tuple[Floats, Floats]:
        """Return where photons from the places (n,) fall, px."""
        wide = 1 + self.fwhm_growth * self.off_axis(x, y)
        if self.psf == "gaussian":
            step = rng.standard_normal((2, len(x))) * (self.sigma_px * wide)
            return x + step[0], y + step[1]
        half = self.fwhm_arcsec / self.arcsec_per_px / 2
        radius = king_radius(half * wide, 1 - rng.random(len(x)))
        angle = rng.uniform(0, 2 * np.pi, len(x))
        return x + radius * np.cos(angle), y + radius * np.sin(angle)

    def detected(self, photons: Floats) -> Floats:
        """Return counts s-1 (..., n) by energy of the photon, of photons cm-2 s-1 (..., n), in all channels."""
        return photons * self.response.area_cm2 * self._way[0]

    @property
    def _way(self) -> tuple[Floats, Floats, NDArray[np.int64], NDArray[np.int32]]:
        """Return by energy the chance of any channel; of all values the sum so far, where rows begin, channels."""
        if "way" not in self.kept:
            runs = self.response.runs
            lengths = np.diff(runs.ends, prepend=0)
            row = np.repeat(runs.energy, lengths)
            channel = (
                np.arange(runs.values.size) - np.repeat(runs.ends - lengths, lengths) + np.repeat(runs.first, lengths)
            )
            order = np.argsort(row, kind="stable")
            values = runs.values[order].astype(float)
            total = np.bincount(row, runs.values, len(self.response.area_cm2))
            begin = np.searchsorted(row[order], np.arange(len(total)))
            self.kept["way"] = total, np.concatenate([[0.0], np.cumsum(values)]), begin, channel[order].astype(np.int32)
        return self.kept["way"]

    def redistribute(self, energy: NDArray[np.int64], rng: Generator) -> NDArray[np.int32]:
        """Return the channels, by position, of photons in these bins of energy (n,)."""
        total, sums, begin, channel = self._way
        goal = sums[begin[energy]] + rng.random(len(energy)) * total[energy]
        return channel[np.clip(np.searchsorted(sums, goal, side="right") - 1, 0, len(channel) - 1)]


@lru_cache(maxsize=1)
def _wfi_response() -> Response:
    edges = np.arange(5, 601) * STEP_KEV
    low, high = edges[:-1], edges[1:]
    middle = (low + high) / 2
    sigma = np.sqrt(FANO * PAIR_KEV * middle + (NOISE_E * PAIR_KEV) ** 2)
    matrix = ndtr((high - middle[:, None]) / sigma[:, None]) - ndtr((low - middle[:, None]) / sigma[:, None])
    energy, area = np.array(WFI_AREA, float).T
    matrix[matrix < 1e-6] = 0
    return Response.of((low, high), (low, high), matrix, np.interp(middle, energy, area), first_channel=0)


def built_in() -> Camera:
    """Return one quadrant of the WFI with a Gaussian response, needing no file."""
    return Camera(response=_wfi_response())


def with_files(camera: Camera, rmf: Path | str, arf: Path | str | None, name: str = "") -> Camera:
    """Return a camera with the response of files. Raises ConfigError for files that do not fit."""
    response = read_response(rmf, arf)
    require(f"{rmf}", (float(response.area_cm2.max()) > 0, "an effective area above 0 somewhere (ARF)"))
    said = response.about.get("INSTRUME", "")
    return replace(camera, response=response, name=name or said or camera.name, kept={})
