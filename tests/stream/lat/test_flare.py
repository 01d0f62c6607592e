import numpy as np
import pytest
from scipy.stats import norm, poisson

from config.alert import Alert
from stream.lat.bands import CONFUSED
from stream.lat.flare import FLARE, TRANSIENT, decoded, find_alerts, rise
from tests.stream.lat.catalogues import detections, entries


def fitted(source, background):
    """Return flux, error and TS that a fit of one bin gives: flux in counts."""
    total = source + background
    return source, np.sqrt(total), 2 * (total * np.log(total / background) - source)


@pytest.mark.parametrize(("source", "background"), [(40, 10), (12, 0.05), (200, 4000), (30, 300)])
def test_a_rise_is_as_sure_as_its_poisson_counts(source, background):
    flux, error, ts = fitted(source, background)
    assert rise(flux, error, ts, 0.0)[0] == pytest.approx(np.sqrt(ts), rel=1e-3)
    reference = source / 4
    expected = background + reference
    exact = norm.isf(poisson.sf(source + background - 1, expected))  # of that many counts or more
    told = rise(flux, error, ts, reference)[0]
    assert told == pytest.approx(exact, abs=0.25)


def test_a_rise_is_zero_at_the_reference_and_gaussian_for_many_counts():
    flux, error, ts = fitted(500.0, 50_000.0)
    assert rise(flux, error, ts, flux)[0] == pytest.approx(0, abs=1e-6)
    assert rise(flux, error, ts, 200.0)[0] == pytest.approx(300 / error, rel=0.02)
    assert rise(flux, error, ts, 900.0)[0] < 0
    assert np.isnan(rise([1.0, np.nan], [0.0, 1.0], [9.0, 9.0], [0.5, 0.5])).all()


def flaring(ts=100.0, flux=1e-8, flag=0, lon=10.0):
    row = detections([lon], [5.0], [ts])
    row["id"] = int(lon)
    row["flux"], row["flux_error"], row["index"], row["index_error"], row["flag"] = flux, flux / 8, 2.1, 0.1, flag
    return row


def known():
    rows = entries([10.02, 200.0], [5.0, 0.0])
    rows["flux1000"], rows["name"] = 1e-9, ["4FGL J1234.5+0000", "4FGL J1234.6+0000"]
    rows["flux_history"][:, 0], rows["flux_history"][:, 1:] = 3e-8, 1e-8
    return rows


def test_a_source_ten_times_its_flux_is_a_flare():
    told = find_alerts(flaring(), known(), Alert())
    assert (told["kind"].tolist(), told["entry"].tolist()) == ([FLARE], [0])
    assert decoded(told["name"][0]) == "4FGL J1234.5+0000"
    assert told["ratio"][0] == pytest.approx(10, rel=1e-3)
    assert told["over_brightest"][0] == pytest.approx(10 / (3 / 1.2), rel=1e-3)
    assert told["rise_sigma"][0] > 7


def test_what_is_as_bright_as_ever_or_faint_is_none():
    assert not len(find_alerts(flaring(flux=2e-9), known(), Alert()))
    assert not len(find_alerts(flaring(ts=20), known(), Alert()))
    assert not len(find_alerts(flaring()[:0], known(), Alert()))


def test_what_no_source_explains_is_new_unless_the_search_doubts_it():
    told = find_alerts(flaring(lon=90), known(), Alert())
    assert (told["kind"].tolist(), told["entry"].tolist()) == ([TRANSIENT], [-1])
    assert np.isnan(told["ratio"][0])
    assert not len(find_alerts(flaring(lon=90, flag=CONFUSED), known(), Alert()))
    assert not len(find_alerts(flaring(lon=90, ts=30), known(), Alert()))
    assert len(find_alerts(flaring(), known()[:0], Alert())) == 1
