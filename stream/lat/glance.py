"""A first look at a nearly empty sky: which patches can hold a source at all.

In hours, a patch has some fifty photons in 170,000 pixels. So their list is looked at: from each photon a source climbs
to where it is most likely (`stream.kernels.sky_glance.climb`), before a background whose norms are fitted in cells of
0.8 degrees. Its TS is that of the fit in `stream.lat.search` but for the pixels there and for what else was found, so a
patch where it stays below LEAST of the threshold need not be searched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import astropy_healpix.healpy as hp
import numpy as np
from numpy.typing import NDArray

from stream.kernels.sky_fit import INDEX_LOW, INDEX_STEP
from stream.kernels.sky_glance import climb, list_photons, read_cells
from stream.kernels.sky_light import LEAST_NORM, fit_norms
from stream.lat.bands import CHANNELS, GRIDS, channels_of
from stream.lat.exposure import Exposure
from stream.lat.patch import LAT, SIDE_DEG, to_patch, to_sky
from stream.lat.psf import STEP_DEG as PROFILE_STEP_DEG
from stream.lat.psf import Profiles
from stream.lat.scene import MOVE_DEG, NEWTON, NORM, NORM_BOUNDS, NORM_PRIOR, rates_at
from stream.lat.search import FILTER_COUNTS
from stream.lat.sky import STEP_DEG, Expected
from stream.lat.sphere import separation, unit_vectors

Floats = NDArray[np.float64]
MOST: Final = 100_000  # photons: with more, a list is no gain
MANY: Final = 1_000  # on one patch: the look costs their square, and a search less
LEAST: Final = 0.8  # of the threshold
NEAREST_DEG: Final = 6.5  # from the middle of a patch, along x or y: no place farther away has it for its nearest
AROUND_DEG: Final = 12.0  # of a patch's centre: its photons
SHIFTS: Final = 10
REACH_DEG: Final = 3.0  # of photons from where the climb begins: as the fit's, and its way
SPECTRA: Final = (1.6, 2.0, 2.4, 2.8, 3.2)  # indices of what may be there
SIDE: Final = round(SIDE_DEG / STEP_DEG)  # cells
_TILT: Final = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
_LIT: Final = np.radians(STEP_DEG) ** 2 * (1 + np.radians(SIDE_DEG / 2) ** 2 * (_TILT**2 + _TILT[:, None] ** 2)) ** -1.5
"""Solid angle of the cells, sr: those of a plane that touches the sphere in the middle."""


@dataclass(frozen=True, slots=True, eq=False)
class Photons:
    """The photons of a sky, one a row."""

    channel: NDArray[np.int8]
    direction: Floats  # (n, 3) galactic unit vectors
    glon_deg: Floats
    glat_deg: Floats

    @classmethod
    def of(cls, maps: Sequence[NDArray[Any]]) -> "Photons | None":
        """Return the photons in maps of counts, (channels, 12 nside^2) for each of GRIDS; more than MOST: None."""
        channels: list[NDArray[np.int8]] = []
        lon: list[Floats] = []
        lat: list[Floats] = []
        for grid, (nside, bands) in zip(maps, GRIDS, strict=True):
            channel, pixel = np.empty(MOST, np.int8), np.empty(MOST, np.int64)
            number = list_photons(grid, channels_of(bands)[0], channel, pixel)
            if number + sum(map(len, channels)) > MOST:
                return None
            channels.append(channel[:number])
            for values, made in zip((lon, lat), hp.pix2ang(nside, pixel[:number], lonlat=True), strict=True):
                values.append(np.asarray(made, float))
        glon, glat = np.concatenate(lon), np.concatenate(lat)
        return cls(np.concatenate(channels), unit_vectors(glon, glat), glon, glat)


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """What does not change from patch to patch."""

    photons: Photons
    expected: Expected
    profiles: Profiles
    places: Floats  # (n, 2) centres of all patches, degrees
    rates: Floats  # (n, SPECTRA, CHANNELS) counts of a source of one unit

    @classmethod
    def over(
        cls, photons: Photons, expected: Expected, exposure: Exposure, profiles: Profiles, places: Floats
    ) -> "Glance":
        """Return what looks at the patches around `places` (n, 2), degrees."""
        columns = [round((index - INDEX_LOW) / INDEX_STEP) for index in SPECTRA]
        rates = np.array([rates_at(exposure, *place)[:, columns].T for place in places])
        return cls(photons, expected, profiles, places, rates)

    def may_hold(self, number: int, least_ts: float) -> bool:
        """Return whether the patch around a place may be the nearest of a source above a TS."""
        if self.rates[number].min() <= 0:  # nobody looked there
            return False
        photons, channel = self.on(number)
        if len(photons) > MANY:
            return True
        found = self.peaks(number, photons, channel)
        found = found[found[:, 2] > LEAST * least_ts]
        if not len(found):
            return False
        lon, lat = to_sky(self.places[number, 0], self.places[number, 1], found[:, 0], found[:, 1])
        away = separation(lon[:, None], lat[:, None], self.places[:, 0], self.places[:, 1])
        return bool(np.any(away[:, number] < away.min(axis=1) + 2 * MOVE_DEG))

    def peaks(self, number: int, photons: Floats, channel: NDArray[np.int8]) -> Floats:
        """Return x, y, degrees, and TS of where the photons of a patch lead, (n, 3); some of them more than once.

        photons: x and y, degrees from the patch's corner, (n, 2); channel (n,).
        """
        background = np.empty(len(photons))
        read_cells(self._background(number, photons, channel), channel, photons / STEP_DEG, background)
        starts = np.flatnonzero(np.all(np.abs(photons - SIDE_DEG / 2) < NEAREST_DEG, axis=1))
        out = np.empty((len(starts), 3))
        climb(
            photons, channel, background, self.profiles.values, PROFILE_STEP_DEG, self.rates[number], starts, REACH_DEG,
            FILTER_COUNTS, SHIFTS, out,
        )  # fmt: skip
        return out

    def on(self, number: int) -> tuple[Floats, NDArray[np.int8]]:
        """Return x and y, degrees, (n, 2), and the channels of the photons on a patch."""
        lon, lat = self.places[number]
        middle = unit_vectors([lon], [lat])[0]
        near = np.flatnonzero(self.photons.direction @ middle > np.cos(np.radians(AROUND_DEG)))
        place = np.stack(to_patch(lon, lat, self.photons.glon_deg[near], self.photons.glat_deg[near]), axis=1)
        on = np.all((place >= 0) & (place < SIDE_DEG), axis=1)
        return place[on], self.photons.channel[near[on]]

    def _background(self, number: int, photons: Floats, channel: NDArray[np.int8]) -> Floats:
        """Return counts sr-1 of the background in the cells of a patch, its norms fitted, (CHANNELS, SIDE, SIDE)."""
        iem, iso = self.expected.in_cells(*self.places[number])
        column, row = (photons / STEP_DEG).astype(np.int64).T
        counts = np.zeros((CHANNELS, SIDE, SIDE))
        np.add.at(counts, (channel, row, column), 1.0)
        out, x, y = np.empty_like(iem), _TILT, _TILT[:, None]
        for channels in LAT.groups:
            part = slice(channels[0], channels[-1] + 1)
            design = np.stack([iem[part], iso[part], iem[part] * x, iem[part] * y]) * _LIT
            norms = np.array(NORM)
            flat = design.reshape(len(norms), -1)
            fit_norms(flat, counts[part].ravel(), np.zeros(flat.shape[1]), norms, NORM_PRIOR, NORM_BOUNDS, NEWTON)
            a, b, by_x, by_y = norms
            fitted = iem[part] * np.maximum(a + by_x * x + by_y * y, LEAST_NORM) + iso[part] * b
            out[part] = np.minimum(fitted, iem[part] + iso[part])
        return out
