import astropy_healpix.healpy as hp
import numpy as np
import pytest

from stream.lat.bands import BANDS, CHANNELS, NSIDE, ZENITH_DEG, channel_of
from stream.lat.builtin import stand_in
from stream.lat.cube import MISSION, NSIDES, WINDOWS, YEAR_NSIDE, Sky, new_maps
from stream.lat.livetime import Livetime, in_good_time
from stream.lat.photons import BLOCK_S, GTI, PHOTON, good_times, within
from stream.lat.snapshot import pack, unpack
from tests.stream.lat.skies import BEGIN_S, photons, pointing, stream


def counted(source, sky=None):
    """Return the sky of a stream, and what became of its photons."""
    sky, told = sky or Sky(), {}
    for message in list(source.messages())[1:-1]:
        t = message.tables
        span = message.header["TSTART"], message.header["TSTOP"]
        for name, n in sky.add(t["PHOTONS"], t["GTI"], t.get("POINTING"), *span).items():
            told[name] = told.get(name, 0) + n
    return sky, told


def plain(rows, channel):
    """Return the pixels of the photons of a channel, by another's code."""
    kind, band = channel % 2, channel // 2
    own = channel_of(rows["ENERGY"], rows["CONVERSION"].astype(int)) == channel
    own &= rows["ZENITH"] <= ZENITH_DEG[band][kind]
    return hp.ang2pix(NSIDE[band], rows["GLON"][own].astype(float), rows["GLAT"][own].astype(float), lonlat=True)


@pytest.fixture(scope="module")
def made():
    rows, source = stream(20_000, 140 * BLOCK_S)
    return rows, *counted(source)


