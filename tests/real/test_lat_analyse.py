"""`analyse lat` beside gammapy's likelihood, on the same counts."""

import json
from pathlib import Path

import numpy as np
import pytest

from analyse.lat.fit import FLUX, SLOPE, Part, fit
from analyse.lat.region import Optics, region_of
from stream.lat.bands import BANDS, TYPES
from stream.lat.exposure import ENERGY_MEV, NODES, NSIDE, Exposure
from stream.lat.instrument import Grid, Instrument
from stream.lat.instrument import Optics as Glass
from stream.lat.patch import SIDE_DEG, Patch, Plan
from stream.lat.scene import INDICES, UNIT, Scene
from stream.transport.lat_response import read_instrument

pytestmark = pytest.mark.real
GAMMAPY = json.loads((Path(__file__).parent / "lat_gammapy_fit.json").read_text())  # bench/lat/gammapy_fit.py
PLACE, EXPOSURE, PIXEL_DEG, WIDTH = (120.0, 40.0), 2.4e11, 0.1, 80  # its own
BACKGROUND = (1e-1, 8e-2, 4e-2, 2e-2, 3e-3, 1e-3)  # counts per pixel


def front(folder):
    """The front at cosine 0.8, twice, with a flat area."""
    whole = read_instrument(folder).optics[0]
    at = {
        name: whole.psf_grid.at(table, np.exp(whole.psf_grid.log_energy), 0.8).T for name, table in whole.king.items()
    }
    grid = Grid(whole.psf_grid.log_energy, np.array([0.8]))
    flat = Glass(whole.area_grid, np.ones_like(whole.area_m2), grid, at, whole.scaling)
    return Instrument((flat, flat), "flat")


def test_flux_index_and_ts_are_those_of_gammapy_on_the_same_counts(data):
    folder = data / "lat" / "irfs"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    plan = Plan.of(((1 << 20, PIXEL_DEG, tuple(range(BANDS))),), tuple((band,) for band in range(BANDS)))
    side = round(SIDE_DEG / PIXEL_DEG)
    counts, rim = np.zeros((BANDS, side, side)), (side - WIDTH) // 2
    at, number = np.array(GAMMAPY["counts"]).T
    inner = np.zeros(BANDS * WIDTH**2)
    inner[at] = number
    counts[:, rim : rim + WIDTH, rim : rim + WIDTH] = inner.reshape(BANDS, WIDTH, WIDTH)
    x, y = np.meshgrid(*((np.arange(side) + 0.5) * PIXEL_DEG,) * 2)
    away = np.radians(np.hypot(x - SIDE_DEG / 2, y - SIDE_DEG / 2))
    lit = np.tile((np.radians(PIXEL_DEG) ** 2 * np.cos(np.arctan(away)) ** 3).ravel(), BANDS)
    places = np.tile(np.stack([x, y], axis=-1).reshape(-1, 2), (BANDS, 1))
    patch = Patch(plan, *PLACE, counts.ravel(), lit, places)
    light = np.repeat(BACKGROUND, side * side)
    optics = Optics.of(front(folder), plan, together=True)
    scene = Scene(patch, light, np.zeros(len(light)), np.ones((BANDS, len(INDICES))), optics.profiles())
    maps = np.zeros((len(TYPES), BANDS, NODES, 12 * NSIDE**2), np.float32)
    maps[0] = EXPOSURE
    seen = Exposure(maps, 1.0, "")
    region = region_of(scene, optics, seen, weighted=False, fine_deg=20.0)
    region.norm_sd = np.full_like(region.norm_sd, 1e-6)  # as given
    edge = np.abs(places - SIDE_DEG / 2).max(axis=1) < WIDTH * PIXEL_DEG / 2
    region.kept = np.bincount(region.cell, edge, len(region.counts)) > 0
    theta = np.array([SIDE_DEG / 2, SIDE_DEG / 2, np.log(3e-9 / UNIT), 2.0, 0.0])
    source = Part("one", theta, np.zeros(5, bool), seen.at(*PLACE)[..., 0]).freed(FLUX, SLOPE)
    found, without = fit(region, [source]), fit(region, [])
    flux = UNIT * np.exp(found.parts[0].theta[FLUX])
    error = flux * found.error(0, FLUX)
    assert ENERGY_MEV.shape == (BANDS, NODES)
    assert abs(flux - GAMMAPY["flux"]) < 0.25 * GAMMAPY["flux_error"]
    assert error == pytest.approx(GAMMAPY["flux_error"], rel=0.15)  # theirs at a fixed index of the pivot
    assert abs(found.parts[0].theta[SLOPE] - GAMMAPY["index"]) < 0.25 * GAMMAPY["index_error"]
    assert found.error(0, SLOPE) == pytest.approx(GAMMAPY["index_error"], rel=0.05)
    assert 2 * (found.value - without.value) == pytest.approx(GAMMAPY["ts"], rel=5e-3)
    print(flux, error, found.parts[0].theta[SLOPE], found.error(0, SLOPE), 2 * (found.value - without.value))
