"""What is expected on a patch of the sky: background whose norms are free, and sources that are fitted one by one.

In each group of channels (a band) the interstellar and isotropic light have free norms, and the first a gradient. A
channel's likelihood has the weight 1 / (1 + doubt^2 x (counts of background under the PSF)), so that none is trusted
beyond that (as 4FGL's, Abdollahi et al. 2020, ApJS 247, 33, section 3.2, which doubts 3 %): what a model of 1.5 degrees
does not know of the gas is 6 % of the light away from the plane, and three times as much in it.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream.kernels.sky_fit import INDEX_LOW, INDEX_STEP, PARAMETERS, add_source, fit_source, likelihood
from stream.kernels.sky_light import design_cells, fit_norms, lay_background, sum_cells
from stream.lat.bands import CHANNELS
from stream.lat.exposure import Exposure, counts, power_law
from stream.lat.patch import SIDE_DEG, Patch, Plan
from stream.lat.psf import STEP_DEG, Profiles

Floats = NDArray[np.float64]
UNIT: Final = 1e-10  # photons cm-2 s-1, 1 to 100 GeV: of the kernel's fluxes
INDICES: Final = INDEX_LOW + INDEX_STEP * np.arange(36)
DOUBT: Final = (0.03, 0.09, 4.0)  # far from the plane, more in it, within so many degrees
REACH: Final = 2.5  # of the likelihood: 68 % radii
FARTHEST_DEG: Final = 2.5  # at most
WINGS: Final = 6.0  # of a source in the model, likewise
WINGS_DEG: Final = 8.0
MOVE_DEG: Final = 0.5  # from where the filter saw it
PRIOR: Final = (2.3, 0.4)  # of the index: mean and sd of DR2's
BOUNDS: Final = (1.0, 4.4)
FAINTEST: Final = 1e-3  # UNIT
BAND_STEPS: Final = 8  # of Newton's iteration, for the flux of one band
NORM: Final = (1.0, 1.0, 0.0, 0.0)  # interstellar, isotropic, gradient of the first by half the patch's side
NORM_SD: Final = (0.3, 0.5, 0.1, 0.1)
NORM_PRIOR: Final = np.array([NORM, [1 / sd**2 for sd in NORM_SD]])
NORM_BOUNDS: Final = np.array([[0.05, 0.05, -0.6, -0.6], [5.0, 10.0, 0.6, 0.6]])
NEWTON: Final = 6  # steps
CELL_DEG: Final = 0.8  # of the fit of the background, which has no structure below the patch's size


_SPECTRA: Final = power_law(np.full(len(INDICES), UNIT), INDICES)


@dataclass(slots=True)
class Source:
    """One that was fitted, as the kernel has it."""

    at: Floats  # x and y, degrees from the corner, ln flux / UNIT, index
    ts: float
    covariance: Floats = field(default_factory=lambda: np.zeros((PARAMETERS, PARAMETERS)))
    settled: bool = False
    fresh: bool = True  # to be fitted (again)


@dataclass(slots=True)
class Scene:
    """A patch, what is expected on it, and what was found."""

    patch: Patch
    iem: Floats  # (length,) counts of interstellar light expected for a norm of 1
    iso: Floats  # of isotropic light
    rate: Floats  # (channels, k) counts per UNIT of flux at INDICES
    profiles: Profiles
    norms: Floats = field(init=False)  # (groups, 4)
    background: Floats = field(init=False)  # (length,) counts
    light: Floats = field(init=False)  # (length,) counts of the sources
    sources: list[Source] = field(default_factory=list)
    prior: tuple[float, float] = PRIOR
    _cells: list[tuple[Floats, Floats]] = field(default_factory=list, repr=False)  # of each group: `_in_cells`

    def __post_init__(self) -> None:
        """Begin with norms of 1 and no source."""
        self.norms = np.tile(NORM, (len(self.plan.groups), 1))
        self.background, self.light = self.iem + self.iso, np.zeros(len(self.iem))

    @property
    def plan(self) -> Plan:
        """Where the channels lie."""
        return self.patch.plan

    def doubt(self, y_deg: Floats | float) -> Floats:
        """Return how far the background is doubted at places y (...), degrees from the lower edge."""
        far, more, width = DOUBT
        lat = np.clip(self.patch.glat_deg + np.asarray(y_deg) - SIDE_DEG / 2, -90, 90)
        return np.asarray(far + more * np.exp(-np.abs(lat) / width))

    def weights_at(self, x_deg: float, y_deg: float) -> Floats:
        """Return the weight of each channel's likelihood at a place, (channels,)."""
        side, scale = self.plan.layout[:, 1], self.plan.scale
        column, row = (np.clip((at / scale).astype(int), 0, side - 1) for at in (x_deg, y_deg))
        background = self.background[self.plan.layout[:, 0] + row * side + column]
        under = background * np.pi * (self.profiles.r68_deg / scale) ** 2
        return np.asarray(1 / (1 + self.doubt(y_deg) ** 2 * under))

    def add(self, source: Floats, sign: float = 1.0) -> None:
        """Add the light of a source to what is expected, or take it away."""
        wings = np.minimum(WINGS * self.profiles.r68_deg, WINGS_DEG)
        add_source(
            self.light, self.plan.layout, self.plan.scale, self.patch.lit, self.patch.at, self.profiles.values,
            STEP_DEG, self.rate, source, sign, wings,
        )  # fmt: skip

    def fit(self, source: Source, steps: int = 6) -> None:
        """Fit a source with all else as it is."""
        self.add(source.at, -1.0)
        reach = np.minimum(REACH * self.profiles.r68_deg, FARTHEST_DEG)
        weights = self.weights_at(float(source.at[0]), float(source.at[1]))
        limits = np.array([*self.prior, MOVE_DEG, *BOUNDS, np.log(FAINTEST)])
        source.ts, source.settled = fit_source(
            self.patch.counts, self.background + self.light, self.plan.layout, self.plan.scale, self.patch.lit,
            self.patch.at, self.profiles.values, STEP_DEG, self.rate, source.at, reach, weights, limits, steps,
            source.covariance,
        )  # fmt: skip
        self.add(source.at)
        source.fresh = not source.settled

    def by_band(self, source: Source) -> tuple[Floats, Floats]:
        """Return the flux of a source, UNIT, as each group of channels alone has it, and the errors, (groups,) each.

        That of the whole range, 1 to 100 GeV, by its index; its place, its index and all else stay as they are.
        """
        self.add(source.at, -1.0)
        model, at_place = self.background + self.light, (float(source.at[0]), float(source.at[1]))
        weights, reach = self.weights_at(*at_place), np.minimum(REACH * self.profiles.r68_deg, FARTHEST_DEG)
        self.add(source.at)
        flux, error = np.empty((2, len(self.plan.groups)))
        gradient, information = np.empty(PARAMETERS), np.empty((PARAMETERS, PARAMETERS))
        for group, channels in enumerate(self.plan.groups):
            own = list(channels)
            at = source.at.copy()
            for _ in range(BAND_STEPS):
                likelihood(
                    self.patch.counts, model, self.plan.layout[own], self.plan.scale[own], self.patch.lit,
                    self.patch.at, self.profiles.values[own], STEP_DEG, self.rate[own], at, reach[own], weights[own],
                    gradient, information,
                )  # fmt: skip
                step = gradient[2] / max(information[2, 2], 1e-12)
                at[2] = max(at[2] + np.clip(step, -2.0, 2.0), np.log(FAINTEST))
            flux[group] = np.exp(at[2])
            error[group] = flux[group] / np.sqrt(max(information[2, 2], 1e-30))
        return flux, error

    def fit_background(self) -> None:
        """Fit the norms with the sources as they are: Newton on the penalised likelihood, group by group."""
        if not self._cells:
            self._cells = [self._in_cells(channels) for channels in self.plan.groups]
        for channels, (design, observed), norms in zip(self.plan.groups, self._cells, self.norms, strict=True):
            known, end = np.empty(len(observed)), 0
            for c in channels:
                begin, side, step, number = self._grid(c)
                sum_cells(self.light, begin, side, step, known[end : end + number])
                end += number
            fit_norms(design, observed, known, norms, NORM_PRIOR, NORM_BOUNDS, NEWTON)
            for c in channels:
                lay_background(self.iem, self.iso, *self._grid(c)[:2], norms, self.background)

    def _grid(self, channel: int) -> tuple[int, int, int, int]:
        """Return first value, pixels along a side, pixels along a side of a coarse cell, and how many cells."""
        begin, side = (int(value) for value in self.plan.layout[channel])
        step = max(1, int(CELL_DEG / self.plan.scale[channel]))
        return begin, side, step, (side // step) ** 2

    def _in_cells(self, channels: tuple[int, ...]) -> tuple[Floats, Floats]:
        """Return design (4, m) and counts (m,) of channels in coarse cells."""
        grids = [self._grid(c) for c in channels]
        design, observed = [np.empty((4, number)) for *_, number in grids], [np.empty(number) for *_, number in grids]
        for one, inside, (begin, side, step, _) in zip(design, observed, grids, strict=True):
            design_cells(self.iem, self.iso, begin, side, step, one)
            sum_cells(self.patch.counts, begin, side, step, inside)
        return np.concatenate(design, axis=1), np.concatenate(observed)


def rates_at(exposure: Exposure, glon_deg: float, glat_deg: float) -> Floats:
    """Return the counts of a source of one UNIT in each channel at INDICES, (CHANNELS, k)."""
    rate = counts(_SPECTRA, exposure.at(glon_deg, glat_deg)[..., 0])
    return np.ascontiguousarray(rate.transpose(2, 1, 0).reshape(CHANNELS, len(INDICES)))


def scene_of(patch: Patch, diffuse: tuple[Floats, Floats], exposure: Exposure, profiles: Profiles) -> Scene:
    """Return a scene of the LAT without sources. diffuse: counts sr-1 of interstellar, isotropic light, (length,)."""
    rate = rates_at(exposure, patch.glon_deg, patch.glat_deg)
    return Scene(patch, diffuse[0] * patch.lit, diffuse[1] * patch.lit, rate, profiles)