def test_every_window_holds_its_photons_and_no_others(made):
    rows, sky, told = made
    windows = sky.windows()
    assert list(windows) == [*WINDOWS, MISSION]
    for name in ("six_hours", "month", MISSION):
        window = windows[name]
        begin = BEGIN_S + (140 - WINDOWS.get(name, 140)) * BLOCK_S
        inside = rows[rows["TIME"] >= begin]
        totals = []
        for channel in range(CHANNELS):
            pixels = plain(inside, channel)
            totals.append(len(pixels))
            expected = np.bincount(pixels, minlength=12 * NSIDE[channel // 2] ** 2)
            np.testing.assert_array_equal(window.counts(channel), expected)
            at, number = window.listed(channel)
            np.testing.assert_array_equal(at, np.flatnonzero(expected))
            np.testing.assert_array_equal(number, expected[at])
        assert window.totals().tolist() == totals
        assert [grid.shape for grid in window.maps()] == [grid.shape for grid in new_maps()]
        assert sum(int(grid.sum()) for grid in window.maps()) == sum(totals)
    assert told["photons"] == sum(totals)
    assert told["photons"] + told["zenith"] + told["no_band"] == len(rows)


def test_exposure_is_that_of_the_windows_own_time(made):
    _, sky, _ = made
    looked = pointing(span_s=140 * BLOCK_S)
    for name, window in sky.windows().items():
        begin = BEGIN_S + (140 - WINDOWS.get(name, 140)) * BLOCK_S
        gti = within(good_times([BEGIN_S + 100], [BEGIN_S + 140 * BLOCK_S]), begin, np.inf)
        assert window.gti.tolist() == gti.tolist()
        direct = Livetime().add(in_good_time(looked, gti))
        assert window.live.live_s == pytest.approx(direct.live_s, rel=1e-6)
        np.testing.assert_allclose(window.live.zones, direct.zones, rtol=1e-4, atol=0.01)
        assert window.exposure(stand_in()).cm2_s.min() >= 0


def test_years_are_told_apart():
    year_s = 31_557_600.0
    sky = Sky()
    rows = photons(100, begin_s=239_557_417 + 2.5 * year_s, span_s=year_s)
    rows["ZENITH"] = 0
    sky.add(rows, good_times([rows["TIME"][0]], [rows["TIME"][-1]]), None, rows["TIME"][0], rows["TIME"][-1])
    assert sorted(sky.years) == [2, 3]
    late = rows["TIME"] >= 239_557_417 + 3 * year_s
    assert [int(sky.years[year].sum()) for year in (2, 3)] == [int((~late).sum()), int(late.sum())]
    assert sky.years[2].shape == (BANDS, 12 * YEAR_NSIDE**2)


def test_what_came_already_is_not_counted_again():
    rows, source = stream()
    sky, told = counted(source)
    before, live = [grid.copy() for grid in sky.maps], sky.windows()[MISSION].live.live_s
    _, again = counted(source, sky)
    assert again == {"twice": len(rows)}
    for ours, was in zip(sky.maps, before, strict=True):
        np.testing.assert_array_equal(ours, was)
    assert sky.windows()[MISSION].live.live_s == pytest.approx(live)
    assert told["photons"] == sky.totals.sum()


def test_what_was_lost_may_come_later_in_any_order():
    _, source = stream()
    whole, _ = counted(source)
    batches = list(source.messages())[1:-1]
    sky, rng = Sky(), np.random.default_rng(0)
    for k in rng.permutation(len(batches)):
        b = batches[k]
        sky.add(b.tables["PHOTONS"], b.tables["GTI"], b.tables["POINTING"], b.header["TSTART"], b.header["TSTOP"])
    for name, window in sky.windows().items():
        other = whole.windows()[name]
        assert window.gti.tolist() == other.gti.tolist()
        assert window.totals().tolist() == other.totals().tolist()
        np.testing.assert_allclose(window.live.zones, other.live.zones, rtol=1e-4, atol=0.01)
    assert sky.covered.tolist() == whole.covered.tolist()


def test_without_pointing_there_are_counts_and_no_exposure():
    _, source = stream(pointed=False)
    window = counted(source)[0].windows()[MISSION]
    assert window.totals().sum() > 0
    assert window.live is None
    assert window.exposure(stand_in()) is None
    _, later = stream(begin_s=BEGIN_S + 10 * BLOCK_S)  # and half of it is not enough
    windows = counted(later, counted(source)[0])[0].windows()
    assert windows[MISSION].live is None
    assert windows["day"].live is not None
    assert windows["month"].live is None


def test_hostile_photons_are_counted():
    rows = photons(8)
    rows["ENERGY"][0], rows["GLAT"][1], rows["TIME"][2], rows["TIME"][3] = np.nan, 100, np.nan, BEGIN_S - 1
    rows["ENERGY"][4], rows["ZENITH"][4:] = 10.0, 0
    sky = Sky()
    rows["TIME"][[6, 7]] = rows["TIME"][[7, 6]]
    told = sky.add(rows, good_times([BEGIN_S], [BEGIN_S + 10 * BLOCK_S]), None, BEGIN_S, BEGIN_S + 10 * BLOCK_S)
    assert told == {"photons": 3, "no_numbers": 2, "outside_gti": 2, "no_band": 1, "unordered": 1}
    assert sky.totals.sum() == 3


def test_an_empty_sky_and_an_empty_block():
    sky = Sky()
    assert sky.windows()[MISSION].totals().sum() == 0
    assert sky.windows()["day"].live is None
    told = sky.add(np.empty(0, PHOTON), np.empty(0, GTI), None, BEGIN_S, BEGIN_S + 5)
    assert told == {}
    assert sky.windows()["day"].ontime_s == 0


def test_a_snapshot_goes_on_as_if_nothing_had_been():
    _, source = stream(8000, 20 * BLOCK_S)
    batches = list(source.messages())[1:-1]
    one, other = Sky(), Sky()
    for k, b in enumerate(batches):
        given = b.tables["PHOTONS"], b.tables["GTI"], b.tables["POINTING"], b.header["TSTART"], b.header["TSTOP"]
        one.add(*given)
        other.add(*given)
        if k == 9:
            other = unpack({name: rows.copy() for name, rows in pack(other).items()})
    assert [grid.shape[1] for grid in one.maps] == [12 * nside**2 for nside in NSIDES]
    ours, theirs = pack(one), pack(other)
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"livetime", "live_s"}:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    np.testing.assert_allclose(ours["livetime"], theirs["livetime"], rtol=1e-9)
