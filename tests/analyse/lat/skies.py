"""A few degrees of a gamma-ray sky, as the stream would have counted them; the rest of the sky is empty."""

from functools import cache

import numpy as np
from astropy_healpix import healpy as hp

from sim.lat.catalogue import SOURCE
from stream.lat.bands import GRIDS, TYPES, channels_of
from stream.lat.cube import YEAR_NSIDE, YEAR_S, YEARS_FROM_S, Sky
from stream.lat.exposure import power_law
from stream.lat.patch import SIDE_DEG, to_sky
from stream.lat.photons import good_times
from stream.lat.sky import NSIDE

AROUND_DEG = 13.0  # of the middle, along each axis: more than a patch


def sources(fluxes, places, indices):
    """SOURCE rows of power laws at places (n, 2)."""
    table = np.zeros(len(fluxes), SOURCE)
    table["flux"], (table["glon_deg"], table["glat_deg"]) = fluxes, np.transpose(places).reshape(2, -1)
    table["spectrum"], table["yearly"] = power_law(fluxes, indices), 1.0
    return table


def counted(place, table, tools, seed, years=1, brightness=None):
    """A `Sky` of `years` years, each with a year's exposure of `tools`; brightness (n, years): of the sources."""
    _, exposure, expected, scatter = tools
    rng, sky = np.random.default_rng(seed), Sky()
    factors = np.ones((len(table), years)) if brightness is None else np.asarray(brightness, float)
    for year in range(years):
        sky.years[year] = np.zeros(sky_shape(), np.uint16)
        sky.years_s[year] = YEAR_S
        shining = table.copy()
        shining["spectrum"] *= factors[:, year, None, None]
        photons = scatter.draw(shining, exposure, rng)
        for grid, (nside, bands) in zip(sky.maps, GRIDS, strict=True):
            pixels = around(place, nside)
            lon, lat = hp.pix2ang(nside, pixels, lonlat=True)
            near, weights = hp.get_interp_weights(NSIDE, lon, lat, lonlat=True)
            coarse = hp.ang2pix(YEAR_NSIDE, lon, lat, lonlat=True)
            for row, channel in enumerate(channels_of(bands)):
                light = ((expected.iem + expected.iso)[channel][near] * weights).sum(axis=0)
                counts = rng.poisson(light * 4 * np.pi / (12 * nside**2))
                grid[row, pixels] += counts.astype(grid.dtype)
                np.add.at(sky.years[year][channel // len(TYPES)], coarse, counts.astype(np.uint16))
                mine = photons[photons["channel"] == channel]
                at = hp.ang2pix(nside, mine["glon_deg"], mine["glat_deg"], lonlat=True)
                np.add.at(grid[row], at, 1)
                at = hp.ang2pix(YEAR_NSIDE, mine["glon_deg"], mine["glat_deg"], lonlat=True)
                np.add.at(sky.years[year][channel // len(TYPES)], at, 1)
    sky.totals[:] = np.concatenate([grid.sum(axis=1) for grid in sky.maps])
    sky.gti = sky.covered = good_times([YEARS_FROM_S], [YEARS_FROM_S + years * YEAR_S])
    sky.unpointed_s = years * YEAR_S  # an even survey: no pointing
    return sky


@cache
def around(place, nside):
    """The pixels of a square around a place."""
    at = np.arange(-AROUND_DEG, AROUND_DEG, 30.0 / nside) + SIDE_DEG / 2
    x, y = np.meshgrid(at, at)
    return np.unique(hp.ang2pix(nside, *to_sky(*place, x.ravel(), y.ravel()), lonlat=True))


def sky_shape():
    return len(GRIDS[0][1]) + len(GRIDS[1][1]) + len(GRIDS[2][1]), 12 * YEAR_NSIDE**2
