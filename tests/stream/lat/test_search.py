"""The search: what is put in is found, where it was put, as bright and as steep; and nothing else."""

import numpy as np
import pytest

from sim.lat.background import vary
from sim.lat.catalogue import SOURCE, make_catalogue
from sim.lat.patches import Truth, draw_patch
from sim.lat.photons import Scatter
from stream.kernels.sky_fit import likelihood
from stream.lat.bands import DETECTION, EDGE, EDGES_MEV, channels_of
from stream.lat.builtin import stand_in as instrument
from stream.lat.exposure import power_law, survey
from stream.lat.masks import Places
from stream.lat.patch import LAT, SIDE_DEG, to_patch
from stream.lat.psf import STEP_DEG, profiles_of
from stream.lat.scene import UNIT, scene_of
from stream.lat.search import search
from stream.lat.sky import expect, stand_in
from stream.lat.sphere import separation
from stream.lat.whole import merge

PLACE = (70.0, 45.0)
INDICES = (1.8, 2.3, 2.8)


@pytest.fixture(scope="module")
def tools():
    optics = instrument()
    exposure = survey(optics, 10)
    return optics, exposure, expect(stand_in(), exposure), profiles_of(optics, LAT.blur_deg), Scatter(optics)


def sources(fluxes, places, indices):
    table = np.zeros(len(fluxes), SOURCE)
    table["flux"], (table["glon_deg"], table["glat_deg"]) = fluxes, np.transpose(places).reshape(2, -1)
    table["spectrum"], table["yearly"] = power_law(fluxes, indices), 1.0
    return table


def scene(tools, table, seed, strength=0.0):
    _, exposure, expected, profiles, scatter = tools
    rng = np.random.default_rng(seed)
    sky = vary(stand_in(), rng, strength)
    truth = Truth(table, sky, exposure, expect(sky.diffuse, exposure) if strength else expected)
    patch, _ = draw_patch(truth, scatter, *PLACE, rng)
    return scene_of(patch, expected.on(patch), exposure, profiles)


def test_sources_are_found_where_they_are_as_bright_and_steep_as_they_are(tools):
    misses = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        places = [(66.0, 43.0), (70.0, 46.5), (74.0, 44.0)]
        fluxes, indices = 10 ** rng.uniform(-9.3, -8.6, 3), np.array(INDICES)
        found = search(scene(tools, sources(fluxes, places, indices), seed), 25.0)
        inner = found[(found["flag"] & EDGE) == 0]
        assert len(inner) == 3
        for (lon, lat), flux, index in zip(places, fluxes, indices, strict=True):
            away = separation(inner["glon_deg"], inner["glat_deg"], lon, lat)
            one = inner[away.argmin()]
            misses.append(
                (
                    away.min() / one["r68_deg"],
                    (one["flux"] - flux) / one["flux_error"],
                    (one["index"] - index) / one["index_error"],
                )
            )
    off, flux, index = np.transpose(misses)
    assert np.median(off) == pytest.approx(0.8, abs=0.6)  # of a circle that holds 68 %, half lie within 0.78
    assert off.max() < 3.5
    assert abs(flux.mean()) < 1.0
    assert np.abs(flux).max() < 4.5
    assert abs(index.mean()) < 1.0
    assert np.abs(index).max() < 4.5


def test_fluxes_of_the_bands_are_those_of_the_spectrum(tools):
    index, flux, pulls = 2.3, 3e-9, []
    edges = np.array(EDGES_MEV) ** (1 - index)
    truth = flux * np.diff(edges) / (1e5 ** (1 - index) - 1e3 ** (1 - index))
    for seed in range(6):
        found = search(scene(tools, sources([flux], [PLACE], [index]), seed), 100.0)
        one = found[0]
        assert np.all(one["flux_band_error"] > 0)
        pulls.append((one["flux_band"] - truth) / one["flux_band_error"])
    pulls = np.array(pulls)
    assert np.abs(pulls[:, 2:].mean(axis=0)).max() < 1.5  # below 1 GeV the norms of the background move with it
    assert np.abs(pulls[:, 2:]).max() < 5


def test_places_of_a_network_are_fitted_and_no_others(tools):
    places = [(66.0, 43.0), (70.0, 46.5), (74.0, 44.0)]
    seen = scene(tools, sources(np.array([3e-9, 3e-9, 3e-9]), places, np.array(INDICES)), 1)
    x, y = to_patch(*PLACE, *(np.array([place[axis] for place in places[:2]]) for axis in (0, 1)))
    found = search(seen, 25.0, places=Places(x + 0.08, y - 0.05, np.array([0.9, 0.8])))
    assert len(found) == 2
    for (lon, lat), row in zip(places[:2], np.sort(found, order="glat_deg"), strict=True):
        assert separation(row["glon_deg"], row["glat_deg"], lon, lat) < 0.03


