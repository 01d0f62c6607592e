"""The photon stream on what the mission publishes: photons, where the instrument looked, exposure."""

from collections import Counter

import astropy_healpix.healpy as hp
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from stream.lat.bands import EDGES_MEV
from stream.lat.cube import NSIDES, Sky
from stream.lat.exposure import ENERGY_MEV, NSIDE
from stream.lat.livetime import Livetime, in_good_time
from stream.lat.photons import POINTING
from stream.lat.sphere import GALACTIC
from stream.messages import Product
from stream.transport.ft2 import read_pointing
from stream.transport.lat_response import read_instrument
from stream.transport.photons import open_photons

pytestmark = pytest.mark.real


@pytest.fixture
def events(data):
    return data / "lat" / "events"


def test_every_photon_above_50_gev_is_read_and_counted_where_it_is(events):
    path = events / "fermi_2fhl_events.fits.gz"
    source, sky, told = open_photons([path]), Sky(), Counter()
    for message in source.messages():
        if isinstance(message, Product):
            span = message.header["TSTART"], message.header["TSTOP"]
            told += sky.add(message.tables["PHOTONS"], message.tables["GTI"], None, *span)
    with fits.open(path) as hdus:
        rows = hdus["EVENTS"].data
        front = rows["EVENT_TYPE"][:, -1]
        np.testing.assert_array_equal(front, rows["CONVERSION_TYPE"] == 0)
        kept = rows["ENERGY"] < EDGES_MEV[-1]
        pixels = hp.ang2pix(1024, rows["L"].astype(float), rows["B"].astype(float), lonlat=True)
        livetime = hdus["GTI"].data["STOP"] - hdus["GTI"].data["START"]
    assert told["photons"] == kept.sum() == 60_275 - told["no_band"]
    assert told["zenith"] == 0  # the list is cut at 105 degrees
    for kind, of_kind in enumerate((front, ~front)):
        counts = sky.maps[NSIDES.index(1024)][-2 + kind]  # the last band
        np.testing.assert_array_equal(counts, np.bincount(pixels[kept & of_kind], minlength=12 * 1024**2))
    window = sky.windows()["mission"]
    assert window.ontime_s == pytest.approx(livetime.sum())
    assert window.live is None  # no FT2: no exposure
    assert len(sky.years) == 7


def test_three_days_of_pointing(events):
    source = open_photons([events / "test-ft1.fits", events / "test-ft2.fits.gz"])
    sky = Sky()
    for message in source.messages():
        if isinstance(message, Product):
            span = message.header["TSTART"], message.header["TSTOP"]
            sky.add(message.tables["PHOTONS"], message.tables["GTI"], message.tables["POINTING"], *span)
    window = sky.windows()["mission"]
    assert window.totals().sum() == 833
    assert window.live is not None
    with fits.open(events / "test-ft2.fits.gz") as hdus:
        rows = hdus["SC_DATA"].data
        live = float((rows["LIVETIME"] / (rows["STOP"] - rows["START"])).mean())
    assert window.live.live_s == pytest.approx(live * window.ontime_s, rel=0.02)
    # Livetime of three places, row by row, by astropy.
    pointing = in_good_time(read_pointing([events / "test-ft2.fits.gz"], Counter()), source.gti)
    for pixel in (0, 5000, 12_000):
        lon, lat = hp.pix2ang(NSIDE, pixel, lonlat=True)
        here = SkyCoord(lon, lat, unit="deg", frame="galactic")
        theta = here.separation(SkyCoord(pointing["GLON"], pointing["GLAT"], unit="deg", frame="galactic")).deg
        up = here.separation(
            SkyCoord(pointing["ZENITH_GLON"], pointing["ZENITH_GLAT"], unit="deg", frame="galactic")
        ).deg
        seen = (np.cos(np.radians(theta)) > 0.2) & (up < 105)
        assert window.live.seen_s(105.0)[pixel].sum() == pytest.approx(pointing["LIVETIME"][seen].sum(), rel=0.01)


def rocking(days, step_s=60.0):
    """Return a survey as the LAT flies it: one orbit 50 degrees to the north of the zenith, the next to the south.

    Orbit: 25.6 degrees of inclination, 95.6 minutes, its node turns in 53.4 days.
    """
    time = np.arange(0, days * 86_400.0, step_s)
    node, phase = 2 * np.pi * time / (53.4 * 86_400), 2 * np.pi * time / (95.6 * 60)
    tilt = np.radians(25.6)
    pole = np.stack(
        [np.sin(tilt) * np.sin(node), -np.sin(tilt) * np.cos(node), np.full(len(time), np.cos(tilt))], axis=1
    )
    ascending = np.stack([np.cos(node), np.sin(node), np.zeros(len(time))], axis=1)
    up = np.cos(phase)[:, None] * ascending + np.sin(phase)[:, None] * np.cross(pole, ascending)
    side = np.where(np.floor(phase / (2 * np.pi)) % 2, 1, -1)[:, None]
    axis = np.cos(np.radians(50)) * up + np.sin(np.radians(50)) * side * pole
    table = np.zeros(len(time), POINTING)
    table["START"], table["STOP"] = time, time + step_s
    for prefix, vector in (("", axis), ("ZENITH_", up)):
        x, y, z = (vector @ GALACTIC.T).T
        table[f"{prefix}GLON"], table[f"{prefix}GLAT"] = np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arcsin(z))
    return table


@pytest.mark.slow
def test_a_survey_of_seven_years_gives_the_exposure_of_3fhl(data):
    """Of its good time (GTI of 3FHL), live for all but the dead time of 8 %, at 10 GeV."""
    with fits.open(data / "lat" / "3fhl" / "fermi_3fhl_exposure_cube_hpx.fits.gz") as hdus:
        theirs, gti = np.asarray(hdus[1].data["ENERGY1"], float), hdus["GTI"].data
        good_s = float((gti["STOP"] - gti["START"]).sum())
        assert hdus["ENERGIES"].data["Energy"][0] == pytest.approx(10_000)
    rows = rocking(107)  # two turns of the node
    rows["LIVETIME"] = 0.92 * good_s / len(rows)
    exposure = Livetime().add(rows).exposure(read_instrument(data / "lat" / "irfs"), "simulated")
    lon, lat = hp.pix2ang(64, np.arange(len(theirs)), lonlat=True)  # equatorial
    place = SkyCoord(lon, lat, unit="deg").galactic
    band = 4  # 7-20 GeV
    ours = np.array(
        [
            np.interp(np.log(1e4), np.log(ENERGY_MEV[band]), both)
            for both in exposure.at(place.l.deg, place.b.deg)[:, band].sum(axis=0).T
        ]
    )
    assert theirs.mean() == pytest.approx(3.12e11, rel=0.01)
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.05)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.8  # the SAA, 35 degrees in the first year, and targets are not simulated
