import numpy as np
import pytest
from scipy.stats import kstest

from sim.lat.catalogue import SOURCE
from sim.lat.flight import START_S, Span
from sim.lat.photons import PHOTON
from stream.lat.bands import CHANNELS, EDGES_MEV, TYPES, ZENITH_DEG
from stream.lat.exposure import counts, power_law
from stream.lat.psf import profiles_of
from stream.lat.sphere import GALACTIC, separation, unit_vectors

PLACE = (83.0, -71.0)


@pytest.fixture(scope="module")
def one(scatter, even):
    """Return photons of one bright source, and it."""
    source = np.zeros(1, SOURCE)
    source["glon_deg"], source["glat_deg"] = PLACE
    source["spectrum"] = power_law(4e-6, 2.2)
    return source, scatter.draw(source, even.exposure, np.random.default_rng(5))


def test_as_many_photons_as_exposure_times_spectrum(one, even):
    source, photons = one
    expected = counts(source["spectrum"], even.exposure.at(*PLACE))[0].T.ravel()
    drawn = np.bincount(photons["channel"], minlength=CHANNELS)
    assert np.all(np.abs(drawn - expected) < 4.5 * np.sqrt(expected) + 1)
    assert np.all(photons["source"] == 0)


def test_energies_fall_as_the_spectrum_does(one, even):
    _, photons = one
    at = even.exposure.at(*PLACE)[..., 0]
    for channel in (0, 5, 6, 10):
        band, kind = divmod(channel, len(TYPES))
        low, high = EDGES_MEV[band : band + 2]
        grid = np.geomspace(low, high, 400)
        area = np.interp(np.log(grid), np.linspace(np.log(low), np.log(high), 9), at[kind, band])
        cdf = np.concatenate([[0], np.cumsum(np.diff(grid) * ((grid**-2.2 * area)[1:] + (grid**-2.2 * area)[:-1]))])
        mine = photons["energy_mev"][photons["channel"] == channel][:8000]
        assert (
            kstest(mine, lambda e, g=grid, c=cdf: np.interp(e, g, c / c[-1])).statistic
            < 1.9 / np.sqrt(len(mine)) + 0.002
        )


def test_the_psf_holds_what_it_should(one, instrument):
    _, photons = one
    profiles = profiles_of(instrument)
    away = separation(photons["glon_deg"], photons["glat_deg"], *PLACE)
    for channel in range(CHANNELS):
        mine = away[photons["channel"] == channel]
        if len(mine) > 200:
            share = np.mean(mine < profiles.r68_deg[channel])
            assert abs(share - 0.68) < 0.02 + 4 * 0.47 / np.sqrt(len(mine)), channel


def test_no_sources_no_photons(scatter, even):
    assert len(scatter.draw(np.zeros(0, SOURCE), even.exposure, np.random.default_rng(0))) == 0


def test_angles_of_an_even_survey(one, even):
    _, photons = one
    span = next(even.spans(START_S, 0.1, 1e9))
    seen = even.see(photons, span, np.random.default_rng(3))
    assert len(seen) == len(photons)
    assert np.all(np.diff(seen["time_s"]) >= 0)
    assert span.start_s <= seen["time_s"][0] < seen["time_s"][-1] < span.stop_s
    assert np.all(seen["zenith_deg"] <= np.array(ZENITH_DEG).ravel()[seen["channel"]] + 1e-3)
    front = seen[(seen["channel"] == 2)]
    cosine = np.cos(np.radians(front["theta_deg"]))
    grid = np.linspace(0.2, 1, 200)
    area = even._areas.instrument.area_cm2(0, 680.0, grid)[0]
    cdf = np.cumsum(area) / area.sum()
    assert kstest(cosine, lambda c: np.interp(c, grid, cdf)).statistic < 0.03


def test_photons_of_every_source_come_at_any_time_of_an_even_survey(even):
    span = Span(START_S, START_S + 1000.0, 800.0, np.array([[START_S, START_S + 1000.0]]))
    photons = np.zeros(6000, PHOTON)
    photons["energy_mev"], photons["source"] = 1000.0, np.repeat([-1, 0, 1], 2000)
    seen = even.see(photons, span, np.random.default_rng(4))
    assert np.all(np.diff(seen["time_s"]) >= 0)
    for source in (-1, 0, 1):
        times = seen["time_s"][seen["source"] == source]
        assert len(times) == 2000
        assert kstest(times, "uniform", (START_S, 1000.0)).pvalue > 1e-3


def test_what_an_orbit_sees_is_its_area_where_it_looks(one, orbit, scatter):
    """The share that is kept, against a sum over the rows of pointing."""
    source, _ = one
    source = source.copy()
    (span,) = orbit.spans(START_S, 0.005, 1e9)
    source["spectrum"] *= 40 * span.live_s / orbit.exposure.live_s
    photons = scatter.draw(source, orbit.exposure, np.random.default_rng(8))
    seen = orbit.see(photons, span, np.random.default_rng(9))
    place = unit_vectors(*PLACE) @ GALACTIC
    cosine, up = span.rows["axis"] @ place, span.rows["zenith"] @ place
    for channel in (1, 4, 6):
        band, kind = divmod(channel, len(TYPES))
        energy = np.sqrt(EDGES_MEV[band] * EDGES_MEV[band + 1]) * (0.75 if band == 3 else 0.95)
        area = orbit._areas.instrument.area_cm2(kind, energy, np.maximum(cosine, 0.2))[0]
        live = span.rows["live_s"] * (cosine >= 0.2) * (up >= np.cos(np.radians(ZENITH_DEG[band][kind])))
        expected = (area * live).sum() / (orbit._areas.most_cm2(kind, np.array([energy]))[0] * span.live_s)
        drawn = np.sum(photons["channel"] == channel)
        share = np.sum(seen["channel"] == channel) / drawn
        assert abs(share / expected - 1) < 0.03 + 4 / np.sqrt(drawn * expected), channel
    assert np.all(np.cos(np.radians(seen["theta_deg"])) > 0.199)


def test_nothing_is_seen_while_nothing_is_live(orbit):
    nothing = Span(0.0, 30.0, 0.0, np.zeros((0, 2)))
    assert len(orbit.see(np.zeros(5, PHOTON), nothing, np.random.default_rng(0))) == 0