def test_a_sky_without_sources_has_none_above_4_sigma(tools):
    number = sum(len(search(scene(tools, sources([], np.zeros((0, 2)), []), seed, 1.0), 25.0)) for seed in range(3))
    assert number <= 2


def test_an_empty_sky_gives_no_rows(tools):
    _, exposure, expected, profiles, _ = tools
    one = scene(tools, sources([], np.zeros((0, 2)), []), 1)
    one.patch.counts[:] = 0
    found = search(scene_of(one.patch, expected.on(one.patch), exposure, profiles))
    assert found.dtype == DETECTION
    assert not len(found)


@pytest.mark.parametrize("band", [0, 5])
def test_a_band_without_photons_takes_nothing_from_the_others(tools, band):
    one = scene(tools, sources([3e-9], [PLACE], [2.3]), 1)
    for channel in channels_of((band,)):
        LAT.image(one.patch.counts, channel)[:] = 0
    _, exposure, expected, profiles, _ = tools
    found = search(scene_of(one.patch, expected.on(one.patch), exposure, profiles), 25.0)
    assert separation(found["glon_deg"][0], found["glat_deg"][0], *PLACE) < 0.1
    assert found["flux"][0] == pytest.approx(3e-9, rel=0.4)
    assert np.isfinite(found["flux_band"]).all()
    edges = np.array(EDGES_MEV) ** -1.3
    truth = 3e-9 * np.diff(edges) / (1e5**-1.3 - 1e3**-1.3)
    assert found["flux_band"][0, band] < 0.5 * truth[band]


def test_the_likelihood_and_its_gradient_are_those_of_a_plain_sum(tools):
    one = scene(tools, sources([5e-10], [PLACE], [2.2]), 3)
    model, profiles = one.background.copy(), one.profiles
    reach, weight = np.minimum(2.5 * profiles.r68_deg, 2.5), np.linspace(0.5, 1, len(LAT.scale))
    source = np.array([SIDE_DEG / 2 + 0.03, SIDE_DEG / 2 - 0.05, np.log(4.0), 2.37])

    def plain(at):
        value = 0.0
        for c in range(len(LAT.scale)):
            begin, side = LAT.layout[c]
            part = slice(begin, begin + side * side)
            away = np.hypot(*(one.patch.at[part] - source[:2]).T)  # the pixels are those of the first place
            r = np.hypot(*(one.patch.at[part] - at[:2]).T)
            rate = np.exp(np.interp(at[3], np.arange(1.0, 4.55, 0.1), np.log(one.rate[c])))
            mine = np.exp(at[2]) * rate * profiles.at(c, r) * one.patch.lit[part]
            term = one.patch.counts[part] * np.log1p(mine / np.maximum(model[part], 1e-9)) - mine
            value += weight[c] * term[away <= reach[c]].sum()
        return value

    gradient, information = np.empty(4), np.empty((4, 4))
    told = likelihood(one.patch.counts, model, LAT.layout, LAT.scale, one.patch.lit, one.patch.at, profiles.values,
                      STEP_DEG, one.rate, source, reach, weight, gradient, information)  # fmt: skip
    assert told == pytest.approx(plain(source), rel=1e-4)
    for i, step in enumerate((1e-4, 1e-4, 1e-4, 1e-4)):
        up, down = source.copy(), source.copy()
        up[i] += step
        down[i] -= step
        assert gradient[i] == pytest.approx(
            (plain(up) - plain(down)) / (2 * step), rel=2e-2, abs=2e-2 * np.abs(gradient).max()
        )
    assert np.all(np.linalg.eigvalsh(information) > 0)


def test_what_two_patches_found_is_one_and_comes_from_the_nearer():
    places = np.array([[10.0, 0.0], [18.0, 0.0]])
    rows = np.zeros(2, DETECTION)
    rows["glon_deg"], rows["ts"] = [13.9, 14.03], [50.0, 40.0]
    other = rows.copy()
    other["glon_deg"] += 0.02
    kept = merge(places, [rows, other])
    assert kept["glon_deg"].tolist() == pytest.approx([13.9, 14.05])
    near = np.zeros(1, DETECTION)
    near["glon_deg"], near["ts"] = 14.01, 30.0
    again = merge(places, [rows[:1], near])
    assert len(again) == 2
    rows["glon_deg"][0] = 13.99
    assert len(merge(places, [rows[:1], near])) == 1
    rows["glon_deg"][0], near["glon_deg"] = 14.01, 13.99  # each patch thinks that it is the other's
    assert merge(places, [rows[:1], near])["glon_deg"].tolist() == pytest.approx([14.01])
    assert len(merge(places, [rows[:0], near[:0]])) == 0


def test_fluxes_of_the_mock_catalogue_are_what_its_spectra_hold():
    table = make_catalogue(np.random.default_rng(5), 0.1)
    assert len(table) > 1000
    assert np.all(np.diff(table["flux"]) <= 0)
    assert np.allclose(table["yearly"].mean(axis=1), 1.0)
    assert UNIT == 1e-10
