"""Sources are looked for only where it is known for how long the instrument looked."""

import astropy_healpix.healpy as hp
import numpy as np

from config.load import load_any
from sim.lat.catalogue import SOURCE
from sim.lat.photons import Scatter
from stream.lat.bands import GRIDS, channels_of
from stream.lat.builtin import stand_in
from stream.lat.cube import MISSION, YEAR_S, Sky, Window, new_maps
from stream.lat.exposure import power_law, survey
from stream.lat.photons import BLOCK_S, good_times
from stream.lat.sky import NSIDE as SMOOTH_NSIDE
from stream.lat.sky import expect
from stream.lat.sky import stand_in as diffuse_stand_in
from stream.lat.sphere import separation
from stream.messages import Product
from stream.stages.accumulate_sky import SkyProduct
from stream.wiring import Given, build_sky, sky_rows
from tests.stream.lat.skies import stream


def test_a_window_without_pointing_is_counted_and_not_searched():
    config = load_any("lat", ['localise.windows=["six_hours", "mission"]'])
    given = Given(stand_in(), diffuse_stand_in(), None, None)
    rows = [row.stage for row in sky_rows(config)]
    accumulate, localise = (build_sky(name, config, given) for name in ("accumulate_sky", "localise") if name in rows)
    skies, passed = [], []
    for message in stream(300, 2 * BLOCK_S, pointed=False)[1].messages():
        for one in accumulate.process(message):
            skies += [one] if isinstance(one, Product) else []
            passed += localise.process(one)
    assert [product.kind for product in passed if isinstance(product, Product)] == ["sky", "sky"]
    assert localise.counters == {"without_exposure": 4}
    assert all(sky.header["EXPOSURE"].startswith("none: ") for sky in skies)
    assert list(localise.flush()) == []


def lit_sky():
    """A year and a half of one bright source and the light around it; the rest of the sky is dark."""
    place, years, rng = (120.0, 55.0), 1.5, np.random.default_rng(1)
    exposure = survey(stand_in(), years)
    table = np.zeros(1, SOURCE)
    table["flux"], table["glon_deg"], table["glat_deg"] = 3e-9, *place
    table["spectrum"] = power_law(table["flux"], [2.2])
    light, maps = expect(diffuse_stand_in(), exposure), new_maps()
    photons = Scatter(stand_in()).draw(table, exposure, rng)
    for (nside, bands), grid in zip(GRIDS, maps, strict=True):
        lon, lat = hp.pix2ang(nside, np.arange(12 * nside**2), lonlat=True)
        near = np.flatnonzero(separation(lon, lat, *place) < 10.0)
        coarse, weights = hp.get_interp_weights(SMOOTH_NSIDE, lon[near], lat[near], lonlat=True)
        for row, channel in enumerate(channels_of(bands)):
            expected = ((light.iem[channel] + light.iso[channel])[coarse] * weights).sum(axis=0)
            grid[row, near] = rng.poisson(expected * 4 * np.pi / len(lon))
            mine = photons[photons["channel"] == channel]
            np.add.at(grid[row], hp.ang2pix(nside, mine["glon_deg"], mine["glat_deg"], lonlat=True), 1)
    totals = np.concatenate([grid.sum(axis=1) for grid in maps])
    span = 0.0, years * YEAR_S
    window = Window(MISSION, *span, good_times(*([at] for at in span)), None, _maps=maps, _totals=totals)
    return SkyProduct(
        stream="sky", kind="sky", sequence=1, time_ns=0, header={}, tables={}, sky=Sky(), windows={MISSION: window},
        instrument=stand_in(), even=True,
    )  # fmt: skip


def test_the_network_is_asked_about_the_mission_and_what_it_doubts_is_left_out():
    asked = ['localise.windows=["mission"]', "localise.least_ts=9.0", "localise.least_probability=0.5"]
    stage = build_sky("localise", load_any("lat", asked), Given(stand_in(), diffuse_stand_in(), None, None))
    detections = list(stage.process(lit_sky()))[1]
    rows = detections.tables["DETECTIONS"]
    assert separation(rows["glon_deg"], rows["glat_deg"], 120.0, 55.0).min() < 0.03  # others: the edge of the light
    assert rows["probability"].min() >= 0.5
    assert stage.counters["improbable"] > 0  # at TS > 9, maxima of noise
    assert detections.header["LOCNET"].startswith("lat_localise")
    assert detections.header["NSOURCES"] == len(rows)
